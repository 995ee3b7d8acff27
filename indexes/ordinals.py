"""Ordinals of entries on disk: packed into as few bits as they need, and masked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.digested_file import DigestedFile
from guardrail.indexes.sealed import WordKey, Words
from guardrail.jit import kernel


class OrdinalPacker:
    """Writes ordinals with as few bits as the largest needs, masked, 64 of them a block."""

    def __init__(self, file: DigestedFile, ordinals: int, key: WordKey) -> None:
        self.bits = ordinal_bits(ordinals)
        self._file = file
        self._key = key
        self._rest = np.zeros(0, np.uint32)
        self._words = 0

    def write(self, ordinals: NDArray[np.uint32]) -> None:
        ordinals = np.concatenate((self._rest, ordinals))
        whole = len(ordinals) // 64 * 64
        self._rest = ordinals[whole:]
        self._emit(ordinals[:whole])

    def close(self) -> tuple[int, str]:
        self._emit(self._rest)
        # One word more, so that a reader may always load two neighbouring words.
        self._file.write(np.zeros(1, np.uint64))
        return self._file.close()

    def _emit(self, ordinals: NDArray[np.uint32]) -> None:
        words = pack_bits(ordinals, self.bits)
        self._key.mask(words, self._words)
        self._file.write(words)
        self._words += len(words)


def ordinal_bits(ordinals: int) -> int:
    """The width of an ordinal in a segment of so many."""
    return max(1, (ordinals - 1).bit_length())


@kernel()
def pack_bits(values: NDArray[np.uint32], bits: int) -> Words:
    """Values of `bits` bits, one after the other, in words; shape (ceil(n * bits / 64),)."""
    words = np.zeros((len(values) * bits + 63) // 64, np.uint64)
    for index in range(len(values)):
        position = index * bits
        word, shift = position >> 6, position & 63
        value = np.uint64(values[index])
        words[word] |= value << np.uint64(shift)
        if shift + bits > 64:
            words[word + 1] |= value >> np.uint64(64 - shift)
    return words


@kernel()
def unpack_bits(words: Words, skip: int, bits: int, count: int) -> Words:
    """The `count` values of `bits` bits that start at bit `skip`: what `pack_bits` packed."""
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    values = np.empty(count, np.uint64)
    for index in range(count):
        position = skip + index * bits
        word, shift = position >> 6, position & 63
        value = words[word] >> np.uint64(shift)
        if shift + bits > 64:
            value |= words[word + 1] << np.uint64(64 - shift)
        values[index] = value & mask
    return values
