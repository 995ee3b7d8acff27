"""The crowd: candidates close together in the corpus, of which chains are made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.candidates import REPEATED, SINGLE
from guardrail.indexes.grams import Hashes
from guardrail.jit import kernel

# Units of the corpus in which two seeds are close by, or half as many, or something in between.
TILE = 256
# What their runs have to have together, in units, where the second does not go on as the corpus
# does, at most so far off the diagonal: common phrases, of which clean text is full, have less.
TOGETHER = 48
ASIDE = 80
_MIX = np.uint64(0x9E3779B97F4A7C15)


@kernel()
def find_crowd(
    candidates: NDArray[np.int64],
    count: np.int64,
    stride: np.int64,
    tiles: Hashes,
    lengths: NDArray[np.int16],
    crowd: Hashes,
    crowded: np.int64,
) -> np.int64:
    """Append to `crowd` the candidates that are `SINGLE` or have another one close by in the
    corpus, not of the same run, which the response goes on with or which is long; returns the new
    length. Which ones are close is seen from two overlapping rows of tiles, each of which remembers
    its last candidate, and in `lengths` the units around it that agree."""
    top = np.uint64(1) << np.uint64(63)
    for index in range(count):
        if candidates[2, index] & REPEATED:
            continue
        at = candidates[0, index]
        ordinal = candidates[1, index]
        key = (np.uint64(ordinal + 1) << np.uint64(31)) | np.uint64(at)
        near = (candidates[2, index] & SINGLE) != 0
        length = candidates[2, index] >> 4
        for row in range(2):
            tile = (ordinal * stride + row * (TILE // 2)) // TILE
            slot = np.int64((np.uint64(2 * tile + row) * _MIX) >> np.uint64(40)) & (len(tiles) - 1)
            known = tiles[slot] & ~top
            told = tiles[slot] >= top
            other = np.int64(known >> np.uint64(31)) - 1
            beside = False
            if other >= 0 and (other * stride + row * (TILE // 2)) // TILE == tile:
                earlier = np.int64(known & np.uint64(0x7FFFFFFF))
                drift = abs((ordinal - other) * stride - (at - earlier))
                ordered = drift <= ASIDE and (at > earlier) == (ordinal > other)
                beside = ordered or length + lengths[slot] >= TOGETHER
                beside = beside and not (drift == 0 and abs(at - earlier) <= stride)
                if beside and not told:
                    crowd[crowded] = known
                    crowded += 1
            near = near or beside
            tiles[slot] = key | top if near else key
            lengths[slot] = length
        if near:
            crowd[crowded] = key
            crowded += 1
    return crowded


@kernel()
def longer(table: Hashes, least: int) -> Hashes:
    """A table with room for at least so many and at least twice as many."""
    longer: Hashes = np.empty(max(2 * len(table), least), np.uint64)
    for index in range(len(table)):
        longer[index] = table[index]
    return longer
