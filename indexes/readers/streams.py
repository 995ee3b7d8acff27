"""Bytes of files: opened, decompressed, and bounded."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from guardrail.errors import DocumentError
from guardrail.indexes.readers.options import MIB, ReadOptions
from guardrail.indexes.readers.problems import Rejected

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Natural text compresses 3 to 20 times, repetitive logs up to about 100 times; a bomb, 1000 times.
MAX_EXPANSION = 250
FREE_EXPANSION = 256 * MIB

# One Zstandard block of a few bytes can stand for 128 KiB, so input is fed in small portions.
_ZSTD_PORTION = 4096


class BombError(DocumentError):
    """A file expands to more than is allowed; nothing more of it is read."""


@dataclass(slots=True)
class Budget:
    """How many bytes one file on disk may still expand to, over all the layers inside it.

    The allowance is `MAX_EXPANSION` times the size of the file, and at least `FREE_EXPANSION`.
    """

    left: int
    limit: int

    @classmethod
    def for_size(cls, size: int) -> Budget:
        limit = max(FREE_EXPANSION, MAX_EXPANSION * size)
        return cls(limit, limit)

    def spend(self, count: int) -> None:
        """Account for `count` bytes. Raises `BombError` when there are none left."""
        self.left -= count
        if self.left < 0:
            raise BombError(
                f"expands to more than {self.limit} bytes ({MAX_EXPANSION} times its size, at "
                f"least {FREE_EXPANSION}); unpack it by hand if that is right"
            )


@dataclass(frozen=True, slots=True)
class Source:
    """An open stream of one file's bytes, and what its reader needs to know.

    `name` is the id that documents take after, and its suffix tells the format. `depth` counts the
    containers around the stream. `start` and `end` are the range of an uncompressed JSON Lines
    file to read.
    """

    name: str
    stream: BinaryIO
    options: ReadOptions
    budget: Budget
    depth: int = 0
    start: int = 0
    end: int | None = None


def read_whole(source: Source) -> bytes:
    """Everything left in the stream. Raises `Rejected` when it exceeds `max_document_bytes`."""
    limit = source.options.max_document_bytes
    data = source.stream.read(limit + 1)
    if len(data) > limit:
        raise Rejected(
            f"larger than {limit} bytes (max_document_bytes), and this format is read whole"
        )
    return data


def rewindable(source: Source) -> BinaryIO:
    """The stream itself if it can seek at little cost, otherwise a bounded copy in memory."""
    if source.depth == 0 and not isinstance(source.stream, _Bounded) and source.stream.seekable():
        return source.stream
    return io.BytesIO(read_whole(source))


class _Expanded(io.RawIOBase):
    """A readable stream over a function that reads up to so many bytes, charged to a budget."""

    def __init__(self, pull: Callable[[int], bytes], budget: Budget) -> None:
        self._pull = pull
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._pull(len(view))
        self._budget.spend(len(data))
        view[: len(data)] = data
        return len(data)


class _Bounded(io.BufferedReader):
    """A buffered `_Expanded`: told apart from streams that can seek."""


def bounded(stream: BinaryIO, budget: Budget) -> BinaryIO:
    """A stream of expanded bytes that raises `BombError` once the budget is spent."""
    return cast(BinaryIO, _Bounded(_Expanded(stream.read, budget), 256 * 1024))


def decompress(stream: BinaryIO, compression: str, budget: Budget) -> BinaryIO:
    """The decompressed stream of `gz`, `zst`, `bz2` or `xz` data, members joined."""
    if compression == "zst":
        pull = _zstd_pull(stream)
        return cast(BinaryIO, _Bounded(_Expanded(pull, budget), 256 * 1024))
    return bounded(cast(BinaryIO, _opened(stream, compression)), budget)


def _opened(stream: BinaryIO, compression: str) -> Any:
    if compression == "gz":
        import gzip

        return gzip.GzipFile(fileobj=stream, mode="rb")
    if compression == "bz2":
        import bz2

        return bz2.BZ2File(stream)
    import lzma

    return lzma.LZMAFile(stream)


def _zstd_pull(stream: BinaryIO) -> Callable[[int], bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise Rejected("Zstandard needs `pip install zstandard`") from error

    # The library's own stream reader takes a truncated frame for the end of the data.
    context = zstandard.ZstdDecompressor()
    frame: Any = None
    waiting = b""
    ready = memoryview(b"")

    def pull(size: int) -> bytes:
        nonlocal frame, waiting, ready
        while not ready:
            portion = waiting or stream.read(_ZSTD_PORTION)
            waiting = b""
            if not portion:
                if frame is not None:
                    raise EOFError
                return b""
            if frame is None:
                frame = context.decompressobj()
            ready = memoryview(frame.decompress(portion))
            if frame.eof:
                waiting = frame.unused_data
                frame = None
        data, ready = ready[:size], ready[size:]
        return bytes(data)

    return pull
