"""Kernels and the files of their machine code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from guardrail import jit
from guardrail.jit import Target, grown, kernel

HERE = Target("0.60", "20.1", "cpython-3.11", "x86_64-linux", "znver3", "+avx2,+bmi,-sse4a")
OFFSET = 3


def _twice(number: int) -> int:
    return 2 * number


def _three_times(number: int) -> int:
    return 3 * number


helper: Any = kernel(inline=True)(_twice)


def _add(number: int) -> int:
    return int(helper(number)) + OFFSET


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of machine code, empty."""
    monkeypatch.setattr(jit, "INSTALLED", tmp_path / "installed")
    monkeypatch.setattr(jit, "_bases", lambda: iter((tmp_path / "cache", tmp_path / "installed")))
    jit._readable.cache_clear()
    return tmp_path / "cache"


def fresh(function: Callable[[int], int] = _add) -> Any:
    """A kernel as another process would make it, with the names that it uses as they are now."""
    assert isinstance(function, FunctionType)
    names = dict(function.__globals__)
    copy = FunctionType(function.__code__, names, function.__name__)
    copy.__module__ = function.__module__
    copy.__qualname__ = function.__qualname__
    return kernel()(copy)


def hits(compiled: Any) -> int:
    return sum(compiled.stats.cache_hits.values())


def test_what_is_compiled_once_is_loaded_afterwards(folder: Path) -> None:
    first = fresh()
    assert (first(4), hits(first)) == (11, 0)
    assert len(list(folder.rglob("*.kernel"))) == 1
    second = fresh()
    assert (second(4), hits(second)) == (11, 1)


def test_a_constant_that_changed_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fresh()(4) == 11
    monkeypatch.setattr(sys.modules[__name__], "OFFSET", 5)
    changed = fresh()
    assert (changed(4), hits(changed)) == (13, 0)


def test_a_change_in_what_is_inlined_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Numba's own cache gives the old code here: it looks at one source file.
    assert fresh()(4) == 11
    monkeypatch.setattr(sys.modules[__name__], "helper", kernel(inline=True)(_three_times))
    changed = fresh()
    assert (changed(4), hits(changed)) == (15, 0)


def test_a_changed_kernel_takes_the_place_of_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh()(4)
    monkeypatch.setattr(sys.modules[__name__], "OFFSET", 5)
    fresh()(4)
    assert len(list(folder.rglob("*.kernel"))) == 1


@pytest.mark.parametrize("keep", [0, 31, 32, 500, -1])
def test_a_damaged_file_is_not_used(folder: Path, keep: int) -> None:
    assert fresh()(4) == 11
    (path,) = folder.rglob("*.kernel")
    path.write_bytes(path.read_bytes()[:keep])
    again = fresh()
    assert (again(4), hits(again)) == (11, 0)
    assert hits(fresh()) == 0
    mended = fresh()
    assert (mended(4), hits(mended)) == (11, 1)


def test_a_folder_that_is_only_readable_serves(folder: Path, tmp_path: Path) -> None:
    fresh()(4)
    folder.rename(tmp_path / "installed")
    folder.write_text("in the way: nothing can be written here")
    jit._readable.cache_clear()
    loaded = fresh()
    assert (loaded(4), hits(loaded)) == (11, 1)


def test_where_nothing_can_be_kept_kernels_are_compiled_all_the_same(
    folder: Path, tmp_path: Path
) -> None:
    folder.write_text("in the way")
    (tmp_path / "installed").write_text("in the way")
    assert fresh()(4) == 11


def test_code_for_another_processor_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh()(4)
    (path,) = folder.rglob(jit.TARGET_FILE)
    told = path.read_text()
    cpu = told.partition('"cpu": "')[2].partition('"')[0]
    path.write_text(told.replace(f'"cpu": "{cpu}"', '"cpu": "another"'))
    path.parent.rename(path.parent.with_name("of-another-machine"))
    jit._readable.cache_clear()
    compiled = fresh()
    assert (compiled(4), hits(compiled)) == (11, 0)


@pytest.mark.parametrize(
    ("change", "serves"),
    [
        ({}, True),
        ({"numba": "0.61"}, False),
        ({"llvm": "20.2"}, False),
        ({"python": "cpython-3.12"}, False),
        ({"triple": "aarch64-linux"}, False),
        ({"cpu": "znver2"}, False),
        ({"features": "+avx2"}, False),
        ({"cpu": "generic", "features": "+avx2"}, True),
        ({"cpu": "generic", "features": ""}, True),
        ({"cpu": "generic", "features": "+avx2,-avx512f"}, True),
        ({"cpu": "generic", "features": "+avx2,+avx512f"}, False),
        # The name alone says of what it needs.
        ({"cpu": "x86-64-v3", "features": ""}, False),
    ],
)
def test_where_code_serves(change: dict[str, str], serves: bool) -> None:
    told = {name: getattr(HERE, name) for name in Target.__slots__}
    assert Target(**{**told, **change}).serves(HERE) is serves


def test_what_is_told_of_a_target_may_be_anything(folder: Path) -> None:
    for number, told in enumerate(("", "[]", '{"cpu": 1}', "\0", '{"other": "field"}')):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / jit.TARGET_FILE).write_text(told)
    assert fresh()(4) == 11


def test_grown_keeps_what_was_there() -> None:
    table = np.arange(6).reshape(2, 3)
    wider = grown(table)
    assert wider.shape == (4, 3)
    assert (wider[:2] == table).all()


WARM_UP = """
import glob, importlib, os, sys
import guardrail
from guardrail.jit import _parts
from guardrail.warm_up import warm_up
from numba.core.dispatcher import Dispatcher

root = os.path.dirname(guardrail.__file__)
kernels, used = set(), set()
called = Dispatcher._compile_for_args

def first_call(self, *arguments, **named):
    # What is inlined is not kept in files: each process would compile it anew.
    assert not self.targetoptions.get("forceinline"), self.py_func
    return called(self, *arguments, **named)

Dispatcher._compile_for_args = first_call
warm_up()
for path in glob.glob(root + "/**/*.py", recursive=True):
    if "from guardrail.jit import" not in open(path, encoding="utf-8").read():
        continue
    name = "guardrail." + os.path.relpath(path, root)[:-3].replace(os.sep, ".")
    for value in vars(importlib.import_module(name)).values():
        if hasattr(value, "py_func") and value.py_func.__module__ == name:
            kernels.add(name + "." + value.py_func.__qualname__)
            if value.signatures:
                used.add(name + "." + value.py_func.__qualname__)
                # A kernel that only others call is a part of their machine code.
                list(_parts(value.py_func, used))
print(len(kernels), *sorted(kernels - used))
"""


def test_the_warm_up_uses_every_kernel() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WARM_UP], capture_output=True, text=True, timeout=900, check=True
    )
    count, *unused = done.stdout.split()
    assert int(count) > 90
    assert unused == []
