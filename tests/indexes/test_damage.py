"""Damaged, swapped and foreign files, full disks and wrong keys: a clear error or right answers."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guardrail.assembly import Guardrail
from guardrail.errors import (
    CorpusIndexError,
    GuardrailError,
    IndexDamagedError,
    IndexMissingError,
    IndexVersionError,
    SecretKeyError,
)
from guardrail.findings import Action
from guardrail.indexes import lifecycle
from guardrail.indexes.build import build
from guardrail.indexes.documents import Document
from guardrail.indexes.index import Index
from guardrail.indexes.manifest import _mac
from guardrail.indexes.records import RecordRule, RecordRules
from guardrail.keys import load_key, new_key, write_key
from tests.indexes.builders import KEY
from tests.indexes.changes import letters
from tests.indexes.lives import (
    add_to_index,
    build_index,
    check_against_naive,
    command,
    complaint,
    holders,
    named,
    write_corpus,
)

DOCUMENTS = [Document(f"d{number}", letters(str(number))) for number in range(30)]
LIVING = named(DOCUMENTS[1:])
RESPONSES = [document.text for document in DOCUMENTS[::5]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with all kinds of files: two segments, tombstones, phrases, records."""
    path = tmp_path_factory.mktemp("sound") / "index"
    records = RecordRules((RecordRule("word", pattern=r"\A[a-z]{6,9}", min_bits=0),))
    build_index(path, DOCUMENTS[:20], records=[records])
    add_to_index(path, DOCUMENTS[10:], phrases=["Project Nightjar", "Operation Wren"])
    lifecycle.forget(path, KEY, ["d0"])
    write_key(path.parent / "key", KEY)
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of other documents under the same key."""
    path = tmp_path_factory.mktemp("foreign") / "index"
    build_index(path, [Document("x", letters("x"))], phrases=["Something else"])
    return path


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "index"))


def files(index: Path) -> list[Path]:
    """What an index consists of, but for its lock."""
    found = sorted(path for path in index.rglob("*") if path.is_file() and path.name != "lock")
    assert len(found) >= 10
    return found


def refusal(index: Path, path: Path) -> str:
    """The error on opening an index with a damaged file, which names the place."""
    with pytest.raises(GuardrailError) as caught:
        Index.open(index, KEY)
    message = str(caught.value)
    if path.name == "manifest.json":
        assert str(index) in message
    else:
        assert path.name in message
        assert path.parent.name in message or str(path) in message or path.suffix == ".sealed"
    return message


def truncated(content: bytes) -> Iterator[bytes]:
    yield content[:-1]
    yield content[: len(content) // 2]


def flipped(content: bytes) -> Iterator[bytes]:
    size = len(content)
    for position in {0, 1, size // 3, size // 2, size - 2, size - 1}:
        for bit in (0, 7):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            yield bytes(changed)


def noise(content: bytes) -> Iterator[bytes]:
    yield os.urandom(len(content))
    yield os.urandom(100)


def longer(content: bytes) -> Iterator[bytes]:
    yield content + b"\0"
    yield content * 2


def emptied(content: bytes) -> Iterator[bytes]:
    yield b""
    yield bytes(len(content))


@pytest.mark.parametrize("damage", [truncated, flipped, noise, longer, emptied])
def test_any_damaged_file_is_refused(
    copied: Path, damage: Callable[[bytes], Iterator[bytes]]
) -> None:
    for path in files(copied):
        content = path.read_bytes()
        for changed in damage(content):
            path.write_bytes(changed)
            refusal(copied, path)
        path.write_bytes(content)
    check_against_naive(copied, LIVING, RESPONSES)


def test_any_missing_file_is_refused(copied: Path) -> None:
    for path in files(copied):
        content = path.read_bytes()
        path.unlink()
        refusal(copied, path)
        path.mkdir()
        refusal(copied, path)
        path.rmdir()
        path.symlink_to("nowhere")
        refusal(copied, path)
        path.unlink()
        path.write_bytes(content)
    shutil.rmtree(copied / "segments")
    with pytest.raises(IndexDamagedError, match="missing"):
        Index.open(copied, KEY)


def test_files_of_another_segment_are_refused(copied: Path, foreign: Path) -> None:
    one, other = sorted((copied / "segments").iterdir())
    (third,) = (foreign / "segments").iterdir()
    for source in (other, third):
        for path in sorted(one.iterdir()):
            content = path.read_bytes()
            path.write_bytes((source / path.name).read_bytes())
            if path.read_bytes() != content:
                refusal(copied, path)
            path.write_bytes(content)


def test_phrases_and_tombstones_of_another_index_are_refused(copied: Path, foreign: Path) -> None:
    (phrases,) = foreign.glob("phrases-*")
    for path in copied.glob("*.sealed"):
        content = path.read_bytes()
        path.write_bytes(phrases.read_bytes())
        refusal(copied, path)
        path.write_bytes(content)


def test_the_manifest_of_another_index_is_refused(copied: Path, foreign: Path) -> None:
    shutil.copy(foreign / "manifest.json", copied)
    with pytest.raises(IndexDamagedError, match="is missing"):
        Index.open(copied, KEY)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format_version", 9, "has format 9, this program reads format 5; use the program"),
        ("canonical_version", 9, "canonical text of version 9, this program makes version 2"),
    ],
)
def test_another_version_is_named(copied: Path, field: str, value: int, message: str) -> None:
    change_manifest(copied, lambda fields: fields | {field: value}, signed=False)
    for attempt in (
        lambda: Index.open(copied, KEY),
        lambda: lifecycle.info(copied),
        lambda: lifecycle.forget(copied, KEY, ["d1"]),
    ):
        with pytest.raises(IndexVersionError, match=message):
            attempt()


def change_manifest(
    index: Path, change: Callable[[dict[str, Any]], Any], *, signed: bool = True
) -> None:
    """Rewrite a manifest, signed anew with the key, so that it is parsed and not just refused."""
    path = index / "manifest.json"
    fields = json.loads(path.read_text())
    mac = fields.pop("mac")
    changed = change(fields)
    if isinstance(changed, dict):
        changed = {**changed, "mac": _mac(changed, KEY) if signed else mac}
    path.write_text(json.dumps(changed))


def test_a_manifest_that_was_altered_is_refused(copied: Path) -> None:
    change_manifest(copied, lambda fields: fields | {"tombstones": {}}, signed=False)
    with pytest.raises(IndexDamagedError, match=r"manifest\.json was altered after it was written"):
        Index.open(copied, KEY)


@pytest.mark.parametrize("mac", [None, 5, "", "é" * 64, "\ud800", ["x"]])
def test_a_signature_of_any_kind(copied: Path, mac: object) -> None:
    path = copied / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mac": mac}))
    with pytest.raises(IndexDamagedError, match="was altered"):
        Index.open(copied, KEY)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value with each of its keys."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@settings(max_examples=300)
@given(st.integers(0, 10**6), st.one_of(st.just("delete"), st.just("swap"), JSON_VALUES))
@example(0, float("inf"))
@example(1, float("inf"))
@example(2, {})
def test_a_manifest_of_any_structure(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, number: int, value: Any
) -> None:
    """Signed with the right key, so that parsing is reached: an error of ours, or an index that can
    be searched (where the change did not matter)."""
    index = tmp_path_factory.getbasetemp() / "fuzzed"
    if not index.exists():
        shutil.copytree(sound, index)
    shutil.copy(sound / "manifest.json", index)

    def change(fields: dict[str, Any]) -> Any:
        found = list(places(fields))
        container, key = found[number % len(found)]
        if value == "delete":
            del container[key]
        elif value == "swap":
            other, place = found[number // 7 % len(found)]
            container[key], other[place] = other[place], container[key]
        else:
            container[key] = value
        return fields

    try:
        change_manifest(index, change)
    except (IndexError, KeyError, TypeError, ValueError):
        return  # swapped into itself
    for attempt in (
        lambda: lifecycle.info(index),
        lambda: lifecycle.verify(index, KEY),
        lambda: holders(index, RESPONSES[:1]),
    ):
        # Any other exception fails the test.
        with suppress(GuardrailError):
            attempt()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": "zip"}', b"1" * 9999],
)
def test_something_else_in_place_of_a_manifest(copied: Path, content: bytes) -> None:
    (copied / "manifest.json").write_bytes(content)
    for attempt in (lambda: Index.open(copied, KEY), lambda: lifecycle.info(copied)):
        with pytest.raises(IndexDamagedError, match="is not the manifest of an index"):
            attempt()


def test_a_wrong_key_is_named(copied: Path) -> None:
    other = new_key()
    with pytest.raises(SecretKeyError, match=f"built with key {KEY.id}, but key {other.id}"):
        Index.open(copied, other)
    with pytest.raises(SecretKeyError, match="was built with key"):
        lifecycle.merge([copied], copied.parent / "merged", other)
    assert not (copied.parent / "merged").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"secret", b"guardrail-key-1:", b"guardrail-key-1:AAAA", b"\xff\xff", b"\0" * 32],
)
def test_a_malformed_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(SecretKeyError, match="key holds no key: expected one line"):
        load_key(path)
    for place in (tmp_path / "none", tmp_path, path / "below"):
        with pytest.raises(SecretKeyError, match="key"):
            load_key(place)


def test_damage_is_not_made_to_look_sound(copied: Path) -> None:
    """Whatever is written anew gets new digests, so damage must stop it."""
    path = next((copied / "segments").glob("*/tags"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IndexDamagedError, match="tags was altered"):
        lifecycle.compact(copied, KEY)
    with pytest.raises(IndexDamagedError, match="tags was altered"):
        lifecycle.merge([copied], copied.parent / "merged", KEY)
    lifecycle.forget(copied, KEY, ["d1"])
    add_to_index(copied, DOCUMENTS[:1])
    assert lifecycle.verify(copied, KEY) == [
        f"{path} was altered after it was written; restore it or build the index again"
    ]


def test_a_large_index_is_checked_while_it_is_used(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guardrail.indexes.index.CHECK_AT_ONCE_BYTES", 0)
    path = next((copied / "segments").glob("*/tags"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    built, check = threading.Event(), Index._check_aside
    monkeypatch.setattr(Index, "_check_aside", lambda self: built.wait(60) and check(self))
    guardrail = Guardrail.from_policy(indexes=[copied], key=KEY)
    built.set()
    wait_until(lambda: bool(guardrail.health()))
    verdict = guardrail.check("anything at all")
    assert verdict.action is Action.REFUSE
    assert verdict.text == guardrail.policy.refusal
    assert [failure.detector for failure in verdict.failures] == ["overlap", "passages"]
    for failure in verdict.failures:
        assert failure.covered == 0.0
        assert failure.reason.startswith(f"{path} was altered")
        assert guardrail.health() == {str(copied): failure.reason}


@pytest.mark.parametrize("pattern", ["segments/*/tags", "phrases-*", "forgotten-*"])
def test_a_large_index_with_a_missing_file_is_refused(
    copied: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guardrail.indexes.index.CHECK_AT_ONCE_BYTES", 0)
    path = next(copied.glob(pattern))
    path.unlink()
    with pytest.raises(IndexDamagedError, match=path.name):
        Guardrail.from_policy(indexes=[copied], key=KEY)
    with pytest.raises(IndexDamagedError, match=path.name):
        Index.open(copied, KEY, check=True)


def test_a_state_that_was_superseded_is_not_taken_for_damaged(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background check comes to files that a newer state has removed."""
    opened = Index.open(copied, KEY, check=False)
    lifecycle.compact(copied, KEY)
    assert list(opened.problems()) == []
    assert not opened.is_current()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_command_line_says_what_is_wrong(copied: Path, sound: Path) -> None:
    key = str(sound.parent / "key")
    response = DOCUMENTS[5].text
    right = command("check", response, "--index", copied, "--key-file", key)
    assert (right.returncode, right.stderr) == (11, "")

    table = next((copied / "segments").glob("*/documents"))
    content = table.read_bytes()
    table.write_bytes(content[:-1])
    says = f"{table} has {len(content) - 1} bytes"
    assert says in complaint(command("check", response, "--index", copied, "--key-file", key))
    assert says in complaint(command("index", "compact", copied, "--key-file", key))
    assert says in complaint(command("index", "info", copied, "--key-file", key))
    table.write_bytes(b"\0" * len(content))
    verified = command("index", "verify", copied, "--key-file", key)
    assert "documents in segment" in complaint(verified)

    (copied / "manifest.json").write_text('{"format": "corpus-guardrail index"}')
    assert "is not the manifest" in complaint(command("index", "info", copied))
    (copied / "manifest.json").unlink()
    assert "there is no index in" in complaint(
        command("check", response, "--index", copied, "--key-file", key)
    )


def test_the_command_line_with_keys_that_do_not_fit(sound: Path, tmp_path: Path) -> None:
    for content in ("", new_key().serialise()):
        (tmp_path / "key").write_text(content)
        done = command("index", "info", sound, "--key-file", tmp_path / "key")
        assert "key" in complaint(done)
    unset = command("index", "verify", sound, environment={"GUARDRAIL_KEY": ""})
    assert "GUARDRAIL_KEY is not set" in complaint(unset)


def full_disk(limit: int) -> Callable[[], None]:
    """For the child of a fork: no file can grow past `limit`, as on a disk that is full."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return prepare


@pytest.mark.parametrize("limit", [0, 100_000])
def test_a_full_disk(copied: Path, sound: Path, limit: int, tmp_path: Path) -> None:
    """From one where not even the smallest file can be written to one that fills up late."""
    corpus = write_corpus(tmp_path / "corpus.jsonl", DOCUMENTS[:5])
    key = ["--key-file", str(sound.parent / "key")]
    attempts: list[list[str | Path]] = [
        ["index", "add", corpus, "--out", copied, *key, "--jobs", "1"],
        ["index", "build", corpus, "--out", copied, *key, "--replace", "--jobs", "1"],
        ["index", "build", corpus, "--out", tmp_path / "new", *key, "--jobs", "1"],
        ["index", "compact", copied, *key],
    ]
    if limit < 1000:
        attempts.append(["index", "forget", copied, "d7", *key])
    before = {path.name for path in (copied / "segments").iterdir()}
    for attempt in attempts:
        says = complaint(command(*attempt, preexec_fn=full_disk(limit)))
        assert says.startswith("cannot write to ")
        assert "unchanged. Make room or mend the folder" in says
        assert {path.name for path in (copied / "segments").iterdir()} == before
    check_against_naive(copied, LIVING, RESPONSES)
    with pytest.raises(IndexMissingError):
        Index.open(tmp_path / "new", KEY)
    assert command(*attempts[2]).returncode == 0


def test_a_full_disk_in_worker_processes(copied: Path, sound: Path, tmp_path: Path) -> None:
    corpora = [write_corpus(tmp_path / f"{number}.jsonl", DOCUMENTS[:5]) for number in range(2)]
    big = write_corpus(tmp_path / "big.jsonl", [Document("big", "x" * (17 << 20))])
    where: list[str | Path] = ["--out", copied, "--key-file", sound.parent / "key"]
    done = command("index", "add", *corpora, big, *where, "--jobs", "2", preexec_fn=full_disk(100))
    assert "cannot write to" in complaint(done)
    check_against_naive(copied, LIVING, RESPONSES)


def as_ordinary_user() -> None:
    """For the child of a fork: root's right to write anywhere is given up for good."""
    if os.geteuid() == 0:
        drop_capability, override, read_search = 24, 1, 2
        prctl = ctypes.CDLL(None).prctl
        assert prctl(drop_capability, override, 0, 0, 0) == 0
        assert prctl(drop_capability, read_search, 0, 0, 0) == 0


def test_folders_that_cannot_be_written(copied: Path, sound: Path, tmp_path: Path) -> None:
    key = ["--key-file", str(sound.parent / "key")]
    corpus = write_corpus(tmp_path / "corpus.jsonl", DOCUMENTS[:5])
    (copied / "lock").unlink()
    copied.chmod(0o555)
    attempts: list[list[str | Path]] = [
        ["index", "add", corpus, "--out", copied, *key],
        ["index", "forget", copied, "d7", *key],
        ["index", "compact", copied, *key],
        ["index", "build", corpus, "--out", copied / "new", *key],
    ]
    for attempt in attempts:
        says = complaint(command(*attempt, preexec_fn=as_ordinary_user))
        assert says.startswith(f"cannot write to the index folder {copied}")
        assert "Permission denied" in says
    # Reading needs no right to write: a service may see the index so.
    checked = command("check", RESPONSES[1], "--index", copied, *key, preexec_fn=as_ordinary_user)
    assert (checked.returncode, checked.stderr) == (11, "")
    (copied / "manifest.json").chmod(0)
    unreadable = command("index", "verify", copied, *key, preexec_fn=as_ordinary_user)
    assert "manifest.json: Permission denied" in complaint(unreadable)
    (copied / "manifest.json").chmod(0o600)
    copied.chmod(0o755)
    check_against_naive(copied, LIVING, RESPONSES)


def test_an_index_where_a_file_is(sound: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    for path in (file, file / "below"):
        with pytest.raises(CorpusIndexError, match="cannot write to the index folder"):
            build_index_at(path, tmp_path)
        with pytest.raises(IndexMissingError, match="there is no index in"):
            Index.open(path, KEY)
        with pytest.raises(CorpusIndexError, match="cannot write to the index folder"):
            lifecycle.merge([sound], path, KEY)
    assert file.read_text() == "not a folder"


def build_index_at(path: Path, folder: Path) -> None:
    build([write_corpus(folder / "corpus.jsonl", DOCUMENTS[:1])], path, KEY, jobs=1)
