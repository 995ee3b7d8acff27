"""Merging gram sources into one segment: sorted, packed, masked, digested.

Partitions of the hash space are sorted one after the other, so that memory is bounded by one
partition (1/256 of the grams) and a few buffers, whatever the size of the corpus.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.digested_file import HERE, DigestedFile, write_file
from guardrail.indexes.document_table import document_table
from guardrail.indexes.frequent import Surroundings, choose_places
from guardrail.indexes.gram_filter import FilterWriter
from guardrail.indexes.grams import Hashes
from guardrail.indexes.ordinals import OrdinalPacker
from guardrail.indexes.passages import Blocks, write_passages
from guardrail.indexes.runs import PARTITIONS, Entries, GramSource, Grid
from guardrail.indexes.sealed import Sealer, WordKey, Words
from guardrail.indexes.seeds import WINDOW
from guardrail.keys import Key

# Entries a bucket of the directory holds on average; at 4 bytes a bucket, 1/8 byte an entry.
BUCKET_ENTRIES = 32
MIN_BUCKET_BITS, MAX_BUCKET_BITS = 16, 24
REMAINDER_BITS = 16

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
        return write_file(folder / "tags", _masked(words, key, f"tags {segment_id}"))

    def write_marks() -> tuple[int, str]:
        words = _paired(marks for source in sources for marks in source.marks())
        return write_file(folder / "marks", _masked(words, key, f"marks {segment_id}"))

    with _threads(threads if threads > 1 else 0) as pool, _threads(int(threads > 1)) as sink:
        tags, marks = pool.submit(write_tags), pool.submit(write_marks)
        table, names, blocks, groups = document_table(sources, bases, key, segment_id)
        files["names"] = write_file(folder / "names", names)
        sealer = Sealer.derive(key, f"segment {segment_id}")
        head = {"blocks": blocks, "groups": groups, "rows": len(table)}
        documents = json.dumps(head).encode() + b"\n" + table.tobytes()
        blob = sealer.seal(documents, "documents")
        files["documents"] = write_file(folder / "documents", [blob])
        if grid.passages:
            held = _blocks(sources)
            passages = pool.submit(write_passages, folder, segment_id, held, key, write_file)
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


def _blocks(sources: Sequence[GramSource]) -> Iterator[Blocks]:
    """The blocks of all sources, with rows numbered through."""
    rows = 0
    for source in sources:
        for part in source.blocks():
            yield Blocks(part.rows + np.uint32(rows), part.starts, part.words)
        rows += sum(1 for _ in source.documents())


def _masked(chunks: Iterator[Words], key: Key, name: str) -> Iterator[Words]:
    word_key, position = WordKey.derive(key, name), 0
    for words in chunks:
        word_key.mask(words, position)
        yield words
        position += len(words)


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
