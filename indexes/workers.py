"""The workers of a build: one unit of work in, runs and a durable record out."""

from __future__ import annotations

import ctypes
import hashlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path

from guardrail.errors import CorpusIndexError, GuardrailError
from guardrail.indexes.documents import Unreadable
from guardrail.indexes.readers import ReadOptions, Unit, read
from guardrail.indexes.record_table import RecordCollector, RecordRows
from guardrail.indexes.records import RecordFinder
from guardrail.indexes.runs import Grid, RunWriter
from guardrail.indexes.sealed import Sealer
from guardrail.keys import Key

# The files of a run, whose names start with the run's: see `RunWriter.flush`.
_RUN_FILES = ("starts.npy", "entries.npy", "tags.npy", "marks.npy", "blocks.npy", "rows")


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of work, as it is handed to a worker process."""

    number: int
    unit: Unit
    work: Path
    grid: Grid
    key: Key
    options: ReadOptions
    records: tuple[RecordFinder, ...] = ()

    @property
    def name(self) -> str:
        return f"unit-{self.number:07d}"

    @property
    def record(self) -> Path:
        return self.work / f"{self.name}.done"

    @property
    def record_rows(self) -> Path:
        return self.work / f"{self.name}.records"


@dataclass(slots=True)
class Done:
    """What a finished unit left: its runs, and its part of the report."""

    runs: list[str]
    digest: str = ""
    documents: int = 0
    chars: int = 0
    units: int = 0
    short: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def load_done(task: Task) -> Done | None:
    """What an earlier attempt left of a unit, if it finished."""
    try:
        blob = task.record.read_bytes()
        done = Done(**json.loads(Sealer.derive(task.key, "work").open(blob, task.name)))
        return done if _digest(task, done.runs) == done.digest else None
    except (OSError, GuardrailError):
        return None


def load_records(task: Task) -> RecordRows:
    """The records that a finished unit left."""
    if not task.records:
        return RecordRows.none()
    sealer = Sealer.derive(task.key, "work")
    return RecordRows.unpack(sealer.open(task.record_rows.read_bytes(), f"{task.name} records"))


def _digest(task: Task, runs: Iterable[str]) -> str:
    """Of all that a unit wrote. Cheaper than making runs durable: what a crash of the machine left
    incomplete is read again."""
    digest = hashlib.sha256()
    for name in runs:
        for part in _RUN_FILES:
            with (task.work / f"{name}.{part}").open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    if task.records:
        digest.update(hashlib.sha256(task.record_rows.read_bytes()).digest())
    return digest.hexdigest()


def run_tasks(tasks: list[Task], jobs: int, strict: bool) -> Iterator[tuple[Task, Done]]:
    """Do tasks in this process and `jobs` - 1 others; each with what it left, as they finish. With
    `strict`, the first that could not read something is the last. Raises CorpusIndexError if a
    process dies.

    This process has read a good part of a small corpus by the time that others have started.
    """
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        yield from ((task, _work(task)) for task in tasks)
        return
    helpers = ProcessPoolExecutor(
        jobs - 1,
        multiprocessing.get_context("spawn"),
        initializer=become_worker,
        initargs=(os.getpid(),),
    )
    own = ThreadPoolExecutor(1)
    source = iter(tasks)
    pending: dict[Future[Done], tuple[Task, Executor]] = {}
    idle: list[Executor] = [own, *[helpers] * (jobs - 1)]
    try:
        while True:
            # None is handed a second task ahead: the last ones are to end at the same time.
            for executor in idle[:]:
                if (following := next(source, None)) is not None:
                    idle.remove(executor)
                    pending[executor.submit(_work, following)] = following, executor
            if not pending:
                break
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                task, executor = pending.pop(future)
                idle.append(executor)
                result = future.result()
                yield task, result
                if strict and result.unreadable:
                    return
    except (BrokenProcessPool, BrokenPipeError):
        # The pool would wait without end for a worker that was just being started when it broke.
        for process in list((helpers._processes or {}).values()):
            process.kill()
        raise CorpusIndexError(
            "a worker process ended before its time (out of memory, or a script that calls this "
            "without `if __name__ == '__main__':`); run it again, with fewer jobs if need be: it "
            "goes on where it stopped"
        ) from None
    finally:
        own.shutdown(wait=True, cancel_futures=True)
        helpers.shutdown(wait=True, cancel_futures=True)


def become_worker(parent: int) -> None:
    """Leave interrupts to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
    # The parent may have died before the line above.
    if os.getppid() != parent:
        os._exit(1)


def _work(task: Task) -> Done:
    """Read one unit and write its runs."""
    writer = RunWriter(task.work, task.name, task.grid, task.key)
    collector = RecordCollector(task.key)
    sealer = Sealer.derive(task.key, "work")
    done = Done(runs=[])
    for item in read(task.unit, task.options):
        if isinstance(item, Unreadable):
            done.unreadable.append((item.source, item.reason))
            continue
        units = writer.add(item)
        for finder in task.records:
            for record in finder.find(item):
                collector.add(record, item)
        done.documents += item.offset == 0
        done.chars += len(item.text)
        done.units += units
        done.short += item.offset == 0 and units < task.grid.bound
    writer.flush()
    if task.records:
        blob = sealer.seal(collector.rows().pack(), f"{task.name} records")
        task.record_rows.write_bytes(blob)
    done.runs = writer.written
    done.digest = _digest(task, done.runs)
    blob = sealer.seal(json.dumps(asdict(done)).encode(), task.name)
    aside = task.record.with_suffix(".new")
    with aside.open("wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(task.record)
    return done
