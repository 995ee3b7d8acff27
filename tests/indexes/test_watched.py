"""An index that changes on disk under a running service."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from guardrail.assembly import Guardrail
from guardrail.errors import IndexDamagedError, IndexMissingError
from guardrail.findings import Action, Verdict
from guardrail.indexes import lifecycle
from guardrail.indexes.documents import Document
from guardrail.indexes.watched import WatchedIndex
from guardrail.keys import new_key
from tests.indexes.builders import KEY
from tests.indexes.changes import letters
from tests.indexes.lives import add_to_index, build_index

OLD, NEW, EVER = (Document(name, letters(name)) for name in ("old", "new", "ever"))


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrail.indexes.watched.LOOK_EVERY_SECONDS", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    build_index(tmp_path / "index", [OLD, EVER])
    return tmp_path / "index"


@pytest.fixture
def guardrail(path: Path) -> Guardrail:
    return Guardrail.from_policy(indexes=[path], key=KEY)


def documents(verdict: Verdict) -> set[str | None]:
    assert verdict.failures == ()
    return {finding.evidence.document for finding in verdict.findings}


def seen(guardrail: Guardrail) -> set[str | None]:
    """Which documents the service knows of."""
    return documents(guardrail.check(" ".join([OLD.text, NEW.text, EVER.text])))


def break_manifest(path: Path) -> None:
    manifest = path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])


def break_segment(path: Path) -> None:
    """A new state with a damaged file, as a copy that went wrong leaves it."""
    before = set((path / "segments").iterdir())
    add_to_index(path, [NEW])
    (fresh,) = set((path / "segments").iterdir()) - before
    file = fresh / "remainders"
    file.write_bytes(bytes(file.stat().st_size))


def remove(path: Path) -> None:
    shutil.rmtree(path)


def put_other_key(path: Path) -> None:
    shutil.rmtree(path)
    build_index(path, [NEW])
    text = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(text.replace(KEY.id, new_key().id))


def test_changes_are_picked_up(path: Path, guardrail: Guardrail) -> None:
    assert seen(guardrail) == {"old", "ever"}
    add_to_index(path, [NEW])
    assert seen(guardrail) == {"old", "new", "ever"}
    lifecycle.forget(path, KEY, ["old"])
    assert seen(guardrail) == {"new", "ever"}
    lifecycle.compact(path, KEY)
    assert seen(guardrail) == {"new", "ever"}
    build_index(path, [EVER], replace_existing=True, phrases=["Project Nightjar"])
    assert seen(guardrail) == {"ever"}
    assert documents(guardrail.check("about project nightjar")) == {"index:phrase 1"}
    shutil.rmtree(path)
    build_index(path, [NEW])
    assert seen(guardrail) == {"new"}
    assert guardrail.health() == {}


def test_a_change_is_looked_for_only_so_often(
    path: Path, guardrail: Guardrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(guardrail)
    monkeypatch.setattr("guardrail.indexes.watched.LOOK_EVERY_SECONDS", 3600.0)
    add_to_index(path, [NEW])
    assert seen(guardrail) == {"old", "ever"}


@pytest.mark.parametrize("breaks", [break_manifest, break_segment, remove, put_other_key])
def test_a_broken_state_does_not_take_the_place_of_one_that_works(
    path: Path,
    guardrail: Guardrail,
    breaks: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    saved = shutil.copytree(path, tmp_path / "saved")
    breaks(path)
    with caplog.at_level(logging.WARNING, logger="guardrail"):
        for _ in range(3):
            assert seen(guardrail) == {"old", "ever"}
    assert len(caplog.records) == 1, "told once, not with every response"
    (problem,) = guardrail.health().values()
    assert problem in caplog.text
    assert str(path) in problem
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(saved, path)
    assert seen(guardrail) == {"old", "ever"}
    assert guardrail.health() == {}
    add_to_index(path, [NEW])
    assert seen(guardrail) == {"old", "new", "ever"}


def test_an_index_that_is_broken_from_the_start_is_refused(path: Path) -> None:
    break_segment(path)
    with pytest.raises(IndexDamagedError, match="remainders"):
        WatchedIndex(path, KEY)
    shutil.rmtree(path)
    with pytest.raises(IndexMissingError):
        WatchedIndex(path, KEY)


def test_a_large_state_is_checked_as_it_was_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that has every file checked before use keeps to that for later states."""
    monkeypatch.setattr("guardrail.indexes.index.CHECK_AT_ONCE_BYTES", 0)
    watched = WatchedIndex(path, KEY, check=True)
    first = watched.current()
    break_segment(path)
    assert watched.current() is first
    assert watched.problem is not None
    assert "remainders" in watched.problem


@contextmanager
def checking(
    guardrail: Guardrail, response: str, judge: Callable[[Verdict], object]
) -> Iterator[None]:
    """Three threads that go on checking a response, whatever happens meanwhile."""
    stop = threading.Event()

    def work() -> int:
        count = 0
        while not stop.is_set():
            judge(guardrail.check(response))
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(work) for _ in range(3)]
        try:
            yield
        finally:
            stop.set()
        assert all(future.result() > 0 for future in futures)


def test_threads_see_one_state_or_the_other(path: Path, guardrail: Guardrail) -> None:
    """What stands in the index before and after each change is found all along."""

    def judge(verdict: Verdict) -> None:
        assert "ever" in documents(verdict)
        # Refused where the redacted text is judged by a newer state, which protects more of it.
        assert verdict.action in (Action.REDACT, Action.REFUSE)
        assert EVER.text not in verdict.text

    with checking(guardrail, f"{EVER.text} {OLD.text} {NEW.text}", judge):
        for turn in range(3):
            add_to_index(path, [NEW, Document(f"more {turn}", letters(str(turn)))])
            lifecycle.forget(path, KEY, ["new"])
            lifecycle.compact(path, KEY)
            build_index(path, [EVER, OLD], replace_existing=True)
    assert seen(guardrail) == {"ever", "old"}
    assert guardrail.health() == {}


def test_phrases_are_found_all_along(path: Path) -> None:
    """Each change brings a new file of phrases, and removes the one before."""
    build_index(path, [EVER], replace_existing=True, phrases=["Project Nightjar"])
    guardrail = Guardrail.from_policy(indexes=[path], key=KEY)

    def judge(verdict: Verdict) -> None:
        assert documents(verdict) == {"index:phrase 1"}

    with checking(guardrail, "it is called project nightjar", judge):
        for turn in range(3):
            phrases = ["Project Nightjar", f"phrase number {turn}"]
            build_index(path, [EVER], replace_existing=True, phrases=phrases)
            add_to_index(path, [NEW], phrases=[f"more {turn}"])
    assert guardrail.health() == {}
