"""Runs: the grams of some documents, spilled to disk between reading a corpus and merging it.

A run numbers its documents and grams from zero. Grams are partitioned by the first 8 bits of their
hash; an entry packs the next 32 bits and the gram's ordinal into one word, so that sorting an entry
list is sorting integers.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.documents import Document
from guardrail.indexes.grams import GramKey, Hashes, hash_grams, roll_grams, tag_of
from guardrail.indexes.sealed import Sealer, WordKey, Words
from guardrail.jit import kernel
from guardrail.keys import Key, fingerprint
from guardrail.text import Offsets, canonical_units

PARTITIONS = 256
# Ordinals of a run are padded to this, so that its tags (2 bits a unit) fill whole words.
ALIGNMENT = 32
# Grams between two marks of raw offsets: 0.5 byte a gram.
MARK_EVERY = 8
# 2 M grams are about 32 MB of text at stride 12: 16 MB of hashes and 12 MB of tags in memory.
RUN_GRAMS = 1 << 21

Entries = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Which grams an index stores: `gram` units long, starting at every `stride`-th unit.

    Any shared run of `bound` units is found, whatever its alignment.
    """

    gram: int
    stride: int

    @property
    def bound(self) -> int:
        return self.gram + self.stride - 1

    def count(self, units: int) -> int:
        """How many grams a document of so many units has."""
        return (units - self.gram) // self.stride + 1 if units >= self.gram else 0


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """What the document table says of a document: its name, size, and place among the grams.

    `start` is the ordinal of its first gram; `units` its canonical length; `chars` its length in
    code points; `offset` where it starts in the whole document when it is a piece of one.
    """

    id: str
    collection: str
    labels: tuple[str, ...]
    offset: int
    start: int
    units: int
    chars: int
    key: int


_FIELDS = tuple(field.name for field in fields(DocumentRow))


class GramSource(Protocol):
    """Where a segment's content comes from: a run, or the living part of an older segment."""

    ordinals: int

    def entries(self, partition: int) -> Entries: ...
    def tags(self) -> Iterator[Words]: ...
    def marks(self) -> Iterator[NDArray[np.uint32]]: ...
    def documents(self) -> Iterator[DocumentRow]: ...


def document_key(key: Key, collection: str, document: str) -> int:
    """A keyed hash that finds a document by name in a table that holds no names."""
    name = json.dumps([collection, document]).encode()
    return fingerprint(key, "document", name)


class RunWriter:
    """Collects documents in memory and writes a run whenever they fill one."""

    def __init__(self, folder: Path, name: str, grid: Grid, key: Key) -> None:
        self.folder = folder
        self.name = name
        self.grid = grid
        self.key = key
        self.written: list[str] = []
        self._gram_key = GramKey.derive(key)
        self._sealer = Sealer.derive(key, "run")
        self._reset()

    def _reset(self) -> None:
        self._hashes: list[Hashes] = []
        self._tags = np.zeros(0, np.uint64)
        self._marks: list[NDArray[np.uint32]] = []
        self._rows: list[DocumentRow] = []
        self._ordinals = 0

    def add(self, document: Document) -> int:
        """Take a document in; returns its canonical length in units."""
        units, offsets = canonical_units(document.text)
        rolled = roll_grams(units, self.grid.gram, self._gram_key)
        count = self.grid.count(len(units))
        stride = self.grid.stride
        if count:
            self._reserve(self._ordinals + count)
            write_tags(rolled, self._tags, self._ordinals * stride)
            self._hashes.append(hash_grams(rolled[::stride].copy(), self._gram_key))
            self._marks.append(_marks(offsets, count, stride))
        self._rows.append(
            DocumentRow(
                id=document.id,
                collection=document.collection,
                labels=document.labels,
                offset=document.offset,
                start=self._ordinals,
                units=len(units),
                chars=len(document.text),
                key=document_key(self.key, document.collection, document.id),
            )
        )
        self._ordinals += count
        if self._ordinals >= RUN_GRAMS:
            self.flush()
        return len(units)

    def _reserve(self, ordinals: int) -> None:
        needed = (ordinals * self.grid.stride + 31) // 32
        if needed > len(self._tags):
            grown = np.zeros(max(needed, 2 * len(self._tags), 1 << 12), np.uint64)
            grown[: len(self._tags)] = self._tags
            self._tags = grown

    def flush(self) -> None:
        """Write what was taken in since the last run; nothing where that is nothing."""
        if not self._rows:
            return
        name = f"{self.name}-{len(self.written):03d}"
        padded = -(-self._ordinals // ALIGNMENT) * ALIGNMENT
        self._reserve(padded)
        words = padded * self.grid.stride // 32
        hashes = np.concatenate(self._hashes) if self._hashes else np.zeros(0, np.uint64)
        starts, entries = partition(hashes)
        marks = np.concatenate(self._marks) if self._marks else np.zeros(0, np.uint32)
        np.save(self.folder / f"{name}.starts.npy", starts)
        np.save(self.folder / f"{name}.entries.npy", entries)
        # A fresh mask for each run: one mask over two contents would give their difference away.
        nonce = secrets.token_hex(16)
        tags = self._tags[:words]
        WordKey.derive(self.key, f"run {nonce}").mask(tags, 0)
        np.save(self.folder / f"{name}.tags.npy", tags)
        np.save(self.folder / f"{name}.marks.npy", marks)
        rows = [[getattr(row, name) for name in _FIELDS] for row in self._rows]
        content = json.dumps({"nonce": nonce, "rows": rows}).encode()
        (self.folder / f"{name}.rows").write_bytes(self._sealer.seal(content, name))
        self.written.append(name)
        self._reset()


class Run:
    """A run on disk, as a source for a segment."""

    def __init__(self, folder: Path, name: str, grid: Grid, key: Key) -> None:
        self._folder, self._name = folder, name
        self._key, self._sealer = key, Sealer.derive(key, "run")
        self._starts = self._array("starts", np.uint64)
        self._entries = self._array("entries", np.uint64)
        self.ordinals = len(self._array("tags", np.uint64)) * 32 // grid.stride

    def _array(self, name: str, dtype: Any) -> NDArray[Any]:
        path = self._folder / f"{self._name}.{name}.npy"
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array.astype(dtype, copy=False)

    def entries(self, partition: int) -> Entries:
        first, last = int(self._starts[partition]), int(self._starts[partition + 1])
        return np.asarray(self._entries[first:last])

    def tags(self) -> Iterator[Words]:
        words = np.array(self._array("tags", np.uint64))
        WordKey.derive(self._key, f"run {self._content()['nonce']}").mask(words, 0)
        yield words

    def marks(self) -> Iterator[NDArray[np.uint32]]:
        yield np.asarray(self._array("marks", np.uint32))

    def documents(self) -> Iterator[DocumentRow]:
        for id_, collection, labels, *numbers in self._content()["rows"]:
            yield DocumentRow(id_, collection, tuple(labels), *numbers)

    def _content(self) -> dict[str, Any]:
        blob = (self._folder / f"{self._name}.rows").read_bytes()
        content: dict[str, Any] = json.loads(self._sealer.open(blob, self._name))
        return content


def _marks(offsets: Offsets, count: int, stride: int) -> NDArray[np.uint32]:
    """The raw offsets of a document's grams 0, 8, 16, ..."""
    return offsets[0 : count * stride : stride * MARK_EVERY].copy()


@kernel()
def write_tags(rolled: Hashes, tags: Words, position: int) -> None:
    """Store the tag of each gram from `position` (in units) on."""
    for index in range(len(rolled)):
        place = position + index
        tags[place >> 5] |= tag_of(rolled[index]) << np.uint64(2 * (place & 31))


@kernel()
def partition(hashes: Hashes) -> tuple[NDArray[np.uint64], Entries]:
    """Entries by partition, and where each partition starts: shapes (257,) and (n,)."""
    starts = np.zeros(PARTITIONS + 1, np.uint64)
    for index in range(len(hashes)):
        starts[np.int64(hashes[index] >> np.uint64(56)) + 1] += np.uint64(1)
    for index in range(PARTITIONS):
        starts[index + 1] += starts[index]
    cursor = starts[:PARTITIONS].copy()
    entries = np.empty(len(hashes), np.uint64)
    for index in range(len(hashes)):
        value = hashes[index]
        place = np.int64(value >> np.uint64(56))
        middle = (value >> np.uint64(24)) & np.uint64(0xFFFFFFFF)
        entries[np.int64(cursor[place])] = (middle << np.uint64(32)) | np.uint64(index)
        cursor[place] += np.uint64(1)
    return starts, entries
