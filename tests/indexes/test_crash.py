"""A change that is killed at any moment leaves the index as it was or as it was to be, and can be
repeated. Kills are real: SIGKILL to a process that changes a real index."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardrail.errors import CorpusIndexError, IndexBusyError
from guardrail.indexes.build import BuildReport
from guardrail.indexes.lifecycle import forget, verify
from tests.indexes.builders import KEY
from tests.indexes.changes import HISTORY, OPERATIONS, State, run_all, state, write_corpora
from tests.indexes.lives import ROOT

NEVER = -1
PATIENCE = 60


class Server:
    """Runs operations in processes that can be killed; see `changes.serve`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.indexes.changes"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def start(
        self, name: str, corpora: Path, index: Path, *, jobs: int = 1, step: int = NEVER
    ) -> int:
        """The process id of the operation."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\t{corpora}\t{index}\t{jobs}\t{step}\n")
        self._process.stdin.flush()
        self._child = int(self._answer())
        return self._child

    def finish(self) -> tuple[str, int]:
        """How the operation ended, and its steps if it was not killed. One that hangs is killed."""
        timer = threading.Timer(PATIENCE, os.kill, (self._child, signal.SIGKILL))
        timer.start()
        answer = self._answer()
        ending = (self._answer(), int(answer)) if answer.isdecimal() else (answer, 0)
        timer.cancel()
        return ending

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpora whose build takes about half a second."""
    folder = tmp_path_factory.mktemp("corpora")
    write_corpora(folder, 1000)
    return folder


@pytest.fixture(scope="module")
def small_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    write_corpora(folder, 90)
    return folder


class Ordeal:
    """One operation on copies of one index, and the two states that a kill may leave."""

    def __init__(self, name: str, corpora: Path, folder: Path) -> None:
        self.name, self.corpora, self.folder = name, corpora, folder
        self.origin = folder / "origin"
        run_all(HISTORY[name], corpora, self.origin)
        self.before = state(self.origin)
        self.index = folder / "index"
        self.fresh()
        self.run()
        self.after = state(self.index)
        assert self.before != self.after or name == "compact"

    def fresh(self) -> None:
        shutil.rmtree(self.index, ignore_errors=True)
        if self.origin.exists():
            shutil.copytree(self.origin, self.index)

    def run(self) -> BuildReport | None:
        return OPERATIONS[self.name](self.corpora, self.index, 1)

    def check(self) -> int:
        """The index after a kill, and after the operation is repeated; how many units of work the
        repeated one found done."""
        left = self.found()
        assert left in (self.before, self.after)
        resumed = 0
        if self.name != "build" or left is None:
            report = self.run()
            resumed = 0 if report is None else report.resumed_units
        assert self.found() == self.after
        kept = {path.name for path in (self.index / "segments").iterdir()}
        manifest = (self.index / "manifest.json").read_text()
        assert all(name in manifest for name in kept), "a segment that nothing names was left"
        return resumed

    def found(self) -> State:
        answers = state(self.index)
        if answers is not None:
            assert verify(self.index, KEY) == []
        return answers


SOME_AND_MANY = [4, pytest.param(25, marks=pytest.mark.slow)]


@pytest.mark.parametrize("kills", SOME_AND_MANY)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_any_moment(
    name: str, kills: int, server: Server, corpora: Path, tmp_path: Path
) -> None:
    """Slow with many kills: each is followed by checks and by the whole operation."""
    ordeal = Ordeal(name, corpora, tmp_path)
    ordeal.fresh()
    began = time.monotonic()
    server.start(name, corpora, ordeal.index)
    assert server.finish()[0] == "ended"
    duration = time.monotonic() - began
    dice = random.Random(name)
    killed = 0
    for kill in range(kills):
        ordeal.fresh()
        child = server.start(name, corpora, ordeal.index)
        # One moment in each of so many equal parts of the operation.
        time.sleep(duration * (kill + dice.random()) / kills)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        ending, _ = server.finish()
        assert ending in ("killed", "ended")
        killed += ending == "killed"
        ordeal.check()
    assert killed >= kills // 2


@pytest.mark.parametrize("share", [0.12, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_before_each_step(
    name: str, share: float, server: Server, small_corpora: Path, tmp_path: Path
) -> None:
    """The moments that matter last microseconds: here each of them gets its kill, or in the gate
    some of them, as there are hundreds."""
    ordeal = Ordeal(name, small_corpora, tmp_path)
    ordeal.fresh()
    server.start(name, small_corpora, ordeal.index)
    ending, steps = server.finish()
    assert (ending, steps > 3) == ("ended", True)
    # The last steps are those that publish and tidy up.
    chosen = {*random.Random(name).sample(range(steps), int(steps * share)), *range(steps)[-4:]}
    for step in sorted(chosen):
        ordeal.fresh()
        server.start(name, small_corpora, ordeal.index, step=step)
        assert server.finish() == ("killed", 0)
        ordeal.check()


def test_workers_do_not_outlive_a_killed_build(
    server: Server, corpora: Path, tmp_path: Path
) -> None:
    ordeal = Ordeal("build", corpora, tmp_path)
    for delay in (0.02, 0.3, 0.8, 1.5):
        ordeal.fresh()
        child = server.start("build", corpora, ordeal.index, jobs=2)
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        server.finish()
        deadline = time.monotonic() + 10
        while members := session(child):
            assert time.monotonic() < deadline, f"orphans: {members}"
            time.sleep(0.05)
        ordeal.check()


def session(leader: int) -> list[str]:
    """The command lines of the processes that a process and its children left."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(after_name[3]) == leader and after_name[0] != "Z":
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def test_a_killed_worker_is_an_error_and_the_build_goes_on(
    server: Server, corpora: Path, tmp_path: Path
) -> None:
    """As when the system runs out of memory and picks a worker: also one that is just starting,
    while the pool starts the next."""
    ordeal = Ordeal("build", corpora, tmp_path)
    for delay in (0, 0.02, 0.2):
        ordeal.fresh()
        child = server.start("build", corpora, ordeal.index, jobs=2)
        deadline = time.monotonic() + 20
        while not (workers := [pid for pid in children(child) if is_worker(pid)]):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(delay)
        os.kill(workers[0], signal.SIGKILL)
        assert server.finish()[0] == "failed"
        ordeal.check()


def children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(word) for word in path.read_text().split()]


def is_worker(pid: int) -> bool:
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


def test_one_change_at_a_time(server: Server, corpora: Path, tmp_path: Path) -> None:
    ordeal = Ordeal("add", corpora, tmp_path)
    ordeal.fresh()
    child = server.start("add", corpora, ordeal.index)
    while not (ordeal.index / "work").exists():
        time.sleep(0.001)
    os.kill(child, signal.SIGSTOP)
    for name in ("add", "forget", "compact", "replace"):
        with pytest.raises(IndexBusyError, match="another process is changing the index"):
            OPERATIONS[name](corpora, ordeal.index, 1)
    assert ordeal.found() == ordeal.before
    os.kill(child, signal.SIGCONT)
    assert server.finish()[0] == "ended"
    assert ordeal.found() == ordeal.after


def test_what_is_left_of_a_build_is_told(server: Server, corpora: Path, tmp_path: Path) -> None:
    ordeal = Ordeal("build", corpora, tmp_path)
    ordeal.fresh()
    server.start("build", corpora, ordeal.index, step=30)
    assert server.finish()[0] == "killed"
    with pytest.raises(CorpusIndexError, match="a build was interrupted there; run the same"):
        forget(ordeal.index, KEY, ["d1"])


@pytest.mark.parametrize("name", ["build", "replace", "add"])
def test_it_goes_on_where_it_stopped(
    name: str, server: Server, small_corpora: Path, tmp_path: Path
) -> None:
    ordeal = Ordeal(name, small_corpora, tmp_path)
    found = []
    for step in (3, 14, 28):
        ordeal.fresh()
        server.start(name, small_corpora, ordeal.index, step=step)
        assert server.finish()[0] == "killed"
        found.append(ordeal.check())
    assert found == sorted(found)
    assert found[-1] > found[0] == 0


def test_damaged_work_is_done_again(server: Server, corpora: Path, tmp_path: Path) -> None:
    """What a machine that went down left half written does not get into the index."""
    ordeal = Ordeal("build", corpora, tmp_path)
    ordeal.fresh()
    server.start("build", corpora, ordeal.index, step=60)
    assert server.finish()[0] == "killed"
    damaged = 0
    for path in sorted((ordeal.index / "work").glob("unit-*.npy"))[::3]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
        damaged += 1
    assert damaged > 3
    ordeal.check()
