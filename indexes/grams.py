"""Keyed hashes of k-grams of canonical units.

A gram's fingerprint starts as a rolling polynomial over its units with a secret odd base (modulo
2^64). What an index is searched by is SipHash-2-4 (Aumasson and Bernstein 2012) of that, with a
secret key. Base and key come from the master key, so that without it a hash says nothing about the
gram. The polynomial itself never leaves memory.

Besides, the `TAG` units at each unit have a tag, two bits of a keyed hash of them, which is stored
masked (see `sealed.WordKey`): what tells, unit by unit, how far a match goes, and where a copy goes
on behind an edit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.keys import Key
from guardrail.text import Units

Hashes = NDArray[np.uint64]

# Units that a tag depends on. A tag of fewer says more of a short run (n units in common have
# n - TAG + 1 tags in common); one of more says more of a single unit that differs (none of the tags
# that it has a part in tells it with a probability of one in 4 ** TAG).
TAG = 4


@dataclass(frozen=True, slots=True, repr=False)
class GramKey:
    """The secrets of the gram hash: the polynomial's base, and SipHash's two key words."""

    base: np.uint64
    k0: np.uint64
    k1: np.uint64

    @classmethod
    def derive(cls, key: Key, purpose: str = "grams") -> GramKey:
        """The gram key of a master key; all indexes of one master key share it."""
        words = np.frombuffer(key.derive(purpose, 24), "<u8")
        return cls(words[0] | np.uint64(1), words[1], words[2])


def roll_grams(units: Units, gram: int, key: GramKey) -> Hashes:
    """The polynomial of the gram at each unit: uint64, shape (max(0, n - gram + 1),)."""
    rolled: Hashes = roll(units, gram, key.base)
    return rolled


def hash_grams(rolled: Hashes, key: GramKey) -> Hashes:
    """The keyed hashes of polynomials, same shape."""
    hashes = rolled.copy()
    hash_all(hashes, key.k0, key.k1)
    return hashes


@kernel()
def roll(units: Units, gram: int, base: np.uint64) -> Hashes:
    count = max(0, len(units) - gram + 1)
    rolled = np.empty(count, np.uint64)
    if count == 0:
        return rolled
    top = np.uint64(1)
    value = np.uint64(0)
    for index in range(gram):
        value = value * base + np.uint64(units[index]) + np.uint64(1)
        top *= base
    rolled[0] = value
    before = np.uint64(gram)
    for index in range(np.uint64(gram), np.uint64(len(units))):
        new = np.uint64(units[index]) + np.uint64(1)
        old = np.uint64(units[index - before]) + np.uint64(1)
        value = value * base + (new - top * old)
        rolled[index - before + np.uint64(1)] = value
    return rolled


@kernel()
def hash_all(rolled: Hashes, k0: np.uint64, k1: np.uint64) -> None:
    """Put the keyed hashes in the place of polynomials."""
    for index in range(len(rolled)):
        rolled[index] = siphash(rolled[index], k0, k1)


@kernel()
def write_tags(units: Units, base: np.uint64, tags: NDArray[np.uint64], position: int) -> None:
    """Store the tags of units in words that hold zeros there, 32 a word, from number `position` on:
    n - TAG + 1 of them."""
    last = np.uint64(0)
    for index in range(min(TAG - 1, len(units))):
        last = (last << np.uint64(8)) | np.uint64(units[index])
    word = np.uint64(0)
    place = position
    # Numbers without a sign here and below: one with a sign might count from the end.
    for index in range(np.uint64(TAG - 1), np.uint64(len(units))):
        last = (last << np.uint64(8)) | np.uint64(units[index])
        # The multipliers are MurmurHash3's finaliser: each unit has its effect on the upper bits.
        mixed = (last & np.uint64((1 << (8 * TAG)) - 1)) * base
        mixed ^= mixed >> np.uint64(33)
        mixed *= np.uint64(0xFF51AFD7ED558CCD)
        mixed ^= mixed >> np.uint64(33)
        mixed *= np.uint64(0xC4CEB9FE1A85EC53)
        # The tags of a word come in at its upper end.
        word = (word >> np.uint64(2)) | (mixed & np.uint64(3 << 62))
        place += 1
        if place & 31 == 0:
            tags[np.uint64(place - 1) >> np.uint64(5)] |= word
            word = np.uint64(0)
    if place & 31:
        tags[place >> 5] |= word >> np.uint64(64 - 2 * (place & 31))


@kernel(inline=True)
def siphash(message: np.uint64, k0: np.uint64, k1: np.uint64) -> np.uint64:
    """SipHash-2-4 of one 8-byte little-endian message."""
    v0 = k0 ^ np.uint64(0x736F6D6570736575)
    v1 = k1 ^ np.uint64(0x646F72616E646F6D)
    v2 = k0 ^ np.uint64(0x6C7967656E657261)
    v3 = k1 ^ np.uint64(0x7465646279746573)
    v3 ^= message
    for turn in range(8):
        if turn == 2:
            v0 ^= message
            v3 ^= np.uint64(8) << np.uint64(56)
        elif turn == 4:
            v0 ^= np.uint64(8) << np.uint64(56)
            v2 ^= np.uint64(0xFF)
        v0 += v1
        v1 = (v1 << np.uint64(13)) | (v1 >> np.uint64(51))
        v1 ^= v0
        v0 = (v0 << np.uint64(32)) | (v0 >> np.uint64(32))
        v2 += v3
        v3 = (v3 << np.uint64(16)) | (v3 >> np.uint64(48))
        v3 ^= v2
        v0 += v3
        v3 = (v3 << np.uint64(21)) | (v3 >> np.uint64(43))
        v3 ^= v0
        v2 += v1
        v1 = (v1 << np.uint64(17)) | (v1 >> np.uint64(47))
        v1 ^= v2
        v2 = (v2 << np.uint64(32)) | (v2 >> np.uint64(32))
    return v0 ^ v1 ^ v2 ^ v3
