"""Zip and tar archives: each member is read as a file called `archive!member`."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, Any, BinaryIO, Self, cast

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import BLOCK, printable
from guardrail.indexes.readers.problems import Rejected, explain
from guardrail.indexes.readers.streams import Source, bounded, rewindable

Descend = Callable[[Source], Iterator[Document | Unreadable]]

# An archive in an archive is read, one inside that is not.
MAX_DEPTH = 2
_ENCRYPTED = 0x1


def read_zip(source: Source, descend: Descend) -> Iterator[Document | Unreadable]:
    """The members of a zip archive in their stored order, hidden ones left out."""
    _check_depth(source)
    with zipfile.ZipFile(rewindable(source)) as archive:
        for info in archive.infolist():
            if info.is_dir() or _is_hidden(info.filename):
                continue
            name = f"{source.name}!{printable(info.filename)}"
            if info.flag_bits & _ENCRYPTED:
                yield Unreadable(name, "encrypted: unpack it with its password first")
                continue
            try:
                member: IO[bytes] = archive.open(info)
            except Exception as error:
                yield Unreadable(name, explain(error, "opening a member of a zip archive"))
                continue
            with member:
                yield from _member(source, name, member, descend)
            if source.budget.left < 0:
                return


def read_tar(source: Source, descend: Descend) -> Iterator[Document | Unreadable]:
    """The regular files of a tar archive, streamed; links and hidden files are left out."""
    _check_depth(source)
    with tarfile.open(fileobj=source.stream, mode="r|", tarinfo=_Header) as archive:
        for info in archive:
            if not info.isreg() or _is_hidden(info.name):
                continue
            name = f"{source.name}!{printable(info.name)}"
            member = archive.extractfile(info)
            if member is not None:
                with member:
                    yield from _member(source, name, member, descend)
            # The list of members read so far would grow with the archive.
            cast(Any, archive).members.clear()
            if source.budget.left < 0:
                return
        _check_end(cast(BinaryIO, archive.fileobj))


class _Header(tarfile.TarInfo):
    """A header whose damage is told: past the first one, the library takes it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            # What the library calls the sound end of an archive, by a name that is not public.
            if type(error).__name__ == "EOFHeaderError":
                raise
            raise Rejected("cut short or damaged: the rest of the archive was not read") from error


def _check_end(stream: BinaryIO) -> None:
    """Read what follows the end mark: checksums of a compressed archive are found there."""
    while block := stream.read(BLOCK):
        if block.strip(b"\0"):
            raise Rejected("data after the end mark of the archive was not read")


def _member(
    source: Source, name: str, member: IO[bytes], descend: Descend
) -> Iterator[Document | Unreadable]:
    stream = bounded(cast(BinaryIO, member), source.budget)
    yield from descend(
        replace(source, name=name, stream=stream, depth=source.depth + 1, start=0, end=None)
    )


def _check_depth(source: Source) -> None:
    if source.depth >= MAX_DEPTH:
        raise Rejected(f"archives nested more than {MAX_DEPTH} deep: unpack it first")


def _is_hidden(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part.strip(".")) for part in parts)
