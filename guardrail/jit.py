"""Compiled kernels: numba's `njit` with the settings that every kernel here shares.

Kernels release the GIL and are cached on disk. Where neither the package's folder nor the user's
cache folder can be written (a read-only container without NUMBA_CACHE_DIR), they are compiled anew
in each process instead of failing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

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
            compiled: F = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder to keep its cache in
            compiled = numba.njit(**options)(function)
        return compiled

    return compile_
