"""Anything that fsspec opens: remote stores, memory, and archives as file systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO

from guardrail.errors import SourceError
from guardrail.indexes.readers.decoding import printable
from guardrail.indexes.readers.unit import Member

_MAGIC = "*?["
# What stores call the version of a file; the first that one tells is taken.
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created", "CRC")
# Where any byte is as cheap to reach as the first.
_SEEKABLE = frozenset({"file", "local", "memory", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})


def is_url(path: str) -> bool:
    """Whether fsspec is to open a path: `protocol://...` and chains such as `zip://*::a.zip`."""
    return "://" in path or "::" in path


def can_seek(path: str) -> bool:
    """Whether parts of the file can be read on their own without reading all before them."""
    return path.partition("://")[0] in _SEEKABLE and "::" not in path if is_url(path) else True


def find(url: str) -> list[Member]:
    """The files under a URL, unsorted; see `places.find`. Raises `SourceError`."""
    system, path = _system(url)
    try:
        found, top = _listing(system, path)
    except Exception as error:
        raise SourceError(f"{_public(url)}: cannot be listed ({_named(error)})") from error
    members = []
    for place, info in found.items():
        name = _name(place, top)
        if info.get("type") == "file" and not _is_hidden(name):
            size, stamp = _signature(info)
            members.append(Member(_member_url(url, system, place), printable(name), size, stamp))
    return members


@contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """The bytes of one remote file. Raises what its store raises, or `SourceError`."""
    # Held until the stream is done with: an archive's file system closes the archive as it goes.
    system, path = _system(url)
    with system.open(path, "rb") as stream:
        yield stream


def look(url: str) -> tuple[int, str]:
    """The size and version of a remote file as they are now."""
    system, path = _system(url)
    return _signature(system.info(path))


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise SourceError(f"{_public(url)}: URLs need `pip install fsspec`") from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise SourceError(f"{_public(url)}: {_missing_backend(url)}") from error
    except Exception as error:
        raise SourceError(
            f"{_public(url)}: cannot be opened ({_named(error)}); give a local path or a URL "
            "that fsspec knows, such as s3://bucket/folder"
        ) from error
    # Listings are kept by default, and a file that changed since would look unchanged.
    system.invalidate_cache()
    return system, path


def _missing_backend(url: str) -> str:
    from fsspec.registry import known_implementations

    protocol = url.rpartition("::")[2].partition("://")[0]
    known: Any = known_implementations.get(protocol, {})
    advice = known.get("err") or f"install the fsspec backend for {protocol}"
    module = str(known.get("class", "")).partition(".")[0]
    command = "" if module in ("", "fsspec") else f" (`pip install {module}`)"
    return f"a backend is missing: {advice}{command}"


def _listing(system: Any, path: str) -> tuple[dict[str, dict[str, Any]], str]:
    """The files by path, and the folder that names are relative to."""
    try:
        info = system.info(path)
    except FileNotFoundError:
        if not any(letter in path for letter in _MAGIC):
            raise
        parts = path.split("/")
        first = next(n for n, part in enumerate(parts) if any(m in part for m in _MAGIC))
        return system.glob(path, detail=True), "/".join(parts[:first])
    if info.get("type") == "directory":
        return system.find(path, detail=True), path
    return {path: info}, path.rstrip("/").rpartition("/")[0]


def _name(place: str, top: str) -> str:
    name = place.strip("/")
    folder = top.strip("/")
    if folder and name.startswith(f"{folder}/"):
        name = name[len(folder) + 1 :]
    elif "://" in name:
        name = name.rpartition("/")[2]
    # What follows in a web address is often a token, and hides the suffix.
    return name.partition("?")[0] if "://" in place else name


def _member_url(url: str, system: Any, place: str) -> str:
    if "::" in url:
        first, _, rest = url.partition("::")
        return f"{first.partition('://')[0]}://{place}::{rest}"
    return str(system.unstrip_protocol(place))


def _signature(info: dict[str, Any]) -> tuple[int, str]:
    for key in _VERSIONS:
        version = info.get(key)
        if version is not None:
            # A listing and a single look may tell the same time in different types.
            if isinstance(version, datetime):
                version = version.timestamp()
            shown = f"{version:.6f}" if isinstance(version, float) else str(version)
            return int(info.get("size") or 0), f"{key}={shown}"
    return int(info.get("size") or 0), ""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _public(url: str) -> str:
    """A URL without a password or token that it may carry."""
    protocol, separator, rest = url.partition("://")
    rest = rest.partition("?")[0] if protocol in ("http", "https") else rest
    host, slash, path = rest.partition("/")
    return f"{protocol}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _named(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "nothing there"
    return type(error).__name__
