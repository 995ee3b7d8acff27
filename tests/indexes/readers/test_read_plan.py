"""Planning: which files, in which order, in which units, and what a resumed build sees."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import SourceError
from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers import Member, ReadOptions, Unit, changed, plan, read


def ids(*paths: object, **options: Any) -> list[str]:
    chosen = ReadOptions(**options)
    units = plan([str(path) for path in paths], chosen)
    found = [result for unit in units for result in read(unit, chosen)]
    return [result.id if isinstance(result, Document) else result.source for result in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    for name in ["b.txt", "a/x.md", "a/deep/y.txt", "a.txt", ".hidden", ".git/config", "a/.z.txt"]:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return top


def test_folders_are_read_in_order_without_hidden_files(tree: Path) -> None:
    assert ids(tree) == ["a.txt", "a/deep/y.txt", "a/x.md", "b.txt"]
    assert ids(f"{tree}/", tree / "a") == ["a.txt", "a/deep/y.txt", "a/x.md", "b.txt"]
    assert ids(tree / "a", tree / ".hidden") == ["deep/y.txt", "x.md", ".hidden"]


def test_the_order_is_not_the_file_systems(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = plan([str(tree)], ReadOptions())
    scan = os.scandir

    class Reversed:
        def __init__(self, path: str) -> None:
            self.entries = sorted(scan(path), key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Reversed)
    assert plan([str(tree)], ReadOptions()) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("**/*.txt", ["a.txt", "a/deep/y.txt", "b.txt"]),
        ("a/*", ["x.md"]),
        ("*/*.m?", ["a/x.md"]),
        ("a/**", ["deep/y.txt", "x.md"]),
        ("**", ["a.txt", "a/deep/y.txt", "a/x.md", "b.txt"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("**/deep/**/*", ["a/deep/y.txt"]),
    ],
)
def test_globs(tree: Path, pattern: str, expected: list[str]) -> None:
    assert ids(f"{tree}/{pattern}") == expected


def test_a_name_with_brackets_is_no_glob(tree: Path) -> None:
    (tree / "c[1].txt").write_text("c")
    assert ids(tree / "c[1].txt") == ["c[1].txt"]


def test_links_are_followed_once(tree: Path) -> None:
    (tree / "a/loop").symlink_to(tree)
    (tree / "twice").symlink_to(tree / "a/deep")
    (tree / "z.txt").symlink_to(tree / "b.txt")
    (tree / "gone.txt").symlink_to(tree / "nowhere")
    found = ids(tree)
    assert found == ["a.txt", "a/deep/y.txt", "a/x.md", "b.txt", "gone.txt"]


def test_pipes_are_not_opened(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    options = ReadOptions()
    found = [result for unit in plan([str(tree)], options) for result in read(unit, options)]
    assert [result.source for result in found if isinstance(result, Unreadable)] == ["pipe"]
    with pytest.raises(SourceError, match="pipe"):
        plan([str(tree / "pipe")], options)


def test_a_folder_that_cannot_be_listed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: str) -> Any:
        if str(path).endswith("deep") or str(path) == str(tree / "top"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    (tree / "top").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    options = ReadOptions()
    found = [r for unit in plan([str(tree / "a")], options) for r in read(unit, options)]
    assert found[0] == Unreadable("deep", "folder: PermissionError: Permission denied")
    assert len(found) == 2
    with pytest.raises(SourceError, match="Permission denied"):
        plan([str(tree / "top")], options)


@pytest.mark.parametrize("wrong", ["nowhere", "empty", "*.none", "nowhere/*.txt", "\0", "x" * 999])
def test_paths_with_nothing_to_read(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"glob|folder"):
        plan([f"{tmp_path}/{wrong}"], ReadOptions())


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        Path(os.fsdecode(raw)).write_text("x")
    except OSError:
        # Such a file cannot be there then (macOS, ZFS with utf8only), so there is nothing to read.
        pytest.skip("this file system takes UTF-8 names only")
    assert ids(tmp_path) == ["caf\\xe9.txt"]
    unit = plan([str(tmp_path)], ReadOptions())[0]
    assert Unit.from_dict(json.loads(json.dumps(unit.to_dict()))) == unit


def test_units_group_small_files_and_split_big_lines(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text("x" * 30)
    (tmp_path / "big.jsonl").write_text('{"text": "abcdefgh"}\n' * 20)
    (tmp_path / "big.txt").write_text("x" * 500)
    units = plan([str(tmp_path)], ReadOptions(unit_bytes=100))
    assert [len(unit.members) for unit in units if unit.members[0].size == 30] == [3, 3, 3, 1]
    ranges = [unit for unit in units if unit.end is not None]
    assert [(unit.start, unit.end) for unit in ranges] == [
        (0, 100),
        (100, 200),
        (200, 300),
        (300, 400),
        (400, 420),
    ]
    assert sum(unit.size for unit in units) == 300 + 420 + 500


def test_units_travel(tree: Path) -> None:
    options = ReadOptions(unit_bytes=8)
    units = plan([str(tree)], options)
    assert len(units) > 1
    for unit in [
        *units,
        Unit((Member("p", "n", 5, "1", "broken"),)),
        Unit((Member("p", "n"),), 2, 5),
    ]:
        assert pickle.loads(pickle.dumps(unit)) == unit
        assert Unit.from_dict(json.loads(json.dumps(unit.to_dict()))) == unit
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"members": 3, "start": 0, "end": None},
        {"members": [{"path": "a"}], "start": 0, "end": None},
        {"members": [{"path": 1, "name": "a"}], "start": 0, "end": None},
        {"members": [{"path": "a", "name": "a"}], "start": 5, "end": 5},
        {"members": [{"path": "a", "name": "a"}], "start": 5, "end": None},
        {"members": [], "start": 0, "end": 5},
    ],
)
def test_malformed_units_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="plan"):
        Unit.from_dict(wrong)


def test_a_changed_file_is_noticed(tree: Path) -> None:
    (unit,) = plan([str(tree)], ReadOptions())
    assert changed(unit) == ()
    os.utime(tree / "b.txt", ns=(1, 1))
    (tree / "a/x.md").unlink()
    assert changed(unit) == ("a/x.md", "b.txt")
    assert plan([str(tree)], ReadOptions()) != [unit]
    found = list(read(unit, ReadOptions()))
    assert found[2] == Unreadable("a/x.md", "FileNotFoundError: No such file or directory")


def test_urls(tree: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe({"/readers/a/1.txt": b"one", "/readers/b.jsonl": b'{"text": "b"}\n' * 20})
    memory.pipe({"/readers/.hidden": b"no"})
    try:
        assert ids("memory://readers")[:2] == ["a/1.txt", "b.jsonl@0"]
        assert ids("memory://readers/a/1.txt") == ["1.txt"]
        assert ids("memory://readers/**/*.txt") == ["a/1.txt"]
        whole = ids("memory://readers/b.jsonl")
        assert ids("memory://readers/b.jsonl", unit_bytes=33) == whole
        units = plan(["memory://readers"], ReadOptions())
        assert [changed(unit) for unit in units] == [()]
        memory.pipe({"/readers/a/1.txt": b"other"})
        assert changed(units[0]) == ("a/1.txt",)
        with pytest.raises(SourceError, match="nothing there"):
            plan(["memory://readers/none"], ReadOptions())
    finally:
        memory.rm("/readers", recursive=True)
    assert ids(f"file://{tree}") == ids(tree)


def test_chained_urls(tmp_path: Path) -> None:
    import zipfile

    pytest.importorskip("fsspec")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/1.txt", "one")
        archive.writestr("in/b.jsonl", '{"text": "b"}\n' * 9)
    found = ids(f"zip://in/*::{tmp_path}/a.zip", unit_bytes=20)
    assert sorted(found) == sorted(["1.txt", *(f"b.jsonl@{14 * n}" for n in range(9))])


def test_a_missing_backend_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(SourceError, match="pip install s3fs"):
        plan(["s3://bucket/key"], ReadOptions())
    with pytest.raises(SourceError, match="nosuch"):
        plan(["nosuch://user:secret@host/key"], ReadOptions())
    with pytest.raises(SourceError) as caught:
        plan(["nosuch://user:secret@host/key"], ReadOptions())
    assert "secret" not in str(caught.value)


def test_importing_is_cheap() -> None:
    heavy = "{'pyarrow', 'zstandard', 'fsspec', 'pypdf', 'docx', 'pydantic_core'}"
    code = f"import sys, guardrail.indexes.readers; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
