"""The tables and curves of bench_scoring.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_report import table
from bench_scoring_data import CLEAR, RECITED, Item
from scoring_figures import (
    OURS,
    PLAIN,
    STRESS,
    TESTS,
    area,
    base_of,
    cut,
    fit,
    found_at,
    interval,
    labels_of,
    main_texts,
    of,
    seen,
)

from guardrail.classifiers.memorization import audit
from guardrail.classifiers.memorization.calibration import calibrate, expected_error
from guardrail.classifiers.memorization.features import (
    Measured,
    features,
    located,
)
from guardrail.classifiers.memorization.report import Plot, reliability, roc


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
