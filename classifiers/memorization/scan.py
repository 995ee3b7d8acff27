"""The scan statistic: the segment of a text that is recited rather than composed, if any.

For each token, s = min(-log p_reference, cap) - (1 + kappa) * min(-log p_target, cap), in nats: how
much better the target knows the token than a model that has not read the private text, less a
penalty for what surprise the target still shows. The statistic is the largest sum of s - delta over
a segment, 0 for the empty one; fed token by token it is Page's CUSUM (Page 1954).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Nats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scan:
    """The constants of a scan."""

    kappa: float
    delta: float
    cap: float = 6.0

    def steps(self, target: Nats, reference: Nats) -> Nats:
        """s - delta for each token, from the natural logarithms of its two probabilities."""
        known = np.minimum(-target, self.cap)
        return np.minimum(-reference, self.cap) - (1 + self.kappa) * known - self.delta


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens start..end (half-open) and the sum of their steps, in nats."""

    nats: float
    start: int
    end: int


NOTHING = Segment(0.0, 0, 0)


class Cusum:
    """The best segment of a growing sequence. Pushed in any pieces, the result is the same."""

    def __init__(self) -> None:
        self.best = NOTHING
        self._count = 0
        self._sum = 0.0
        self._lowest, self._lowest_at = 0.0, 0

    def push(self, steps: Nats) -> Segment:
        """The best segment so far, with these steps at the end of the sequence."""
        if len(steps) == 0:
            return self.best
        sums = np.cumsum(np.concatenate(([self._sum], steps)))
        lowest = np.minimum.accumulate(np.concatenate(([self._lowest], sums[:-1])))
        gains = sums[1:] - lowest[1:]
        at = int(np.argmax(gains))
        if gains[at] > self.best.nats:
            start = self._lowest_at
            if lowest[at + 1] < self._lowest:
                start = self._count + int(np.argmin(sums[: at + 1]))
            self.best = Segment(float(gains[at]), start, self._count + at + 1)
        last = int(np.argmin(sums))
        if sums[last] < self._lowest:
            self._lowest, self._lowest_at = float(sums[last]), self._count + last
        self._count += len(steps)
        self._sum = float(sums[-1])
        return self.best


def best_segment(steps: Nats) -> Segment:
    """The segment with the largest sum, the earliest of equals; `NOTHING` where no sum is > 0."""
    return Cusum().push(steps)


def segments(steps: Nats, minimum: float) -> list[Segment]:
    """The best segment, the best ones before and after it, and so on, down to `minimum` nats
    (above 0); in order. A segment has at least minimum / cap tokens, so that there are few."""
    found: list[Segment] = []
    ranges = [(0, len(steps))]
    while ranges:
        low, high = ranges.pop()
        best = best_segment(steps[low:high])
        if best.nats >= minimum:
            start, end = low + best.start, low + best.end
            found.append(Segment(best.nats, start, end))
            ranges += [(low, start), (end, high)]
    return sorted(found, key=lambda segment: segment.start)
