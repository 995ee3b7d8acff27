"""The search kernel: from the gram hashes of a response to maximal shared runs.

Seeds are looked up for all positions at once; each seed is then extended along its diagonal, unit
by unit, by comparing tags. Memory reads are arranged so that many are under way together: a pass
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
# Candidates whose tags are touched together.
BATCH = 1024
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
    """Maximal runs of at least `least` units; see `Matches`. A run inside another of the same
    group is counted there and not listed. `rolled` and `hashes` are those of the response's grams.

    `parameters`: gram, stride, bucket bits, known hash bits, ordinal bits, the two words of the
    ordinal key and of the tag key, number of groups. `facts`: shape (documents, 2), canonical
    length and group.
    """
    gram = np.int64(parameters[0])
    stride = np.int64(parameters[1])
    bucket_bits = np.int64(parameters[2])
    spare = bucket_bits + 16 - np.int64(parameters[3])
    known = np.uint64((0xFFFF >> spare) << spare)
    total = np.int64(len(hashes))
    out = np.empty((8, 5), np.int64)
    if len(starts) == 0 or total + gram - 1 < least:
        return out[:0]
    seeds = find_seeds(hashes, directory, remainders, bucket_bits, known)
    if len(seeds) == 0:
        return out[:0]

    # Diagonals walked lately, and how far: a seed on a run that was already walked is skipped. Two
    # diagonals that fall on one slot cost a repeated walk, not an answer.
    slots = 256
    while slots < 2 * len(seeds) and slots < 65536:
        slots *= 2
    diagonals = np.zeros(slots, np.int64)
    reached = np.full(slots, -1, np.int64)
    latest = np.full(np.int64(parameters[9]), -1, np.int64)
    anchors = np.zeros(len(latest), np.int64)
    horizon = np.int64(0)
    found = 0
    # Not literals, for each of which `walk` would be compiled anew.
    zero, forth, back = np.int64(0), np.int64(1), np.int64(-1)
    touched = np.uint64(0)
    ceiling = len(tags) * 32
    candidates = np.empty((BATCH, 2), np.int64)
    seed = np.int64(0)
    entry = seeds[0, 1]
    while seed < len(seeds):
        filled, seed, entry = gather(candidates, seeds, seed, entry, ordinals, parameters)
        for index in range(filled):
            position = candidates[index, 1] * stride
            touched ^= tags[min(position, ceiling - 1) >> 5]
        for index in range(filled):
            at = candidates[index, 0]
            ordinal = candidates[index, 1]
            diagonal = ordinal * stride - at
            slot = np.int64((np.uint64(diagonal) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40))
            slot &= slots - 1
            if diagonals[slot] == diagonal and reached[slot] >= at:
                continue
            row = -1
            if at + gram + stride <= horizon:
                # Inside a run that was found: a run that goes on past its end has later seeds, so
                # only one that begins before it is news. Without this, a text that repeats itself
                # is walked from each of its units.
                row = row_of(starts, ordinal)
                group = np.int64(facts[row, 1]) & (DEAD - 1)
                last = latest[group]
                if last >= 0 and anchors[group] < at and at + gram + stride <= out[last, 1]:
                    before = out[last, 0] - 1
                    origin = np.int64(starts[row]) * stride
                    if before < 0 or before + diagonal < origin:
                        continue
                    if walk(rolled, tags, parameters, before + 1, diagonal, back, before) > before:
                        continue
            right = walk(rolled, tags, parameters, at, diagonal, forth, total - 1)
            left = walk(rolled, tags, parameters, at, diagonal, back, zero)
            diagonals[slot] = diagonal
            if right - left + gram < least:
                reached[slot] = right
                continue
            if row < 0:
                row = row_of(starts, ordinal)
            origin = np.int64(starts[row]) * stride
            left = max(left, origin - diagonal)
            right = min(right, origin + np.int64(facts[row, 0]) - gram - diagonal)
            # Not further: what agrees past the end of the document is another's, or chance.
            reached[slot] = right
            if facts[row, 1] & np.uint32(DEAD) or right - left + gram < least:
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
                    out = _grown(out)
                target = found
                latest[group] = found
                found += 1
            anchors[group] = at
            horizon = max(horizon, end)
            out[target, 0] = left
            out[target, 1] = end
            out[target, 2] = row
            out[target, 3] = left + diagonal - origin
            out[target, 4] = copies
    if found == len(out):
        out = _grown(out)
    # Behind the end: the compiler leaves a pass out whose result nobody could see.
    out[found, 0] = np.int64(touched)
    return out[:found]


@kernel()
def find_seeds(
    hashes: Hashes,
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
    bucket_bits: np.int64,
    known: np.uint64,
) -> NDArray[np.int64]:
    """Positions whose hash is in the index, and the first entry that agrees and the first after it
    that does not: shape (seeds, 3)."""
    total = len(hashes)
    to_bucket = np.uint64(64 - bucket_bits)
    to_remainder = np.uint64(48 - bucket_bits)
    seeds = np.empty((64, 3), np.int64)
    count = 0
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
            if sizes[index] <= np.uint32(WINDOW) and equal_mask(  # type: ignore[call-arg]
                remainders, entry, wanted
            ) == np.uint32(0):
                continue
            high = entry + np.uint64(sizes[index])
            while entry < high and remainders[entry] < wanted:
                entry += np.uint64(1)
            if entry < high and remainders[entry] == wanted:
                if count == len(seeds):
                    seeds = _grown(seeds)
                seeds[count, 0] = block + index
                seeds[count, 1] = np.int64(entry)
                while entry < high and remainders[entry] == wanted:
                    entry += np.uint64(1)
                seeds[count, 2] = np.int64(entry)
                count += 1
    if count == len(seeds):
        seeds = _grown(seeds)
    seeds[count, 0] = np.int64(touched)  # as in `find_matches`
    return seeds[:count]


@kernel()
def _grown(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """A table with room for twice the rows. Copied by hand: an assignment to a slice takes 4 s to
    compile, nearly all of it for the message of an error that cannot happen."""
    rows, columns = table.shape
    wider = np.empty((2 * rows, columns), np.int64)
    for row in range(rows):
        for column in range(columns):
            wider[row, column] = table[row, column]
    return wider


@kernel()
def gather(
    candidates: NDArray[np.int64],
    seeds: NDArray[np.int64],
    seed: np.int64,
    entry: np.int64,
    ordinals: Words,
    parameters: NDArray[np.uint64],
) -> tuple[int, np.int64, np.int64]:
    """Fill `candidates` with positions and ordinals, unpacked and unmasked, from entry `entry` of
    seed number `seed` on: how many there are, and where to go on."""
    bits = np.int64(parameters[4])
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    have = np.int64(-2)
    low = high = np.uint64(0)
    filled = 0
    while filled < len(candidates):
        word = (entry * bits) >> 6
        shift = np.uint64((entry * bits) & 63)
        if word != have:
            # Entries of one gram are neighbours: a word is unmasked once for two or three of them.
            low = high if word == have + 1 else unmasked(ordinals, word, parameters)
            high = unmasked(ordinals, word + 1, parameters)
            have = word
        value = low >> shift
        if np.int64(shift) + bits > 64:
            value |= high << (np.uint64(64) - shift)
        candidates[filled, 0] = seeds[seed, 0]
        candidates[filled, 1] = np.int64(value & mask)
        filled += 1
        entry += 1
        if entry == seeds[seed, 2]:
            seed += 1
            if seed == len(seeds):
                break
            entry = seeds[seed, 1]
    return filled, seed, entry


@kernel(inline=True)
def unmasked(ordinals: Words, word: np.int64, parameters: NDArray[np.uint64]) -> np.uint64:
    """A word of the packed ordinals."""
    return np.uint64(ordinals[word] ^ siphash(np.uint64(word), parameters[5], parameters[6]))


@kernel()
def walk(
    rolled: Hashes,
    tags: Words,
    parameters: NDArray[np.uint64],
    at: np.int64,
    diagonal: np.int64,
    step: np.int64,
    limit: np.int64,
) -> np.int64:
    """The last position, from `at` in steps of 1 or -1 to `limit`, up to which tags agree."""
    ceiling = len(tags) * 32
    word = np.int64(-1)
    packed = np.uint64(0)
    while at != limit:
        position = at + step + diagonal
        if position < 0 or position >= ceiling:
            break
        if position >> 5 != word:
            word = position >> 5
            packed = tags[word] ^ siphash(np.uint64(word), parameters[7], parameters[8])
        tag = packed >> np.uint64(2 * (position & 31))
        if (tag ^ tag_of(rolled[at + step])) & np.uint64(3) != np.uint64(0):
            break
        at += step
    return at


@kernel(inline=True)
def row_of(starts: NDArray[np.uint32], ordinal: np.int64) -> int:
    """The document that a gram belongs to: the last one that starts at or before it."""
    row, above = 0, len(starts)
    while above - row > 1:
        middle = (row + above) >> 1
        if np.int64(starts[middle]) <= ordinal:
            row = middle
        else:
            above = middle
    return row
