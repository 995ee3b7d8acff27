"""The search for passages, in one call into compiled code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.bands import BANDS, LINE, ROWS, Lines, check_of, line_of
from guardrail.indexes.grams import siphash
from guardrail.indexes.sealed import Words
from guardrail.indexes.signatures import (
    BLOCK_WORDS,
    HOP_WORDS,
    NO_MINIMUM,
    PERMUTATIONS,
    WINDOW_WORDS,
    Bits,
    WordHashes,
    block_minima,
    holds,
    join_minima,
)
from guardrail.jit import grown, kernel

# Of each band a window is looked for by its minima, and by the second least value in the place of
# each of them: as if the word that a minimum comes from had been put in.
PROBES = ROWS + 1
# Words of a block in the file: its place, and BLOCK_WORDS hashes of 16 bits.
RECORD = 1 + BLOCK_WORDS // 4
# Windows of documents compared with one of a response, and those found.
MOST_CANDIDATES, MOST_HITS = 512, 64


@kernel()
def search(
    words: WordHashes,
    permutations: NDArray[np.uint32],
    base: np.uint64,
    blocks: Words,
    lines: Lines,
    bits: int,
    slots: np.uint64,
    keys: Words,
    least: int,
) -> NDArray[np.int64]:
    """Windows of documents that have at least `least` different words in common with one of the
    response, as rows of 6: row of the document table, first unit, number of these words, number of
    those seen in either, and the first and the last of the former by number among `words`.

    `slots`, of two lines, is an argument because the compiler makes eight comparisons at a time
    only where it does not know how many there are. `keys` are those of hashes of bands, of masks of
    entries and of masks of blocks.
    """
    hits = np.empty((64, 6), np.int64)
    found = 0
    low_of, high_of = block_minima(words, HOP_WORDS, permutations[0], permutations[1])
    hops = WINDOW_WORDS // HOP_WORDS
    count, size = len(blocks) // RECORD, len(lines) // (LINE * BANDS)
    low, high = np.empty(PERMUTATIONS, np.uint32), np.empty(PERMUTATIONS, np.uint32)
    hashes = np.empty(BANDS * PROBES, np.uint64)
    number = np.uint32((1 << bits) - 1)
    homes, checks = np.empty(BANDS * PROBES, np.uint64), np.empty(BANDS * PROBES, np.uint32)
    agree = np.empty(BANDS * PROBES, np.bool_)
    candidates = np.empty(MOST_CANDIDATES, np.int64)
    accepted = np.empty(MOST_HITS, np.int64)
    held: Bits = np.zeros(1 << 10, np.uint64)
    plain, theirs = np.empty(2 * RECORD, np.uint64), np.empty(WINDOW_WORDS, np.uint16)
    for window in range(max(min(1, len(low_of)), len(low_of) - hops + 1)):
        first, last = window * HOP_WORDS, min(len(words), window * HOP_WORDS + WINDOW_WORDS)
        join_minima(low_of, high_of, window, min(window + hops, len(low_of)), low, high)
        for band in range(BANDS):
            for probe in range(PROBES):
                value = np.uint64(band + 1)
                for turn in range(ROWS):
                    place = band * ROWS + turn
                    value = value * base + np.uint64(
                        high[place] if probe == turn + 1 else low[place]
                    )
                hashes[band * PROBES + probe] = value
        for probe in range(BANDS * PROBES):
            hashes[probe] = siphash(hashes[probe], keys[0], keys[1])
        # Reads that do not wait for one another, and for no branch, take a fraction of the time.
        for probe in range(BANDS * PROBES):
            check = np.uint32(check_of(hashes[probe], bits))
            line = (probe // PROBES) * size + line_of(hashes[probe], size)
            # Numbers without a sign: one with a sign might count from the end.
            home, nearest = np.uint64(LINE * line), NO_MINIMUM
            for slot in range(slots):
                nearest = min(nearest, np.uint32(lines[home + slot] ^ check))
            homes[probe], checks[probe] = home, check
            agree[probe] = nearest <= number
        seen = 0
        for probe in range(BANDS * PROBES):
            if agree[probe]:
                seen = _candidates(homes[probe], checks[probe], lines, bits, keys, candidates, seen)
        if seen == 0:
            continue
        for index in range(first, last):
            held[words[index] >> 6] |= np.uint64(1) << np.uint64(words[index] & 63)
        held[0] &= ~np.uint64(1)  # 0 is no word
        kept = 0
        for place in range(seen):
            at = candidates[place]
            if at >= count or kept == MOST_HITS:
                continue
            _read(blocks, at, keys, plain, theirs)
            common = 0
            for index in range(WINDOW_WORDS):
                common += int(holds(held, theirs[index]))
            if common < least:
                continue
            known = False
            for earlier in range(kept):
                known = known or accepted[earlier] == at
            if known:
                continue
            shared, either, begin, end = _compare(words, first, last, theirs)
            if shared < least:
                continue
            accepted[kept] = at
            kept += 1
            if found == len(hits):
                hits = grown(hits)
            hits[found, 0] = np.int64(plain[0] >> np.uint64(32))
            hits[found, 1] = np.int64(plain[0] & np.uint64(0xFFFFFFFF))
            hits[found, 2], hits[found, 3] = shared, either
            hits[found, 4], hits[found, 5] = begin, end
            found += 1
        for index in range(first, last):
            held[words[index] >> 6] = np.uint64(0)
    return hits[:found]


@kernel(inline=True)
def _candidates(
    first: np.uint64,
    check: np.uint32,
    lines: Lines,
    bits: int,
    keys: Words,
    candidates: NDArray[np.int64],
    seen: int,
) -> int:
    """Put the numbers in the entries of a hash behind the `seen` candidates; how many there are
    then."""
    number = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    for place in range(first, first + np.uint64(2 * LINE)):
        entry = np.uint64(lines[place] ^ check)
        if entry <= number and seen < MOST_CANDIDATES:
            mask = siphash(np.uint64(place), keys[2], keys[3])
            candidates[seen] = np.int64((entry ^ mask) & number)
            seen += 1
    return seen


@kernel(inline=True)
def _read(blocks: Words, at: np.int64, keys: Words, plain: Words, theirs: WordHashes) -> None:
    """Put the window that begins with block `at` in `plain`, and its words in `theirs`."""
    first = np.uint64(RECORD * at)
    count = min(np.uint64(2 * RECORD), np.uint64(len(blocks)) - first)
    for part in range(count):
        plain[part] = blocks[first + part] ^ siphash(first + part, keys[4], keys[5])
    same = count > RECORD and (plain[0] ^ plain[RECORD]) >> np.uint64(32) == 0
    for index in range(WINDOW_WORDS):
        part = 1 + index // 4 + index // BLOCK_WORDS
        word = plain[part] >> np.uint64(16 * (index % 4))
        theirs[index] = np.uint16(word) if same or index < BLOCK_WORDS else np.uint16(0)


@kernel(inline=True)
def _compare(
    words: WordHashes, first: int, last: int, theirs: WordHashes
) -> tuple[int, int, int, int]:
    """Different words seen in both windows, and in either; the first and last of the former."""
    shared, either, begin, end = 0, 0, -1, -1
    for index in range(first, last):
        fresh = words[index] != 0
        for earlier in range(first, index):
            fresh = fresh and words[earlier] != words[index]
        common = False
        for place in range(len(theirs)):
            common = common or theirs[place] == words[index]
        if common and words[index] != 0:
            begin, end = index if begin < 0 else begin, index
        either += fresh
        shared += fresh and common
    for place in range(len(theirs)):
        fresh = theirs[place] != 0
        for earlier in range(place):
            fresh = fresh and theirs[earlier] != theirs[place]
        either += fresh
    return shared, either - shared, begin, end
