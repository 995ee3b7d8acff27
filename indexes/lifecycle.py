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
from guardrail.indexes.build import MAX_SEGMENT_ORDINALS, Progress, disk, new_segment
from guardrail.indexes.index import Index
from guardrail.indexes.living import LivingSegment
from guardrail.indexes.manifest import (
    FILE_NAME,
    Manifest,
    locked,
    publish,
    read_fields,
    read_manifest,
    remove_orphans,
)
from guardrail.indexes.phrases import read_phrases, write_phrases
from guardrail.indexes.runs import document_key
from guardrail.indexes.segment import Segment
from guardrail.indexes.segment_writer import SegmentInfo
from guardrail.indexes.tombstones import bury
from guardrail.keys import Key


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
    """Forget documents at once: by id, within one collection if that is named, or a whole collection.

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
            manifest = bury(index, opened.manifest.next(), key, opened.segments, rows)
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
        opened = Index.open(index, key, check=False)
        manifest = opened.manifest
        before = manifest.segments
        with disk(index):
            segments = _join(index, manifest, key, opened.segments, progress)
        manifest = manifest.next(segments=tuple(segments), tombstones={})
        publish(index, manifest, key)
        remove_orphans(index, manifest)
    return CompactReport(
        segments_before=len(before),
        segments_after=len(segments),
        documents=sum(info.documents for info in segments),
        erased=sum(int(segment.dead.sum()) for segment in opened.segments),
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

    Documents keep their collections and labels; the same document in two indexes is kept twice.
    """
    if not indexes:
        raise UsageError("nothing to merge: name at least one index")
    out = Path(out)
    opened = [Index.open(path, key, check=False) for path in indexes]
    first = opened[0].manifest
    for path, index in zip(indexes, opened, strict=True):
        if index.grid != first.grid:
            raise UsageError(
                f"{path} has gram {index.grid.gram} and stride {index.grid.stride}, {indexes[0]} "
                f"has {first.gram} and {first.stride}; only indexes of one shape can be merged"
            )
    with locked(out):
        if (out / FILE_NAME).exists():
            raise UsageError(f"{out} holds an index already; name a new folder")
        manifest = Manifest.new(key, first.grid, max(i.manifest.max_postings for i in opened))
        parts = [segment for index in opened for segment in index.segments]
        phrases = [
            phrase
            for path, index in zip(indexes, opened, strict=True)
            for phrase in read_phrases(Path(path), index.manifest, key)
        ]
        with disk(out):
            segments = _join(out, manifest, key, parts, progress)
            manifest = manifest.next(segments=tuple(segments))
            manifest = replace(manifest, phrases=write_phrases(out, manifest, key, phrases))
        publish(out, manifest, key)
        remove_orphans(out, manifest)
    before = tuple(segment.info for segment in parts)
    return CompactReport(
        segments_before=len(before),
        segments_after=len(segments),
        documents=sum(info.documents for info in segments),
        erased=sum(int(segment.dead.sum()) for segment in parts),
        bytes_before=_size(before),
        bytes_after=_size(segments),
        dropped_postings=sum(info.dropped_postings for info in segments),
    )


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
            progress=lambda share, n=number: progress("merge", (n + share) / len(groups)),
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
    for segment in opened.segments:
        try:
            for row in range(len(segment.table)):
                segment.document(row)
            read_phrases(opened.path, opened.manifest, key)
        except IndexDamagedError as error:
            problems.append(str(error))
    return problems


def info(index: str | Path, key: Key | None = None) -> dict[str, Any]:
    """What an index is, as JSON-ready values; with its key also its collections and labels."""
    path = Path(index)
    fields = read_fields(path)
    gram, stride, segments = fields["gram"], fields["stride"], fields["segments"]
    told: dict[str, Any] = {
        "index": str(path),
        "index_id": fields["index_id"],
        "format_version": fields["format_version"],
        "canonical_version": fields["canonical_version"],
        "key_id": fields["key_id"],
        "generation": fields["generation"],
        "created": fields["created"],
        "changed": fields["changed"],
        "gram": gram,
        "stride": stride,
        "bound": gram + stride - 1,
        "max_postings": fields["max_postings"],
        "segments": len(segments),
        "documents": sum(s["documents"] for s in segments),
        "chars": sum(s["chars"] for s in segments),
        "units": sum(s["units"] for s in segments),
        "grams": sum(s["grams"] for s in segments),
        "bytes": sum(size for s in segments for size, _ in s["files"].values()),
    }
    if key is not None:
        opened = Index.open(path, key, check=False)
        collections: Counter[str] = Counter()
        labels: Counter[str] = Counter()
        for segment in opened.segments:
            counts = np.bincount(
                segment.table["group"][~segment.dead], minlength=len(segment.groups)
            )
            for (collection, marks), count in zip(segment.groups, counts.tolist(), strict=True):
                collections[collection] += count
                labels.update(dict.fromkeys(marks, count))
        told["forgotten"] = sum(int(segment.dead.sum()) for segment in opened.segments)
        told["documents"] -= told["forgotten"]
        told["collections"] = {name: count for name, count in sorted(collections.items()) if count}
        told["labels"] = {name: count for name, count in sorted(labels.items()) if count}
        told["phrases"] = len(read_phrases(path, opened.manifest, key))
    return told


def _size(segments: Sequence[SegmentInfo]) -> int:
    return sum(size for info in segments for size, _ in info.files.values())
