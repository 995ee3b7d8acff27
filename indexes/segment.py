"""One immutable part of an index, as it is searched: arrays mapped from files.

Lookup of a hash: the filter turns nearly all away that the index does not have. The first
`bucket_bits` bits choose a bucket of the directory (the range of its entries), the next 16 bits are
compared with the entries' remainders. Entries that agree give ordinals, which give document and
offset. An ordinal that is found by chance is harmless: the tags, two bits at
every unit, tell how far the match really goes.
"""

from __future__ import annotations

import json
import mmap
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.errors import IndexDamagedError, IndexVersionError
from guardrail.indexes.anchors import anchor
from guardrail.indexes.chaining import LEAST, NO_RUNS, Runs, chain, find_runs
from guardrail.indexes.document_table import NAMES_BLOCK, ROW
from guardrail.indexes.extending import extend
from guardrail.indexes.grams import TAG, siphash
from guardrail.indexes.live import live_seeds, open_runs
from guardrail.indexes.matching import DEAD, Matches
from guardrail.indexes.ordinals import ordinal_bits, unpack_bits
from guardrail.indexes.passages import Passages
from guardrail.indexes.query import Query
from guardrail.indexes.runs import MARK_EVERY, PARTITIONS, DocumentRow, Entries, Grid
from guardrail.indexes.sealed import Sealer, WordKey, Words
from guardrail.indexes.search import search
from guardrail.indexes.segment_writer import SegmentInfo
from guardrail.jit import kernel
from guardrail.keys import Key

# Documents of the same collection and labels, which a policy cannot tell apart.
Group = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a match lies in the corpus: document, and code points of it."""

    document: str
    collection: str
    labels: tuple[str, ...]
    start: int
    end: int


class Segment:
    """An open segment. Thread-safe: nothing changes after construction."""

    def __init__(
        self, folder: Path, info: SegmentInfo, grid: Grid, key: Key, dead: NDArray[np.uint32]
    ) -> None:
        self.folder, self.info, self.grid = folder, info, grid
        self._sealer = Sealer.derive(key, f"segment {info.id}")
        self._directory = self._map("directory", np.uint32)
        if self._directory[-1] != info.grams or (self._directory[1:] < self._directory[:-1]).any():
            # Kernels trust it: a wrong entry would send them outside the arrays.
            raise IndexDamagedError(
                f"{folder / 'directory'} is damaged; restore it or build the index again"
            )
        self._filter = self._map("filter", np.uint64)
        self._remainders = self._map("remainders", np.uint16)
        self._ordinals = self._map("ordinals", np.uint64)
        self._tags = self._map("tags", np.uint64)
        self._marks = self._map("marks", np.uint64)
        self._names = self._map("names", np.uint8)
        self._overflow = self._map("overflow", np.uint64)
        self._overflow_key = WordKey.derive(key, f"overflow {info.id}")
        self.passages = Passages(info.id, key, self._map) if grid.passages else None
        self._mark_key = WordKey.derive(key, f"marks {info.id}")
        head, self.table = self._read_documents()
        self.groups: list[Group] = [
            (collection, tuple(labels)) for collection, labels in head["groups"]
        ]
        self._blocks = np.concatenate(([0], np.cumsum(head["blocks"], dtype=np.int64)))
        units = self.table["units"].astype(np.int64)
        # Grams and ordinals of each document; see `Grid`.
        self.counts = np.where(units < grid.gram, 0, (units - grid.gram) // grid.stride + 1)
        self.spans = np.where(units < grid.gram, 0, -(-(units - TAG + 1) // grid.stride))
        self._marked = -(-self.counts // MARK_EVERY)
        self._first_marks = np.cumsum(self._marked) - self._marked
        # Copies, of one document too: kernels are compiled for arrays that can be written to.
        self._chars = self.table["chars"].copy()
        self._starts = self.table["start"].copy()
        self._units = self.table["units"].copy()
        self.dead = np.zeros(len(self.table), np.bool_)
        self.dead[dead] = True
        groups = self.table["group"] | np.where(self.dead, np.uint32(DEAD), np.uint32(0))
        self._facts = np.ascontiguousarray(np.stack((self._units, groups), axis=1), np.uint32)
        self._ordinal_key = ordinal_key = WordKey.derive(key, f"ordinals {info.id}")
        self._tag_key = tag_key = WordKey.derive(key, f"tags {info.id}")
        width = ordinal_bits(info.ordinals)
        shape = (grid.gram, grid.stride, info.bucket_bits, info.hash_bits, width)
        words = (ordinal_key.k0, ordinal_key.k1, tag_key.k0, tag_key.k1, len(self.groups))
        self._parameters = np.array([*shape, *words], np.uint64)
        self._block = lru_cache(maxsize=64)(self._read_block)

    def _map(self, name: str, dtype: type) -> NDArray[Any]:
        path = self.folder / name
        size, _ = self.info.files[name]
        with path.open("rb") as file:
            actual = os.fstat(file.fileno()).st_size
            if actual != size:
                raise IndexDamagedError(
                    f"{path} has {actual} bytes, the manifest says {size}: the file is truncated "
                    "or belongs to another index; restore it from a backup or build the index again"
                )
            if size == 0:  # which cannot be mapped; read-only like the rest, for the kernels' sake
                return np.frombuffer(b"", dtype)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, dtype)

    def _read_documents(self) -> tuple[dict[str, Any], NDArray[Any]]:
        blob = bytes(self._map("documents", np.uint8))
        head, _, rows = self._sealer.open(blob, "documents").partition(b"\n")
        told: dict[str, Any] = json.loads(head)
        if len(rows) != told["rows"] * ROW.itemsize:
            raise IndexVersionError(
                f"{self.folder / 'documents'} was written by another version of this program; "
                "build the index again"
            )
        return told, np.frombuffer(rows, ROW)

    def match(
        self,
        query: Query,
        least: int,
        only: NDArray[np.bool_] | None = None,
    ) -> tuple[Matches, Runs]:
        """All maximal runs of at least `least` units that the response shares with a document, and
        the runs that lie close together in the corpus, chained; none where no chain is heavy
        enough. With `only`, no documents but the rows that it marks."""
        facts = self._facts
        if only is not None:
            facts = facts.copy()
            facts[~only, 1] |= np.uint32(DEAD)
        matches, runs, more = search(
            query.tags,
            query.units,
            query.hashes,
            self._parameters,
            self._filter,
            self._directory,
            self._remainders,
            self._ordinals,
            self._tags,
            self._starts,
            facts,
            least,
        )
        if len(more):
            runs = _joined(runs, more)
            if chain(runs, self.grid.gram) < 4 * LEAST:
                return matches, NO_RUNS
        return matches, runs

    def live(self, query: Query, known: int) -> list[tuple[int, int]]:
        """First units and rows of what may become a copy with what follows, where all runs that
        begin before unit `known` are known: see `open_runs`."""
        tables = (self._filter, self._directory, self._remainders, self._ordinals, self._tags)
        seeds = live_seeds(query.tags, query.hashes, self._parameters, *tables)
        if not len(seeds):
            return []
        fixed = (query.tags, query.units, self._parameters, self._tags, self._starts, self._facts)
        runs = find_runs(seeds, *fixed)
        more = extend(runs, *fixed)
        if len(more):
            runs = _joined(runs, more)
        return [(first, row) for first, row in open_runs(runs, known).tolist()]

    def place(self, row: int, start: int, units: int) -> Place:
        """The place of `units` canonical units from unit `start` of document number `row`.

        Code points are interpolated between marks 8 grams apart: exact there, and in between as
        exact as the text is even.
        """
        identifier, offset = self._block(row // NAMES_BLOCK)[row % NAMES_BLOCK]
        collection, labels = self.groups[self.group_of(row)]
        step = self.grid.stride * MARK_EVERY
        length, chars, marks = int(self._units[row]), int(self._chars[row]), int(self._marked[row])
        first = int(self._first_marks[row])
        key = self._mark_key
        low, high = raw_range(
            self._marks, first, marks, start, start + units, step, length, chars, key.k0, key.k1
        )
        return Place(identifier, collection, labels, offset + int(low), offset + int(high))

    def anchor(self, matches: Matches, query: Query, most: int) -> None:
        """Move the starts of matches to where they begin for certain, in place: see `anchors`."""
        tables = (self._directory, self._remainders, self._ordinals, self._starts)
        anchor(matches, query.hashes, self._parameters, *tables, most)

    def groups_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """`group_of` for several."""
        numbers: NDArray[np.int64] = self._facts[rows, 1].astype(np.int64) & (DEAD - 1)
        return numbers

    def group_of(self, row: int) -> int:
        """The number of the group (collection and labels) of document number `row`."""
        return int(self._facts[row, 1]) & (DEAD - 1)

    def rows(self, ordinals: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The numbers of the documents that grams belong to."""
        return np.searchsorted(self._starts, ordinals.astype(np.uint32), side="right") - 1

    def document(self, row: int) -> DocumentRow:
        """What the table says of document number `row`."""
        identifier, offset = self._block(row // NAMES_BLOCK)[row % NAMES_BLOCK]
        collection, labels = self.groups[int(self.table["group"][row])]
        _, units, chars, _, key = (int(value) for value in self.table[row])
        return DocumentRow(
            identifier, collection, labels, offset, int(self._starts[row]), units, chars, key
        )

    def _read_block(self, block: int) -> list[tuple[str, int]]:
        blob = bytes(self._names[self._blocks[block] : self._blocks[block + 1]])
        rows: list[tuple[str, int]] = json.loads(self._sealer.open(blob, f"names {block}"))
        return rows

    def marks(self, row: int, count: int) -> NDArray[np.uint32]:
        """All marks of document number `row`."""
        first = int(self._first_marks[row])
        words = self._marks[first // 2 : (first + count + 1) // 2].copy()
        self._mark_key.mask(words, first // 2)
        marks: NDArray[np.uint32] = words.view(np.uint32)[first % 2 : first % 2 + count]
        return marks

    def tag_words(self, start: int, count: int) -> tuple[Words, int]:
        """The unmasked words that hold the tags of `count` ordinals from `start`, and how many
        tags of the first word come before."""
        first, last = start * self.grid.stride, (start + count) * self.grid.stride
        words = self._tags[first // 32 : -(-last // 32)].copy()
        self._tag_key.mask(words, first // 32)
        return words, first % 32

    def size(self, partition: int) -> int:
        """How many entries one of `PARTITIONS` has, searched or not."""
        buckets = (1 << self.info.bucket_bits) // PARTITIONS
        edges = self._directory[partition * buckets :: buckets][:2]
        first, last = self._overflow_range(partition)
        return int(edges[1]) - int(edges[0]) + last - first

    def overflow(self, partition: int) -> Entries:
        """The entries of one of `PARTITIONS` that are not searched, as runs hold them."""
        return self._overflow_words(*self._overflow_range(partition))

    def _overflow_range(self, partition: int) -> tuple[int, int]:
        place = self.info.dropped_postings + partition
        first, last = self._overflow_words(place, place + 2).tolist()
        if not first <= last <= self.info.dropped_postings:
            raise IndexDamagedError(
                f"{self.folder / 'overflow'} is damaged; restore it or build the index again"
            )
        return first, last

    def _overflow_words(self, first: int, last: int) -> Words:
        words = self._overflow[first:last].copy()
        self._overflow_key.mask(words, first)
        return words

    def entries(self, partition: int, partitions: int) -> tuple[Words, Words]:
        """Of each entry of a partition that is searched: bits 8 to 40 of the hash, as far as known;
        the ordinal."""
        bits = self.info.bucket_bits
        buckets = (1 << bits) // partitions
        edges = self._directory[partition * buckets : (partition + 1) * buckets + 1]
        first, last = int(edges[0]), int(edges[-1])
        bucket = np.repeat(np.arange(buckets, dtype=np.uint64), np.diff(edges).astype(np.int64))
        remainders = self._remainders[first:last].astype(np.uint64)
        middle = (bucket << np.uint64(40 - bits)) | (remainders << np.uint64(24 - bits))
        width = ordinal_bits(self.info.ordinals)
        word = first * width // 64
        words = self._ordinals[word : last * width // 64 + 1].copy()
        self._ordinal_key.mask(words, word)
        return middle, unpack_bits(words, first * width - word * 64, width, last - first)


def _joined(runs: Runs, more: Runs) -> Runs:
    """All of them in the order of the corpus."""
    runs = np.concatenate((runs, more))
    return np.ascontiguousarray(runs[np.lexsort((runs[:, 0], runs[:, 3], runs[:, 2]))])


@kernel()
def raw_range(
    marks: Words,
    first: int,
    count: int,
    start: int,
    end: int,
    step: int,
    units: int,
    chars: int,
    k0: np.uint64,
    k1: np.uint64,
) -> tuple[np.int64, np.int64]:
    """The code points of units start..end of a document of `units` units and `chars` code points,
    whose `count` marks, one every `step` units, begin with mark number `first`."""
    low = high = np.int64(0)
    for edge in range(2):
        unit = start if edge == 0 else end - 1
        mark = min(unit // step, count - 1)
        place = first + mark
        word = marks[place >> 1] ^ siphash(np.uint64(place >> 1), k0, k1)
        before = np.int64((word >> np.uint64(32 * (place & 1))) & np.uint64(0xFFFFFFFF))
        after, length = np.int64(chars), units - mark * step
        if mark + 1 < count:
            place += 1
            word = marks[place >> 1] ^ siphash(np.uint64(place >> 1), k0, k1)
            after = np.int64((word >> np.uint64(32 * (place & 1))) & np.uint64(0xFFFFFFFF))
            length = step
        point = before + (unit - mark * step) * (after - before) // max(1, length)
        if edge == 0:
            low = point
        else:
            high = point + 1
    return low, high
