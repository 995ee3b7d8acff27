"""The living part of a segment as a source for a new one: what compaction and merging read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.passages import Blocks
from guardrail.indexes.runs import ALIGNMENT, MARK_EVERY, PARTITIONS, DocumentRow, Entries
from guardrail.indexes.sealed import Words
from guardrail.indexes.segment import Segment
from guardrail.jit import kernel

# Ordinals whose tags are copied together: 256 K are 768 KB of tags at stride 12.
_CHUNK_ORDINALS = 1 << 18


class LivingSegment:
    """A segment without its forgotten documents, renumbered from zero."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        alive = np.flatnonzero(~segment.dead)
        spans = segment.spans[alive]
        self._chunks: list[NDArray[np.int64]] = []
        starts = np.zeros(len(segment.table), np.int64)
        total = 0
        # Each chunk of documents starts at a multiple of ALIGNMENT, so that tags fill words.
        edges = np.flatnonzero(np.diff(np.cumsum(spans) // _CHUNK_ORDINALS)) + 1
        for rows in np.split(alive, edges):
            if len(rows):
                sizes = segment.spans[rows]
                starts[rows] = total + np.cumsum(sizes) - sizes
                total += -(-int(sizes.sum()) // ALIGNMENT) * ALIGNMENT
                self._chunks.append(rows)
        self._starts = starts
        self._alive = alive
        self.ordinals = total

    def size(self, partition: int) -> int:
        """See `GramSource.size`: forgotten documents count."""
        return self._segment.size(partition)

    def entries(self, partition: int) -> Entries:
        """See `GramSource.entries`; bits of the hash that the segment no longer knows are zero."""
        segment = self._segment
        middle, ordinals = segment.entries(partition, PARTITIONS)
        others = segment.overflow(partition)
        middle = np.concatenate((middle, others >> np.uint64(32)))
        ordinals = np.concatenate((ordinals, others & np.uint64(0xFFFFFFFF)))
        old_starts = segment.table["start"]
        rows = segment.rows(ordinals)
        keep = ~segment.dead[rows]
        rows, ordinals, middle = rows[keep], ordinals[keep], middle[keep]
        fresh = self._starts[rows] + ordinals.astype(np.int64) - old_starts[rows]
        packed: Entries = (middle << np.uint64(32)) | fresh.astype(np.uint64)
        return packed

    def tags(self) -> Iterator[Words]:
        segment, stride = self._segment, self._segment.grid.stride
        for rows in self._chunks:
            base = int(self._starts[rows[0]])
            size = -(-int(segment.spans[rows].sum()) // ALIGNMENT) * ALIGNMENT
            target = np.zeros(size * stride // 32, np.uint64)
            for row in rows:
                count = int(segment.spans[row])
                if count:
                    source, skip = segment.tag_words(int(segment.table["start"][row]), count)
                    place = (int(self._starts[row]) - base) * stride
                    copy_tags(source, skip, target, place, count * stride)
            yield target

    def marks(self) -> Iterator[NDArray[np.uint32]]:
        segment = self._segment
        for row in self._alive:
            count = -(-int(segment.counts[row]) // MARK_EVERY)
            if count:
                yield segment.marks(int(row), count)

    def blocks(self) -> Iterator[Blocks]:
        segment = self._segment
        assert segment.passages is not None  # asked for where the grid says so
        fresh = np.cumsum(~segment.dead).astype(np.uint32) - np.uint32(1)
        for part in segment.passages.blocks():
            keep = ~segment.dead[part.rows]
            yield Blocks(fresh[part.rows[keep]], part.starts[keep], part.words[keep])

    def documents(self) -> Iterator[DocumentRow]:
        for row in self._alive:
            old = self._segment.document(int(row))
            yield DocumentRow(
                old.id,
                old.collection,
                old.labels,
                old.offset,
                int(self._starts[row]),
                old.units,
                old.chars,
                old.key,
            )


@kernel()
def copy_tags(source: Words, skip: int, target: Words, place: int, count: int) -> None:
    """Copy `count` tags from tag number `skip` of `source` to tag number `place` of `target`."""
    for index in range(count):
        old, new = skip + index, place + index
        tag = (source[old >> 5] >> np.uint64(2 * (old & 31))) & np.uint64(3)
        target[new >> 5] |= tag << np.uint64(2 * (new & 31))
