"""Encryption at rest: sealed blobs (AES-256-GCM) and word streams (SipHash in counter mode).

Blobs are read whole, so they are authenticated. Word arrays are read at random places inside a
lookup, a word at a time: each is masked with a keyed pseudorandom word of its position, which hides
what it holds; their integrity is the business of the manifest's digests.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from guardrail.errors import IndexDamagedError
from guardrail.indexes.grams import siphash
from guardrail.jit import kernel
from guardrail.keys import Key

_NONCE_BYTES = 12

Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, repr=False)
class Sealer:
    """Seals and opens the blobs of one purpose, such as the document table of one segment."""

    secret: bytes
    purpose: str

    @classmethod
    def derive(cls, key: Key, purpose: str) -> Sealer:
        return cls(key.derive(f"seal/{purpose}"), purpose)

    def seal(self, data: bytes, place: str) -> bytes:
        """Compress and encrypt; `place` must be given again to open, so blobs cannot be swapped."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.secret).encrypt(nonce, zlib.compress(data, 1), place.encode())

    def open(self, blob: bytes, place: str) -> bytes:
        """What was sealed. Raises IndexDamagedError if a byte or the place is another."""
        try:
            packed = AESGCM(self.secret).decrypt(
                blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], place.encode()
            )
            return zlib.decompress(packed)
        except (InvalidTag, ValueError, zlib.error):
            raise IndexDamagedError(
                f"{place} in {self.purpose} is damaged or belongs to another index; restore it "
                "from a backup or build the index again"
            ) from None


@dataclass(frozen=True, slots=True, repr=False)
class WordKey:
    """SipHash's two key words for masking one array."""

    k0: np.uint64
    k1: np.uint64

    @classmethod
    def derive(cls, key: Key, purpose: str) -> WordKey:
        words = np.frombuffer(key.derive(f"words/{purpose}", 16), "<u8")
        return cls(words[0], words[1])

    def mask(self, words: Words, first: int) -> None:
        """Mask or unmask, in place, the words that stand at positions first, first + 1, ..."""
        _mask(words, np.uint64(first), self.k0, self.k1)


@kernel()
def _mask(words: Words, first: np.uint64, k0: np.uint64, k1: np.uint64) -> None:
    for index in range(len(words)):
        words[index] ^= siphash(first + np.uint64(index), k0, k1)
