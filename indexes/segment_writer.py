"""Merging gram sources into one segment: sorted, packed, masked, digested.

Partitions of the hash space are sorted one after the other, so that memory is bounded by one
partition (1/256 of the grams) and a few buffers, whatever the size of the corpus.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.gram_filter import FilterWriter
from guardrail.indexes.matching import WINDOW
from guardrail.indexes.passages import Windows, write_passages
from guardrail.indexes.runs import PARTITIONS, Entries, GramSource, Grid
from guardrail.indexes.sealed import Sealer, WordKey, Words
from guardrail.jit import kernel
from guardrail.keys import Key

# Entries a bucket of the directory holds on average; at 4 bytes a bucket, 1/8 byte an entry.
BUCKET_ENTRIES = 32
MIN_BUCKET_BITS, MAX_BUCKET_BITS = 16, 24
REMAINDER_BITS = 16
NAMES_BLOCK = 256
_ROW = np.dtype(
    [("start", "<u4"), ("units", "<u4"), ("chars", "<u4"), ("group", "<u4"), ("key", "<u8")]
)

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What a manifest says of a segment. `files` maps a name to its size and SHA-256 digest."""

    id: str
    grams: int
    ordinals: int
    documents: int
    units: int
    chars: int
    bucket_bits: int
    hash_bits: int
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    dropped_postings: int = 0


class DigestedFile:
    """A file that is hashed while it is written, and on disk when `close` returns."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, data: bytes | NDArray[Any]) -> None:
        view = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        self._file.write(view)
        self._digest.update(view)
        self._bytes += len(view)

    def close(self) -> tuple[int, str]:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._bytes, self._digest.hexdigest()


def bucket_bits(grams: int) -> int:
    """How many leading hash bits choose a bucket, for a segment of so many grams."""
    bits = max(1, grams // BUCKET_ENTRIES).bit_length()
    return min(MAX_BUCKET_BITS, max(MIN_BUCKET_BITS, bits))


def write_segment(
    folder: Path,
    segment_id: str,
    sources: Sequence[GramSource],
    *,
    grid: Grid,
    key: Key,
    max_postings: int,
    known_bits: int = 64,
    threads: int = 1,
    progress: Progress = lambda share: None,
) -> SegmentInfo:
    """Write a segment's files into `folder` (which exists and is empty).

    `known_bits` is how many leading bits of each hash the sources still know. Of the grams that
    occur more than `max_postings` times in one group of documents (same collection and labels),
    the first ones stay.
    """
    ordinals = sum(source.ordinals for source in sources)
    bases = np.cumsum([0, *(source.ordinals for source in sources)])[:-1].tolist()
    grams_at_most = sum(
        source.size(partition) for source in sources for partition in range(PARTITIONS)
    )
    bits = bucket_bits(grams_at_most)
    hash_bits = min(known_bits, bits + REMAINDER_BITS)
    files: dict[str, tuple[int, str]] = {}

    table, names, blocks, groups = _documents(sources, bases, key, segment_id)
    files["names"] = _write_all(folder / "names", names)
    sealer = Sealer.derive(key, f"segment {segment_id}")
    head = {"blocks": blocks, "groups": groups, "rows": len(table)}
    documents = json.dumps(head).encode() + b"\n" + table.tobytes()
    files["documents"] = _write_all(folder / "documents", [sealer.seal(documents, "documents")])

    files["tags"] = _write_masked(
        folder / "tags", (words for s in sources for words in s.tags()), key, segment_id, "tags"
    )
    files["marks"] = _write_masked(
        folder / "marks", _paired(m for s in sources for m in s.marks()), key, segment_id, "marks"
    )

    if grid.passages:
        files |= write_passages(folder, segment_id, _windows(sources), key, _write_arrays)

    def sorted_partition(partition: int) -> tuple[Entries, int]:
        parts = [
            source.entries(partition) + np.uint64(base)
            for source, base in zip(sources, bases, strict=True)
        ]
        entries = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
        entries.sort()
        return cap_postings(entries, hash_bits, max_postings, table)

    grams = dropped = 0
    directory = DigestedFile(folder / "directory")
    filtering = FilterWriter(grams_at_most, hash_bits)
    filters = DigestedFile(folder / "filter")
    remainders = DigestedFile(folder / "remainders")
    packer = OrdinalPacker(
        folder / "ordinals", ordinals, WordKey.derive(key, f"ordinals {segment_id}")
    )
    buckets = 1 << (bits - 8)
    with ThreadPoolExecutor(threads) as pool:
        ahead = _ahead(pool, sorted_partition, range(PARTITIONS), threads + 1)
        for partition, (entries, lost) in enumerate(ahead):
            middle = entries >> np.uint64(32)
            counts = np.bincount(
                (middle >> np.uint64(40 - bits)).astype(np.int64), minlength=buckets
            )
            ends = grams + np.cumsum(counts)
            directory.write(np.concatenate(([grams], ends[:-1])).astype("<u4"))
            low = (middle << np.uint64(24 + bits)) >> np.uint64(48)
            spare = bits + REMAINDER_BITS - hash_bits
            remainders.write(((low >> np.uint64(spare)) << np.uint64(spare)).astype("<u2"))
            prefixes = (np.uint64(partition) << np.uint64(32)) | middle
            filters.write(filtering.add(prefixes << np.uint64(24)))
            packer.write(entries.astype(np.uint32))
            grams += len(entries)
            dropped += lost
            progress((partition + 1) / PARTITIONS)
    directory.write(np.array([grams], "<u4"))
    remainders.write(np.zeros(WINDOW, "<u2"))
    filters.write(filtering.finish())
    files["directory"] = directory.close()
    files["filter"] = filters.close()
    files["remainders"] = remainders.close()
    files["ordinals"] = packer.close()
    return SegmentInfo(
        id=segment_id,
        grams=grams,
        ordinals=ordinals,
        documents=len(table),
        units=int(table["units"].sum(dtype=np.int64)),
        chars=int(table["chars"].sum(dtype=np.int64)),
        bucket_bits=bits,
        hash_bits=hash_bits,
        files=files,
        dropped_postings=dropped,
    )


def cap_postings(
    entries: Entries, hash_bits: int, max_postings: int, table: NDArray[Any]
) -> tuple[Entries, int]:
    """Sorted entries without those past the first `max_postings` of one gram and one group."""
    if len(entries) <= max_postings:
        return entries, 0
    grams = entries >> np.uint64(32 + 40 - min(40, hash_bits))
    edges = np.flatnonzero(grams[1:] != grams[:-1]) + 1
    firsts = np.concatenate(([0], edges))
    counts = np.diff(np.concatenate((firsts, [len(entries)])))
    if counts.max() <= max_postings:
        return entries, 0
    rows = np.flatnonzero(np.repeat(counts > max_postings, counts))
    ordinals = (entries[rows] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    groups = table["group"][np.searchsorted(table["start"], ordinals, side="right") - 1]
    order = np.lexsort((ordinals, groups, grams[rows]))
    kinds = np.stack((grams[rows][order], groups[order].astype(np.uint64)))
    fresh = np.concatenate(([True], (kinds[:, 1:] != kinds[:, :-1]).any(axis=0)))
    places = np.arange(len(rows))
    rank = places - np.maximum.accumulate(np.where(fresh, places, 0))
    keep = np.ones(len(entries), bool)
    keep[rows[order[rank >= max_postings]]] = False
    return entries[keep], int(len(entries) - keep.sum())


class OrdinalPacker:
    """Writes ordinals with as few bits as the largest needs, masked, 64 of them a block."""

    def __init__(self, path: Path, ordinals: int, key: WordKey) -> None:
        self.bits = ordinal_bits(ordinals)
        self._file = DigestedFile(path)
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


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[int], tuple[Entries, int]],
    items: range,
    depth: int,
) -> Iterator[tuple[Entries, int]]:
    """Results in order, with at most `depth` pieces of work under way or waiting."""
    source = iter(items)
    pending: list[Future[tuple[Entries, int]]] = [
        pool.submit(work, item) for item in islice(source, depth)
    ]
    while pending:
        yield pending.pop(0).result()
        pending += [pool.submit(work, item) for item in islice(source, 1)]


def _documents(
    sources: Sequence[GramSource], bases: Sequence[int], key: Key, segment_id: str
) -> tuple[NDArray[Any], list[bytes], list[int], list[tuple[str, tuple[str, ...]]]]:
    """The document table, its sealed blocks of names with their sizes, and the groups."""
    sealer = Sealer.derive(key, f"segment {segment_id}")
    rows: list[tuple[int, int, int, int, int]] = []
    parts: list[NDArray[Any]] = []
    block: list[tuple[str, int]] = []
    blobs: list[bytes] = []
    groups: dict[tuple[str, tuple[str, ...]], int] = {}

    def close_block() -> None:
        if block:
            blobs.append(sealer.seal(json.dumps(block).encode(), f"names {len(blobs)}"))
            block.clear()

    for source, base in zip(sources, bases, strict=True):
        for row in source.documents():
            group = groups.setdefault((row.collection, row.labels), len(groups))
            rows.append((row.start + base, row.units, row.chars, group, row.key))
            block.append((row.id, row.offset))
            if len(block) == NAMES_BLOCK:
                close_block()
        parts.append(np.array(rows, _ROW))
        rows.clear()
    close_block()
    table = np.concatenate(parts) if parts else np.zeros(0, _ROW)
    return table, blobs, [len(blob) for blob in blobs], list(groups)


def _write_all(path: Path, blobs: Sequence[bytes]) -> tuple[int, str]:
    file = DigestedFile(path)
    for blob in blobs:
        file.write(np.frombuffer(blob, np.uint8))
    return file.close()


def _write_arrays(path: Path, chunks: Iterator[NDArray[Any]]) -> tuple[int, str]:
    file = DigestedFile(path)
    for chunk in chunks:
        file.write(chunk)
    return file.close()


def _windows(sources: Sequence[GramSource]) -> Iterator[Windows]:
    """The windows of all sources, with rows numbered through."""
    rows = 0
    for source in sources:
        for part in source.windows():
            yield Windows(part.rows + np.uint32(rows), part.starts, part.signatures)
        rows += sum(1 for _ in source.documents())


def _write_masked(
    path: Path, chunks: Iterator[Words], key: Key, segment_id: str, name: str
) -> tuple[int, str]:
    word_key = WordKey.derive(key, f"{name} {segment_id}")
    file, position = DigestedFile(path), 0
    for words in chunks:
        word_key.mask(words, position)
        file.write(words)
        position += len(words)
    return file.close()


def _paired(chunks: Iterator[NDArray[np.uint32]]) -> Iterator[Words]:
    """Marks, two a word; an odd last one is padded."""
    rest = np.zeros(0, np.uint32)
    for chunk in chunks:
        chunk = np.concatenate((rest, chunk))
        even = len(chunk) // 2 * 2
        rest = chunk[even:]
        if even:
            yield np.array(chunk[:even], "<u4").view(np.uint64)
    if len(rest):
        yield np.array([rest[0], 0], "<u4").view(np.uint64)
