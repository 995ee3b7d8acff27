"""Where documents lie: local files, folders and globs, and anything that fsspec opens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from guardrail.errors import SourceError
from guardrail.indexes.readers import remote
from guardrail.indexes.readers.decoding import printable
from guardrail.indexes.readers.problems import explain
from guardrail.indexes.readers.unit import Member

_MAGIC = re.compile(r"[*?[]")


def find(path: str) -> list[Member]:
    """The files that a path stands for, sorted by name.

    A folder is searched through and through; hidden files and folders are left out, links are
    followed, and no folder is entered twice. A glob (`*`, `?`, `[...]`, `**` for any depth) names
    files only. Names are relative to the folder, or to the part of the glob before its first
    special character. What cannot be read inside a folder becomes a member with a `problem`.

    Raises `SourceError` when there is nothing to read under the path.
    """
    members = remote.find(path) if remote.is_url(path) else _find_local(path)
    if not members:
        raise SourceError(
            f"{path}: holds no files to read (hidden files are left out); "
            "give a file, a folder, a glob such as 'mail/**/*.eml', or an fsspec URL"
        )
    return sorted(members, key=lambda member: (member.name, member.path))


def open_member(path: str) -> AbstractContextManager[BinaryIO]:
    """The bytes of one file, for a `with` statement.

    Raises `OSError`, or `SourceError` for a store with no backend.
    """
    if remote.is_url(path):
        return remote.open_url(path)
    return Path(path).open("rb")


def look(path: str) -> tuple[int, str]:
    """The size and stamp of a file as they are now. Raises as `open_member` does."""
    if remote.is_url(path):
        return remote.look(path)
    status = Path(path).stat()
    return status.st_size, str(status.st_mtime_ns)


def _find_local(path: str) -> list[Member]:
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        if _MAGIC.search(path):
            return list(_match(path))
        raise SourceError(
            f"{printable(path)}: {explain(error, 'looking it up')}; "
            "give a file, a folder, a glob such as 'mail/**/*.eml', or an fsspec URL"
        ) from error
    if Path(path).is_dir():
        return list(_walk(path))
    if not S_ISREG(status.st_mode):
        raise SourceError(f"{path}: neither a file nor a folder, but a device, pipe or socket")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path}: Permission denied; make it readable for this user")
    return [_member(path, Path(path).name, status)]


def _member(path: str, name: str, status: os.stat_result) -> Member:
    name = printable(name)
    if not S_ISREG(status.st_mode):
        return Member(path, name, problem="not a file, but a device, pipe or socket")
    return Member(path, name, status.st_size, str(status.st_mtime_ns))


def _walk(
    top: str, wanted: Callable[[str], bool] | None = None, depth: int | None = None
) -> Iterator[Member]:
    """The files below a folder whose relative names match, at most `depth` names deep."""
    seen: set[tuple[int, int]] = set()
    waiting = [(top, "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            status = Path(folder).stat()
            # A link to a folder above would never end; one to a folder beside reads it twice.
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            reason = f"folder: {explain(error, 'listing it')}"
            if not prefix:
                raise SourceError(f"{folder}: {reason}; make it readable for this user") from error
            yield Member(folder, printable(prefix.rstrip("/")), problem=reason)
            continue
        for entry in found:
            if entry.name.startswith("."):
                continue
            name = prefix + entry.name
            try:
                if entry.is_dir():
                    if depth is None or name.count("/") + 1 < depth:
                        waiting.append((entry.path, f"{name}/"))
                elif wanted is None or wanted(name):
                    yield _member(entry.path, name, entry.stat())
            except OSError as error:
                reason = explain(error, "looking it up")
                if wanted is None or wanted(name):
                    yield Member(entry.path, printable(name), problem=reason)


def _match(path: str) -> Iterator[Member]:
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if _MAGIC.search(part))
    top = "/".join(parts[:first]) or ("/" if path.startswith("/") else ".")
    if not Path(top).is_dir():
        raise SourceError(f"{path}: there is no folder {top}")
    wanted = [part for part in parts[first:] if part]
    depth = None if "**" in wanted else len(wanted)
    return _walk(top, lambda name: _matches(wanted, name.split("/")), depth)


def _matches(parts: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the names of a path match the parts of a glob, `**` any number of folders."""
    if not parts:
        return not names
    if parts[0] == "**":
        # At the end it stands for every file below, as in other tools.
        if len(parts) == 1:
            return bool(names)
        return any(_matches(parts[1:], names[skipped:]) for skipped in range(len(names)))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _matches(parts[1:], names[1:])
