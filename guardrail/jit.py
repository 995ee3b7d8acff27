"""Compiled kernels: numba's `njit` with the settings that every kernel here shares.

Kernels release the GIL and are cached on disk. Where neither the package's folder nor the user's
cache folder can be written (a read-only container without NUMBA_CACHE_DIR), they are compiled anew
in each process instead of failing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

F = TypeVar("F", bound=Callable[..., Any])


def kernel(*, inline: bool = False) -> Callable[[F], F]:
    """Decorator: compile a function to machine code at its first call, without the GIL."""

    def compile_(function: F) -> F:
        options: dict[str, Any] = {
            "nogil": True,
            "boundscheck": False,
            "error_model": "numpy",
            "forceinline": inline,
        }
        try:
            compiled = numba.njit(**options)(function)
            compiled._cache = _Cache(function)  # type: ignore[no-untyped-call]
        except RuntimeError:  # numba found no folder to keep its cache in
            compiled = numba.njit(**options)(function)
        kept: F = compiled
        return kept

    return compile_


class _Cache(FunctionCache):
    """Numba's cache, without its preparations to compile before a kernel is loaded: all that it can
    compile is imported for these (0.3 s, and SciPy where that is installed). Compiling makes them
    itself."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
