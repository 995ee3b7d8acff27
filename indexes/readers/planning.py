"""From the paths of a corpus to units of work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from guardrail.indexes.readers.decoding import mark
from guardrail.indexes.readers.formats import Format, Kind, identify
from guardrail.indexes.readers.options import ReadOptions
from guardrail.indexes.readers.places import find, open_member
from guardrail.indexes.readers.remote import can_seek, is_url
from guardrail.indexes.readers.unit import Member, Unit

# Opening a file costs far more than a small one's bytes; a lost unit should still be cheap to redo.
_MAX_MEMBERS = 1000


def plan(paths: Sequence[str], options: ReadOptions) -> list[Unit]:
    """Units of about `unit_bytes` for all files under the paths, in an order that depends on
    nothing but the paths and the names of the files.

    Paths are files, folders, globs and fsspec URLs. A file reached twice is read once. Big
    JSON Lines files become ranges of bytes, other big files units of their own.

    Raises `SourceError` for a path that does not exist, is unreadable or holds no files.
    """
    units: list[Unit] = []
    group: list[Member] = []
    held = 0
    for member in _members(paths):
        if member.size >= options.unit_bytes:
            units.extend(_big(member, options))
            continue
        if group and (held + member.size > options.unit_bytes or len(group) >= _MAX_MEMBERS):
            units.append(Unit(tuple(group)))
            group, held = [], 0
        group.append(member)
        held += member.size
    if group:
        units.append(Unit(tuple(group)))
    return units


def _members(paths: Sequence[str]) -> Iterator[Member]:
    seen: set[str] = set()
    for path in paths:
        for member in find(os.fspath(path)):
            key = member.path if is_url(member.path) else str(Path(member.path).resolve())
            if key not in seen:
                seen.add(key)
                yield member


def _big(member: Member, options: ReadOptions) -> list[Unit]:
    if not _splits(member):
        return [Unit((member,))]
    size, step = member.size, options.unit_bytes
    return [Unit((member,), start, min(start + step, size)) for start in range(0, size, step)]


def _splits(member: Member) -> bool:
    if identify(member.name) != Format(Kind.JSON_LINES) or not can_seek(member.path):
        return False
    try:
        with open_member(member.path) as stream:
            encoding, _ = mark(stream.read(4))
    except Exception:
        # Reading will report it; one unit reports it once.
        return False
    return encoding == "utf-8"
