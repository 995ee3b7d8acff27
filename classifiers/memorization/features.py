"""What a calibration weighs: the scan statistics of a text, and what its best segment is like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardrail.classifiers.memorization.scan import Nats, Scan, Segment, best_segment, segments

BASE = Scan(kappa=4.0, delta=0.3)
SHARDS = Scan(kappa=2.0, delta=0.3)
# Overlap (IoU) of located spans with planted ones on a seed of its own, with shard references:
# 0.63 at kappa 0, 0.82 at 1 and 2; widened over sure tokens 0.89 at both. Under the base reference
# 0.79, widened 0.82 at 1 and 0.83 at 2.
LOCATE = Scan(kappa=2.0, delta=0.5)
# Tokens of at most so many nats beside a located segment belong to it, up to so many of them: the
# words of a template, which the reference knows as well.
SURE, REACH = 0.5, 8

# A segment that a finding may point at, in nats of the detecting scan: about three tokens.
LEAST = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Log-probabilities of the tokens of one text: float64, shape (tokens,) each.

    `base` is those of the base reference, `shards` those of the shard references; at least one of
    all. `tier` names the weakest kind among them: base, shards, sibling or foreign.
    """

    target: Nats
    base: Nats | None
    shards: tuple[Nats, ...] = ()
    tier: str = "base"

    def __len__(self) -> int:
        return len(self.target)


def feature_names(*, base: bool, shards: bool) -> tuple[str, ...]:
    """The names of the features that these references give, in the order of `features`."""
    kinds = [name for name, there in (("base", base), ("shards", shards)) if there]
    per_kind = ("scan", "ratio", "collapse", "loss")
    own = ("target.loss", "target.margin", "target.run", "target.certain", "tokens")
    return (*(f"{kind}.{name}" for kind in kinds for name in per_kind), *own)


def features(measured: Measured) -> dict[str, float]:
    """The features of a text by name.

    `scan` is log(1 + the statistic) under the reference (of several shards, the one that explains
    the text worse: near access-freeness, Vyas et al. 2023). The others describe its best segment:
    `ratio` is (L_reference - L_target) / (L_reference + 0.5) of mean losses, `collapse` the mean
    probability that the target gives the tokens that surprise the reference by over 2 nats, shrunk
    towards 0.3 by five such tokens, `loss` the reference's mean loss there. The rest is of the
    strictest reference's segment: the target's mean loss; `margin`, how far its largest loss stays
    under 6 nats; `run` and `certain`, the longest runs of tokens of under 1 and 0.1 nats; `tokens`,
    the length (these three as logarithms of one more). Without a segment all are 0.
    """
    made: dict[str, float] = {}
    best, reference = best_of(measured)
    if measured.base is not None:
        segment = best_segment(BASE.steps(measured.target, measured.base))
        made |= _described("base", segment, measured.target, measured.base)
    if measured.shards:
        made |= _described("shards", best, measured.target, reference)
    losses = -measured.target[best.start : best.end]
    made["target.loss"] = float(losses.mean()) if len(losses) else 0.0
    made["target.margin"] = max(0.0, 6.0 - float(losses.max())) if len(losses) else 0.0
    made["target.run"] = float(np.log1p(_longest(losses < 1.0)))
    made["target.certain"] = float(np.log1p(_longest(losses < 0.1)))
    made["tokens"] = float(np.log1p(len(losses)))
    return made


def best_of(measured: Measured) -> tuple[Segment, Nats]:
    """The best segment under the strictest reference there is, and that reference."""
    scan, references = detecting(measured)
    pairs = [(best_segment(scan.steps(measured.target, r)), r) for r in references]
    return max(pairs, key=lambda pair: pair[0].nats)


def detecting(measured: Measured) -> tuple[Scan, Sequence[Nats]]:
    """The scan that detects, and its references: the shards, where there are any."""
    if measured.shards:
        return SHARDS, measured.shards
    assert measured.base is not None  # a scorer without any reference is refused
    return BASE, (measured.base,)


def located(measured: Measured) -> list[Segment]:
    """Where text is recited: the segments in which the reference lags behind, with a milder penalty
    for what surprise the target shows, as far as they hold a segment that detects; and the sure
    tokens beside them. Segments may then overlap."""
    best, reference = best_of(measured)
    scan, _ = detecting(measured)
    cores = segments(scan.steps(measured.target, reference), min(LEAST, best.nats or LEAST))
    wide = segments(LOCATE.steps(measured.target, reference), LEAST / 2)
    found = [
        part
        for part in wide
        if any(core.start < part.end and part.start < core.end for core in cores)
    ]
    return [_widened(part, measured.target) for part in found]


def _widened(segment: Segment, target: Nats) -> Segment:
    """A segment with the sure tokens at both its ends."""
    before = target[max(0, segment.start - REACH) : segment.start][::-1] < -SURE
    after = target[segment.end : segment.end + REACH] < -SURE
    start = segment.start - (int(before.argmax()) if before.any() else len(before))
    end = segment.end + (int(after.argmax()) if after.any() else len(after))
    return Segment(segment.nats, start, end)


def _longest(mask: NDArray[np.bool_]) -> int:
    """The length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def _described(kind: str, segment: Segment, target: Nats, reference: Nats) -> dict[str, float]:
    ours, theirs = (-x[segment.start : segment.end] for x in (target, reference))
    if len(ours) == 0:
        return {f"{kind}.{name}": 0.0 for name in ("scan", "ratio", "collapse", "loss")}
    surprising = np.exp(-ours[theirs > 2.0])
    return {
        f"{kind}.scan": float(np.log1p(segment.nats)),
        f"{kind}.ratio": float((theirs.mean() - ours.mean()) / (theirs.mean() + 0.5)),
        f"{kind}.collapse": float((surprising.sum() + 1.5) / (len(surprising) + 5)),
        f"{kind}.loss": float(theirs.mean()),
    }
