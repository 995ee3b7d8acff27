"""Scores of texts for bench_scoring.py, and what is said of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from bench_scoring_data import Item

from guardrail.classifiers.memorization import audit
from guardrail.classifiers.memorization.calibration import calibrate
from guardrail.classifiers.memorization.features import (
    BASE,
    SHARDS,
    Measured,
    features,
)
from guardrail.classifiers.memorization.scan import Scan, best_segment

STRESS = ("copied", "loop", "public", "prose")
RESAMPLES = 500


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
