"""The search kernel: from the gram hashes of a response to maximal shared runs.

Seeds are looked up for all positions at once; each seed is then extended along its diagonal, unit
by unit, by comparing tags, 32 units at a time. Memory reads are arranged so that many are under way
together: a pass over the filter, and for what it lets through a pass over the directory, one that
touches the remainders, and one that compares 16 of them at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from guardrail.indexes.gram_filter import passing
from guardrail.indexes.grams import TAG, Hashes, siphash
from guardrail.indexes.sealed import Words
from guardrail.jit import grown, kernel

# Rows of int64: start and end in units of the response; document row; unit of the document where
# the run starts; documents of the same group that hold the same run (at least).
Matches = NDArray[np.int64]

# Positions looked up together; what a block touches (64 bytes a position) stays in the L2 cache.
BLOCK = 1024
# Candidates whose tags are touched together.
BATCH = 1024
# Remainders compared at once. Files of remainders are padded by as many.
WINDOW = 16
# Units of the corpus in which two seeds are close by, or half as many, or something in between.
TILE = 256
# What their runs have to have together, in units, where the second does not go on as the corpus
# does, at most so far off the diagonal: common phrases, of which clean text is full, have less.
TOGETHER = 48
ASIDE = 80
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
# How often one gram of a response takes part in chains.
REPEATS = 8
# Slots of the tables that remember tiles and grams, at most: 8 MB.
MAX_TILES = 1 << 20
_MIX = np.uint64(0x9E3779B97F4A7C15)
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


@intrinsic
def trailing_zeros(context: Any, value: Any) -> Any:
    """How many of the lowest bits of a word are zero; 64 for zero."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), emit


@intrinsic
def leading_zeros(context: Any, value: Any) -> Any:
    """How many of the highest bits of a word are zero; 64 for zero."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), emit


@kernel()
def find_matches(
    near: Words,
    units: int,
    hashes: Hashes,
    parameters: NDArray[np.uint64],
    filter_: Words,
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
    ordinals: Words,
    tags: Words,
    starts: NDArray[np.uint32],
    facts: NDArray[np.uint32],
    least: int,
) -> tuple[Matches, Hashes]:
    """Maximal runs of at least `least` units; see `Matches`. A run inside another of the same
    group is counted there and not listed. `near`, `units` and `hashes`: see `Query`.
    And the seeds that have others close by in the corpus or stand in a run of `STRONG` units, for
    `chaining`: ((ordinal + 1) << 31) | position, in no order, some of them twice.

    `parameters`: gram, stride, bucket bits, known hash bits, ordinal bits, the two words of the
    ordinal key and of the tag key, number of groups. `facts`: shape (documents, 2), canonical
    length and group.
    """
    gram = np.int64(parameters[0])
    stride = np.int64(parameters[1])
    # Tags of the response; places where a run may go on.
    total = np.int64(units - TAG + 1)
    out = np.empty((8, 5), np.int64)
    crowd = np.empty(64, np.uint64)
    if len(starts) == 0 or len(hashes) == 0:
        return out[:0], crowd[:0]
    seeds = find_seeds(hashes, parameters, filter_, directory, remainders)
    if len(seeds) == 0:
        return out[:0], crowd[:0]
    crowded = np.int64(0)
    postings = mark_repeats(seeds)
    wide = 1024
    while wide < 4 * postings and wide < MAX_TILES:
        wide *= 2
    tiles = np.zeros(wide, np.uint64)
    lengths = np.zeros(wide, np.int16)

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
    candidates = np.empty((BATCH, 3), np.int64)
    seed = np.int64(0)
    entry = seeds[0, 1]
    while seed < len(seeds):
        filled, seed, entry = gather(candidates, seeds, seed, entry, ordinals, parameters)
        kept = verify(candidates, filled, near, tags, parameters, np.int64(least) - gram)
        if len(crowd) < crowded + 3 * kept:
            crowd = longer(crowd, int(crowded + 3 * kept))
        crowded = find_crowd(candidates, kept, stride, tiles, lengths, crowd, crowded)
        for index in range(kept):
            if not candidates[index, 2] & LONG:
                continue
            at = candidates[index, 0]
            ordinal = candidates[index, 1]
            diagonal = ordinal * stride - at
            slot = np.int64((np.uint64(diagonal) * _MIX) >> np.uint64(40))
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
                    if walk_back(near, tags, parameters, before + 1, diagonal, before) > before:
                        continue
            right = walk_on(near, tags, parameters, at, diagonal, total - 1)
            left = walk_back(near, tags, parameters, at, diagonal, np.int64(0))
            diagonals[slot] = diagonal
            if right - left + TAG < least:
                reached[slot] = right
                continue
            if row < 0:
                row = row_of(starts, ordinal)
            origin = np.int64(starts[row]) * stride
            left = max(left, origin - diagonal)
            right = min(right, origin + np.int64(facts[row, 0]) - TAG - diagonal)
            # Not further: what agrees past the end of the document is another's, or chance.
            reached[slot] = right
            if facts[row, 1] & np.uint32(DEAD) or right - left + TAG < least:
                continue
            end = right + TAG
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
                    out = grown(out)
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
    return out[:found], crowd[:crowded]


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
def longer(table: Hashes, least: int) -> Hashes:
    """A table with room for at least so many and at least twice as many."""
    longer: Hashes = np.empty(max(2 * len(table), least), np.uint64)
    for index in range(len(table)):
        longer[index] = table[index]
    return longer


@kernel()
def mark_repeats(seeds: NDArray[np.int64]) -> np.int64:
    """Mark in the last column the seeds of a gram that came REPEATS times before in the response:
    a text that repeats itself is not chained from each of its units. Returns the number of
    postings of the others."""
    slots = 256
    while slots < 4 * len(seeds) and slots < MAX_TILES:
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
        if candidates[index, 2] & REPEATED:
            continue
        at = candidates[index, 0]
        ordinal = candidates[index, 1]
        key = (np.uint64(ordinal + 1) << np.uint64(31)) | np.uint64(at)
        near = (candidates[index, 2] & SINGLE) != 0
        length = candidates[index, 2] >> 4
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
    while filled < len(candidates):
        candidates[filled, 0] = seeds[seed, 0]
        candidates[filled, 1] = entry
        late = entry - seeds[seed, 1] >= FIRST
        candidates[filled, 2] = seeds[seed, 3] | (LATE if late else 0)
        filled += 1
        entry += 1
        if entry == seeds[seed, 2]:
            seed += 1
            if seed == len(seeds):
                break
            entry = seeds[seed, 1]
    # Passes of their own over what is far away and over the masks, as in `passing`.
    words = np.empty((filled, 2), np.uint64)
    for index in range(filled):
        word = (candidates[index, 1] * bits) >> 6
        words[index, 0] = ordinals[word]
        words[index, 1] = ordinals[word + 1]
    for index in range(filled):
        word = (candidates[index, 1] * bits) >> 6
        words[index, 0] ^= siphash(np.uint64(word), parameters[5], parameters[6])
        words[index, 1] ^= siphash(np.uint64(word + 1), parameters[5], parameters[6])
    for index in range(filled):
        shift = np.uint64((candidates[index, 1] * bits) & 63)
        # In two steps, as a shift by 64 is undefined.
        high = (words[index, 1] << np.uint64(1)) << (np.uint64(63) - shift)
        candidates[index, 1] = np.int64(((words[index, 0] >> shift) | high) & mask)
    return filled, seed, entry


@kernel(inline=True)
def window(low: np.uint64, high: np.uint64, position: np.int64) -> np.uint64:
    """The 32 tags from `position` on, of the word that holds its tag and the next one."""
    shift = np.uint64(2 * (position & 31))
    # In two steps, as a shift by 64 is undefined.
    return np.uint64((low >> shift) | ((high << np.uint64(1)) << (np.uint64(63) - shift)))


@kernel(inline=True)
def tags_at(words: Words, position: np.int64) -> np.uint64:
    """The 32 tags from `position` of a response on; at least -32."""
    word = (position >> 5) + 1
    return window(words[word], words[word + 1], position)


@kernel(inline=True)
def corpus_tags(tags: Words, position: np.int64, parameters: NDArray[np.uint64]) -> np.uint64:
    """The 32 tags from `position` of the corpus on, unmasked; zeros beyond either end."""
    word = position >> 5
    low = high = np.uint64(0)
    if 0 <= word < len(tags):
        low = tags[word] ^ siphash(np.uint64(word), parameters[7], parameters[8])
    word += 1
    if 0 <= word < len(tags):
        high = tags[word] ^ siphash(np.uint64(word), parameters[7], parameters[8])
    return window(low, high, position)


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
    words = np.empty((count, 2), np.uint64)
    for index in range(count):
        word = (candidates[index, 1] * stride - before) >> 5
        words[index, 0] = tags[min(max(word, 0), ceiling)]
        words[index, 1] = tags[min(word + 1, ceiling)]
    for index in range(count):
        word = (candidates[index, 1] * stride - before) >> 5
        words[index, 0] ^= siphash(np.uint64(word), parameters[7], parameters[8])
        words[index, 1] ^= siphash(np.uint64(word + 1), parameters[7], parameters[8])
    kept = np.int64(0)
    for index in range(count):
        at = candidates[index, 0]
        ordinal = candidates[index, 1]
        position = ordinal * stride - before
        differ = tags_at(near, at - before) ^ window(words[index, 0], words[index, 1], position)
        # The gram's own tags, from place `before` on, agree unless the seed is a chance one.
        forth = trailing_zeros(differ >> shift) >> 1  # type: ignore[call-arg]
        back = leading_zeros((differ << np.uint64(1)) << (np.uint64(63) - shift)) >> 1
        # Beyond either end of the corpus there is something, if not what belongs there.
        beyond = (position < 0) | ((position >> 5) >= ceiling)
        both = forth + min(back, before)
        open_ = (forth == 32 - before) | (back >= before)
        real = beyond | (forth >= min(own, 32 - before))
        mark = candidates[index, 2] | ((LONGER if open_ else both + TAG - 1) << 4)
        if both > STRONG - TAG and not mark & LATE:
            mark |= SINGLE
        if beyond or open_ or both >= own + wanted:
            mark |= LONG
        candidates[kept, 0] = at
        candidates[kept, 1] = ordinal
        candidates[kept, 2] = mark
        kept += np.int64(real)
    return kept


@kernel()
def walk_on(
    near: Words,
    tags: Words,
    parameters: NDArray[np.uint64],
    at: np.int64,
    diagonal: np.int64,
    limit: np.int64,
) -> np.int64:
    """The last position, from `at` on to `limit`, up to which tags agree."""
    while at < limit:
        position = at + 1
        differ: Any = tags_at(near, position) ^ corpus_tags(tags, position + diagonal, parameters)
        agree = trailing_zeros(differ) >> 1  # type: ignore[call-arg]
        at += agree
        if agree < 32:
            break
    return min(at, limit)


@kernel()
def walk_back(
    near: Words,
    tags: Words,
    parameters: NDArray[np.uint64],
    at: np.int64,
    diagonal: np.int64,
    limit: np.int64,
) -> np.int64:
    """The first position, from `at` back to `limit`, from which on tags agree."""
    while at > limit:
        position = at - 32
        differ: Any = tags_at(near, position) ^ corpus_tags(tags, position + diagonal, parameters)
        agree = leading_zeros(differ) >> 1  # type: ignore[call-arg]
        at -= agree
        if agree < 32:
            break
    return max(at, limit)


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
