"""Merging gram sources into one segment: sorted, packed, masked, digested.

Partitions of the hash space are sorted one after the other, so that memory is bounded by one
partition (1/256 of the grams) and a few buffers, whatever the size of the corpus.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.frequent import Surroundings, choose_places
from guardrail.indexes.gram_filter import FilterWriter
from guardrail.indexes.grams import Hashes
from guardrail.indexes.passages import Blocks, write_passages
from guardrail.indexes.runs import PARTITIONS, Entries, GramSource, Grid
from guardrail.indexes.sealed import Sealer, WordKey, Words
from guardrail.indexes.seeds import WINDOW
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

# Pieces of a file, of up to 1 MB, that wait to be hashed and written.
_PIECES_BEHIND = 4

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


class _Here(Executor):
    """Does at once what it is handed."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*given, **named))
        return future


HERE = _Here()


class DigestedFile:
    """A file that is hashed while it is written, and on disk when `close` returns. A `sink` of one
    thread does so a few pieces behind."""

    def __init__(self, path: Path, sink: Executor = HERE) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._sink = sink
        self._behind: deque[Future[None]] = deque()

    def write(self, data: bytes | NDArray[Any]) -> None:
        view = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        self._bytes += len(view)
        if len(self._behind) == _PIECES_BEHIND:
            self._behind.popleft().result()
        self._behind.append(self._sink.submit(self._put, view))

    def _put(self, view: bytes) -> None:
        self._file.write(view)
        self._digest.update(view)

    def close(self) -> tuple[int, str]:
        while self._behind:
            self._behind.popleft().result()
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
    some places are searched and the others wait in `overflow`: see `frequent`. With one thread,
    nothing is done aside.
    """
    ordinals = sum(source.ordinals for source in sources)
    bases = np.cumsum([0, *(source.ordinals for source in sources)])[:-1].tolist()
    grams_at_most = sum(
        source.size(partition) for source in sources for partition in range(PARTITIONS)
    )
    bits = bucket_bits(grams_at_most)
    hash_bits = min(known_bits, bits + REMAINDER_BITS)
    files: dict[str, tuple[int, str]] = {}

    def write_tags() -> tuple[int, str]:
        words = (words for source in sources for words in source.tags())
        return _write_masked(folder / "tags", words, key, segment_id, "tags")

    def write_marks() -> tuple[int, str]:
        words = _paired(marks for source in sources for marks in source.marks())
        return _write_masked(folder / "marks", words, key, segment_id, "marks")

    with _threads(threads if threads > 1 else 0) as pool, _threads(int(threads > 1)) as sink:
        tags, marks = pool.submit(write_tags), pool.submit(write_marks)
        table, names, blocks, groups = _documents(sources, bases, key, segment_id)
        files["names"] = _write_all(folder / "names", names)
        sealer = Sealer.derive(key, f"segment {segment_id}")
        head = {"blocks": blocks, "groups": groups, "rows": len(table)}
        documents = json.dumps(head).encode() + b"\n" + table.tobytes()
        blob = sealer.seal(documents, "documents")
        files["documents"] = _write_all(folder / "documents", [blob])
        if grid.passages:
            held = _blocks(sources)
            passages = pool.submit(write_passages, folder, segment_id, held, key, _write_arrays)
        files["tags"], files["marks"] = tags.result(), marks.result()
        surroundings = Surroundings(folder / "tags", table, grid, key, segment_id)

        def sorted_partition(partition: int) -> _Partition:
            parts = [
                source.entries(partition) + np.uint64(base)
                for source, base in zip(sources, bases, strict=True)
            ]
            entries = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
            entries.sort()
            entries, others = choose_places(entries, hash_bits, max_postings, surroundings)
            return _Partition.of(partition, entries, others, bits, hash_bits)

        grams = dropped = 0
        directory = DigestedFile(folder / "directory", sink)
        filtering = FilterWriter(grams_at_most, hash_bits)
        filters = DigestedFile(folder / "filter", sink)
        remainders = DigestedFile(folder / "remainders", sink)
        ordinal_file = DigestedFile(folder / "ordinals", sink)
        ordinal_key = WordKey.derive(key, f"ordinals {segment_id}")
        packer = OrdinalPacker(ordinal_file, ordinals, ordinal_key)
        overflow = OverflowWriter(DigestedFile(folder / "overflow", sink), key, segment_id)
        for number, part in enumerate(
            _ahead(pool, sorted_partition, range(PARTITIONS), threads + 1)
        ):
            directory.write((grams + part.ends_before).astype("<u4"))
            remainders.write(part.remainders)
            filters.write(filtering.add(part.hashes))
            packer.write(part.ordinals)
            overflow.write(part.others)
            grams += len(part.hashes)
            dropped += len(part.others)
            progress((number + 1) / PARTITIONS)
        directory.write(np.array([grams], "<u4"))
        remainders.write(np.zeros(WINDOW, "<u2"))
        filters.write(filtering.finish())
        files["directory"] = directory.close()
        files["filter"] = filters.close()
        files["remainders"] = remainders.close()
        files["ordinals"] = packer.close()
        files["overflow"] = overflow.close()
        if grid.passages:
            files |= passages.result()
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


@dataclass(frozen=True, slots=True)
class _Partition:
    """What the files hold of one partition: of each entry the remainder, the hash as far as it is
    known, and the ordinal; of each bucket how many entries of the partition come before; and the
    entries that are not searched."""

    ends_before: NDArray[np.int64]
    remainders: NDArray[np.uint16]
    hashes: Hashes
    ordinals: NDArray[np.uint32]
    others: Entries

    @classmethod
    def of(
        cls, number: int, entries: Entries, others: Entries, bits: int, hash_bits: int
    ) -> _Partition:
        buckets = 1 << (bits - 8)
        middle = entries >> np.uint64(32)
        edges = np.arange(buckets, dtype=np.uint64) << np.uint64(40 - bits)
        low = (middle << np.uint64(24 + bits)) >> np.uint64(48)
        spare = np.uint64(bits + REMAINDER_BITS - hash_bits)
        return cls(
            ends_before=np.searchsorted(middle, edges),
            remainders=((low >> spare) << spare).astype("<u2"),
            hashes=((np.uint64(number) << np.uint64(32)) | middle) << np.uint64(24),
            ordinals=entries.astype(np.uint32),
            others=others,
        )


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


class OverflowWriter:
    """Writes the entries that are not searched, masked, partition after partition, and behind them
    where each partition starts."""

    def __init__(self, file: DigestedFile, key: Key, segment_id: str) -> None:
        self._file = file
        self._key = WordKey.derive(key, f"overflow {segment_id}")
        self._starts = [0]

    def write(self, entries: Entries) -> None:
        self._put(entries)
        self._starts.append(self._starts[-1] + len(entries))

    def close(self) -> tuple[int, str]:
        self._put(np.array(self._starts, np.uint64))
        return self._file.close()

    def _put(self, words: Words) -> None:
        self._key.mask(words, self._starts[-1])
        self._file.write(words)


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """So many threads; work given to none is done at once."""
    if count == 0:
        yield HERE
        return
    with ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _ahead(
    pool: Executor, work: Callable[[int], _Partition], items: range, depth: int
) -> Iterator[_Partition]:
    """Results in order, with at most `depth` pieces of work under way or waiting."""
    source = iter(items)
    pending = deque(pool.submit(work, item) for item in islice(source, depth))
    while pending:
        yield pending.popleft().result()
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


def _blocks(sources: Sequence[GramSource]) -> Iterator[Blocks]:
    """The blocks of all sources, with rows numbered through."""
    rows = 0
    for source in sources:
        for part in source.blocks():
            yield Blocks(part.rows + np.uint32(rows), part.starts, part.words)
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
