"""Changing an index after it was built: forget, compact, merge; and telling of it: verify, info."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.errors import IndexDamagedError, UsageError
from guardrail.indexes.build import MAX_SEGMENT_ORDINALS, Progress, disk, part_of
from guardrail.indexes.burial import bury, new_segment
from guardrail.indexes.index import Index
from guardrail.indexes.living import LivingSegment
from guardrail.indexes.manifest import (
    FILE_NAME,
    FORMAT_VERSION,
    Manifest,
    locked,
    peek_manifest,
    publish,
    read_manifest,
    remove_orphans,
)
from guardrail.indexes.phrases import write_phrases
from guardrail.indexes.record_table import write_records
from guardrail.indexes.records import join_rules
from guardrail.indexes.runs import Grid, document_key
from guardrail.indexes.segment import Segment
from guardrail.indexes.segment_writer import SegmentInfo
from guardrail.keys import Key
from guardrail.text import CANONICAL_VERSION


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """How many documents were forgotten, and which of the ids given were not in the index."""

    forgotten: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompactReport:
    """Segments, documents and bytes before and after."""

    segments_before: int
    segments_after: int
    documents: int
    erased: int
    bytes_before: int
    bytes_after: int
    dropped_postings: int


def forget(
    index: str | Path,
    key: Key,
    ids: Sequence[str] = (),
    *,
    collection: str | None = None,
) -> ForgetReport:
    """Forget documents at once: by id (in one collection if that is named), or a whole one.

    Their fingerprints no longer match anything from here on; `compact` erases them from disk.
    """
    if not ids and collection is None:
        raise UsageError("nothing to forget: give document ids, a collection, or both")
    index = Path(index)
    read_manifest(index, key)
    with locked(index):
        opened = Index.open(index, key, check=False)
        seen: set[str] = set()
        rows: dict[str, NDArray[np.int64]] = {}
        for segment in opened.segments:
            wanted = ~segment.dead
            if ids:
                found, known = _rows_of(segment, key, ids, collection)
                wanted &= found
                seen |= known
            else:
                names = np.array([name == collection for name, _ in segment.groups], bool)
                wanted &= names[segment.table["group"]]
            rows[segment.info.id] = np.flatnonzero(wanted)
        forgotten = {
            int(value)
            for segment in opened.segments
            for value in segment.table["key"][rows[segment.info.id]]
        }
        if forgotten:
            with disk(index):
                manifest = bury(index, opened.manifest.next(), key, opened.segments, rows)
                if manifest.records:
                    keys = np.array(sorted(forgotten), np.uint64)
                    left = opened.records.rows().without(keys)
                    rules = opened.records.rules
                    table = write_records(index, manifest, key, [left], rules)
                    manifest = replace(manifest, records=table)
                publish(index, manifest, key)
            remove_orphans(index, manifest)
    missing = tuple(identifier for identifier in ids if identifier not in seen)
    return ForgetReport(len(forgotten), missing)


def _rows_of(
    segment: Segment, key: Key, ids: Sequence[str], collection: str | None
) -> tuple[NDArray[np.bool_], set[str]]:
    """Which rows bear one of the ids, and which of the ids a living row bears."""
    collections = {name for name, _ in segment.groups if collection in (None, name)}
    keys = {
        document_key(key, name, identifier): identifier
        for identifier in ids
        for name in collections
    }
    found = np.isin(segment.table["key"], np.array(list(keys), np.uint64))
    known = {keys[int(value)] for value in segment.table["key"][found & ~segment.dead]}
    return found, known


def compact(
    index: str | Path, key: Key, *, progress: Progress = lambda stage, share: None
) -> CompactReport:
    """Erase forgotten documents from disk, and join segments so that lookups stay fast."""
    index = Path(index)
    read_manifest(index, key)
    with locked(index):
        # Checked, because what is written anew gets new digests: damage would pass for sound.
        opened = Index.open(index, key, check=True)
        manifest = opened.manifest
        before = manifest.segments
        remove_orphans(index, manifest)
        with disk(index):
            segments = _join(index, manifest, key, opened.segments, progress)
            manifest = manifest.next(segments=tuple(segments), tombstones={})
            stored = write_phrases(index, manifest, key, opened.phrases)
            manifest = replace(manifest, phrases=stored)
            publish(index, manifest, key)
        remove_orphans(index, manifest)
    return CompactReport(
        segments_before=len(before),
        segments_after=len(segments),
        documents=count_documents(opened.segments, dead=False),
        erased=count_documents(opened.segments, dead=True),
        bytes_before=_size(before),
        bytes_after=_size(segments),
        dropped_postings=sum(info.dropped_postings for info in segments),
    )


def merge(
    indexes: Sequence[str | Path],
    out: str | Path,
    key: Key,
    *,
    progress: Progress = lambda stage, share: None,
) -> CompactReport:
    """Make one new index of several that share key, gram and stride.

    Documents keep their collections and labels; the same document in two indexes is kept twice
    and counted once.
    """
    if not indexes:
        raise UsageError("nothing to merge: name at least one index")
    out = Path(out)
    opened = [Index.open(path, key, check=True) for path in indexes]
    first = opened[0].manifest
    for path, index in zip(indexes, opened, strict=True):
        if index.grid != first.grid:
            raise UsageError(
                f"{path} has {_shape(index.grid)}, {indexes[0]} has {_shape(first.grid)}; only "
                "indexes of one shape can be merged"
            )
    with locked(out):
        if (out / FILE_NAME).exists():
            raise UsageError(f"{out} holds an index already; name a new folder")
        manifest = Manifest.new(key, first.grid, max(i.manifest.max_postings for i in opened))
        parts = [segment for index in opened for segment in index.segments]
        phrases = [phrase for index in opened for phrase in index.phrases]
        records = [index.records.rows() for index in opened]
        rules = join_rules(*(index.records.rules for index in opened))
        with disk(out):
            segments = _join(out, manifest, key, parts, progress)
            manifest = manifest.next(segments=tuple(segments))
            stored = write_phrases(out, manifest, key, phrases)
            manifest = replace(
                manifest,
                phrases=stored,
                records=write_records(out, manifest, key, records, rules),
            )
            publish(out, manifest, key)
        remove_orphans(out, manifest)
    before = tuple(segment.info for segment in parts)
    return CompactReport(
        segments_before=len(before),
        segments_after=len(segments),
        documents=count_documents(parts, dead=False),
        erased=count_documents(parts, dead=True),
        bytes_before=_size(before),
        bytes_after=_size(segments),
        dropped_postings=sum(info.dropped_postings for info in segments),
    )


def _shape(grid: Grid) -> str:
    passages = "passages" if grid.passages else "no passages"
    return f"gram {grid.gram}, stride {grid.stride} and {passages}"


def _join(
    index: Path, manifest: Manifest, key: Key, parts: Sequence[Segment], progress: Progress
) -> list[SegmentInfo]:
    groups: list[list[Segment]] = []
    held = 0
    for segment in parts:
        size = segment.info.ordinals
        if not groups or held + size > MAX_SEGMENT_ORDINALS:
            groups.append([])
            held = 0
        groups[-1].append(segment)
        held += size
    segments = []
    for number, group in enumerate(groups):
        sources = [LivingSegment(segment) for segment in group]
        if not any(not segment.dead.all() for segment in group):
            continue
        info = new_segment(
            index,
            manifest,
            key,
            sources,
            known_bits=min(segment.info.hash_bits for segment in group),
            progress=part_of(progress, number, len(groups)),
        )
        segments.append(info)
    return segments


def verify(index: str | Path, key: Key) -> list[str]:
    """What is wrong with an index, one sentence each; nothing where all is well.

    Every file is compared with its digest and every sealed block opened. Raises as `Index.open`
    does where the index cannot even be opened.
    """
    opened = Index.open(index, key, check=False)
    problems = list(opened.problems())
    if problems:
        return problems
    try:
        for segment in opened.segments:
            for row in range(len(segment.table)):
                segment.document(row)
    except IndexDamagedError as error:
        problems.append(str(error))
    return problems


def info(index: str | Path, key: Key | None = None) -> dict[str, Any]:
    """What an index is, as JSON-ready values; with its key also what lives in it.

    `parts` counts what is stored: a long document is several, and forgotten ones count until they
    are erased."""
    path = Path(index)
    opened = None if key is None else Index.open(path, key, check=False)
    manifest = peek_manifest(path) if opened is None else opened.manifest
    segments = manifest.segments
    told: dict[str, Any] = {
        "index": str(path),
        "index_id": manifest.index_id,
        "format_version": FORMAT_VERSION,
        "canonical_version": CANONICAL_VERSION,
        "key_id": manifest.key_id,
        "public": manifest.public,
        "generation": manifest.generation,
        "created": manifest.created,
        "changed": manifest.changed,
        "gram": manifest.gram,
        "stride": manifest.stride,
        "bound": manifest.grid.bound,
        "max_postings": manifest.max_postings,
        "passages": manifest.passages,
        "segments": len(segments),
        "parts": sum(info.documents for info in segments),
        "grams": sum(info.grams for info in segments),
        "bytes": _size(segments),
    }
    if opened is not None:
        told |= _census(opened.segments)
        told["phrases"] = len(opened.phrases)
        told["records"] = len(opened.records)
    return told


def _census(segments: Sequence[Segment]) -> dict[str, Any]:
    """What is left of the documents without the forgotten ones."""
    collections: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    told = dict.fromkeys(("documents", "chars", "units"), 0)
    seen = np.zeros(0, np.uint64)
    for segment in segments:
        alive = segment.table[~segment.dead]
        told["chars"] += int(alive["chars"].sum(dtype=np.int64))
        told["units"] += int(alive["units"].sum(dtype=np.int64))
        keys, firsts = np.unique(alive["key"], return_index=True)
        groups = alive["group"][firsts[~np.isin(keys, seen)]]
        seen = np.union1d(seen, keys)
        counts = np.bincount(groups, minlength=len(segment.groups)).tolist()
        for (collection, marks), count in zip(segment.groups, counts, strict=True):
            collections[collection] += count
            labels.update(dict.fromkeys(marks, count))
    return {
        **told,
        "documents": len(seen),
        "forgotten": count_documents(segments, dead=True),
        "collections": {name: count for name, count in sorted(collections.items()) if count},
        "labels": {name: count for name, count in sorted(labels.items()) if count},
    }


def count_documents(segments: Sequence[Segment], *, dead: bool) -> int:
    """How many documents live, or are forgotten; all pieces of a document are one."""
    keys = [segment.table["key"][segment.dead == dead] for segment in segments]
    return len(np.unique(np.concatenate(keys))) if keys else 0


def _size(segments: Sequence[SegmentInfo]) -> int:
    return sum(size for info in segments for size, _ in info.files.values())
