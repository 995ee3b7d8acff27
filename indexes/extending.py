"""Following a copy across its edits: the runs beside a run that no seed told of.

Behind the end of a run the copy may go on, some units further or nearer: where a word was replaced,
dropped or put in. What goes on is often shorter than a gram. It is looked for in the tags, on all
diagonals close by, as read mappers extend a seed on both sides (banded, in place of their dynamic
programming over all cells: what lies between two runs is not aligned).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.candidates import STRONG
from guardrail.indexes.chaining import BACK, DRIFT, GAP, Runs
from guardrail.indexes.grams import TAG, siphash
from guardrail.indexes.sealed import Words
from guardrail.indexes.walks import leading_zeros, tags_at, trailing_zeros, walk_back, walk_on
from guardrail.jit import grown, kernel

# How far the next run may leave the diagonal, in units: some words more or less; and how far where
# nothing but one run speaks for a copy: another word in place of one.
REACH = 48
FIRST_REACH = 14
# Tags in a row that agree: by chance on one of 97 diagonals in 2 % of searches.
AGREE = 9
# Windows of 32 tags that are looked at behind an end, each so far behind the one before that no
# row of AGREE tags is cut by all. From a single run, one.
WINDOWS = 3
STEP = 32 - AGREE + 1
# Runs that are followed from one, on each side, before a seed must show that it goes on.
FURTHER = 16
# How far before a run that a seed told of a copy is followed back, in units. Text that is streamed
# waits so long for the seed. Of what is found of passages with one word in three replaced, dropped
# or moved, it leaves out 2 %.
BEFORE = 160
_BITS = np.uint64(0x5555555555555555)


@kernel()
def extend(
    runs: Runs,
    near: Words,
    units: int,
    parameters: NDArray[np.uint64],
    tags: Words,
    starts: NDArray[np.uint32],
    facts: NDArray[np.uint32],
) -> Runs:
    """Runs that continue the given ones, which are in the order of the corpus, on either side; in
    no order. `near` and `units`: see `Query`. Work is bounded by the size of the response."""
    stride = np.int64(parameters[1])
    found = np.empty((8, 6), np.int64)
    count = 0
    searches = 64 + units // 16
    nearby = np.empty(8, np.uint64)
    at = np.empty(3, np.int64)
    for index in range(len(runs)):
        row = runs[index, 2]
        origin = np.int64(starts[row]) * stride
        length = np.int64(facts[row, 0])
        alone = not (_are_close(runs, index - 1, index) or _are_close(runs, index, index + 1))
        if alone and runs[index, 1] - runs[index, 0] < STRONG:
            continue
        for onward in range(2):
            at[0], at[1], at[2] = runs[index, 0], runs[index, 1], runs[index, 3]
            for step in range(FURTHER):
                if searches == 0:
                    return found[:count]
                searches -= 1
                reach, windows = REACH, WINDOWS
                if alone and step == 0:
                    reach, windows = FIRST_REACH, 1
                ahead = onward == 1
                if not _next(
                    at, ahead, reach, windows, near, units, parameters, tags, origin, length, nearby
                ):
                    break
                if not ahead and at[0] < runs[index, 0] - BEFORE:
                    break
                alone = False
                if _holds(runs, index - BACK, min(len(runs), index + BACK + 1), row, at):
                    break
                if _holds(found, count - FURTHER, count, row, at):
                    break
                if count == len(found):
                    found = grown(found)
                found[count, 0], found[count, 1] = at[0], at[1]
                found[count, 2], found[count, 3] = row, at[2]
                count += 1
    return found[:count]


@kernel()
def _next(
    at: NDArray[np.int64],
    onward: bool,
    reach: int,
    windows: int,
    near: Words,
    units: int,
    parameters: NDArray[np.uint64],
    tags: Words,
    origin: np.int64,
    length: np.int64,
    nearby: Words,
) -> bool:
    """Move `at` (start and end in the response, start in the document) to the best run behind its
    end, or before its start; whether there is one. At most `reach` units from its diagonal, in so
    many windows. `origin` and `length` are those of the document, in units; `nearby` is scratch."""
    start, end, place = at[0], at[1], at[2]
    diagonal = place + origin - start
    last = np.int64(units - TAG)
    # The first tag of the window nearest to the run.
    edge = end if onward else start - TAG - 31
    far = edge if onward else edge - (windows - 1) * STEP
    first = (far + diagonal - reach) >> 5
    for number in range(3 + ((2 * reach + (windows - 1) * STEP + 31) >> 5)):
        nearby[number] = np.uint64(0)
        if 0 <= first + number < len(tags):
            word = np.uint64(first + number)
            nearby[number] = tags[word] ^ siphash(word, parameters[7], parameters[8])
    first <<= 5
    best = np.int64(0)
    for number in range(windows):
        position = edge + number * STEP if onward else edge - number * STEP
        if position < -32 or position > last:
            break
        response = tags_at(near, position)
        offset = position + diagonal - first
        # Nearly always nothing agrees on any diagonal: a pass that only says so has no branches.
        if not _any(response, nearby, offset - reach, offset + reach):
            continue
        for drift in range(-reach, reach + 1):
            other = diagonal + drift
            word = (offset + drift) >> 5
            shift = np.uint64(2 * ((offset + drift) & 31))
            row: Any = _rows(response, nearby[word], nearby[word + 1], shift)
            if row == np.uint64(0):
                continue
            if onward:
                hit = position + (trailing_zeros(row) >> 1)  # type: ignore[call-arg]
                low = max(end, place + end - start + origin - other)
                high = min(last, origin + length - TAG - other)
            else:
                hit = position + 31 - (leading_zeros(row) >> 1)  # type: ignore[call-arg]
                low = max(np.int64(0), origin - other)
                high = min(start, place + origin - other) - TAG
            if hit < low or hit + AGREE - 1 > high:
                continue
            left = walk_back(near, tags, parameters, hit, other, low)
            right = walk_on(near, tags, parameters, hit, other, high)
            skipped = max(left - end, left + other - origin - (place + end - start))
            if not onward:
                skipped = max(start - right - TAG, place + origin - other - right - TAG)
            weight = 4 * (right - left + TAG) - skipped
            if weight > best:
                best = weight
                at[0], at[1], at[2] = left, right + TAG, left + other - origin
    return bool(best > 0)


@kernel(inline=True)
def _any(response: np.uint64, nearby: Words, first: np.int64, last: np.int64) -> bool:
    """False where `_rows` has no bit for any of the offsets first..last. All of a word are looked
    at, without branches: so the compiler makes vector instructions of it."""
    found = np.uint64(0)
    for word in range(first >> 5, (last >> 5) + 1):
        low, high = nearby[word], nearby[word + 1]
        for place in range(32):
            found |= _rows(response, low, high, np.uint64(2 * place))
    return bool(found != np.uint64(0))


@kernel(inline=True)
def _rows(response: np.uint64, low: np.uint64, high: np.uint64, shift: np.uint64) -> np.uint64:
    """A bit (of two) where AGREE tags in a row agree, of a window of the response and the one of
    the corpus that begins `shift` bits behind the start of a word, of that and the next."""
    other = (low >> shift) | ((high << np.uint64(1)) << (np.uint64(63) - shift))
    differ = response ^ other
    same = ~(differ | (differ >> np.uint64(1))) & _BITS
    two = same & (same >> np.uint64(2))
    four = two & (two >> np.uint64(4))
    return np.uint64(four & (four >> np.uint64(8)) & (same >> np.uint64(16)))


@kernel()
def _are_close(runs: Runs, before: int, after: int) -> bool:
    """Whether two runs next to each other in the corpus may belong to one copy."""
    if before < 0 or after == len(runs) or runs[before, 2] != runs[after, 2]:
        return False
    ahead = runs[after, 0] - runs[before, 0]
    skipped = runs[after, 3] - runs[before, 3]
    return bool(0 < ahead <= GAP and skipped <= GAP and abs(ahead - skipped) <= 2 * DRIFT)


@kernel()
def _holds(runs: Runs, first: int, last: int, row: np.int64, at: NDArray[np.int64]) -> bool:
    """Whether one of the runs first..last lies on the diagonal of a run and has some of it."""
    for index in range(max(0, first), last):
        along = runs[index, 2] == row and runs[index, 3] - runs[index, 0] == at[2] - at[0]
        if along and runs[index, 0] < at[1] and at[0] < runs[index, 1]:
            return True
    return False
