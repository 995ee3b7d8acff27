"""Building: from sources to runs (see `workers`), from runs to segments, and publishing.

State of a build lives in `work/` of the index folder: for each unit of work its runs and, once they
are durable, a sealed record that it is done. A build that was interrupted and is started again with
the same sources, options and key goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.errors import CorpusIndexError, SourceError, UsageError
from guardrail.indexes.burial import bury, new_segment
from guardrail.indexes.documents import Unreadable
from guardrail.indexes.index import Index
from guardrail.indexes.manifest import (
    FILE_NAME,
    Manifest,
    locked,
    publish,
    read_manifest,
    remove_orphans,
    segment_folder,
    sync_folder,
)
from guardrail.indexes.phrases import write_phrases
from guardrail.indexes.readers import ReadOptions, Unit, plan
from guardrail.indexes.record_table import RecordRows, write_records
from guardrail.indexes.records import RecordFinder, RecordRules, join_rules, rules_of
from guardrail.indexes.runs import GramSource, Grid, Run
from guardrail.indexes.segment import Segment
from guardrail.indexes.segment_writer import SegmentInfo
from guardrail.indexes.workers import Done, Task, load_done, load_records, run_tasks
from guardrail.keys import Key

# The most that is found within 0.6 byte of index a byte of text, at less than half the latency of
# shorter grams: docs/benchmarks.md, "Gram and stride".
DEFAULT_GRID = Grid(gram=16, stride=12)
DEFAULT_MAX_POSTINGS = 64
# About 4 GB of text: keeps the merge's memory bounded and ordinals within 32 bits.
MAX_SEGMENT_ORDINALS = 1 << 28

Progress = Callable[[str, float], None]
"""Called with the name of the stage (`read`, `merge`) and the share (0..1) of it that is done."""


@dataclass(slots=True)
class BuildReport:
    """What a build or an addition did.

    `short` counts documents under the bound, which no search can be promised to find; `records`
    what was marked in them, each as often as it stands in a part of the corpus. `unreadable`
    names at most `UNREADABLE_LISTED` of the `unreadable_count` sources that could not be read.
    """

    documents: int = 0
    chars: int = 0
    units: int = 0
    grams: int = 0
    short: int = 0
    records: int = 0
    replaced: int = 0
    unreadable_count: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    resumed_units: int = 0
    dropped_postings: int = 0
    index_bytes: int = 0
    seconds: float = 0.0

    UNREADABLE_LISTED = 1000

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return asdict(self)


def build(
    paths: Sequence[str],
    out: str | Path,
    key: Key,
    *,
    options: ReadOptions | None = None,
    grid: Grid = DEFAULT_GRID,
    max_postings: int = DEFAULT_MAX_POSTINGS,
    phrases: Iterable[str] = (),
    records: Sequence[RecordFinder] = (),
    jobs: int | None = None,
    strict: bool = False,
    replace_existing: bool = False,
    progress: Progress = lambda stage, share: None,
) -> BuildReport:
    """Build an index of the documents under `paths` in the folder `out`.

    `records` find what is protected although it is short: see `guardrail.indexes.records`.
    `jobs` is the number of worker processes (default: one a core). `strict` stops at the first
    document that cannot be read (DocumentError). An index that `out` holds already is kept and
    refused, or with `replace_existing` replaced in one step when the new one is complete.
    Raises UsageError, SourceError, SecretKeyError or CorpusIndexError.
    """
    check_grid(grid, max_postings)
    out = Path(out)
    started = time.monotonic()
    with locked(out):
        exists = (out / FILE_NAME).exists()
        if exists and not replace_existing:
            raise UsageError(
                f"{out} holds an index already; add to it with: guardrail index add, or replace it "
                "with --replace"
            )
        manifest = Manifest.new(key, grid, max_postings)
        if not exists:
            remove_orphans(out, manifest)
        source = _Source(paths, options or ReadOptions(), tuple(records), jobs, strict)
        segments, rows, report = _read_and_merge(source, out, manifest, key, "build", progress)
        manifest = manifest.next(segments=tuple(segments))
        with disk(out):
            stored = write_phrases(out, manifest, key, phrases)
            table = write_records(out, manifest, key, rows, rules_of(records))
            manifest = replace(manifest, phrases=stored, records=table)
            publish(out, manifest, key)
        remove_orphans(out, manifest)
        shutil.rmtree(out / "work", ignore_errors=True)
    return _finish(report, out, segments, started)


def add(
    paths: Sequence[str],
    index: str | Path,
    key: Key,
    *,
    options: ReadOptions | None = None,
    phrases: Iterable[str] = (),
    records: Sequence[RecordFinder] = (),
    jobs: int | None = None,
    strict: bool = False,
    progress: Progress = lambda stage, share: None,
) -> BuildReport:
    """Add documents to an index. One whose collection and id stand in it already is replaced, and
    so are its records. Rules for records that the index remembers apply; other finders have to be
    given again.

    Raises as `build` does, and IndexMissingError where there is no index.
    """
    index = Path(index)
    started = time.monotonic()
    read_manifest(index, key)
    with locked(index):
        old = Index.open(index, key, check=False)
        manifest = old.manifest
        remove_orphans(index, manifest)
        rules = join_rules(old.records.rules, rules_of(records))
        finders = [finder for finder in records if not isinstance(finder, RecordRules)]
        if rules:
            finders.append(RecordRules(rules))
        purpose = f"add {manifest.index_id} {manifest.generation}"
        source = _Source(paths, options or ReadOptions(), tuple(finders), jobs, strict)
        segments, found, report = _read_and_merge(source, index, manifest, key, purpose, progress)
        added = [_document_keys(index, info, manifest, key) for info in segments]
        fresh = np.concatenate(added) if added else np.zeros(0, np.uint64)
        rows = {
            segment.info.id: np.flatnonzero(np.isin(segment.table["key"], fresh) & ~segment.dead)
            for segment in old.segments
        }
        replaced = [segment.table["key"][rows[segment.info.id]] for segment in old.segments]
        report.replaced = len(np.unique(np.concatenate(replaced))) if replaced else 0
        manifest = manifest.next(segments=(*manifest.segments, *segments))
        with disk(index):
            manifest = bury(index, manifest, key, old.segments, rows)
            stored = write_phrases(index, manifest, key, [*old.phrases, *phrases])
            manifest = replace(manifest, phrases=stored)
            if finders or manifest.records:
                parts = [old.records.rows().without(fresh), *found]
                table = write_records(index, manifest, key, parts, rules)
                manifest = replace(manifest, records=table)
            publish(index, manifest, key)
        remove_orphans(index, manifest)
        shutil.rmtree(index / "work", ignore_errors=True)
    return _finish(report, index, segments, started)


def check_grid(grid: Grid, max_postings: int) -> None:
    """Raise UsageError for parameters outside what kernels and formats allow."""
    if not 8 <= grid.gram <= 64:
        raise UsageError(f"the gram length is {grid.gram}; it must be from 8 to 64 units")
    if not 1 <= grid.stride <= 64:
        raise UsageError(f"the stride is {grid.stride}; it must be from 1 to 64 units")
    if not 1 <= max_postings <= 65535:
        raise UsageError(f"max postings is {max_postings}; it must be from 1 to 65535")


def _document_keys(
    index: Path, info: SegmentInfo, manifest: Manifest, key: Key
) -> NDArray[np.uint64]:
    none = np.zeros(0, np.uint32)
    segment = Segment(segment_folder(index, info.id), info, manifest.grid, key, none)
    return np.asarray(segment.table["key"])


def _finish(
    report: BuildReport, index: Path, segments: Sequence[SegmentInfo], started: float
) -> BuildReport:
    report.grams = sum(info.grams for info in segments)
    report.dropped_postings = sum(info.dropped_postings for info in segments)
    report.index_bytes = sum(size for info in segments for size, _ in info.files.values())
    report.seconds = time.monotonic() - started
    return report


@dataclass(frozen=True, slots=True)
class _Source:
    """What is read, and how."""

    paths: Sequence[str]
    options: ReadOptions
    records: tuple[RecordFinder, ...]
    jobs: int | None
    strict: bool


def _read_and_merge(
    source: _Source,
    index: Path,
    manifest: Manifest,
    key: Key,
    purpose: str,
    progress: Progress,
) -> tuple[list[SegmentInfo], list[RecordRows], BuildReport]:
    jobs, strict = source.jobs or os.cpu_count() or 1, source.strict
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}; it must be at least 1")
    fields = tuple(field for finder in source.records for field in finder.fields)
    options = replace(source.options, record_fields=fields)
    units = plan(source.paths, options)
    purpose += f" {source.records!r}"
    work = _prepare(index, manifest, key, options, units, purpose)
    tasks = [
        Task(number, unit, work, manifest.grid, key, options, source.records)
        for number, unit in enumerate(units)
    ]
    report = BuildReport()
    done = [load_done(task) for task in tasks]
    report.resumed_units = sum(result is not None for result in done)
    waiting = [task for task, result in zip(tasks, done, strict=True) if result is None]
    total = max(1, sum(unit.size for unit in units))
    finished = total - sum(task.unit.size for task in waiting)
    progress("read", finished / total)
    with disk(index):
        for task, result in run_tasks(waiting, jobs, strict):
            done[task.number] = result
            finished += task.unit.size
            progress("read", finished / total)
        results = [result for result in done if result is not None]
        for result in results:
            _count(report, result)
        if strict and report.unreadable:
            first = report.unreadable[0]
            raise SourceError(f"{first.source}: {first.reason} (--strict stops here)")
        runs = [Run(work, name, manifest.grid, key) for result in results for name in result.runs]
        segments = list(_merge(runs, index, manifest, key, jobs, progress))
        rows = [load_records(task) for task in tasks] if source.records else []
        report.records = sum(map(len, rows))
    return segments, rows, report


def _prepare(
    index: Path, manifest: Manifest, key: Key, options: ReadOptions, units: list[Unit], purpose: str
) -> Path:
    """The work folder, emptied unless it holds the beginning of this very work."""
    signature = json.dumps(
        [purpose, asdict(manifest.grid), asdict(options), [u.to_dict() for u in units]]
    )
    mark = hashlib.blake2b(signature.encode(), key=key.derive("work"), digest_size=16).hexdigest()
    work = index / "work"
    with disk(index):
        if not (work / mark).exists():
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            (work / mark).touch()
            sync_folder(work)
    return work


@contextmanager
def disk(index: Path) -> Iterator[None]:
    """Turn the operating system's refusals into an error that says what is left on disk."""
    try:
        yield
    except OSError as error:
        raise CorpusIndexError(
            f"cannot write to {index}: {error.strerror or type(error).__name__}; what the index "
            "held before is unchanged. Make room or mend the folder, then run the command again: "
            "it goes on where it stopped"
        ) from None


def _count(report: BuildReport, done: Done) -> None:
    report.documents += done.documents
    report.chars += done.chars
    report.units += done.units
    report.short += done.short
    report.unreadable_count += len(done.unreadable)
    room = report.UNREADABLE_LISTED - len(report.unreadable)
    report.unreadable += [Unreadable(*pair) for pair in done.unreadable[:room]]


def _merge(
    runs: Sequence[GramSource],
    index: Path,
    manifest: Manifest,
    key: Key,
    jobs: int,
    progress: Progress,
) -> Iterator[SegmentInfo]:
    groups: list[list[GramSource]] = [[]]
    held = 0
    for run in runs:
        if groups[-1] and held + run.ordinals > MAX_SEGMENT_ORDINALS:
            groups.append([])
            held = 0
        groups[-1].append(run)
        held += run.ordinals
    for number, group in enumerate(groups if runs else []):
        yield new_segment(
            index,
            manifest,
            key,
            group,
            threads=jobs,
            progress=part_of(progress, number, len(groups)),
        )


def part_of(progress: Progress, number: int, parts: int) -> Callable[[float], None]:
    """The progress of one of several segments, as a share of all of them."""
    return lambda share: progress("merge", (number + share) / parts)
