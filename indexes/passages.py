"""Passages: the long words of the documents of a segment, in blocks, and bands of their windows.

Two files of a segment, both mapped and neither turned into objects: `passages` (of each block of
`BLOCK_WORDS` long words its place and their hashes) and `bands` (see `bands`). A window is two
blocks of a document that follow one another. It is a candidate where it agrees with one of the
response in a band; the words themselves then tell how alike the two are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.bands import (
    BANDS,
    LINE,
    Lines,
    Windows,
    band_lines,
    number_bits,
    write_bands,
)
from guardrail.indexes.passage_search import RECORD, search
from guardrail.indexes.sealed import WordKey, Words
from guardrail.indexes.signatures import (
    BLOCK_WORDS,
    SignatureKey,
    WordHashes,
    block_minima,
    long_words,
)
from guardrail.jit import kernel
from guardrail.keys import Key
from guardrail.text import CanonicalText

FILES = frozenset({"passages", "bands"})
_CHUNK = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of documents, in order: row of the document table and first unit, uint32 of shape (n,)
    each, and hashes of words, of shape (n, BLOCK_WORDS), 0 where a document has no more."""

    rows: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    words: WordHashes

    def pack(self) -> Words:
        """As words, `RECORD` a block."""
        packed = np.empty((len(self.rows), RECORD), np.uint64)
        packed[:, 0] = (self.rows.astype(np.uint64) << np.uint64(32)) | self.starts
        packed[:, 1:] = np.ascontiguousarray(self.words, "<u2").view("<u8")
        return packed.reshape(-1)

    @classmethod
    def unpack(cls, words: Words) -> Blocks:
        packed = words.reshape(-1, RECORD)
        places, hashes = packed[:, 0], np.ascontiguousarray(packed[:, 1:]).view(np.uint16)
        rows = (places >> np.uint64(32)).astype(np.uint32)
        return cls(rows, places.astype(np.uint32), hashes)


def document_blocks(text: CanonicalText, row: int, key: SignatureKey) -> Words:
    """The blocks of one document, packed."""
    words = long_words(text, key)
    packed: Words = _packed(words.hashes, words.firsts, np.uint64(row))
    return packed


@kernel()
def _packed(hashes: WordHashes, firsts: NDArray[np.uint32], row: np.uint64) -> Words:
    packed = np.zeros((len(hashes) + BLOCK_WORDS - 1) // BLOCK_WORDS * RECORD, np.uint64)
    for index in range(len(hashes)):
        place = index // BLOCK_WORDS * RECORD
        if index % BLOCK_WORDS == 0:
            packed[place] = (row << np.uint64(32)) | np.uint64(firsts[index])
        part = place + 1 + index % BLOCK_WORDS // 4
        packed[part] |= np.uint64(hashes[index]) << np.uint64(16 * (index % 4))
    return packed


def write_passages(
    folder: Path,
    segment_id: str,
    parts: Iterable[Blocks],
    key: Key,
    write: Callable[[Path, Iterator[NDArray[Any]]], tuple[int, str]],
) -> dict[str, tuple[int, str]]:
    """Write the files of a segment's passages; `write` makes a file of arrays and returns its size
    and digest. For memory see `write_bands`."""
    keys, secret = _Keys.derive(key, segment_id), SignatureKey.derive(key)

    def masked() -> Iterator[Words]:
        position = 0
        for part in parts:
            words = part.pack()
            keys.blocks.mask(words, position)
            position += len(words)
            yield words

    files = {"passages": write(folder / "passages", masked())}
    count = files["passages"][0] // (8 * RECORD)
    stored = np.memmap(folder / "passages", np.uint64, "r") if count else np.zeros(0, np.uint64)

    def windows() -> Windows:
        for first in range(0, count, _CHUNK):
            # With the block before and the one behind, where there are any.
            begin = max(0, first - 1)
            blocks = _unmasked(stored, begin, first + _CHUNK + 1, keys.blocks)
            goes_on = np.append(blocks.rows[1:] == blocks.rows[:-1], False)
            starts = goes_on.copy()
            starts[0] |= begin == 0
            starts[1:] |= ~goes_on[:-1]  # a document of one block is a window
            starts[: first - begin] = starts[first - begin + _CHUNK :] = False
            least, _ = block_minima(blocks.words.reshape(-1), BLOCK_WORDS, *secret.permutations)
            numbers = np.flatnonzero(starts)
            behind = np.where(goes_on[numbers], numbers + 1, numbers)
            yield begin + numbers, np.minimum(least[numbers], least[behind])

    bands = write_bands(windows, count, secret.base, keys.hashes, keys.entries)
    files["bands"] = write(folder / "bands", bands)
    return files


@dataclass(frozen=True, slots=True)
class _Keys:
    """Of a segment: the hash of bands, and the masks of entries and blocks."""

    hashes: WordKey
    entries: WordKey
    blocks: WordKey

    @classmethod
    def derive(cls, key: Key, segment_id: str) -> _Keys:
        names = ("band hash", "bands", "passages")
        return cls(*(WordKey.derive(key, f"{name} {segment_id}") for name in names))


def _unmasked(stored: Words, first: int, last: int, key: WordKey) -> Blocks:
    words = np.array(stored[first * RECORD : last * RECORD])
    key.mask(words, first * RECORD)
    return Blocks.unpack(words)


@dataclass(frozen=True, slots=True)
class Hit:
    """A window of a response and one of a document that are alike. `shared` is the number of
    different words seen in both, `either` of those seen in one at least; `first` and `last` are the
    first and the last of the shared, by number among the response's long words."""

    row: int
    start: int
    shared: int
    either: int
    first: int
    last: int

    @property
    def similarity(self) -> float:
        """The Jaccard similarity of the sets of words."""
        return self.shared / self.either


class Passages:
    """The passages of an open segment. Thread-safe: nothing changes after construction."""

    def __init__(
        self, segment_id: str, key: Key, map_file: Callable[[str, type], NDArray[Any]]
    ) -> None:
        """`map_file` maps a file of the segment, by name and type of its items."""
        self._blocks: Words = map_file("passages", np.uint64)
        self._bands: Lines = map_file("bands", np.uint32)
        self._keys, self._secret = _Keys.derive(key, segment_id), SignatureKey.derive(key)
        used = (self._keys.hashes, self._keys.entries, self._keys.blocks)
        self._key_words = np.array([half for key in used for half in (key.k0, key.k1)], np.uint64)

    def __len__(self) -> int:
        return len(self._blocks) // RECORD

    def blocks(self) -> Iterator[Blocks]:
        """All blocks, a chunk at a time."""
        for first in range(0, len(self), _CHUNK):
            yield _unmasked(self._blocks, first, first + _CHUNK, self._keys.blocks)

    def find(self, words: WordHashes, least: int) -> list[Hit]:
        """Windows of documents that have at least `least` different words in common with one of the
        response, as far as they agree in a band: see `search`."""
        if not len(self):
            return []
        found = search(
            words,
            self._secret.permutations,
            self._secret.base,
            self._blocks,
            self._bands,
            number_bits(len(self)),
            np.uint64(2 * LINE),
            self._key_words,
            least,
        )
        return [Hit(*row) for row in found.tolist()]


def sound_sizes(sizes: dict[str, int]) -> bool:
    """Whether the files can be read by compiled code, which does not look where they end."""
    blocks, rest = divmod(sizes["passages"], 8 * RECORD)
    return rest == 0 and sizes["bands"] == 4 * LINE * BANDS * band_lines(blocks)
