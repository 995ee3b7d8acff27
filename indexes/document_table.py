"""The documents of a segment: a table of places, sealed blocks of names, and groups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.runs import GramSource
from guardrail.indexes.sealed import Sealer
from guardrail.keys import Key

# Names that are sealed together, and opened together by who asks for one.
NAMES_BLOCK = 256
ROW = np.dtype(
    [("start", "<u4"), ("units", "<u4"), ("chars", "<u4"), ("group", "<u4"), ("key", "<u8")]
)


def document_table(
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
        parts.append(np.array(rows, ROW))
        rows.clear()
    close_block()
    table = np.concatenate(parts) if parts else np.zeros(0, ROW)
    return table, blobs, [len(blob) for blob in blobs], list(groups)
