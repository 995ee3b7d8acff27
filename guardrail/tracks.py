"""Ways of detectors through a text that arrives in pieces.

Each detector is asked again as text arrives, over a window that holds what it may still change its
mind about and a little before, never over all that went by. How a detector is asked depends on what
it can tell:

- A `LiveDetector` says at any time what is still open.
- One with a `window` sees each place again until so many code points follow it.
- A `WholeDetector` says at the ends of segments what is still open.
- Any other is given segments, each once.

Disguises are looked for at the ends of segments as well. What is open then waits, together with
what comes, until it is known; or until `paced.LONGEST_OPEN` or the time that it may take, when the
detector has failed: the policy decides what that means.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from guardrail.detector import Context
from guardrail.findings import Failure, Finding
from guardrail.segments import Cut
from guardrail.text import CanonicalText, canonicalise


class Track(Protocol):
    """A detector's way through the text. Positions are code points of the whole text."""

    names: tuple[str, ...]
    """The detectors."""
    failures: list[tuple[int, Failure]]
    """What could not be judged, and from where on."""
    judged: int
    """The text is judged up to here."""
    settled: int
    """No finding that is not known yet starts before here."""

    @property
    def start(self) -> int:
        """Text before here is not needed any more."""

    def advance(self, buffer: Buffer, context: Context, *, final: bool) -> Iterable[Finding]:
        """The findings that became final."""


class Buffer:
    """The end of the text that is still needed, from `base` on."""

    def __init__(self) -> None:
        self.raw, self.base = "", 0
        self._canonical: dict[tuple[int, int], CanonicalText] = {}
        self._ends: dict[int, int] = {}

    @property
    def end(self) -> int:
        return self.base + len(self.raw)

    def add(self, text: str) -> None:
        self.raw += text
        self._canonical.clear()
        self._ends.clear()

    def trim(self, start: int) -> None:
        if start > self.base:
            self.raw, self.base = self.raw[start - self.base :], start
            self._canonical.clear()

    def end_of(self, start: int, cut: Cut, *, final: bool) -> int:
        """Where the segment ends that begins at a place, as `cut` tells; found once."""
        if start not in self._ends:
            self._ends[start] = cut(self.raw, start - self.base, final=final) + self.base
        return self._ends[start]

    def canonical(self, start: int, end: int) -> CanonicalText:
        """The canonical text of a range; made once for each."""
        if (start, end) not in self._canonical:
            raw = self.raw[start - self.base : end - self.base]
            self._canonical[start, end] = canonicalise(raw)
        return self._canonical[start, end]
