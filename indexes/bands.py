"""Bands: which windows of documents have three minima in common with one of a response.

A band is a table of lines of 64 bytes, which a processor reads at once. The hash of a window's
minima chooses the line. An entry has 32 bits: below, masked, the number of the window's first
block; above, a part of the hash, which is never 0. An empty slot is 0. What a full line has no room
for lies in the next, which is read as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import siphash
from guardrail.indexes.sealed import WordKey, Words
from guardrail.indexes.signatures import Minima
from guardrail.jit import kernel

# What datasketch's MinHashLSH chooses for 32 permutations and a similarity of 0.35.
BANDS, ROWS = 10, 3
# Windows kept of those that agree in a band: boilerplate would make a search slow without bound.
MOST_IN_BAND = 8
LINE = 16
# Entries a line at most, on average. Of the entries of 190,000 blocks 0.6 % then find no room in
# their two lines; with 14, 0.2 %, and with 16, 1.7 %.
LOAD = 15
# Entries sorted at once: 256 MB.
_SORTED_AT_ONCE = 1 << 25

Lines = NDArray[np.uint32]
Windows = Iterator[tuple[NDArray[np.int64], Minima]]
"""Numbers of first blocks, and minima of shape (n, PERMUTATIONS)."""


def number_bits(blocks: int) -> int:
    """The width of a block's number."""
    return max(1, (blocks - 1).bit_length())


def band_lines(blocks: int) -> int:
    """How many lines a band has, that behind the last included."""
    return -(-blocks // LOAD) + 1 if blocks else 0


def write_bands(
    windows: Callable[[], Windows], blocks: int, base: np.uint64, hash_key: WordKey, mask: WordKey
) -> Iterator[Lines]:
    """The lines of each band. Memory: 8 bytes a window for as many bands as go into 256 MB, or for
    one."""
    together = max(1, min(BANDS, _SORTED_AT_ONCE // max(1, blocks)))
    bits, size = number_bits(blocks), band_lines(blocks)
    for first in range(0, BANDS, together):
        group = range(first, min(BANDS, first + together))
        parts: list[list[Words]] = [[] for _ in group]
        for numbers, minima in windows():
            for band, part in zip(group, parts, strict=True):
                part.append(_entries(minima, numbers, band, bits, base, hash_key.k0, hash_key.k1))
        for band, part in zip(group, parts, strict=True):
            entries = np.concatenate(part) if part else np.zeros(0, np.uint64)
            part.clear()
            entries.sort()
            yield _lines(entries, size, band * size * LINE, bits, mask.k0, mask.k1)


@kernel()
def _entries(
    minima: Minima,
    numbers: NDArray[np.int64],
    band: int,
    bits: int,
    base: np.uint64,
    k0: np.uint64,
    k1: np.uint64,
) -> Words:
    """Hashes of a band with the block's number in their lowest bits."""
    entries = np.empty(len(minima), np.uint64)
    for index in range(len(minima)):
        value = np.uint64(band + 1)
        for turn in range(band * ROWS, (band + 1) * ROWS):
            value = value * base + np.uint64(minima[index, turn])
        entries[index] = value
    for index in range(len(minima)):
        hashed = siphash(entries[index], k0, k1)
        upper = (hashed >> np.uint64(bits)) << np.uint64(bits)
        entries[index] = upper | np.uint64(numbers[index])
    return entries


@kernel()
def _lines(entries: Words, size: int, first: int, bits: int, k0: np.uint64, k1: np.uint64) -> Lines:
    """The `size` lines of sorted entries, which begin at slot `first` of the file."""
    lines = np.zeros(size * LINE, np.uint32)
    number = np.uint64((1 << bits) - 1)
    place, alike = np.int64(0), 0
    for index in range(len(entries)):
        same = index > 0 and (entries[index] ^ entries[index - 1]) >> np.uint64(bits) == 0
        alike = alike + 1 if same else 0
        home = LINE * line_of(entries[index], size)
        place = max(place, home)
        if alike >= MOST_IN_BAND or place >= home + 2 * LINE:
            continue
        mask = siphash(np.uint64(first + place), k0, k1) & number
        lines[place] = np.uint32(
            check_of(entries[index], bits) | ((entries[index] & number) ^ mask)
        )
        place += 1
    return lines


@kernel(inline=True)
def line_of(hashed: np.uint64, size: int) -> np.int64:
    """The first of the two lines, of a band of `size`, that hold the entries of a hash."""
    return np.int64(((hashed >> np.uint64(32)) * np.uint64(size - 1)) >> np.uint64(32))


@kernel(inline=True)
def check_of(hashed: np.uint64, bits: int) -> np.uint64:
    """The part of a hash that is in an entry, at its place there."""
    check = (hashed & np.uint64(0xFFFFFFFF)) >> np.uint64(bits)
    return max(check, np.uint64(1)) << np.uint64(bits)
