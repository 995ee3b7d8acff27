"""Frequent grams: which of their places are searched.

A gram that a boilerplate or thousands of equal documents share would make a search as long as their
number. Of its places in one group of documents (same collection, same labels) only some are kept.
Those are not the first ones but, as far as they go, one for each of its different surroundings:
whatever run of at least the bound goes through a place that is left out, the same run goes through
a place that is kept, and is found there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import TAG, Hashes, siphash
from guardrail.indexes.runs import Entries, Grid
from guardrail.indexes.sealed import WordKey, Words
from guardrail.jit import kernel
from guardrail.keys import Key

# Units around a gram within which a run keeps its full length though its place is left out: with
# the gram, more than the default policy asks of a run that is to be redacted.
WIDE = 64


class Surroundings:
    """What stands around the places of a segment whose tags are written."""

    def __init__(
        self, tags: Path, table: NDArray[Any], grid: Grid, key: Key, segment_id: str
    ) -> None:
        """`table`: the rows of the document table, in the order of their first ordinals."""
        self._tags: Words = np.zeros(0, np.uint64)
        if tags.stat().st_size:
            self._tags = np.memmap(tags, np.uint64, "r")
        self._key = WordKey.derive(key, f"tags {segment_id}")
        self._starts = np.ascontiguousarray(table["start"])
        self._units = np.ascontiguousarray(table["units"])
        self._groups = np.ascontiguousarray(table["group"])
        self.grid = grid

    def rows(self, ordinals: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The documents of places."""
        return np.searchsorted(self._starts, ordinals, side="right") - 1

    def groups(self, rows: NDArray[np.int64]) -> NDArray[np.uint32]:
        """The groups of documents."""
        return self._groups[rows]

    def around(self, ordinals: NDArray[np.uint32], rows: NDArray[np.int64], radius: int) -> Hashes:
        """A hash for each place, equal where the tags are equal up to `radius` units to either side
        within the document: all that a search can tell apart."""
        grid = self.grid
        around: Hashes = _around(
            np.asarray(self._tags),
            ordinals,
            self._starts[rows],
            self._units[rows],
            grid.gram,
            grid.stride,
            radius,
            self._key.k0,
            self._key.k1,
        )
        return around


def choose_places(
    entries: Entries, hash_bits: int, max_postings: int, surroundings: Surroundings
) -> tuple[Entries, Entries]:
    """The entries of a partition, sorted, parted into those that are searched and the others.

    Of each gram and group, `max_postings` are searched: one for each different surroundings of
    `stride` - 1 units, which is as far as a run of the bound reaches; then one for each of `WIDE`
    units; then the first ones. Hashes of the others are cut down to the bits that are known.
    """
    unknown = np.uint64(32 + 40 - min(40, hash_bits))
    if len(entries) <= max_postings:
        return entries, entries[:0]
    grams = entries >> unknown
    edges = np.flatnonzero(grams[1:] != grams[:-1]) + 1
    counts = np.diff(np.concatenate(([0], edges, [len(entries)])))
    if counts.max() <= max_postings:
        return entries, entries[:0]
    places = np.flatnonzero(np.repeat(counts > max_postings, counts))
    grams, ordinals = grams[places], entries[places].astype(np.uint32)
    rows = surroundings.rows(ordinals)
    groups = surroundings.groups(rows)
    rank = np.full(len(places), 2, np.uint8)
    for value, radius in ((1, WIDE), (0, surroundings.grid.stride - 1)):
        around = surroundings.around(ordinals, rows, radius)
        order = np.lexsort((ordinals, around, groups, grams))
        rank[order[_firsts(grams[order], groups[order], around[order])]] = value
    order = np.lexsort((ordinals, rank, groups, grams))
    firsts = _firsts(grams[order], groups[order])
    numbers = np.arange(len(order))
    number = numbers - np.maximum.accumulate(np.where(firsts, numbers, 0))
    searched = np.ones(len(entries), bool)
    searched[places[order[number >= max_postings]]] = False
    others = entries[~searched]
    low = np.uint64(0xFFFFFFFF)
    return entries[searched], (others >> unknown << unknown) | (others & low)


def _firsts(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows of sorted columns differ from the row before."""
    firsts = np.ones(len(columns[0]), bool)
    firsts[1:] = False
    for column in columns:
        firsts[1:] |= column[1:] != column[:-1]
    return firsts


@kernel()
def _around(
    tags: Words,
    ordinals: NDArray[np.uint32],
    starts: NDArray[np.uint32],
    units: NDArray[np.uint32],
    gram: int,
    stride: int,
    radius: int,
    k0: np.uint64,
    k1: np.uint64,
) -> Hashes:
    hashes = np.empty(len(ordinals), np.uint64)
    for index in range(len(ordinals)):
        at = np.int64(ordinals[index]) * stride
        first = np.int64(starts[index]) * stride
        low = max(first, at - radius)
        high = min(first + np.int64(units[index]), at + gram + radius) - TAG + 1
        value = siphash((np.uint64(at - low) << np.uint64(32)) | np.uint64(high - at), k1, k0)
        while low < high:
            word, shift = low >> 5, np.uint64(2 * (low & 31))
            held = (tags[word] ^ siphash(np.uint64(word), k0, k1)) >> shift
            if word + 1 < len(tags):
                after = tags[word + 1] ^ siphash(np.uint64(word + 1), k0, k1)
                # In two steps, as a shift by 64 is undefined.
                held |= (after << np.uint64(1)) << (np.uint64(63) - shift)
            count = np.uint64(min(high - low, np.int64(32)))
            held &= (np.uint64(1) << count << count) - np.uint64(1)
            value = siphash(value ^ held, k1, k0)
            low += 32
        hashes[index] = value
    return hashes
