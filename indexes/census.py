"""A census of a corpus: what personal data and secrets it holds, and how often passages repeat.

Models recite what stood in their training text many times more often than what stood there once
(Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better"; Kandpal et al. 2022),
so both belong in one report. It names kinds, places and numbers, and never a value.

Passages are counted on a sample of bounded size: windows of canonical text are hashed, and those
whose hash ends in enough zero bits are kept. What a window's copies hash to is the same, so that a
passage is kept with all its copies or not at all (Gibbons 2001, distinct sampling).
"""

from __future__ import annotations

import heapq
import multiprocessing
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.errors import CorpusIndexError, UsageError
from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.grams import GramKey, hash_grams, roll_grams
from guardrail.indexes.readers import ReadOptions, Unit, plan, read
from guardrail.indexes.records import Identify
from guardrail.indexes.workers import become_worker
from guardrail.keys import Key
from guardrail.text import canonical_units

PASSAGE_UNITS = 64
"""Letters and digits of a passage: about 13 words, which two people rarely write by chance."""
SAMPLE = 200_000
"""Passages kept: the share of those that repeat is then known to 0.2 points (95 %)."""
VALUES_SAMPLE = 20_000
DOCUMENTS_LISTED = 100
UNREADABLE_LISTED = 1000
COPIES = (1, 2, 3, 5, 10, 100)
"""Where each step of the histogram of copies begins."""


class Sample:
    """Counts of a bounded sample of hashes, chosen by their value. Two samples can be merged."""

    def __init__(self, limit: int, level: int = 0, counts: dict[int, int] | None = None) -> None:
        self.limit, self.level = limit, level
        self.counts = counts or {}

    def add(self, hashes: Iterable[int]) -> None:
        """Count each hash once more."""
        mask = (1 << self.level) - 1
        counts = self.counts
        for value in hashes:
            if not value & mask:
                counts[value] = counts.get(value, 0) + 1
                while len(counts) > self.limit:
                    self._thin(self.level + 1)
                    mask, counts = (1 << self.level) - 1, self.counts

    def merge(self, other: Sample) -> None:
        level = max(self.level, other.level)
        self._thin(level)
        mask = (1 << level) - 1
        for value, count in other.counts.items():
            if not value & mask:
                self.counts[value] = self.counts.get(value, 0) + count
        while len(self.counts) > self.limit:
            self._thin(self.level + 1)

    def _thin(self, level: int) -> None:
        if level > self.level:
            mask = (1 << level) - 1
            self.counts = {v: n for v, n in self.counts.items() if not v & mask}
            self.level = level

    @property
    def distinct(self) -> int:
        """About how many different hashes were counted; exact while all are kept."""
        return len(self.counts) << self.level


@dataclass(slots=True)
class _KindCount:
    values: int = 0
    documents: int = 0
    sample: Sample = field(default_factory=lambda: Sample(VALUES_SAMPLE))


@dataclass(slots=True)
class _Collection:
    documents: int = 0
    chars: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Census:
    """Counts of a corpus or of a part of it; parts are merged."""

    documents: int = 0
    chars: int = 0
    unreadable_count: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    kinds: dict[str, _KindCount] = field(default_factory=dict)
    collections: dict[str, _Collection] = field(default_factory=dict)
    top: list[tuple[int, str, str, dict[str, int]]] = field(default_factory=list)
    passages: Sample = field(default_factory=lambda: Sample(SAMPLE))
    seconds: float = 0.0

    def merge(self, other: Census) -> None:
        self.documents += other.documents
        self.chars += other.chars
        self.unreadable_count += other.unreadable_count
        self.unreadable = (self.unreadable + other.unreadable)[:UNREADABLE_LISTED]
        for kind, count in other.kinds.items():
            mine = self.kinds.setdefault(kind, _KindCount())
            mine.values += count.values
            mine.documents += count.documents
            mine.sample.merge(count.sample)
        for name, part in other.collections.items():
            whole = self.collections.setdefault(name, _Collection())
            whole.documents += part.documents
            whole.chars += part.chars
            whole.kinds += part.kinds
        self.top = heapq.nlargest(
            DOCUMENTS_LISTED, self.top + other.top, key=lambda row: (row[0], row[1:3])
        )
        self.passages.merge(other.passages)

    def copies(self) -> list[dict[str, Any]]:
        """For each step of `COPIES`: the passages that stand in so many documents, as a share of
        all different passages, and as a share of all text."""
        counts = np.array(list(self.passages.counts.values()), np.int64)
        steps = np.searchsorted(COPIES, counts, side="right") - 1
        rows = []
        for step, least in enumerate(COPIES):
            inside = counts[steps == step]
            most = COPIES[step + 1] - 1 if step + 1 < len(COPIES) else None
            rows.append(
                {
                    "least": least,
                    "most": most,
                    "passages": len(inside) / max(1, len(counts)),
                    "text": float(inside.sum() / max(1, counts.sum())),
                }
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The census as JSON-ready values."""
        kinds = sorted(self.kinds.items(), key=lambda item: (-item[1].values, item[0]))
        return {
            "documents": self.documents,
            "chars": self.chars,
            "unreadable_count": self.unreadable_count,
            "unreadable": [
                {"source": item.source, "reason": item.reason} for item in self.unreadable
            ],
            "kinds": {
                kind: {
                    "values": count.values,
                    "distinct": min(count.values, count.sample.distinct),
                    "documents": count.documents,
                }
                for kind, count in kinds
            },
            "collections": {
                name: {
                    "documents": part.documents,
                    "chars": part.chars,
                    "kinds": dict(part.kinds.most_common()),
                }
                for name, part in sorted(self.collections.items())
            },
            "most": [
                {"collection": collection, "document": name, "values": values, "kinds": found}
                for values, collection, name, found in self.top
            ],
            "duplication": {
                "passage_units": PASSAGE_UNITS,
                "sampled": len(self.passages.counts),
                "distinct": self.passages.distinct,
                "copies": self.copies(),
            },
            "seconds": self.seconds,
        }


def take(
    paths: Sequence[str],
    find: Identify,
    *,
    options: ReadOptions | None = None,
    jobs: int | None = None,
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> Census:
    """The census of the documents under `paths`; `find` finds the values in a text.

    Raises UsageError, SourceError, or CorpusIndexError where a worker process dies.
    """
    jobs = jobs or os.cpu_count() or 1
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}; it must be at least 1")
    began = time.monotonic()
    options = options or ReadOptions()
    units = plan(paths, options)
    # Drawn anew for each census: hashes of passages and values are of no use outside of it.
    key = Key(secrets.token_bytes(32))
    total = max(1, sum(unit.size for unit in units))
    done = 0
    census = Census()
    progress("read", 0.0)
    for unit, part in _parts(units, options, find, key, jobs):
        census.merge(part)
        done += unit.size
        progress("read", done / total)
    census.seconds = time.monotonic() - began
    return census


def _parts(
    units: Sequence[Unit], options: ReadOptions, find: Identify, key: Key, jobs: int
) -> Iterator[tuple[Unit, Census]]:
    if jobs == 1 or len(units) == 1:
        yield from ((unit, count(unit, options, find, key)) for unit in units)
        return
    pool = ProcessPoolExecutor(
        min(jobs, len(units)),
        multiprocessing.get_context("spawn"),
        initializer=become_worker,
        initargs=(os.getpid(),),
    )
    source = iter(units)
    pending: dict[Future[Census], Unit] = {}
    try:
        while True:
            while len(pending) < 2 * jobs and (following := next(source, None)) is not None:
                pending[pool.submit(count, following, options, find, key)] = following
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), future.result()
    except BrokenProcessPool:
        raise CorpusIndexError(
            "a worker process ended before its time (out of memory, or a script that calls this "
            "without `if __name__ == '__main__':`); run it again, with fewer jobs if need be"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def count(unit: Unit, options: ReadOptions, find: Identify, key: Key) -> Census:
    """The census of one unit of work."""
    census = Census()
    gram_key = GramKey.derive(key)
    current: _Open | None = None
    for item in read(unit, options):
        if isinstance(item, Unreadable):
            census.unreadable_count += 1
            if len(census.unreadable) < UNREADABLE_LISTED:
                census.unreadable.append(item)
            continue
        if current is None or not current.goes_on(item):
            _close(census, current)
            current = _Open(item.collection, item.id)
        current.read(item, find, gram_key, census.passages.level)
        census.chars += len(item.text)
        census.collections.setdefault(item.collection, _Collection()).chars += len(item.text)
    _close(census, current)
    return census


@dataclass(slots=True)
class _Open:
    """The document that is being read, which may come in pieces that overlap."""

    collection: str
    id: str
    end: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[int]] = field(default_factory=dict)
    passages: set[int] = field(default_factory=set)

    def goes_on(self, item: Document) -> bool:
        return item.offset > 0 and (item.collection, item.id) == (self.collection, self.id)

    def read(self, item: Document, find: Identify, key: GramKey, level: int) -> None:
        for kind, value, start, _ in find(item.text):
            if item.offset + start >= self.end:  # else the piece before has it
                self.kinds[kind] += 1
                self.values.setdefault(kind, []).append(_hash_value(value, key))
        self.end = max(self.end, item.offset + len(item.text))
        self.passages.update(_passages(item.text, key, level))


def _close(census: Census, document: _Open | None) -> None:
    if document is None:
        return
    census.documents += 1
    part = census.collections[document.collection]
    part.documents += 1
    part.kinds += document.kinds
    for kind, values in document.values.items():
        counted = census.kinds.setdefault(kind, _KindCount())
        counted.values += len(values)
        counted.documents += 1
        counted.sample.add(values)
    census.passages.add(document.passages)
    total = document.kinds.total()
    if total:
        row = (total, document.collection, document.id, dict(document.kinds.most_common()))
        if len(census.top) < DOCUMENTS_LISTED:
            heapq.heappush(census.top, row)
        elif row[0] > census.top[0][0]:
            heapq.heapreplace(census.top, row)


def _passages(text: str, key: GramKey, level: int) -> list[int]:
    units, _ = canonical_units(text)
    if len(units) < PASSAGE_UNITS:
        return []
    hashes: NDArray[np.uint64] = hash_grams(roll_grams(units, PASSAGE_UNITS, key), key)
    kept = np.unique(hashes[(hashes & np.uint64((1 << level) - 1)) == 0])
    found: list[int] = kept.tolist()
    return found


def _hash_value(value: str, key: GramKey) -> int:
    units, _ = canonical_units(value)
    length = len(units)
    if not length:
        return 0
    return int(hash_grams(roll_grams(units, length, key), key)[0])
