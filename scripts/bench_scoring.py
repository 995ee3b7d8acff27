"""Measure the scoring of memorization against its goals; writes docs/benchmarks/scoring.md.

    python scripts/bench_scoring.py WORK [--seeds 1 2 3] [--tune 90] [--negatives 10000]
                                    [--base MODEL] [--device cpu] [--lora]
                                    [--prose model_answers.jsonl.gz]
                                    [--speed MODEL] [--shapes 7b] [--out docs]

Models are trained and texts written and measured once per seed, in WORK; started again, it goes on
where it stopped. Constants may be looked at on the seed of --tune (--explore prints a grid there)
and are reported on --seeds only. With `--base` that model is fine-tuned in place of tiny ones, and
the file is scoring-MODEL.md. `--speed` names a model folder or GGUF file for the timings, and
`--shapes` has models of such shapes with random weights timed too; the files are
scoring-speed-cpu.md and scoring-speed-cuda.md.
Needs the extras `score`, `demo` and `bench`.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_scoring_data import CLEAR, RECITED, TOKENS, Item, Setting, matched, measured, prepare

from guardrail.classifiers.memorization import audit
from guardrail.classifiers.memorization import features as features_module
from guardrail.classifiers.memorization.calibration import calibrate, expected_error
from guardrail.classifiers.memorization.features import (
    BASE,
    SHARDS,
    Measured,
    features,
    located,
)
from guardrail.classifiers.memorization.models import Model
from guardrail.classifiers.memorization.report import Plot, reliability, roc
from guardrail.classifiers.memorization.scan import Scan, best_segment

STRESS = ("copied", "loop", "public", "prose")
RESAMPLES = 500


# --- scores -----------------------------------------------------------------------------------


def scan_score(scan: Scan, kind: str) -> Callable[[Item], float]:
    def score(item: Item) -> float:
        m = of(item)
        references = m.shards if kind == "shards" else (m.base,)
        return max(best_segment(scan.steps(m.target, r)).nats for r in references if r is not None)

    return score


def of(item: Item) -> Measured:
    assert item.measured is not None
    return item.measured


def base_of(item: Item) -> np.ndarray:
    base = of(item).base
    assert base is not None
    return base


def relative(item: Item) -> float:
    ours, theirs = -of(item).target.mean(), -base_of(item).mean()
    return float((theirs - ours) / (theirs + 0.5))


PLAIN: dict[str, Callable[[Item], float]] = {
    "loss": lambda i: audit.loss(of(i).target),
    "zlib": lambda i: audit.zlib_ratio(of(i).target, i.text),
    "Min-K% 20": lambda i: audit.min_k(of(i).target),
    "mean log-ratio, base": lambda i: audit.ratio(of(i).target, base_of(i)),
    "relative ratio, base": relative,
    "scan, base": scan_score(BASE, "base"),
    "scan, two shards": scan_score(SHARDS, "shards"),
}


def logistic(items: Sequence[Item], tier: str) -> np.ndarray:
    """Values on the scale of log-odds, each from a calibration fitted on the other half's texts
    that are not ambiguous."""
    values = np.empty(len(items))
    for half in (0, 1):
        fitted = fit([i for i in items[1 - half :: 2] if not i.ambiguous], tier)
        values[half::2] = [fitted(of(item)) for item in items[half::2]]
    return values


def fit(items: Sequence[Item], tier: str) -> Callable[[Measured], float]:
    """A calibration of labelled texts, as a score."""
    named = [features(seen(of(item), tier)) for item in items]
    made = calibrate(named, [i.recited for i in items], [len(of(i)) for i in items], {})

    def score(measured: Measured) -> float:
        return made.platt[0] * made.decision(features(seen(measured, tier))) + made.platt[1]

    return score


Test = Callable[[Sequence[Item]], np.ndarray]


def each(score: Callable[[Item], float]) -> Test:
    return lambda items: np.array([score(item) for item in items])


TESTS: dict[str, Test] = {
    # What the labels are made of, as an index would see it: where even this misses, no score of
    # models is to be expected to do better.
    "longest run in the corpus, in tokens": each(lambda item: item.longest),
    **{name: each(score) for name, score in PLAIN.items()},
    "logistic, base": lambda items: logistic(items, "base"),
    "logistic, base and shards": lambda items: logistic(items, "shards"),
}
OURS = ("scan, base", "scan, two shards", "logistic, base", "logistic, base and shards")


def seen(m: Measured, tier: str) -> Measured:
    return Measured(m.target, m.base, m.shards if tier == "shards" else ())


# --- figures ----------------------------------------------------------------------------------


def area(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of (recited, ordinary) pairs in order, equal scores counted half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, m = labels.sum(), (1 - labels).sum()
    return float((ranks[labels == 1].sum() - n * (n + 1) / 2) / (n * m))


def found_at(scores: np.ndarray, labels: np.ndarray, share: float) -> float:
    """Share of recited texts above the threshold that `share` of the others pass at most."""
    null = np.sort(scores[labels == 0])
    allowed = int(share * (len(null) + 1))
    if allowed == 0:
        return float("nan")
    return float((scores[labels == 1] > null[len(null) - allowed]).mean())


def interval(
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    figure: Callable[[np.ndarray, np.ndarray], float],
) -> str:
    """The mean over seeds, and the middle 95 % of it when texts are drawn anew."""
    dice = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES):
        drawn = []
        for scores, labels in parts:
            places = np.concatenate(
                [dice.choice(np.flatnonzero(labels == k), int((labels == k).sum())) for k in (0, 1)]
            )
            drawn.append(figure(scores[places], labels[places]))
        means.append(np.mean(drawn))
    centre = np.mean([figure(*part) for part in parts])
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{centre:.3f} ({low:.3f}-{high:.3f})"


def main_texts(items: Sequence[Item]) -> list[Item]:
    """Recited against ordinary and stress texts; ambiguous ones count by the same rule."""
    return [i for i in items if i.kind in ("ordinary", "continuation", *STRESS)]


def labels_of(items: Sequence[Item]) -> np.ndarray:
    return np.array([item.recited for item in items], np.float64)


def cut(item: Item, start: int, end: int) -> Item:
    m = of(item)
    part = Measured(
        m.target[start:end],
        base_of(item)[start:end],
        tuple(shard[start:end] for shard in m.shards),
    )
    return Item(item.kind, item.text, item.prompt, item.excess, part)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def comparison(seeds: dict[int, list[Item]]) -> str:
    """One row per score: area with and without ambiguous texts, recited texts found."""
    rows = []
    for name, test in TESTS.items():
        parts, clear = [], []
        for items in seeds.values():
            some = main_texts(items)
            scores, labels = test(some), labels_of(some)
            sure = np.array([not item.ambiguous for item in some])
            parts.append((scores, labels))
            clear.append((scores[sure], labels[sure]))
        rows.append(
            (
                name,
                interval(parts, area),
                f"{np.mean([area(*part) for part in clear]):.3f}",
                interval(parts, lambda s, y: found_at(s, y, 0.01)),
                f"{np.mean([found_at(*part, 0.01) for part in clear]):.3f}",
                interval(parts, lambda s, y: found_at(s, y, 0.001)),
            )
        )
    some = [i for items in seeds.values() for i in main_texts(items) if i.moments is not None]
    plus = np.array([audit.min_k_plus_plus(of(i).target, *i.moments) for i in some])  # type: ignore[misc]
    labels = labels_of(some)
    rows.insert(
        4,
        (
            "Min-K%++ 20 (part of the texts)",
            f"{area(plus, labels):.3f}",
            "",
            f"{found_at(plus, labels, 0.01):.3f}",
            "",
            "",
        ),
    )
    head = (
        "score",
        "AUC",
        "AUC, ambiguous left out",
        "TPR at 1 % FPR",
        "TPR at 1 % FPR, ambiguous left out",
        "TPR at 0.1 % FPR",
    )
    return table(head, rows)


def top_negatives(seeds: dict[int, list[Item]]) -> str:
    """What the texts are that count as false positives: how much of the corpus they recite."""
    name, excess = OURS[-1], []
    for items in seeds.values():
        some = main_texts(items)
        scores, labels = TESTS[name](some), labels_of(some)
        null = np.sort(scores[labels == 0])
        limit = null[len(null) - int(0.01 * (len(null) + 1))]
        excess += [
            item.excess
            for item, value in zip(some, scores, strict=True)
            if value >= limit and not item.recited
        ]
    partly = np.mean([value > CLEAR[0] for value in excess])
    return (
        f"Of the {len(excess):,} texts that count as false positives of `{name}` at 1 %, "
        f"{partly:.0%} do recite {CLEAR[0] + 1} to {RECITED - 1} tokens that no template explains, "
        f"a median of {np.median(excess):.0f}: {RECITED} is where a label turns, and texts on "
        "either side of it are alike. With ambiguous texts left out such texts are on neither side."
    )


def stress(seeds: dict[int, list[Item]]) -> str:
    """False positives by kind, at the threshold that 1 % of ordinary outputs reach."""
    rows = []
    for name in OURS:
        fired: dict[str, list[bool]] = {kind: [] for kind in ("ordinary", *STRESS)}
        for items in seeds.values():
            some = main_texts(items)
            scores = TESTS[name](some)
            plain = [i.kind == "ordinary" and not i.recited for i in some]
            limit = np.quantile(scores[plain], 0.99)
            for item, value in zip(some, scores, strict=True):
                if item.kind in fired and not item.recited:
                    fired[item.kind].append(bool(value > limit))
        rows.append(
            (name, *(f"{np.mean(x):.2%} of {len(x):,}" if x else "-" for x in fired.values()))
        )
    return table(("score", "ordinary", *STRESS), rows)


def lengths(seeds: dict[int, list[Item]]) -> str:
    """The first tokens only: of answers recited from their first token on, and of the others."""
    rows = []
    for length in (8, 16, 32):
        row: list[object] = [length]
        for name in OURS:
            parts = []
            for items in seeds.values():
                some = [
                    cut(i, 0, length)
                    for i in main_texts(items)
                    if len(of(i)) >= length and (whole(i) or not i.recited)
                ]
                parts.append((TESTS[name](some), labels_of(some)))
            row.append(interval(parts, area))
        rows.append(row)
    return table(("tokens", *(f"AUC, {name}" for name in OURS)), rows)


def whole(item: Item) -> bool:
    """Whether nearly all of a continuation is recited."""
    return item.kind == "continuation" and item.excess >= 32


LEAK = (20, 56)


def spliced(items: Sequence[Item]) -> tuple[list[Measured], list[Measured]]:
    """36 tokens of a recited answer amid 40 of an ordinary one, and the same of ordinary answers
    only. They are put together as log-probabilities: what the model gave where it recited."""
    plain = [i for i in items if i.kind == "ordinary" and i.excess <= CLEAR[0] and len(of(i)) >= 40]
    leaks = [i for i in items if whole(i) and len(of(i)) >= 36]

    def join(outer: Item, inner: Item) -> Measured:
        def one(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.concatenate([a[: LEAK[0]], b[:36], a[LEAK[0] : 40]])

        a, b = of(outer), of(inner)
        pairs = zip(a.shards, b.shards, strict=True)
        shards = tuple(one(x, y) for x, y in pairs)
        return Measured(one(a.target, b.target), one(base_of(outer), base_of(inner)), shards)

    return (
        [join(plain[n % len(plain)], leaks[n % len(leaks)]) for n in range(300)],
        [join(one, plain[(7 * n + 3) % len(plain)]) for n, one in enumerate(plain)],
    )


def splices(seeds: dict[int, list[Item]]) -> str:
    rows = []
    for tier in ("base", "shards"):
        parts, overlaps = [], []
        for items in seeds.values():
            score = fit([i for i in main_texts(items) if not i.ambiguous], tier)
            with_leak, without = spliced(items)
            values = np.array([score(m) for m in [*with_leak, *without]])
            parts.append((values, np.repeat([1.0, 0.0], [len(with_leak), len(without)])))
            overlaps += [overlap(m, tier) for m in with_leak]
        rows.append(
            (
                tier,
                interval(parts, lambda s, y: found_at(s, y, 0.01)),
                f"{np.mean(overlaps):.3f}",
                f"{np.median(overlaps):.3f}",
            )
        )
    return table(("reference", "TPR at 1 % FPR", "span IoU, mean", "span IoU, median"), rows)


def overlap(measured: Measured, tier: str) -> float:
    """Intersection over union, in tokens, of the located spans and the leak."""
    parts = located(seen(measured, tier))
    places = {n for part in parts for n in range(part.start, part.end)}
    leak = set(range(*LEAK))
    return len(places & leak) / len(places | leak)


def calibrated(seeds: dict[int, list[Item]], plots: Path, slug: str) -> str:
    """Expected calibration error on the other texts, after a fit on 200 labels; mean of 10 fits."""
    rows = []
    for tier in ("base", "shards"):
        errors, all_given, all_true = [], [], []
        for items in seeds.values():
            some = [i for i in main_texts(items) if not i.ambiguous]
            named = [features(seen(of(i), tier)) for i in some]
            labels = labels_of(some)
            for draw in range(10):
                places = np.random.default_rng(draw).permutation(len(some))
                chosen, rest = places[:200], places[200:]
                made = calibrate(
                    [named[n] for n in chosen],
                    [bool(labels[n]) for n in chosen],
                    [len(of(some[n])) for n in chosen],
                    {},
                )
                given = np.array([made.probability(made.decision(named[n])) for n in rest])
                errors.append(expected_error(given, labels[rest]))
                all_given.append(given)
                all_true.append(labels[rest])
        rows.append((tier, f"{np.mean(errors):.3f}", f"{np.max(errors):.3f}"))
        bins = reliability(np.concatenate(all_given), np.concatenate(all_true))
        points = [(row["probability"], row["recited"]) for row in bins]
        plot = Plot(
            f"Reliability, {tier}", "probability given", "share recited", points, line=False
        )
        (plots / f"{slug}-reliability-{tier}.svg").write_text(plot.svg() + "\n", "utf-8")
    return table(("reference", "ECE, mean of fits", "worst fit"), rows)


def curves(seeds: dict[int, list[Item]], plots: Path, slug: str) -> None:
    for name, part in (("loss", "loss"), ("scan, base", "base"), ("scan, two shards", "shards")):
        some = [i for items in seeds.values() for i in main_texts(items)]
        points, _ = roc(np.array([PLAIN[name](i) for i in some]), labels_of(some))
        plot = Plot(f"ROC, {name}", "false positives", "recited texts found", points)
        (plots / f"{slug}-roc-{part}.svg").write_text(plot.svg() + "\n", "utf-8")


def without_goal(seeds: dict[int, list[Item]], lora: list[Item] | None) -> str:
    rows = []
    for name in ("scan, base", "scan, two shards"):
        score = PLAIN[name]
        found = []
        for items in seeds.values():
            limit = np.quantile(
                [score(i) for i in items if i.kind == "ordinary" and not i.recited], 0.99
            )
            found += [score(i) > limit for i in items if i.kind == "paraphrased"]
        row = [name, f"{np.mean(found):.3f} of {len(found)}", "not measured", "not measured"]
        if lora is not None:
            some = main_texts(lora)
            scores, labels = np.array([score(i) for i in some]), labels_of(some)
            if labels.any():
                row[2] = f"{area(scores, labels):.3f}"
                row[3] = f"{found_at(scores, labels, 0.01):.3f} of {int(labels.sum())}"
        rows.append(row)
    head = ("score", "a word in five changed: TPR at 1 % FPR", "LoRA target: AUC", "TPR at 1 % FPR")
    return table(head, rows)


# --- speed ------------------------------------------------------------------------------------

SHAPES: dict[str, dict[str, int]] = {
    # Those of SmolLM2-135M and of Llama 2 7B (Touvron et al. 2023); a run takes as long whatever
    # the weights are.
    "135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
}


def speed(path: Path, shapes: Sequence[str], kind: str) -> str:
    """The least of several runs; cost against bare forward passes of the same models. With one
    thread on a CPU it is processor time, which other programs disturb least."""
    import torch

    from guardrail.classifiers.memorization.models import has_weights, load_model, load_tokenizer

    alone = kind == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    native = kind == "cuda" or torch.cpu._is_avx512_bf16_supported()
    rows = []
    for dtype in ("float32", "bfloat16") if native else ("float32",):
        if has_weights(path):
            rows += timed(load_model(path, device=kind, dtype=dtype), path.name, dtype, clock)
        for shape in shapes:
            model = shaped(load_tokenizer(path), shape, dtype, kind)
            rows += timed(model, f"{shape}, random weights", dtype, clock)
            del model
    device = torch.cuda.get_device_name() if kind == "cuda" else f"CPU, {processor()}"
    threads = torch.get_num_threads()
    with_threads = "" if kind == "cuda" else f", {threads} thread{'s' * (threads > 1)}"
    what = "processor time" if alone else "time"
    return f"{device}{with_threads}; {what}, the least of several runs.\n\n" + table(
        ("model", "measure", "value"), rows
    )


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def shaped(tokenizer: Any, shape: str, dtype: str, kind: str) -> Model:
    """A model of a shape with random weights and a model's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(kind):
            config = LlamaConfig(vocab_size=len(tokenizer), **SHAPES[shape])
            network = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    return Model(network.requires_grad_(False), tokenizer, shape, kind)


def timed(
    model: Model, name: str, dtype: str, clock: Callable[[], float]
) -> list[Sequence[object]]:
    """Rows of the table for one model."""
    import torch

    from guardrail.classifiers.memorization.scorer import MemorizationScorer, Request

    text = "The committee met on Monday and spoke of the harbour, the weather and the fair. " * 60
    ids = model.encode(text).ids[:511]
    text = str(model.tokenizer.decode(ids))
    logs = np.linspace(-4, -0.01, len(model.encode(text))).tolist()
    scorer = MemorizationScorer(model, model, device=model.device)
    given = torch.tensor([[model.start, *ids]], device=model.device)

    def bare() -> object:
        with torch.inference_mode():
            return float(model.module(given, use_cache=False).logits[0, -1, 0])

    one = least(clock, lambda: scorer.score(text, None, logs), 9)
    two = least(clock, lambda: scorer.score(text), 5)
    pass_ = least(clock, bare, 7)
    many = [Request(text, None, logs)] * (64 if model.device != "cpu" else 4)
    together = least(clock, lambda: scorer.score_many(many), 2) / len(many)
    chunks = []
    for given_logs in (True, False):
        stream = scorer.stream()
        pushes = []
        for at in range(0, 480, 32):
            began = clock()
            stream.push(ids[at : at + 32], logs[at : at + 32] if given_logs else None)
            pushes.append(clock() - began)
        chunks.append(float(np.median(pushes)))
    scorer.close()
    measures = {
        "512 tokens, reference only": f"{one * 1e3:.1f} ms",
        "512 tokens, bare forward pass with all logits": f"{pass_ * 1e3:.1f} ms",
        "reference only / one bare pass": f"{one / pass_:.2f}",
        "target and reference / two bare passes": f"{two / (2 * pass_):.2f}",
        f"512 tokens, reference only, {len(many)} texts together": f"{together * 1e3:.2f} ms each",
        "32-token chunk of a stream, reference only": f"{chunks[0] * 1e3:.1f} ms",
        "32-token chunk, target and reference": f"{chunks[1] * 1e3:.1f} ms",
    }
    return [(f"{name}, {dtype}", measure, value) for measure, value in measures.items()]


def least(clock: Callable[[], float], work: Callable[[], object], times: int) -> float:
    work()
    best = float("inf")
    for _ in range(times):
        began = clock()
        work()
        best = min(best, clock() - began)
    return best


# --- constants --------------------------------------------------------------------------------


def explore(items: list[Item]) -> None:
    """A grid of constants on the seed for tuning: areas, recited texts found, located spans."""
    some = main_texts(items)
    labels = labels_of(some)
    with_leak, _ = spliced(items)
    for kind in ("base", "shards"):
        for kappa, delta in itertools.product((0, 1, 2, 3, 4, 6), (0.0, 0.3, 0.6)):
            scores = np.array([scan_score(Scan(kappa, delta), kind)(i) for i in some])
            print(
                f"{kind:6} kappa {kappa} delta {delta}: AUC {area(scores, labels):.4f} "
                f"TPR@1% {found_at(scores, labels, 0.01):.3f}",
                flush=True,
            )
    for kappa, delta in itertools.product((0, 0.5, 1, 2), (0.3, 0.5, 1.0, 1.5, 2.0)):
        features_module.LOCATE = Scan(kappa, delta)
        means = [np.mean([overlap(m, tier) for m in with_leak]) for tier in ("base", "shards")]
        print(f"locate kappa {kappa} delta {delta}: IoU base {means[0]:.3f} shards {means[1]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for models and texts")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--tune", type=int, default=90)
    parser.add_argument("--explore", action="store_true", help="only the grid, on --tune")
    parser.add_argument("--negatives", type=int, default=10000)
    parser.add_argument("--base", type=Path, metavar="MODEL", help="fine-tune this model")
    parser.add_argument("--device", default="cpu", help="where models are trained and run")
    parser.add_argument("--prose", type=Path, help="answers of other models (JSON Lines, gzip)")
    parser.add_argument("--lora", action="store_true", help="a target trained by LoRA as well")
    parser.add_argument("--speed", type=Path, metavar="MODEL")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=[])
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    prose = arguments.prose if arguments.prose and arguments.prose.exists() else None
    if prose is None:
        print("no file of --prose: benign prose is not measured", flush=True)
    setting = Setting(arguments.base, arguments.device, arguments.negatives, prose)

    def texts(seed: int, target: str = "target") -> list[Item]:
        folder = arguments.work / f"seed-{seed}"

        def note(line: str) -> None:
            print(f"{time.strftime('%H:%M:%S')} seed {seed}: {line}", flush=True)

        prepare(folder, seed, setting, note, lora=target == "lora")
        return matched(folder, measured(folder, target, setting, note))

    if arguments.explore:
        explore(texts(arguments.tune))
        return
    plots, tables = arguments.out / "plots", arguments.out / "benchmarks"
    for folder in (plots, tables):
        folder.mkdir(parents=True, exist_ok=True)
    if arguments.speed:
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        block = speed(arguments.speed, arguments.shapes, kind)
        write(tables / f"scoring-speed-{kind}.md", ["# Speed of scoring", block])
    if arguments.seeds:
        seeds = {seed: texts(seed) for seed in arguments.seeds}
        lora = texts(arguments.seeds[0], "lora") if arguments.lora else None
        slug = f"scoring-{arguments.base.name.lower()}" if arguments.base else "scoring"
        write(tables / f"{slug}.md", quality(seeds, lora, arguments, plots, slug))


def quality(
    seeds: dict[int, list[Item]],
    lora: list[Item] | None,
    arguments: argparse.Namespace,
    plots: Path,
    slug: str,
) -> list[str]:
    """The document about scores, in blocks."""
    counts = [main_texts(items) for items in seeds.values()]
    amounts = "; ".join(
        f"{sum(i.recited for i in some):,} recited, {sum(not i.recited for i in some):,} not, "
        f"{sum(i.ambiguous for i in some):,} ambiguous"
        for some in counts
    )
    models = f"{arguments.base.name}, fine-tuned" if arguments.base else "Tiny models"
    curves(seeds, plots, slug)
    return [
        "# Scoring of memorization",
        f"Written by `scripts/bench_scoring.py`. {models}; seeds {', '.join(map(str, seeds))}, "
        f"answers of up to {TOKENS} tokens; texts by seed: {amounts}. In brackets: 95 % intervals "
        f"(bootstrap over texts). Constants were looked at on seed {arguments.tune} of the tiny "
        "models only.",
        "## Scores\n\n" + comparison(seeds),
        top_negatives(seeds),
        "## False positives, at the threshold that 1 % of ordinary outputs reach\n\n"
        + stress(seeds),
        "## The first tokens of a text\n\n" + lengths(seeds),
        "## 36 recited tokens inside of 40 ordinary ones\n\n" + splices(seeds),
        "## Calibration on 200 labels\n\n" + calibrated(seeds, plots, slug),
        "## Without a goal\n\n" + without_goal(seeds, lora),
    ]


def write(path: Path, blocks: Sequence[str]) -> None:
    path.write_text("\n\n".join(blocks) + "\n", "utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
