"""From features to a probability: logistic regression, Platt scaling, null p-values, thresholds.

A calibration belongs to one target, its references, tokenizer, decoding and constants, which its
manifest names by digest: used with anything else it is refused, as thresholds do not carry over.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.errors import CalibrationError, UsageError

Floats = NDArray[np.float64]

FORMAT = 1
BUCKETS = (16, 32, 64, 128)
"""Lengths in tokens at which a new bucket of the null distribution begins."""

LEAST_NEGATIVES = 100
"""A bucket with fewer negatives than this is judged by those of all lengths."""

BEHIND = 10
"""A threshold for a share f of false positives wants BEHIND / f negatives: 1,000 for 1 %."""

LEAST_LABELS = 10
FOLDS = 5
RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted calibration.

    `manifest` is what it holds for; `names` are the features in their order; `weights` and `bias`
    act on standardised features; `platt` is slope and intercept of the final scaling; `nulls` are
    the sorted decision values of the negatives by bucket; `share` is that of positives among the
    labels, and `prevalence` the one that probabilities are given for.
    """

    manifest: Mapping[str, Any]
    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    platt: tuple[float, float]
    nulls: tuple[tuple[float, ...], ...]
    share: float
    prevalence: float

    @property
    def negatives(self) -> int:
        return sum(map(len, self.nulls))

    def decision(self, features: Mapping[str, float]) -> float:
        """The logistic regression's value, in nats of odds; grows with the likelihood."""
        values = np.array([features[name] for name in self.names])
        scaled = (values - np.array(self.centre)) / np.array(self.scale)
        return float(scaled @ np.array(self.weights) + self.bias)

    def probability(self, decision: float) -> float:
        """The probability of recitation at this calibration's prevalence."""
        slope, intercept = self.platt
        shift = _odds(self.prevalence) - _odds(self.share)
        return float(_sigmoid(np.array(slope * decision + intercept + shift)))

    def null_p(self, decision: float, tokens: int) -> float:
        """The conformal p-value: the share of negatives of like length that score as high."""
        null = self._null(tokens)
        above = len(null) - int(np.searchsorted(null, decision, side="left"))
        return (1 + above) / (1 + len(null))

    def threshold(self, false_positives: float) -> float:
        """The lowest decision value that at most this share of negatives reaches, conformally.

        Raises UsageError where too few negatives stand behind it.
        """
        null = self._all()
        needed = math.ceil(BEHIND / false_positives)
        if len(null) < needed:
            raise UsageError(
                f"a threshold at {false_positives:.3%} false positives needs {needed:,} negatives, "
                f"and {len(null):,} were given; collect more, or allow more false positives"
            )
        return float(null[len(null) - math.floor(false_positives * (len(null) + 1))])

    def _null(self, tokens: int) -> Floats:
        null = np.array(self.nulls[int(np.searchsorted(BUCKETS, tokens, side="right"))])
        return null if len(null) >= LEAST_NEGATIVES else self._all()

    def _all(self) -> Floats:
        return np.sort(np.concatenate([np.array(null) for null in self.nulls]))

    def check(self, manifest: Mapping[str, Any]) -> None:
        """Raises CalibrationError unless this was made for what `manifest` says is in use."""
        wrong = [
            key
            for key in sorted({*self.manifest, *manifest})
            if self.manifest.get(key) != manifest.get(key)
            and not (key == "decoding" and manifest.get(key) is None)  # not said: not checked
        ]
        if wrong:
            raise CalibrationError(
                f"the calibration was made for another {', '.join(wrong)}; calibrate again with "
                "the models, tokenizer and decoding in use"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, aside and then renamed."""
        aside = Path(f"{os.fspath(path)}.new")
        aside.write_text(json.dumps({"format": FORMAT, **asdict(self)}), "utf-8")
        aside.replace(path)


def load_calibration(path: str | os.PathLike[str]) -> Calibration:
    """A calibration from a file. Raises CalibrationError where it is missing or damaged."""
    try:
        values = json.loads(Path(path).read_text("utf-8"))
        if values.pop("format") != FORMAT:
            raise CalibrationError(
                f"the calibration {os.fspath(path)} has another format; calibrate again"
            )
        made = Calibration(
            manifest=dict(values["manifest"]),
            names=tuple(map(str, values["names"])),
            centre=_numbers(values["centre"]),
            scale=_numbers(values["scale"]),
            weights=_numbers(values["weights"]),
            bias=_numbers([values["bias"]])[0],
            platt=_pair(_numbers(values["platt"])),
            nulls=tuple(_numbers(null) for null in values["nulls"]),
            share=_numbers([values["share"]])[0],
            prevalence=_numbers([values["prevalence"]])[0],
        )
    except OSError as error:
        raise CalibrationError(
            f"cannot read the calibration {os.fspath(path)}: {error.strerror}; make one with "
            "`guardrail calibrate`"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CalibrationError(
            f"the calibration {os.fspath(path)} is damaged; calibrate again"
        ) from None
    sizes = {len(made.names), len(made.centre), len(made.scale), len(made.weights)}
    sound = (
        len(sizes) == 1
        and len(made.nulls) == len(BUCKETS) + 1
        and min(made.scale, default=1) > 0
        and 0 < made.share < 1
        and 0 < made.prevalence < 1
        and all(list(null) == sorted(null) for null in made.nulls)
    )
    if not sound:
        raise CalibrationError(f"the calibration {os.fspath(path)} is damaged; calibrate again")
    return made


def calibrate(
    features: Sequence[Mapping[str, float]],
    labels: Sequence[bool],
    tokens: Sequence[int],
    manifest: Mapping[str, Any],
    *,
    prevalence: float | None = None,
) -> Calibration:
    """Fit a calibration. `labels` are true for recited texts; `prevalence` is the share of those
    in use (none: as among the labels).

    Platt scaling is fitted on decision values of models that did not see the label (5 folds).
    Raises UsageError with fewer than 10 labels of either kind, or features that are no numbers.
    """
    y = np.array(labels, np.float64)
    positive, negative = int(y.sum()), int(len(y) - y.sum())
    if min(positive, negative) < LEAST_LABELS:
        raise UsageError(
            f"{positive} recited and {negative} ordinary texts were given; a calibration needs at "
            f"least {LEAST_LABELS} of each"
        )
    if prevalence is not None and not 0 < prevalence < 1:
        raise UsageError(f"a prevalence of {prevalence} was given; it lies between 0 and 1")
    names = tuple(features[0])
    x = np.array([[item[name] for name in names] for item in features])
    if not np.isfinite(x).all():
        raise UsageError("a feature is not a number; score with models whose output is finite")
    centre, scale = x.mean(0), np.maximum(x.std(0), 1e-6)
    x = (x - centre) / scale
    held_out = np.empty(len(y))
    fold = _folds(y)
    for number in range(FOLDS):
        inside = fold == number
        weights, bias = fit_logistic(x[~inside], y[~inside], RIDGE)
        held_out[inside] = x[inside] @ weights + bias
    platt = _platt(held_out, y)
    weights, bias = fit_logistic(x, y, RIDGE)
    decisions = x @ weights + bias
    bucket = np.searchsorted(BUCKETS, np.array(tokens), side="right")
    nulls = tuple(
        tuple(np.sort(decisions[(y == 0) & (bucket == number)]).tolist())
        for number in range(len(BUCKETS) + 1)
    )
    return Calibration(
        manifest=dict(manifest),
        names=names,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(weights.tolist()),
        bias=bias,
        platt=platt,
        nulls=nulls,
        share=float(y.mean()),
        prevalence=float(y.mean()) if prevalence is None else prevalence,
    )


def fit_logistic(x: Floats, y: Floats, ridge: float) -> tuple[Floats, float]:
    """Logistic regression by Newton's method; the bias is not penalised."""
    wide = np.hstack([x, np.ones((len(x), 1))])
    penalty = np.diag([*np.full(x.shape[1], ridge), 1e-9])
    weights = np.zeros(wide.shape[1])
    weights[-1] = _odds(float(np.clip(y.mean(), 1e-6, 1 - 1e-6)))
    value = _loss(wide, y, weights, penalty)
    for _ in range(100):
        p = _sigmoid(wide @ weights)
        gradient = wide.T @ (p - y) + penalty @ weights
        step = np.linalg.solve((wide.T * (p * (1 - p))) @ wide + penalty, gradient)
        size = 1.0
        while (new := _loss(wide, y, weights - size * step, penalty)) > value and size > 1e-6:
            size /= 2
        weights = weights - size * step
        if value - new < 1e-10:
            break
        value = new
    return weights[:-1], float(weights[-1])


def expected_error(probabilities: Floats, labels: Floats, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width (Naeini et al. 2015)."""
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, probabilities - labels, bins)
    return float(np.abs(gaps).sum() / len(labels))


def _platt(decisions: Floats, y: Floats) -> tuple[float, float]:
    """Platt 1999, with his targets short of 0 and 1, which keep a perfect separation finite."""
    positive, negative = y.sum(), len(y) - y.sum()
    targets = np.where(y == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, intercept = fit_logistic(decisions[:, None], targets, 1e-6)
    return float(max(slope[0], 1e-3)), intercept


def _folds(y: Floats) -> NDArray[np.int64]:
    """Folds with like shares of both kinds, the same each time."""
    fold = np.empty(len(y), np.int64)
    for label in (0, 1):
        places = np.flatnonzero(y == label)
        fold[places] = np.arange(len(places)) % FOLDS
    return fold


def _loss(wide: Floats, y: Floats, weights: Floats, penalty: Floats) -> float:
    z = wide @ weights
    return float(np.logaddexp(0, z).sum() - y @ z + weights @ penalty @ weights / 2)


def _sigmoid(z: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -z))


def _odds(p: float) -> float:
    return math.log(p / (1 - p))


def _numbers(values: Any) -> tuple[float, ...]:
    made = tuple(float(value) for value in values)
    if not all(map(math.isfinite, made)):
        raise ValueError
    return made


def _pair(values: tuple[float, ...]) -> tuple[float, float]:
    slope, intercept = values
    return slope, intercept
