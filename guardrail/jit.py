"""Compiled kernels: numba's `njit` with the settings that all kernels share, and their cache.

Kernels release the GIL. Their machine code is kept in files, in place of numba's own cache: that
one goes by the time stamps of sources, which an installation changes; it knows nothing of a change
in another kernel that was inlined; and it cannot be read from a folder that cannot be written to.
Here a file serves wherever it lies, as long as the kernel's code, and that of all that it uses, is
what it was compiled from. So an installation brings the files along (see setup.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import binding
from numba.core import serialize
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

# Beside the package's code: what its installation compiled.
INSTALLED = Path(__file__).resolve().parent / "compiled"
TARGET_FILE = "target.json"


def kernel(*, inline: bool = False) -> Callable[[F], F]:
    """Decorator: compile a function to machine code at its first call, without the GIL."""

    def compile_(function: F) -> F:
        compiled: Any = numba.njit(
            nogil=True, boundscheck=False, error_model="numpy", forceinline=inline
        )(function)
        if not inline:
            compiled._cache = _Cache(function)
        kept: F = compiled
        return kept

    return compile_


@dataclass(frozen=True, slots=True)
class Target:
    """What machine code is bound to."""

    numba: str
    llvm: str
    python: str
    triple: str
    cpu: str
    features: str

    @classmethod
    def of(cls, codegen: Any) -> Target:
        """What numba compiles for here: this machine, unless NUMBA_CPU_NAME says otherwise."""
        llvm = ".".join(map(str, binding.llvm_version_info))
        python = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"
        return cls(numba.__version__, llvm, python, *codegen.magic_tuple())

    @property
    def name(self) -> str:
        """Of the folder for its files."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()
        return f"{self.python}-numba-{self.numba}-{self.cpu or 'generic'}-{digest[:12]}"

    def serves(self, host: Target) -> bool:
        """Whether code for this target runs on `host`: it is the same, or this one names all that
        it needs of a processor, which are features that the host has."""
        same = (self.numba, self.llvm, self.python, self.triple)
        if same != (host.numba, host.llvm, host.python, host.triple):
            return False
        generic = self.cpu == "generic" and _enabled(self.features) <= _enabled(host.features)
        return generic or (self.cpu, self.features) == (host.cpu, host.features)


def _enabled(features: str) -> set[str]:
    return {feature for feature in features.split(",") if feature.startswith("+")}


class _Cache:
    """The files of one kernel, one for each signature and target; what numba asks of a cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name = f"{function.__module__}.{function.__qualname__}".removeprefix("guardrail.")

    @property
    def cache_path(self) -> str:
        """What the dispatcher's statistics name."""
        return str(INSTALLED)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled kernel; None where there is none of this code for this machine."""
        # No more than this of numba's preparations: the others are for compiling, and take 0.3 s.
        rtsys.initialize(context)
        code = self._code()
        for folder in _readable(Target.of(context.codegen())):
            try:
                data = (folder / self._file(signature)).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(code + data[32:]).digest() == data[:32]:
                rebuild: Any = CompileResult._rebuild
                return rebuild(context, *pickle.loads(data[32:]))
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled in the first folder that can be written to, if there is one."""
        target = Target.of(result.codegen)
        data: bytes = serialize.dumps(result._reduce())  # type: ignore[no-untyped-call]
        digest = hashlib.sha256(self._code() + data).digest()
        for base in _bases():
            folder = base / target.name
            try:
                if not (folder / TARGET_FILE).exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    _write(folder / TARGET_FILE, json.dumps(asdict(target), indent=1).encode())
                    _readable.cache_clear()
                _write(folder / self._file(signature), digest + data)
            except OSError:
                continue
            return

    def _file(self, signature: Any) -> str:
        return f"{self._name}-{hashlib.sha256(repr(signature).encode()).hexdigest()[:12]}.kernel"

    def _code(self) -> bytes:
        return hashlib.sha256("\n".join(_parts(self._function, set())).encode()).digest()


def _bases() -> Iterator[Path]:
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(named) / "guardrail"
    yield INSTALLED
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    yield Path(home) / "corpus-guardrail" / "kernels"


@cache
def _readable(host: Target) -> list[Path]:
    """The folders of code that runs here, that for exactly this machine first."""
    found: list[tuple[bool, Path]] = []
    for base in _bases():
        for told in sorted(base.glob(f"*/{TARGET_FILE}")):
            try:
                target = Target(**json.loads(told.read_bytes()))
            except (OSError, ValueError, TypeError):
                continue
            if target.serves(host):
                found.append((target != host, told.parent))
    return [folder for _, folder in sorted(found, key=lambda pair: pair[0])]


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: others may be reading or writing the same file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def _parts(function: Callable[..., Any], seen: set[str]) -> Iterator[str]:
    """What the machine code of a function is made of: its bytecode, constants that it names, and
    the same of functions that it calls."""
    yield f"{function.__module__}.{function.__qualname__}{function.__defaults__}"
    codes = [function.__code__]
    for code in codes:
        yield code.co_code.hex()
        yield repr((code.co_names, code.co_varnames))
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                codes.append(constant)
            else:
                yield repr(constant)
        for name in code.co_names:
            if name not in function.__globals__:
                continue
            value = function.__globals__[name]
            # A kernel has its function as py_func, an intrinsic has it as what it wraps.
            inner = getattr(value, "py_func", None) or getattr(value, "__wrapped__", None)
            if inner is not None:
                told = f"{inner.__module__}.{inner.__qualname__}"
                yield f"{name}: {told} {getattr(value, 'targetoptions', '')}"
                if told not in seen:
                    seen.add(told)
                    yield from _parts(inner, seen)
            elif isinstance(value, np.ndarray):
                yield f"{name}: {value.dtype.str} {value.shape} {value.tobytes().hex()}"
            elif isinstance(value, ModuleType):
                yield f"{name}: {value.__name__}"
            else:
                yield f"{name}: {value!r}"


@kernel()
def grown(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """A table with room for twice the rows. Copied by hand: an assignment to a slice takes 4 s to
    compile, nearly all of it for the message of an error that cannot happen."""
    rows, columns = table.shape
    wider = np.empty((2 * rows, columns), np.int64)
    for row in range(rows):
        for column in range(columns):
            wider[row, column] = table[row, column]
    return wider
