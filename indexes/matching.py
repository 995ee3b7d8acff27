"""The search kernel: from the gram hashes of a response to maximal shared runs.

Seeds are looked up for all positions at once; each seed is then extended along its diagonal, unit by
unit, by comparing tags. The memory reads are arranged so that many are under way together: a pass
over the directory, a pass that touches the remainders, a pass that compares 16 of them at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from guardrail.indexes.grams import Hashes, siphash, tag_of
from guardrail.indexes.sealed import Words
from guardrail.jit import kernel

# Rows of int64: start and end in units of the response; document row; unit of the document where
# the run starts; documents of the same group that hold the same run (at least).
Matches = NDArray[np.int64]

# Positions looked up together; what a block touches (64 bytes a position) stays in the L2 cache.
BLOCK = 512
# Remainders compared at once. Files of remainders are padded by as many.
WINDOW = 16
# In `facts`, the bit of a document's group word that says the document is forgotten.
DEAD = 1 << 31


@intrinsic
def equal_mask(context: Any, array: Any, index: Any, value: Any) -> Any:
    """A bit for each of array[index], ..., array[index + 15] that equals `value`: one comparison
    of 16 lanes, which the compiler does not make of a loop here (measured: 7 times slower)."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, first, wanted = arguments
        array = context.make_array(signature.args[0])(context, builder, data)
        vector = ir.VectorType(ir.IntType(16), WINDOW)
        address = builder.bitcast(builder.gep(array.data, [first]), vector.as_pointer())
        lanes = builder.load(address)
        lanes.align = 2
        blank = ir.Constant(vector, ir.Undefined)
        single = builder.insert_element(blank, wanted, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), WINDOW), [0] * WINDOW)
        repeated = builder.shuffle_vector(single, blank, zeros)
        equal = builder.icmp_unsigned("==", lanes, repeated)
        return builder.zext(builder.bitcast(equal, ir.IntType(WINDOW)), ir.IntType(32))

    return types.uint32(array, index, value), emit


@kernel()
def _grown(array: NDArray[np.int64]) -> NDArray[np.int64]:
    wider = np.empty(2 * len(array), np.int64)
    wider[: len(array)] = array
    return wider


@kernel()
def find_matches(
    rolled: Hashes,
    hashes: Hashes,
    parameters: NDArray[np.uint64],
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
    ordinals: Words,
    tags: Words,
    starts: NDArray[np.uint32],
    facts: NDArray[np.uint32],
    least: int,
) -> Matches:
    """Maximal runs of at least `least` units; see `Matches`. `rolled` and `hashes` are those of the
    response's grams. A run inside another of the same
    group is counted there and not listed.

    `parameters`: gram, stride, bucket bits, known hash bits, ordinal bits, the two words of the
    ordinal key and of the tag key, number of groups. `facts`: shape (documents, 2), canonical length and group.
    """
    gram = np.int64(parameters[0])
    stride = np.int64(parameters[1])
    bucket_bits = np.int64(parameters[2])
    hash_bits = np.int64(parameters[3])
    ordinal_bits = np.int64(parameters[4])
    ordinal_k0 = parameters[5]
    ordinal_k1 = parameters[6]
    tag_k0 = parameters[7]
    tag_k1 = parameters[8]
    total = len(hashes)
    out = np.empty((8, 5), np.int64)
    if len(starts) == 0 or total + gram - 1 < least:
        return out[:0]
    to_bucket = np.uint64(64 - bucket_bits)
    to_remainder = np.uint64(48 - bucket_bits)
    spare = bucket_bits + 16 - hash_bits
    known = np.uint64((0xFFFF >> spare) << spare)

    seed_at = np.empty(64, np.int64)
    seed_first = np.empty(64, np.int64)
    seeds = 0
    lows = np.empty(BLOCK, np.uint32)
    sizes = np.empty(BLOCK, np.uint32)
    touched = np.uint16(0)
    for block in range(0, total, BLOCK):
        size = min(BLOCK, total - block)
        for index in range(size):
            bucket = hashes[block + index] >> to_bucket
            low = directory[bucket]
            lows[index] = low
            sizes[index] = directory[bucket + np.uint64(1)] - low
        for index in range(size):
            touched ^= remainders[np.uint64(lows[index])]
        for index in range(size):
            wanted = np.uint16((hashes[block + index] >> to_remainder) & known)
            entry = np.uint64(lows[index])
            if sizes[index] <= np.uint32(WINDOW) and equal_mask(
                remainders, entry, wanted
            ) == np.uint32(0):
                continue
            high = entry + np.uint64(sizes[index])
            while entry < high and remainders[entry] < wanted:
                entry += np.uint64(1)
            if entry < high and remainders[entry] == wanted:
                if seeds == len(seed_at):
                    seed_at = _grown(seed_at)
                    seed_first = _grown(seed_first)
                seed_at[seeds] = block + index
                seed_first[seeds] = np.int64(entry)
                seeds += 1
    if seeds == 0:
        # Reading `touched` keeps the compiler from leaving the touching pass out.
        return out[: np.int64(touched) & 0]

    # Diagonals walked lately, and how far: a seed on a run that was already extended is skipped.
    # Two diagonals that fall on one slot cost a repeated walk, not an answer.
    slots = 256
    while slots < 2 * seeds and slots < 65536:
        slots *= 2
    diagonals = np.full(slots, np.int64(-(1 << 62)), np.int64)
    reached = np.zeros(slots, np.int64)
    latest = np.full(np.int64(parameters[9]), -1, np.int64)
    tag_count = len(tags) * 32
    mask = (np.uint64(1) << np.uint64(ordinal_bits)) - np.uint64(1)
    found = 0
    for seed in range(seeds):
        at = seed_at[seed]
        entry = seed_first[seed]
        first = hashes[at]
        wanted = np.uint16((first >> to_remainder) & known)
        high = np.int64(directory[np.int64(first >> to_bucket) + 1])
        while entry < high and remainders[entry] == wanted:
            bit = entry * ordinal_bits
            word = bit >> 6
            shift = np.uint64(bit & 63)
            value = (ordinals[word] ^ siphash(np.uint64(word), ordinal_k0, ordinal_k1)) >> shift
            if np.int64(shift) + ordinal_bits > 64:
                beyond = ordinals[word + 1] ^ siphash(np.uint64(word + 1), ordinal_k0, ordinal_k1)
                value |= beyond << (np.uint64(64) - shift)
            ordinal = np.int64(value & mask)
            entry += 1
            place = ordinal * stride
            diagonal = place - at
            slot = np.int64((np.uint64(diagonal) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40))
            slot &= slots - 1
            if diagonals[slot] == diagonal and reached[slot] >= at:
                continue

            right = at
            word = -1
            packed = np.uint64(0)
            while right + 1 < total and right + 1 + diagonal < tag_count:
                position = right + 1 + diagonal
                if position >> 5 != word:
                    word = position >> 5
                    packed = tags[word] ^ siphash(np.uint64(word), tag_k0, tag_k1)
                tag = packed >> np.uint64(2 * (position & 31))
                if (tag ^ tag_of(rolled[right + 1])) & np.uint64(3) != np.uint64(0):
                    break
                right += 1
            left = at
            word = -1
            while left > 0 and left - 1 + diagonal >= 0:
                position = left - 1 + diagonal
                if position >> 5 != word:
                    word = position >> 5
                    packed = tags[word] ^ siphash(np.uint64(word), tag_k0, tag_k1)
                tag = packed >> np.uint64(2 * (position & 31))
                if (tag ^ tag_of(rolled[left - 1])) & np.uint64(3) != np.uint64(0):
                    break
                left -= 1
            diagonals[slot] = diagonal
            reached[slot] = right
            if right - left + gram < least:
                continue

            row, above = 0, len(starts)
            while above - row > 1:
                middle = (row + above) >> 1
                if np.int64(starts[middle]) <= ordinal:
                    row = middle
                else:
                    above = middle
            if facts[row, 1] & np.uint32(DEAD):
                continue
            origin = np.int64(starts[row]) * stride
            left = max(left, origin - diagonal)
            right = min(right, origin + np.int64(facts[row, 0]) - gram - diagonal)
            if right - left + gram < least:
                continue
            end = right + gram
            group = np.int64(facts[row, 1])
            last = latest[group]
            if last >= 0 and out[last, 0] <= left and out[last, 1] >= end:
                out[last, 4] += 1
                continue
            if last >= 0 and left <= out[last, 0] and end >= out[last, 1]:
                copies = out[last, 4] + 1
                target = last
            else:
                copies = 1
                if found == len(out):
                    wider = np.empty((2 * found, 5), np.int64)
                    wider[:found] = out
                    out = wider
                target = found
                latest[group] = found
                found += 1
            out[target, 0] = left
            out[target, 1] = end
            out[target, 2] = row
            out[target, 3] = left + diagonal - origin
            out[target, 4] = copies
    return out[:found]
