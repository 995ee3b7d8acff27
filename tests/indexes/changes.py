"""Changes to an index that can be run, and killed, in a process of their own.

python -m tests.indexes.changes        a server: see `serve`
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from guardrail.errors import IndexMissingError
from guardrail.indexes import lifecycle
from guardrail.indexes.build import BuildReport, add, build
from guardrail.indexes.documents import Document
from tests.indexes.builders import KEY
from tests.indexes.lives import GRID, holders, options, write_corpus

# Small units, so that a build has many that it can go on from.
OPTIONS = options(unit_bytes=20_000)
FORGOTTEN = [f"d{number}" for number in range(0, 600, 2)]
WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}

State = list[set[tuple[str, str]]] | None


def letters(seed: str) -> str:
    """A text of its own, in words of seven letters."""
    drawn = "".join(random.Random(seed).choices("bcdfghjkmnpqrstvwxz", k=300))
    return " ".join(drawn[at : at + 7] for at in range(0, len(drawn), 7))


def write_corpora(folder: Path, documents: int) -> None:
    """Two corpora; the second replaces some documents of the first and adds others."""
    first, second = folder / "first", folder / "second"
    first.mkdir()
    second.mkdir()
    for part in range(3):
        numbers = range(part, documents, 3)
        write_corpus(first / f"{part}.jsonl", (_document(number, "old") for number in numbers))
    later = range(30, documents + 30)
    write_corpus(second / "0.jsonl", (_document(number, "new") for number in later))


def _document(number: int, version: str) -> Document:
    return Document(f"d{number}", letters(f"{version} {number}"), f"c{number % 2}")


def state(index: Path) -> State:
    """What tells the states of an index apart: who holds the texts of some documents."""
    versions = [(number, version) for number in range(0, 60, 7) for version in ("old", "new")]
    try:
        return holders(index, [letters(f"{version} {number}") for number, version in versions])
    except IndexMissingError:
        return None


def _build(corpora: Path, index: Path, jobs: int) -> BuildReport:
    phrases = ["a phrase of the first"]
    return build(
        [str(corpora / "first")],
        index,
        KEY,
        options=OPTIONS,
        grid=GRID,
        phrases=phrases,
        jobs=jobs,
    )


def _replace(corpora: Path, index: Path, jobs: int) -> BuildReport:
    return build(
        [str(corpora / "second")],
        index,
        KEY,
        options=OPTIONS,
        grid=GRID,
        phrases=["the phrase of the second"],
        jobs=jobs,
        replace_existing=True,
    )


def _add(corpora: Path, index: Path, jobs: int) -> BuildReport:
    phrases = ["one more phrase"]
    return add([str(corpora / "second")], index, KEY, options=OPTIONS, phrases=phrases, jobs=jobs)


def _forget(corpora: Path, index: Path, jobs: int) -> None:
    lifecycle.forget(index, KEY, FORGOTTEN)


def _compact(corpora: Path, index: Path, jobs: int) -> None:
    lifecycle.compact(index, KEY)


OPERATIONS: dict[str, Callable[[Path, Path, int], BuildReport | None]] = {
    "build": _build,
    "replace": _replace,
    "add": _add,
    "forget": _forget,
    "compact": _compact,
}
# What an index went through before each operation.
HISTORY = {
    "build": [],
    "replace": ["build"],
    "add": ["build", "forget"],
    "forget": ["build", "add"],
    "compact": ["build", "add", "forget"],
}


def run_all(names: Iterable[str], corpora: Path, index: Path) -> None:
    """Operations one after the other, in this process."""
    for name in names:
        OPERATIONS[name](corpora, index, 1)


def serve() -> None:
    """For each line of standard input (operation, corpora, index, jobs, step), fork a child that
    runs the operation: everything is loaded already, so that its whole life is the operation.

    Prints the child's process id, what steps it took if it got to the end, and how it ended. A
    child kills itself right before the change to the file system that is number `step`, if any.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        name, corpora, index, jobs, step = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            os.setsid()
            print(os.getpid(), flush=True)
            steps = _count_steps(index, int(step))
            OPERATIONS[name](Path(corpora), Path(index), int(jobs))
            print(steps(), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        print("killed" if killed else "failed" if status else "ended", flush=True)


def _count_steps(folder: str, last: int) -> Callable[[], int]:
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        writes = event == "open" and str(arguments[1])[:1] in ("w", "a", "x")
        if (writes or event in WRITES) and folder in str(arguments[0]):
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

    sys.addaudithook(hook)
    return lambda: count


if __name__ == "__main__":
    serve()
