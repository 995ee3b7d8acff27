"""Files that are hashed while they are written."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

# Pieces of a file, of up to 1 MB, that wait to be hashed and written.
_PIECES_BEHIND = 4


class _Here(Executor):
    """Does at once what it is handed."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*given, **named))
        return future


HERE = _Here()


class DigestedFile:
    """A file that is hashed while it is written, and on disk when `close` returns. A `sink` of one
    thread does so a few pieces behind."""

    def __init__(self, path: Path, sink: Executor = HERE) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._sink = sink
        self._behind: deque[Future[None]] = deque()

    def write(self, data: bytes | NDArray[Any]) -> None:
        view = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        self._bytes += len(view)
        if len(self._behind) == _PIECES_BEHIND:
            self._behind.popleft().result()
        self._behind.append(self._sink.submit(self._put, view))

    def _put(self, view: bytes) -> None:
        self._file.write(view)
        self._digest.update(view)

    def close(self) -> tuple[int, str]:
        while self._behind:
            self._behind.popleft().result()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._bytes, self._digest.hexdigest()


def write_file(path: Path, chunks: Iterable[bytes | NDArray[Any]]) -> tuple[int, str]:
    """Write a whole file; its size in bytes and its SHA-256 digest."""
    file = DigestedFile(path)
    for chunk in chunks:
        file.write(chunk)
    return file.close()
