"""Candidates: the places of the corpus that seeds name, and which of them are no chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import TAG, siphash
from guardrail.indexes.sealed import Words
from guardrail.indexes.walks import leading_zeros, tags_at, trailing_zeros, window
from guardrail.jit import kernel

# Candidates whose tags are touched together.
BATCH = 1024
# Units in common that a seed needs to take part in chains where no other is close by.
STRONG = 20
# Marks of a candidate: its gram comes often in the response; it is not among the first places
# where the corpus has the gram; it may be part of a run that is long enough; it takes part in
# chains. From bit 4 on, the units that agree around it, or `LONGER` where a window cannot tell.
REPEATED, LATE, LONG, SINGLE = 1, 2, 4, 8
LONGER = 64
# Of the places where the corpus has a gram, how many may take part so. A common phrase has many; of
# a passage with many copies the first ones do.
FIRST = 1


@kernel()
def gather(
    candidates: NDArray[np.int64],
    seeds: NDArray[np.int64],
    seed: np.int64,
    entry: np.int64,
    ordinals: Words,
    parameters: NDArray[np.uint64],
) -> tuple[np.int64, np.int64, np.int64]:
    """Fill `candidates` with positions, ordinals, unpacked and unmasked, and marks (`REPEATED`,
    `LATE`), from entry `entry` of seed number `seed` on: how many there are, and where to go on."""
    bits = np.int64(parameters[4])
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    filled = np.int64(0)
    while filled < candidates.shape[1]:
        candidates[0, filled] = seeds[seed, 0]
        candidates[1, filled] = entry
        late = entry - seeds[seed, 1] >= FIRST
        candidates[2, filled] = seeds[seed, 3] | (LATE if late else 0)
        filled += 1
        entry += 1
        if entry == seeds[seed, 2]:
            seed += 1
            if seed == len(seeds):
                break
            entry = seeds[seed, 1]
    # Passes of their own over what is far away and over the masks, as in `passing`.
    lows = np.empty(filled, np.uint64)
    highs = np.empty(filled, np.uint64)
    for index in range(filled):
        word = np.uint64((candidates[1, index] * bits) >> 6)
        lows[index] = ordinals[word]
        highs[index] = ordinals[word + np.uint64(1)]
    k0, k1 = parameters[5], parameters[6]
    for index in range(filled):
        place = np.uint64(candidates[1, index] * bits)
        word, shift = place >> np.uint64(6), place & np.uint64(63)
        low = lows[index] ^ siphash(word, k0, k1)
        high = highs[index] ^ siphash(word + np.uint64(1), k0, k1)
        # In two steps, as a shift by 64 is undefined.
        both = (low >> shift) | ((high << np.uint64(1)) << (np.uint64(63) - shift))
        candidates[1, index] = np.int64(both & mask)
    return filled, seed, entry


@kernel()
def verify(
    candidates: NDArray[np.int64],
    count: np.int64,
    near: Words,
    tags: Words,
    parameters: NDArray[np.uint64],
    wanted: np.int64,
) -> np.int64:
    """Keep the candidates, in order, whose gram's tags agree with those of the corpus; returns how
    many. Mark those around which `wanted` more units agree, as far as one window of tags can tell,
    and those that are to take part in chains whatever is close by."""
    gram = np.int64(parameters[0])
    stride = np.int64(parameters[1])
    own = min(gram - TAG + 1, np.int64(32))
    before = min(wanted, (32 - own) >> 1)
    shift = np.uint64(2 * before)
    ceiling = np.int64(len(tags)) - 1
    lows = np.empty(count, np.uint64)
    highs = np.empty(count, np.uint64)
    for index in range(count):
        word = (candidates[1, index] * stride - before) >> 5
        lows[index] = tags[np.uint64(min(max(word, 0), ceiling))]
        highs[index] = tags[np.uint64(min(word + 1, ceiling))]
    k0, k1 = parameters[7], parameters[8]
    for index in range(count):
        word = np.uint64((candidates[1, index] * stride - before) >> 5)
        lows[index] ^= siphash(word, k0, k1)
        highs[index] ^= siphash(word + np.uint64(1), k0, k1)
    kept = np.int64(0)
    for index in range(count):
        at = candidates[0, index]
        ordinal = candidates[1, index]
        position = ordinal * stride - before
        differ = tags_at(near, at - before) ^ window(lows[index], highs[index], position)
        # The gram's own tags, from place `before` on, agree unless the seed is a chance one.
        forth = trailing_zeros(differ >> shift) >> 1  # type: ignore[call-arg]
        back = leading_zeros((differ << np.uint64(1)) << (np.uint64(63) - shift)) >> 1
        # Beyond either end of the corpus there is something, if not what belongs there.
        beyond = (position < 0) | ((position >> 5) >= ceiling)
        both = forth + min(back, before)
        open_ = (forth == 32 - before) | (back >= before)
        real = beyond | (forth >= min(own, 32 - before))
        mark = candidates[2, index] | ((LONGER if open_ else both + TAG - 1) << 4)
        if both > STRONG - TAG and not mark & LATE:
            mark |= SINGLE
        if beyond or open_ or both >= own + wanted:
            mark |= LONG
        candidates[0, kept] = at
        candidates[1, kept] = ordinal
        candidates[2, kept] = mark
        kept += np.int64(real)
    return kept
