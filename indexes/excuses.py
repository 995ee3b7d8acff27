"""What excuses a shared run: that the text is public, the user's own, or the caller's to see.

An excuse is a run of canonical units of the response that also stands in a background index, in the
public phrases that ship with the package, in what the user supplied, or in a document that the
request is entitled to. Excuses are cut out of the runs that a response shares with private
documents, unit by unit. What they leave of one run is judged together, by its total length: a
private passage in which public idioms stand every few words does not fall apart into pieces that
are each too short to matter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from guardrail.detector import Context, Entitlements
from guardrail.indexes.covers import CUT_UP, EXCUSED, UNCUT, union
from guardrail.indexes.grams import GramKey, Hashes, roll_grams
from guardrail.indexes.index import Index
from guardrail.indexes.query import Query, make_query
from guardrail.indexes.runs import document_key
from guardrail.indexes.watched import WatchedIndex
from guardrail.keys import new_key
from guardrail.text import CanonicalText, Units, canonical_units

Reason = Literal["background", "prompt", "entitled"]

# The shortest run that excuses. See docs/what-may-be-said.md for the measurement.
DEFAULT_LEAST = 27
# A run this long excuses in any company; a shorter one must be a quarter of what it is cut out of.
AMPLE = 128
SHARE = 4


@dataclass(frozen=True, slots=True, order=True)
class Excuse:
    """Units start..end of a response, and why they may be said."""

    start: int
    end: int
    reason: Reason


class Excuses:
    """Finds the excuses of a response. Thread-safe."""

    def __init__(
        self,
        background: Sequence[WatchedIndex] = (),
        *,
        builtin: bool = True,
        prompt: bool = False,
        entitlements: bool = True,
        least: int = DEFAULT_LEAST,
    ) -> None:
        """`background`: public indexes. `builtin`: whether the phrases of the package count;
        `prompt`, `entitlements`: whether those of the context do. `least`: in units."""
        self.background = tuple(background)
        self.builtin, self.prompt, self.entitlements = builtin, prompt, entitlements
        self.least = least

    def cutter(self, text: CanonicalText, context: Context) -> Cutter:
        """What cuts runs by public text and what the user supplied."""
        return Cutter(self.find(text.units, context), self.least)

    def find(self, units: Units, context: Context) -> list[Excuse]:
        """Excuses in some units by public text and by what the user supplied; in no order."""
        found = [excuse for watched in self.background for excuse in self._public(units, watched)]
        supplied = context.prompt if self.prompt else ()
        if self.builtin or supplied:
            rolled = roll_grams(units, self.least, _scratch_key())
            if self.builtin:
                found += _shared(rolled, _builtin(self.least), self.least, "background")
            if supplied:
                table = context.once(("prompt", self.least), lambda: self._table(supplied))
                found += _shared(rolled, table, self.least, "prompt")
        return found

    def _table(self, texts: Sequence[str]) -> Hashes:
        return gram_table((canonical_units(text)[0] for text in texts), self.least)

    def _public(self, units: Units, watched: WatchedIndex) -> list[Excuse]:
        index = watched.current()
        query = make_query(units, index.grid.gram, index.gram_key)
        least = max(self.least, index.grid.bound)
        return [
            Excuse(start, end, "background")
            for _, matches, _ in index.match(query, least)
            for start, end in union(matches[:, :2]).tolist()
        ]

    def entitled_documents(
        self, index: Index, query: Query, entitlements: Entitlements
    ) -> list[Excuse]:
        """Runs shared with the single documents that a request is entitled to. They are searched
        for alone, as of the documents that hold one run the search names only the first."""
        names = sorted(entitlements.documents) if self.entitlements else []
        keys = np.array([document_key(index.key, *name) for name in names], np.uint64)
        found: list[Excuse] = []
        for segment in index.segments if names else ():
            only = np.isin(segment.table["key"], keys)
            if only.any():
                matches, _ = segment.match(query, index.grid.bound, only)
                found += [Excuse(s, e, "entitled") for s, e in union(matches[:, :2]).tolist()]
        return found


class Cutter:
    """Cuts excuses out of runs."""

    def __init__(self, excuses: Iterable[Excuse], least: int) -> None:
        self._excuses = sorted(excuses)
        self._least = least
        # How far the excuses up to each one reach: not decreasing, so it can be searched.
        self._reach = list(accumulate((excuse.end for excuse in self._excuses), max))

    def shifted(self, units: int) -> Cutter:
        """The same for a text in which this one begins at a unit."""
        moved = (Excuse(e.start + units, e.end + units, e.reason) for e in self._excuses)
        return Cutter(moved, self._least)

    def effects(self, runs: NDArray[np.int64]) -> NDArray[np.int64]:
        """What is made of runs (rows of first unit and end): whether `cut` leaves each as it is
        (UNCUT) or nothing of it (EXCUSED), or something may be left (CUT_UP)."""
        every = np.array([(excuse.start, excuse.end) for excuse in self._excuses])
        starts, reach = every[:, 0], np.array(self._reach)
        last = np.searchsorted(starts, runs[:, 1]) - 1
        touched = (last >= 0) & (reach[last] > runs[:, 0])
        whole = _lies_in(runs, starts, reach)
        # Those that count in any company count together.
        ample = every[every[:, 1] - every[:, 0] >= AMPLE]
        if len(ample):
            starts, reach = ample[:, 0], np.maximum.accumulate(ample[:, 1])
            apart = np.flatnonzero(starts[1:] > reach[:-1])
            starts = np.append(starts[0], starts[apart + 1])
            whole |= _lies_in(runs, starts, np.append(reach[apart], reach[-1]))
        return np.where(whole, EXCUSED, np.where(touched, CUT_UP, UNCUT))

    def cut(self, start: int, end: int) -> tuple[list[tuple[int, int]], list[Excuse]]:
        """What is left of the units start..end, and what was cut out: sorted, disjoint.

        An excuse counts from `least` units on, if it has a quarter of the run's units, or 128.
        One that has as many units as the run counts in any case.
        """
        length = end - start
        needed = min(length, max(self._least, min(length // SHARE, AMPLE)))
        left: list[tuple[int, int]] = []
        cut: list[Excuse] = []
        at = start
        for number in range(bisect_right(self._reach, start), len(self._excuses)):
            excuse = self._excuses[number]
            if excuse.start >= end or at >= end:
                break
            low, high = max(at, excuse.start), min(end, excuse.end)
            if low >= high or excuse.end - excuse.start < needed:
                continue
            if at < low:
                left.append((at, low))
            if cut and cut[-1].end == low and cut[-1].reason == excuse.reason:
                low = cut.pop().start
            cut.append(Excuse(low, high, excuse.reason))
            at = high
        if at < end:
            left.append((at, end))
        return left, cut


def _lies_in(
    runs: NDArray[np.int64], starts: NDArray[np.int64], reach: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which runs lie in one of some ranges, given by their sorted starts and how far those up to
    each one reach."""
    place = np.searchsorted(starts, runs[:, 0], side="right") - 1
    return (place >= 0) & (reach[place] >= runs[:, 1])


def gram_table(texts: Iterable[Units], gram: int) -> Hashes:
    """The grams of some texts, for `_shared`: sorted polynomials under a key of this process."""
    rolled = [roll_grams(units, gram, _scratch_key()) for units in texts]
    return np.unique(np.concatenate(rolled)) if rolled else np.zeros(0, np.uint64)


def _shared(rolled: Hashes, table: Hashes, gram: int, reason: Reason) -> list[Excuse]:
    """The runs of a response all of whose grams stand in a table."""
    if not len(rolled) or not len(table):
        return []
    places = np.minimum(np.searchsorted(table, rolled), len(table) - 1)
    held: NDArray[np.int8] = np.zeros(len(rolled) + 2, np.int8)
    held[1:-1] = table[places] == rolled
    edges = np.flatnonzero(np.diff(held))
    return [
        Excuse(start, end + gram - 1, reason)
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


@cache
def _scratch_key() -> GramKey:
    """A key that no index and no other process has: nobody can prepare texts that collide."""
    return GramKey.derive(new_key())


@cache
def _builtin(gram: int) -> Hashes:
    """The grams of the public phrases that ship with the package; a phrase is a paragraph."""
    file = resources.files("guardrail").joinpath("background.txt")
    paragraphs = file.read_text(encoding="utf-8").split("\n\n")
    return gram_table((canonical_units(paragraph)[0] for paragraph in paragraphs), gram)
