"""MinHash of the long words of a text: how alike passages are, whatever the order of their words.

The words are runs of canonical units between white space. Those of `LEAST_WORD` units and more
carry what a text is about; the shorter ones stand everywhere. A signature is the MinHash (Broder
1997) of some of them: the scheme `affine32` of the package datasketch, value by value, with keyed
words and keyed permutations. Beside the least value the second least is known: what the least would
be if the word that it comes from were not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import siphash
from guardrail.jit import kernel
from guardrail.keys import Key
from guardrail.text import CanonicalText, Offsets, Units, canonicalise

# 24 long words are 50 to 60 words of English. Measured with exact Jaccard similarities of 45,000
# windows of documents and 600 clean answers, at one answer flagged: of passages of 60 words, one
# word in three replaced, 89 % are found by long words, 95 % by pairs of them, 99 % by pairs of all
# words; shuffled word by word, 100 %, 5 % and 0 %. Chains of grams find the former anyhow.
LEAST_WORD, MOST_WORD = 5, 40
WINDOW_WORDS, BLOCK_WORDS, HOP_WORDS = 24, 12, 6
# 30 are in bands; of 32, a processor makes eight at a time.
PERMUTATIONS = 32
# Names that stand together in every calendar. Counted, they made the one finding in 1,218 clean
# answers that no other detector has: a function from names of months to numbers.
USUAL = (
    "January February March April June July August September October November December "
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
)
NO_MINIMUM = np.uint32(0xFFFFFFFF)

WordHashes = NDArray[np.uint16]
Bits = NDArray[np.uint64]
Minima = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SignatureKey:
    """The secrets: base and SipHash key words of the word hash, and the permutations
    h -> a * h + b modulo 2^32, shape (2, PERMUTATIONS), every a odd. `usual` is the set of the
    hashes of `USUAL`, a bit each: uint64, shape (1024,)."""

    base: np.uint64
    k0: np.uint64
    k1: np.uint64
    permutations: NDArray[np.uint32]
    usual: Bits

    @classmethod
    def derive(cls, key: Key) -> SignatureKey:
        """All indexes of one master key share it."""
        words = np.frombuffer(key.derive("passages", 24), "<u8")
        parts = [key.derive(f"passages {n}", 64) for n in range(PERMUTATIONS // 8)]
        drawn = np.frombuffer(b"".join(parts), "<u4").reshape(2, PERMUTATIONS).astype(np.uint32)
        drawn[0] |= np.uint32(1)
        key_ = cls(words[0] | np.uint64(1), words[1], words[2], drawn, np.zeros(1 << 10, np.uint64))
        usual = long_words(canonicalise(USUAL), key_).hashes
        np.bitwise_or.at(key_.usual, usual >> 6, np.uint64(1) << (usual & 63).astype(np.uint64))
        return key_


@dataclass(frozen=True, slots=True, eq=False)
class LongWords:
    """Hash (from 1), first unit and end of each long word: shape (n,) each.

    The hashes have 16 bits: of 24 words and 24 others, one pair in a hundred times has the same one
    by chance, which is rare beside words that many texts have in common.
    """

    hashes: WordHashes
    firsts: NDArray[np.uint32]
    ends: NDArray[np.uint32]


def long_words(text: CanonicalText, key: SignatureKey) -> LongWords:
    """The words that signatures are made of."""
    raw = text.raw
    points: NDArray[Any]
    if raw.isascii():
        points = np.frombuffer(raw.encode("ascii"), np.uint8)
    else:
        points = np.frombuffer(raw.encode("utf-32-le", "surrogatepass"), np.uint32)
    found = _long_words(points, text.units, text.offsets, key.base, key.k0, key.k1, key.usual)
    return LongWords(*found)


@kernel(inline=True)
def holds(bits: Bits, hashed: np.uint16) -> bool:
    """Whether a set of hashes, a bit each, holds one."""
    return bool((bits[hashed >> 6] >> np.uint64(hashed & 63)) & np.uint64(1))


@kernel(inline=True)
def _is_space(point: np.uint32) -> bool:
    if point <= 32:
        return True
    return bool(
        point == 0x85
        or point == 0xA0
        or point == 0x1680
        or 0x2000 <= point <= 0x200A
        or point == 0x2028
        or point == 0x2029
        or point == 0x202F
        or point == 0x205F
        or point == 0x3000
    )


@kernel()
def _long_words(
    points: NDArray[Any],
    units: Units,
    offsets: Offsets,
    base: np.uint64,
    k0: np.uint64,
    k1: np.uint64,
    usual: Bits,
) -> tuple[WordHashes, NDArray[np.uint32], NDArray[np.uint32]]:
    most = len(units) // LEAST_WORD + 1
    hashes = np.empty(most, np.uint16)
    firsts = np.empty(most, np.uint32)
    ends = np.empty(most, np.uint32)
    found = 0
    first = 0
    value = np.uint64(0)
    for index in range(len(units) + 1):
        ended = index == len(units)
        if not ended and index > 0:
            for place in range(np.int64(offsets[index - 1]) + 1, np.int64(offsets[index])):
                if _is_space(np.uint32(points[place])):
                    ended = True
                    break
        if ended:
            if LEAST_WORD <= index - first <= MOST_WORD:
                hashed = np.uint16(max(np.uint64(1), siphash(value, k0, k1) >> np.uint64(48)))
                if not holds(usual, hashed):
                    hashes[found] = hashed
                    firsts[found] = first
                    ends[found] = index
                    found += 1
            first = index
            value = np.uint64(0)
        if index < len(units):
            value = value * base + np.uint64(units[index]) + np.uint64(1)
    return hashes[:found], firsts[:found], ends[:found]


@kernel()
def block_minima(
    words: WordHashes, size: int, a: NDArray[np.uint32], b: NDArray[np.uint32]
) -> tuple[Minima, Minima]:
    """For every `size` words in turn, the least of each permutation's values and the second least:
    shape (blocks, PERMUTATIONS) each. The last block may have fewer words; 0 is no word."""
    blocks = (len(words) + size - 1) // size
    least = np.empty((blocks, PERMUTATIONS), np.uint32)
    second = np.empty((blocks, PERMUTATIONS), np.uint32)
    for block in range(blocks):
        low, high = least[block], second[block]
        for turn in range(PERMUTATIONS):
            low[turn] = high[turn] = NO_MINIMUM
        for index in range(block * size, min((block + 1) * size, len(words))):
            if words[index] == 0:
                continue
            # MurmurHash3's finaliser, as datasketch mixes before it permutes.
            mixed = np.uint32(words[index])
            mixed = np.uint32(mixed ^ (mixed >> np.uint32(16)))
            mixed = np.uint32(mixed * np.uint32(0x85EBCA6B))
            mixed = np.uint32(mixed ^ (mixed >> np.uint32(13)))
            mixed = np.uint32(mixed * np.uint32(0xC2B2AE35))
            mixed = np.uint32(mixed ^ (mixed >> np.uint32(16)))
            for turn in range(PERMUTATIONS):
                value = np.uint32(mixed * a[turn] + b[turn])
                more = max(low[turn], value) if value != low[turn] else NO_MINIMUM
                high[turn] = min(high[turn], more)
                low[turn] = min(low[turn], value)
    return least, second


@kernel(inline=True)
def join_minima(
    least: Minima, second: Minima, first: int, last: int, low: Minima, high: Minima
) -> None:
    """The minima of blocks number first..last together, in `low` and `high`."""
    for turn in range(PERMUTATIONS):
        low[turn], high[turn] = least[first, turn], second[first, turn]
    for block in range(first + 1, last):
        for turn in range(PERMUTATIONS):
            value, other = least[block, turn], low[turn]
            more = max(other, value) if value != other else NO_MINIMUM
            high[turn] = min(min(high[turn], second[block, turn]), more)
            low[turn] = min(other, value)
