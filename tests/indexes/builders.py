"""Small indexes for tests, built with the real parts and without worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from guardrail.indexes.documents import Document
from guardrail.indexes.grams import GramKey
from guardrail.indexes.matching import Matches
from guardrail.indexes.query import make_query
from guardrail.indexes.runs import Grid, Run, RunWriter
from guardrail.indexes.segment import Segment
from guardrail.indexes.segment_writer import write_segment
from guardrail.keys import Key
from guardrail.text import canonical_units

KEY = Key(bytes(range(32)))


def make_segment(
    folder: Path,
    documents: Iterable[Document],
    grid: Grid,
    *,
    key: Key = KEY,
    max_postings: int = 64,
    flush_every: int = 0,
    dead: Sequence[int] = (),
) -> Segment:
    """A segment of some documents, from one run or (with `flush_every`) several."""
    runs = folder / "runs"
    runs.mkdir()
    writer = RunWriter(runs, "test", grid, key)
    for number, document in enumerate(documents, 1):
        writer.add(document)
        if flush_every and number % flush_every == 0:
            writer.flush()
    writer.flush()
    target = folder / "segment"
    target.mkdir()
    sources = [Run(runs, name, grid, key) for name in writer.written]
    info = write_segment(target, "test", sources, grid=grid, key=key, max_postings=max_postings)
    return Segment(target, info, grid, key, np.array(dead, np.uint32))


def search(segment: Segment, response: str, key: Key = KEY, least: int = 0) -> Matches:
    """What the segment finds in a response; `least` defaults to the bound."""
    gram_key = GramKey.derive(key)
    query = make_query(canonical_units(response)[0], segment.grid.gram, gram_key)
    return segment.match(query, least or segment.grid.bound)[0]
