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
from guardrail.indexes.grams import TAG, GramKey, Hashes, siphash, write_tags
from guardrail.indexes.passages import Blocks, document_blocks
from guardrail.indexes.sealed import Sealer, WordKey, Words
from guardrail.indexes.signatures import SignatureKey
from guardrail.jit import kernel
from guardrail.keys import Key, fingerprint
from guardrail.text import CanonicalText, Offsets, Scratch, Units, canonical_units

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
    """Which grams an index stores: `gram` units long, starting at every `stride`-th unit; and
    whether it stores long words, to find passages, besides.

    Any shared run of `bound` units is found, whatever its alignment.
    """

    gram: int
    stride: int
    passages: bool = False

    @property
    def bound(self) -> int:
        return self.gram + self.stride - 1

    def count(self, units: int) -> int:
        """How many grams a document of so many units has."""
        return (units - self.gram) // self.stride + 1 if units >= self.gram else 0

    def span(self, units: int) -> int:
        """How many ordinals it takes: as many as its tags need, a stride of tags each."""
        return -(-(units - TAG + 1) // self.stride) if units >= self.gram else 0


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
    """Where a segment's content comes from: a run, or the living part of an older segment.

    `size` is at least the number of entries of a partition.
    """

    ordinals: int

    def size(self, partition: int) -> int: ...
    def entries(self, partition: int) -> Entries: ...
    def tags(self) -> Iterator[Words]: ...
    def marks(self) -> Iterator[NDArray[np.uint32]]: ...
    def blocks(self) -> Iterator[Blocks]: ...
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
        self._signature_key = SignatureKey.derive(key)
        self._sealer = Sealer.derive(key, "run")
        self._scratch = Scratch()
        self._hashes: Hashes = np.zeros(0, np.uint64)
        self._places = np.zeros(0, np.uint32)
        self._tags: Words = np.zeros(0, np.uint64)
        self._reset()

    def _reset(self) -> None:
        self._tags[:] = 0
        self._grams = 0
        self._marks: list[NDArray[np.uint32]] = []
        self._blocks: list[Words] = []
        self._rows: list[DocumentRow] = []
        self._ordinals = 0

    def add(self, document: Document) -> int:
        """Take a document in; returns its canonical length in units."""
        units, offsets = canonical_units(document.text, self._scratch)
        grid, start, secret = self.grid, self._ordinals, self._gram_key
        count, span = grid.count(len(units)), grid.span(len(units))
        if count:
            self._reserve(start + span)
            write_tags(units, secret.base, self._tags, start * grid.stride)
            take_grams(
                units,
                grid.gram,
                grid.stride,
                secret.base,
                secret.k0,
                secret.k1,
                self._hashes[self._grams : self._grams + count],
            )
            self._places[self._grams : self._grams + count] = np.arange(start, start + count)
            self._grams += count
            self._marks.append(_marks(offsets, count, grid.stride))
            if grid.passages:
                text = CanonicalText(document.text, units, offsets)
                self._blocks.append(document_blocks(text, len(self._rows), self._signature_key))
        self._rows.append(
            DocumentRow(
                id=document.id,
                collection=document.collection,
                labels=document.labels,
                offset=document.offset,
                start=start,
                units=len(units),
                chars=len(document.text),
                key=document_key(self.key, document.collection, document.id),
            )
        )
        self._ordinals += span
        if self._ordinals >= RUN_GRAMS:
            self.flush()
        return len(units)

    def _reserve(self, ordinals: int) -> None:
        if ordinals > len(self._hashes):
            ordinals = max(ordinals, 2 * len(self._hashes), 1 << 12)
            self._tags = _grown(self._tags, ordinals * self.grid.stride // 32 + 1)
            self._hashes = _grown(self._hashes, ordinals)
            self._places = _grown(self._places, ordinals)

    def flush(self) -> None:
        """Write what was taken in since the last run; nothing where that is nothing."""
        if not self._rows:
            return
        name = f"{self.name}-{len(self.written):03d}"
        padded = -(-self._ordinals // ALIGNMENT) * ALIGNMENT
        self._reserve(padded)
        words = padded * self.grid.stride // 32
        starts, entries = partition(self._hashes[: self._grams], self._places[: self._grams])
        marks = np.concatenate(self._marks) if self._marks else np.zeros(0, np.uint32)
        # Fresh masks for each run: one mask over two contents would give their difference away.
        nonce = secrets.token_hex(16)
        content_of = {
            "entries": entries,
            "tags": self._tags[:words],
            "marks": np.append(marks, np.zeros(len(marks) % 2, np.uint32)).view(np.uint64),
            "blocks": np.concatenate((*self._blocks, np.zeros(0, np.uint64))),
        }
        np.save(self.folder / f"{name}.starts.npy", starts)
        for kind, array in content_of.items():
            WordKey.derive(self.key, f"run {nonce} {kind}").mask(array, 0)
            np.save(self.folder / f"{name}.{kind}.npy", array)
        rows = [[getattr(row, name) for name in _FIELDS] for row in self._rows]
        content = json.dumps({"nonce": nonce, "marks": len(marks), "rows": rows}).encode()
        (self.folder / f"{name}.rows").write_bytes(self._sealer.seal(content, name))
        self.written.append(name)
        self._reset()


class Run:
    """A run on disk, as a source for a segment."""

    def __init__(self, folder: Path, name: str, grid: Grid, key: Key) -> None:
        self._folder, self._name = folder, name
        self._sealer = Sealer.derive(key, "run")
        content = self._content()
        self._mark_count = int(content["marks"])
        self._keys = {
            kind: WordKey.derive(key, f"run {content['nonce']} {kind}")
            for kind in ("entries", "tags", "marks", "blocks")
        }
        self._starts = np.load(folder / f"{name}.starts.npy", allow_pickle=False)
        self._arrays = {
            kind: np.load(folder / f"{name}.{kind}.npy", mmap_mode="r", allow_pickle=False)
            for kind in self._keys
        }
        self.ordinals = len(self._arrays["tags"]) * 32 // grid.stride

    def _words(self, kind: str, first: int, last: int) -> Words:
        words: Words = np.array(self._arrays[kind][first:last], np.uint64)
        self._keys[kind].mask(words, first)
        return words

    def size(self, partition: int) -> int:
        return int(self._starts[partition + 1]) - int(self._starts[partition])

    def entries(self, partition: int) -> Entries:
        return self._words(
            "entries", int(self._starts[partition]), int(self._starts[partition + 1])
        )

    def tags(self) -> Iterator[Words]:
        yield self._words("tags", 0, len(self._arrays["tags"]))

    def marks(self) -> Iterator[NDArray[np.uint32]]:
        words = self._words("marks", 0, len(self._arrays["marks"]))
        yield words.view(np.uint32)[: self._mark_count]

    def blocks(self) -> Iterator[Blocks]:
        yield Blocks.unpack(self._words("blocks", 0, len(self._arrays["blocks"])))

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


def _grown(values: NDArray[Any], size: int) -> NDArray[Any]:
    """The same values with zeros behind them."""
    grown = np.zeros(size, values.dtype)
    grown[: len(values)] = values
    return grown


@kernel()
def take_grams(
    units: Units,
    gram: int,
    stride: int,
    base: np.uint64,
    k0: np.uint64,
    k1: np.uint64,
    hashes: Hashes,
) -> None:
    """Store the hashes of every `stride`-th gram: what `roll_grams` and `hash_grams` say. Most of
    the others would be made in vain."""
    for index in range(len(hashes)):
        value = np.uint64(0)
        for place in range(index * stride, index * stride + gram):
            value = value * base + np.uint64(units[place]) + np.uint64(1)
        hashes[index] = value
    # A loop of its own, of which the compiler makes four hashes at a time.
    for index in range(len(hashes)):
        hashes[index] = siphash(hashes[index], k0, k1)


@kernel()
def partition(hashes: Hashes, ordinals: NDArray[np.uint32]) -> tuple[NDArray[np.uint64], Entries]:
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
        entries[np.int64(cursor[place])] = (middle << np.uint64(32)) | np.uint64(ordinals[index])
        cursor[place] += np.uint64(1)
    return starts, entries
