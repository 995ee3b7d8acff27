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
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_scoring_data import TOKENS, Item, Setting, matched, measured, prepare
from scoring_figures import (
    area,
    found_at,
    labels_of,
    main_texts,
    scan_score,
)
from scoring_speed import SHAPES, speed
from scoring_tables import (
    calibrated,
    comparison,
    curves,
    lengths,
    overlap,
    spliced,
    splices,
    stress,
    top_negatives,
    without_goal,
)

from guardrail.classifiers.memorization import features as features_module
from guardrail.classifiers.memorization.scan import Scan


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
