"""Values that were found in a text, and which of two that overlap counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Hit(NamedTuple):
    """A value that a rule found: code points `start` to `end` (half-open) of the raw text."""

    start: int
    end: int
    score: float
    kind: str
    rule: str


def resolve(hits: Iterable[Hit], length: int) -> list[Hit]:
    """Hits in a text of `length` code points in order of place, without those that a better one
    overlaps.

    The higher score is better, then the longer hit, then the first. A hit that holds better ones
    whole, as an address holds its postal code, stays beside them.
    """
    ranked = sorted(set(hits), key=lambda h: (-h.score, h.start - h.end, h.start, h.rule))
    if len(ranked) < 2:
        return ranked
    kept: dict[tuple[int, int], Hit] = {}
    # Whether a hit that is kept holds both the character at this place and the one before.
    inside = bytearray(length + 1)
    for hit in ranked:
        start, end = hit.start, hit.end
        if not (inside[start] or inside[end] or (start, end) in kept):
            kept[start, end] = hit
            inside[start + 1 : end] = b"\1" * (end - start - 1)
    return sorted(kept.values())
