"""Which of the runs that a response shares with documents are needed: those that others cover add
nothing. In a text that repeats itself, a run begins at every period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.matching import Matches
from guardrail.jit import kernel
from guardrail.text import CanonicalText, Offsets, span_of

# Columns of a run: start and end in units of the response; document row; unit of the document;
# documents that hold it; number of the segment; number of the group; start, end and words of its
# raw span; what cuts it.
# The first five are those of `Matches`.
START, END, ROW, ORIGIN, COPIES, SEGMENT, GROUP, FIRST, LAST, WORDS, CUT = range(11)
# Whether excuses leave a run as it is, leave nothing of it, or cut it; or it goes on with a text
# that does. The last two are not compared with others.
UNCUT, EXCUSED, CUT_UP, OPEN = range(4)

Shared = NDArray[np.int64]
NO_RUNS: Shared = np.empty((0, CUT + 1), np.int64)


def described(matches: Matches, least: int, text: CanonicalText) -> Shared:
    """Matches of at least `least` units with their raw spans, as of one segment and group."""
    return _described(matches, least, text.offsets, *text.outline)


@kernel()
def _described(
    matches: Matches,
    least: int,
    offsets: Offsets,
    kinds: NDArray[np.uint8],
    begun: NDArray[np.uint32],
) -> Shared:
    runs = np.zeros((len(matches), CUT + 1), np.int64)
    found = 0
    for index in range(len(matches)):
        if matches[index, END] - matches[index, START] < least:
            continue
        for column in range(COPIES + 1):
            runs[found, column] = matches[index, column]
        runs[found, FIRST], runs[found, LAST], runs[found, WORDS] = span_of(
            runs[found, START], runs[found, END], offsets, kinds, begun
        )
        found += 1
    return runs[:found]


def needed(runs: Shared) -> Shared:
    """Runs, in order of the response, without those inside of another one of their group, and
    without those all of which lies in two others of their group that are no shorter, in units and
    in words: wherever a policy acts on such a run, it acts on both others."""
    runs = np.ascontiguousarray(runs[np.lexsort((-runs[:, END], runs[:, START], runs[:, GROUP]))])
    runs = runs[_mark(runs)]
    return runs[np.lexsort((-runs[:, END], runs[:, START]))]


def union(ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of start and end without those that are covered so by others."""
    runs = np.zeros((len(ranges), CUT + 1), np.int64)
    runs[:, [START, END]] = runs[:, [FIRST, LAST]] = ranges
    return needed(runs)[:, [START, END]]


@kernel()
def _mark(runs: Shared) -> NDArray[np.bool_]:
    """Which runs, in order of group, start and falling end, are needed; counts copies together."""
    kept = np.ones(len(runs), np.bool_)
    stack = np.empty(len(runs), np.int64)
    depth = base = 0
    for index in range(len(runs)):
        if index and runs[index, GROUP] != runs[index - 1, GROUP]:
            base = depth
        if depth > base and runs[index, END] <= runs[stack[depth - 1], END]:
            runs[stack[depth - 1], COPIES] += runs[index, COPIES]
            kept[index] = False
            continue
        # What two others cover is still covered when one of them gives way to another.
        while depth - base >= 2 and _cover(runs, stack[depth - 2], stack[depth - 1], index):
            depth -= 1
            kept[stack[depth]] = False
        stack[depth] = index
        depth += 1
    return kept


@kernel(inline=True)
def _cover(runs: Shared, before: int, between: int, after: int) -> bool:
    """Whether one run lies in two others, of which one begins before it and one ends behind it."""
    units = runs[between, END] - runs[between, START]
    return bool(
        runs[after, START] <= runs[before, END]
        and runs[after, FIRST] <= runs[before, LAST]
        and runs[before, FIRST] <= runs[between, FIRST]
        and runs[between, LAST] <= runs[after, LAST]
        and units <= runs[before, END] - runs[before, START]
        and units <= runs[after, END] - runs[after, START]
        and runs[between, WORDS] <= min(runs[before, WORDS], runs[after, WORDS])
        and runs[before, CUT] == runs[between, CUT] == runs[after, CUT] < CUT_UP
    )
