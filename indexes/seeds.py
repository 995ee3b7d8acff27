"""Seeds: where grams of a response stand in a segment.

All positions of the response are looked up at once. Memory reads are arranged so that many are
under way together: a pass over the filter, and for what it lets through a pass over the directory,
one that touches the remainders, and one that compares 16 of them at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from guardrail.indexes.gram_filter import passing
from guardrail.indexes.grams import Hashes
from guardrail.indexes.sealed import Words
from guardrail.indexes.walks import trailing_zeros
from guardrail.jit import grown, kernel

# Positions looked up together; what a block touches (64 bytes a position) stays in the L2 cache.
BLOCK = 1024
# Remainders compared at once. Files of remainders are padded by as many.
WINDOW = 16
# How often one gram of a response takes part in chains.
REPEATS = 8
# Slots of a table that remembers grams or places, at most: 8 MB.
MAX_SLOTS = 1 << 20
_MIX = np.uint64(0x9E3779B97F4A7C15)


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
def find_seeds(
    hashes: Hashes,
    parameters: NDArray[np.uint64],
    filter_: Words,
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
) -> NDArray[np.int64]:
    """Positions whose hash is in the index, and the first entry that agrees and the first after it
    that does not, and a place for `mark_repeats`: shape (seeds, 4)."""
    bucket_bits = np.int64(parameters[2])
    hash_bits = np.int64(parameters[3])
    spare = bucket_bits + 16 - hash_bits
    known = np.uint64((0xFFFF >> spare) << spare)
    unknown = np.uint64(64 - hash_bits)
    to_bucket = np.uint64(64 - bucket_bits)
    to_remainder = np.uint64(48 - bucket_bits)
    total = len(hashes)
    seeds = np.empty((64, 4), np.int64)
    count = 0
    buffer = np.empty(BLOCK, np.uint64)
    hits = np.empty(BLOCK, np.uint32)
    lows = np.empty(BLOCK, np.uint32)
    highs = np.empty(BLOCK, np.uint32)
    touched = np.uint16(0)
    for block in range(0, total, BLOCK):
        passed = passing(hashes[block : block + BLOCK], filter_, unknown, buffer, hits)
        for number in range(passed):
            bucket = hashes[block + np.int64(hits[number])] >> to_bucket
            lows[number] = directory[bucket]
            highs[number] = directory[bucket + np.uint64(1)]
        for number in range(passed):
            low = np.int64(lows[number])
            touched ^= remainders[low] ^ remainders[min(low + 32, np.int64(highs[number]))]
        for number in range(passed):
            position = block + np.int64(hits[number])
            wanted = np.uint16((hashes[position] >> to_remainder) & known)
            high = np.int64(highs[number])
            entry = first_equal(remainders, lows[number], highs[number], wanted)
            if entry >= high:
                continue
            if count == len(seeds):
                seeds = grown(seeds)
            seeds[count, 0] = position
            seeds[count, 1] = entry
            while entry < high and remainders[entry] == wanted:
                entry += np.int64(1)
            seeds[count, 2] = entry
            count += 1
    if count == len(seeds):
        seeds = grown(seeds)
    # Behind the end: the compiler leaves a pass out whose result nobody could see.
    seeds[count, 0] = np.int64(touched)
    return seeds[:count]


@kernel(inline=True)
def first_equal(
    remainders: NDArray[np.uint16], low: np.uint32, high: np.uint32, wanted: np.uint16
) -> np.int64:
    """The first of the entries low..high whose remainder is `wanted`; `high` or more: none."""
    entry = np.int64(low)
    while entry < np.int64(high):
        equal: Any = equal_mask(remainders, entry, wanted)  # type: ignore[call-arg]
        if equal != np.uint32(0):
            return np.int64(entry + trailing_zeros(np.uint64(equal)))
        entry += np.int64(WINDOW)
    return entry


@kernel()
def mark_repeats(seeds: NDArray[np.int64]) -> np.int64:
    """Mark in the last column the seeds of a gram that came REPEATS times before in the response:
    a text that repeats itself is not chained from each of its units. Returns the number of
    postings of the others."""
    slots = 256
    while slots < 4 * len(seeds) and slots < MAX_SLOTS:
        slots *= 2
    entries = np.full(slots, -1, np.int64)
    times = np.zeros(slots, np.int64)
    postings = np.int64(0)
    for index in range(len(seeds)):
        entry = seeds[index, 1]
        slot = np.int64((np.uint64(entry) * _MIX) >> np.uint64(40))
        slot &= slots - 1
        if entries[slot] != entry:
            entries[slot] = entry
            times[slot] = 0
        times[slot] += 1
        repeated = times[slot] > REPEATS
        seeds[index, 3] = np.int64(repeated)
        if not repeated:
            postings += seeds[index, 2] - entry
    return postings
