"""Writing segments, and forgetting documents of those that are there.

A forgotten document gets a tombstone, which takes no time. But where it holds a searched place of a
frequent gram (see `frequent`), a living document may be left whose place of that gram waits in the
overflow. Then the segment is written anew, without the forgotten, so that the living are found.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardrail.errors import IndexDamagedError
from guardrail.indexes.living import LivingSegment
from guardrail.indexes.manifest import Manifest, segment_folder, sync_folder
from guardrail.indexes.runs import PARTITIONS, GramSource
from guardrail.indexes.segment import Segment
from guardrail.indexes.segment_writer import SegmentInfo, write_segment
from guardrail.indexes.tombstones import check_file, without_tombstones, write_tombstones
from guardrail.keys import Key


def new_segment(
    index: Path,
    manifest: Manifest,
    key: Key,
    sources: Sequence[GramSource],
    *,
    known_bits: int = 64,
    threads: int = 1,
    progress: Callable[[float], None] = lambda share: None,
) -> SegmentInfo:
    """Write one durable segment that no manifest names yet."""
    identifier = secrets.token_hex(8)
    folder = segment_folder(index, identifier)
    folder.mkdir(parents=True)
    try:
        info = write_segment(
            folder,
            identifier,
            sources,
            grid=manifest.grid,
            key=key,
            max_postings=manifest.max_postings,
            known_bits=known_bits,
            threads=threads,
            progress=progress,
        )
        sync_folder(folder)
        sync_folder(folder.parent)
    except BaseException:
        # A full disk is not to stay full.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return info


def bury(
    index: Path,
    manifest: Manifest,
    key: Key,
    segments: Iterable[Segment],
    rows: Mapping[str, NDArray[np.int64]],
) -> Manifest:
    """The manifest with more rows forgotten, by segment id; what was forgotten stays so."""
    for segment in segments:
        info = segment.info
        fresh = rows.get(info.id)
        if fresh is None or not len(fresh):
            continue
        dead = np.union1d(np.flatnonzero(segment.dead), fresh)
        if len(dead) < len(segment.table) and holds_places(segment, fresh):
            for name, (size, digest) in info.files.items():
                # What is written anew gets new digests: damage would pass for sound.
                for problem in check_file(segment.folder / name, size, digest):
                    raise IndexDamagedError(problem)
            rest = Segment(segment.folder, info, manifest.grid, key, dead.astype(np.uint32))
            source = LivingSegment(rest)
            new = new_segment(index, manifest, key, [source], known_bits=info.hash_bits)
            manifest = replace(
                manifest,
                segments=tuple(new if old.id == info.id else old for old in manifest.segments),
                tombstones=without_tombstones(manifest, info.id),
            )
        else:
            tombstones = write_tombstones(index, manifest, info.id, key, dead)
            manifest = replace(manifest, tombstones=tombstones)
    return manifest


def holds_places(segment: Segment, rows: NDArray[np.int64]) -> bool:
    """Whether one of the documents holds a searched place of a gram of which a living document's
    place is not searched."""
    if not segment.info.dropped_postings:
        return False
    chosen = np.zeros(len(segment.table), bool)
    chosen[rows] = True
    for partition in range(PARTITIONS):
        others = segment.overflow(partition)
        ordinals = others & np.uint64(0xFFFFFFFF)
        owners = segment.rows(ordinals)
        waiting = np.unique(others[~(segment.dead | chosen)[owners]] >> np.uint64(32))
        if not len(waiting):
            continue
        middle, ordinals = segment.entries(partition, PARTITIONS)
        held = chosen[segment.rows(ordinals)]
        if np.isin(middle[held], waiting).any():
            return True
    return False
