"""The gram filter: a Bloom filter that answers for nearly all grams of a clean text, with one read.

A word of 64 bits holds the marks of about eight grams, four bits each (a blocked Bloom filter:
Putze, Sanders and Singler 2007). One gram in 50 that the index does not have passes, and is then
looked up in vain. Words follow the order of hashes, so that a filter is written batch by batch from
sorted grams.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import Hashes
from guardrail.indexes.sealed import Words
from guardrail.jit import kernel

# One byte a gram. Measured over 16 M grams: 1.8 % of absent ones pass.
GRAMS_A_WORD = 8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_ONE, _LOW = np.uint64(1), np.uint64(63)


def filter_words(grams: int) -> int:
    """How many words the filter of so many grams has."""
    return max(1, -(-grams // GRAMS_A_WORD))


class FilterWriter:
    """Makes a filter from batches of hashes in ascending order."""

    def __init__(self, grams: int, hash_bits: int) -> None:
        """`hash_bits`: how many leading bits of the hashes are known, now and when searched."""
        self._total = filter_words(grams)
        self._unknown = np.uint64(64 - hash_bits)
        self._next = np.int64(0)
        self._rest = np.zeros(1, np.uint64)

    def add(self, hashes: Hashes) -> Words:
        """The words that no later hash has a part in, for hashes not below those before."""
        if len(hashes) == 0:
            return np.zeros(0, np.uint64)
        words: Words = _mark(hashes, self._unknown, np.uint64(self._total), self._next, self._rest)
        self._next, self._rest = self._next + np.int64(len(words) - 1), words[-1:]
        return words[:-1]

    def finish(self) -> Words:
        """The remaining words."""
        words = np.zeros(self._total - self._next, np.uint64)
        words[0] = self._rest[0]
        return words


@kernel()
def _mark(
    hashes: Hashes, unknown: np.uint64, total: np.uint64, first: np.int64, rest: Words
) -> Words:
    """The words from number `first`, which holds `rest` already, to that of the last hash."""
    words = np.zeros(np.int64(word_of(hashes[-1], total)) - first + 1, np.uint64)
    words[0] = rest[0]
    for index in range(len(hashes)):
        word = np.int64(word_of(hashes[index], total)) - first
        words[word] |= bits_of(hashes[index] >> unknown)
    return words


@kernel(inline=True)
def word_of(hash_: np.uint64, total: np.uint64) -> np.uint64:
    """The number of the word, of `total`, that holds the bits of a gram."""
    return np.uint64(((hash_ >> np.uint64(32)) * total) >> np.uint64(32))


@kernel(inline=True)
def bits_of(prefix: np.uint64) -> np.uint64:
    """The bits of a gram, from the known bits of its hash."""
    mixed = prefix * _MIX
    return np.uint64(
        (_ONE << (mixed >> np.uint64(58)))
        | (_ONE << ((mixed >> np.uint64(52)) & _LOW))
        | (_ONE << ((mixed >> np.uint64(46)) & _LOW))
        | (_ONE << ((mixed >> np.uint64(40)) & _LOW))
    )


@kernel()
def passing(
    hashes: Hashes, words: Words, unknown: np.uint64, buffer: Words, hits: NDArray[np.uint32]
) -> np.int64:
    """Write to `hits` which of the hashes pass; how many do. `buffer` has room for as many words.

    The words are read in a pass of their own: with nothing else to do between two reads, the
    processor has many under way (measured: 14 ns a hash instead of 40). Nor is there a branch on
    what is found.
    """
    total = np.uint64(len(words))
    count = np.int64(0)
    for index in range(len(hashes)):
        buffer[index] = words[word_of(hashes[index], total)]
    for index in range(len(hashes)):
        buffer[index] = bits_of(hashes[index] >> unknown) & ~buffer[index]
    for index in range(len(hashes)):
        hits[count] = np.uint32(index)
        count += np.int64(buffer[index] == np.uint64(0))
    return count
