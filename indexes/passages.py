"""Passages: signatures of all windows of the documents of a segment, found by bands of equal bytes.

Three files of a segment, all mapped and none turned into objects: `passages` (of each window its
place and its signature), `bands` (for each of `BANDS` groups of `ROWS` signature bytes, the windows
in the order of the keyed hashes of those bytes) and `band-directory` (where the buckets of each
band begin). A window is a candidate where it agrees with one of the response in all bytes of a
band; how alike the two are is estimated from all bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import siphash
from guardrail.indexes.sealed import WordKey, Words
from guardrail.indexes.signatures import (
    PERMUTATIONS,
    STEP_WORDS,
    SignatureKey,
    Signatures,
    long_words,
    signatures,
    window_minima,
)
from guardrail.jit import grown, kernel
from guardrail.keys import Key
from guardrail.text import CanonicalText

FILES = frozenset({"passages", "bands", "band-directory"})
# What datasketch's MinHashLSH chooses for 64 permutations and a similarity of 0.3.
BANDS, ROWS = 21, 3
# Windows kept of those that agree in a band: boilerplate would make a search slow without bound.
MOST_IN_BAND = 16
MOST_HITS = 64
BUCKET_ENTRIES = 4
WINDOW_BYTES = 8 + PERMUTATIONS
_WINDOW_WORDS = WINDOW_BYTES // 8
_CHUNK = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of documents: row of the document table and first unit, uint32 of shape (n,) each,
    and signatures, uint8 of shape (n, PERMUTATIONS)."""

    rows: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    signatures: Signatures

    def pack(self) -> Words:
        """As words, `_WINDOW_WORDS` a window."""
        places = (self.rows.astype(np.uint64) << np.uint64(32)) | self.starts
        packed = np.empty((len(places), _WINDOW_WORDS), np.uint64)
        packed[:, 0] = places
        packed[:, 1:] = np.ascontiguousarray(self.signatures).view("<u8")
        return packed.reshape(-1)

    @classmethod
    def unpack(cls, words: Words) -> Windows:
        packed = words.reshape(-1, _WINDOW_WORDS)
        places = packed[:, 0]
        bytes_ = np.ascontiguousarray(packed[:, 1:]).view(np.uint8)
        rows = (places >> np.uint64(32)).astype(np.uint32)
        return cls(rows, places.astype(np.uint32), bytes_)


def document_windows(text: CanonicalText, row: int, key: SignatureKey) -> Windows:
    """The windows of one document."""
    words = long_words(text, key)
    marks = signatures(window_minima(words.hashes, STEP_WORDS, key))
    starts = words.firsts[: len(marks) * STEP_WORDS : STEP_WORDS]
    return Windows(np.full(len(marks), row, np.uint32), starts, marks)


def write_passages(
    folder: Path,
    segment_id: str,
    parts: Iterable[Windows],
    key: Key,
    write: Callable[[Path, Iterator[NDArray[Any]]], tuple[int, str]],
) -> dict[str, tuple[int, str]]:
    """Write the files of a segment's passages; `write` makes a file of arrays and returns its size
    and digest. Memory: 8 bytes a window, and a chunk."""
    window_key = WordKey.derive(key, f"passages {segment_id}")

    def masked() -> Iterator[Words]:
        position = 0
        for part in parts:
            for first in range(0, len(part.rows), _CHUNK):
                last = first + _CHUNK
                chunk = Windows(
                    part.rows[first:last], part.starts[first:last], part.signatures[first:last]
                )
                words = chunk.pack()
                window_key.mask(words, position)
                position += len(words)
                yield words

    files = {"passages": write(folder / "passages", masked())}
    count = files["passages"][0] // WINDOW_BYTES
    windows = np.memmap(folder / "passages", np.uint64, "r") if count else np.zeros(0, np.uint64)
    shape = BandShape.of(count)
    band_key = WordKey.derive(key, f"band hash {segment_id}")
    directory = np.zeros((BANDS << shape.bucket_bits) + 1, np.uint32)

    def bands() -> Iterator[NDArray[np.uint32]]:
        total = 0
        for band in range(BANDS):
            entries = np.empty(count, np.uint64)
            for first in range(0, count, _CHUNK):
                last = min(first + _CHUNK, count)
                words = np.array(windows[first * _WINDOW_WORDS : last * _WINDOW_WORDS])
                window_key.mask(words, first * _WINDOW_WORDS)
                entries[first:last] = _entries(
                    Windows.unpack(words).signatures,
                    band,
                    first,
                    shape.ordinal_bits,
                    band_key.k0,
                    band_key.k1,
                )
            entries.sort()
            entries = _capped(entries, shape.ordinal_bits)
            buckets = (entries >> np.uint64(64 - shape.bucket_bits)).astype(np.int64)
            counts = np.bincount(buckets, minlength=1 << shape.bucket_bits)
            begin = band << shape.bucket_bits
            directory[begin + 1 : begin + len(counts) + 1] = total + np.cumsum(counts)
            total += len(entries)
            yield shape.stored(entries)

    files["bands"] = write(folder / "bands", _masked_pairs(bands(), key, segment_id))
    files["band-directory"] = write(folder / "band-directory", iter([directory]))
    return files


@dataclass(frozen=True, slots=True)
class BandShape:
    """How the entries of bands are packed: of 32 bits, `ordinal_bits` are the window's number and
    the others part of its hash, after the `bucket_bits` that choose the bucket."""

    ordinal_bits: int
    bucket_bits: int

    @classmethod
    def of(cls, windows: int) -> BandShape:
        buckets = max(2, windows // BUCKET_ENTRIES)
        return cls(max(1, (windows - 1).bit_length()), min(24, (buckets - 1).bit_length()))

    def stored(self, entries: Words) -> NDArray[np.uint32]:
        """Hashes with the window's number in their lowest bits, as they are stored."""
        ordinals = entries & np.uint64((1 << self.ordinal_bits) - 1)
        check = (entries << np.uint64(self.bucket_bits)) >> np.uint64(32 + self.ordinal_bits)
        return ((check << np.uint64(self.ordinal_bits)) | ordinals).astype(np.uint32)


def _capped(entries: Words, ordinal_bits: int) -> Words:
    """Sorted entries without those past the first `MOST_IN_BAND` of one hash."""
    hashes = entries >> np.uint64(ordinal_bits)
    if len(hashes) <= MOST_IN_BAND:
        return entries
    keep = np.ones(len(hashes), bool)
    keep[MOST_IN_BAND:] = hashes[MOST_IN_BAND:] != hashes[:-MOST_IN_BAND]
    return entries[keep]


def _masked_pairs(
    chunks: Iterator[NDArray[np.uint32]], key: Key, segment_id: str
) -> Iterator[Words]:
    """Entries, two a word, masked; an odd last one is padded."""
    word_key = WordKey.derive(key, f"bands {segment_id}")
    position, rest = 0, np.zeros(0, np.uint32)
    for chunk in chunks:
        chunk = np.concatenate((rest, chunk))
        even = len(chunk) // 2 * 2
        rest = chunk[even:]
        words = np.array(chunk[:even], "<u4").view(np.uint64)
        word_key.mask(words, position)
        position += len(words)
        yield words
    if len(rest):
        words = np.array([rest[0], 0], "<u4").view(np.uint64)
        word_key.mask(words, position)
        yield words


@kernel()
def _entries(
    marks: Signatures, band: int, first: int, ordinal_bits: int, k0: np.uint64, k1: np.uint64
) -> Words:
    entries = np.empty(len(marks), np.uint64)
    for index in range(len(marks)):
        hashed = _band_hash(marks[index], band, k0, k1)
        place = np.uint64(first + index)
        entries[index] = ((hashed >> np.uint64(ordinal_bits)) << np.uint64(ordinal_bits)) | place
    return entries


@kernel(inline=True)
def _band_hash(mark: NDArray[np.uint8], band: int, k0: np.uint64, k1: np.uint64) -> np.uint64:
    message = np.uint64(band)
    for turn in range(ROWS):
        message = (message << np.uint64(8)) | np.uint64(mark[band * ROWS + turn])
    return siphash(message, k0, k1)


@dataclass(frozen=True, slots=True)
class Hit:
    """A window of a response and one of a document that are alike. `equal` is the number of equal
    signature bytes; `shared` that of different words seen in both; `first` and `last` are the first
    and the last of these, by number among the response's long words."""

    row: int
    start: int
    equal: int
    shared: int
    first: int
    last: int

    @property
    def similarity(self) -> float:
        """The Jaccard similarity that so many equal bytes speak for; 1 byte in 256 is by chance."""
        return max(0.0, (self.equal / PERMUTATIONS - 1 / 256) / (1 - 1 / 256))


class Passages:
    """The passages of an open segment. Thread-safe: nothing changes after construction."""

    def __init__(
        self, segment_id: str, key: Key, map_file: Callable[[str, type], NDArray[Any]]
    ) -> None:
        """`map_file` maps a file of the segment, by name and type of its items."""
        self._windows: Words = map_file("passages", np.uint64)
        self._bands: Words = map_file("bands", np.uint64)
        self._directory: NDArray[np.uint32] = map_file("band-directory", np.uint32)
        self._window_key = WordKey.derive(key, f"passages {segment_id}")
        band, entry, window = (
            WordKey.derive(key, f"band hash {segment_id}"),
            WordKey.derive(key, f"bands {segment_id}"),
            self._window_key,
        )
        self._keys = np.array(
            [band.k0, band.k1, entry.k0, entry.k1, window.k0, window.k1], np.uint64
        )
        self._shape = BandShape.of(len(self))

    def __len__(self) -> int:
        return len(self._windows) // _WINDOW_WORDS

    def windows(self) -> Iterator[Windows]:
        """All windows, a chunk at a time."""
        for first in range(0, len(self._windows), _CHUNK * _WINDOW_WORDS):
            words = self._windows[first : first + _CHUNK * _WINDOW_WORDS].copy()
            self._window_key.mask(words, first)
            yield Windows.unpack(words)

    def find(self, minima: Words, least: int) -> list[Hit]:
        """Windows of documents that have at least `least` signature bytes in common with one of the
        response, as far as they agree in a band; at most `MOST_HITS` for each."""
        if not len(self):
            return []
        found = _find(
            signatures(minima),
            minima.astype(np.uint32),
            self._windows,
            self._bands,
            self._directory,
            self._shape.ordinal_bits,
            self._shape.bucket_bits,
            self._keys,
            least,
        )
        return [Hit(*row) for row in found.tolist()]


def sound_sizes(sizes: dict[str, int]) -> bool:
    """Whether the files can be read by compiled code, which does not look where they end."""
    windows, rest = divmod(sizes["passages"], WINDOW_BYTES)
    directory = 4 * ((BANDS << BandShape.of(windows).bucket_bits) + 1)
    return rest == 0 and sizes["bands"] % 8 == 0 and sizes["band-directory"] == directory


@kernel()
def _find(
    marks: Signatures,
    words: NDArray[np.uint32],
    windows: Words,
    bands: Words,
    directory: NDArray[np.uint32],
    ordinal_bits: int,
    bucket_bits: int,
    keys: Words,
    least: int,
) -> NDArray[np.int64]:
    count = len(windows) // _WINDOW_WORDS
    entries = 2 * len(bands)
    hits = np.empty((64, 6), np.int64)
    found = 0
    numbers = np.empty(MOST_HITS, np.int64)
    shared = np.empty(PERMUTATIONS, np.uint32)
    checks = np.empty(BANDS, np.uint64)
    edges = np.empty((BANDS, 2), np.int64)
    for window in range(len(marks)):
        seen = 0
        # All edges first: reads that do not wait for one another take a fraction of the time.
        for band in range(BANDS):
            hashed = _band_hash(marks[window], band, keys[0], keys[1])
            bucket = (band << bucket_bits) + np.int64(hashed >> np.uint64(64 - bucket_bits))
            checks[band] = (hashed << np.uint64(bucket_bits)) >> np.uint64(32 + ordinal_bits)
            edges[band, 0], edges[band, 1] = directory[bucket], directory[bucket + 1]
        for band in range(BANDS):
            check = checks[band]
            # A damaged directory may say anything.
            begin, last = int(edges[band, 0]), min(int(edges[band, 1]), entries)
            pair = np.uint64(0)
            for place in range(begin, last):
                if place == begin or place & 1 == 0:
                    pair = bands[place >> 1] ^ siphash(np.uint64(place >> 1), keys[2], keys[3])
                entry = (pair >> np.uint64(32 * (place & 1))) & np.uint64(0xFFFFFFFF)
                number = np.int64(
                    entry & ((np.uint64(1) << np.uint64(ordinal_bits)) - np.uint64(1))
                )
                if entry >> np.uint64(ordinal_bits) != check or number >= count:
                    continue
                known = seen == MOST_HITS
                for earlier in range(seen):
                    known = known or numbers[earlier] == number
                if known:
                    continue
                equal, different, low, high = 0, 0, np.int64(1 << 32), np.int64(-1)
                at = number * _WINDOW_WORDS
                for turn in range(PERMUTATIONS):
                    if turn & 7 == 0:
                        place_of = at + 1 + (turn >> 3)
                        word = windows[place_of] ^ siphash(np.uint64(place_of), keys[4], keys[5])
                    if np.uint8(word >> np.uint64(8 * (turn & 7))) != marks[window, turn]:
                        continue
                    equal += 1
                    index = words[window, turn]
                    low, high = min(low, np.int64(index)), max(high, np.int64(index))
                    fresh = True
                    for earlier in range(different):
                        fresh = fresh and shared[earlier] != index
                    if fresh:
                        shared[different] = index
                        different += 1
                if equal < least:
                    continue
                numbers[seen] = number
                seen += 1
                if found == len(hits):
                    hits = grown(hits)
                where = windows[at] ^ siphash(np.uint64(at), keys[4], keys[5])
                hits[found, 0] = np.int64(where >> np.uint64(32))
                hits[found, 1] = np.int64(where & np.uint64(0xFFFFFFFF))
                hits[found, 2] = equal
                hits[found, 3] = different
                hits[found, 4] = low
                hits[found, 5] = high
                found += 1
    return hits[:found]
