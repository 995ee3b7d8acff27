"""Units of work: what one worker reads on its own, and what a resumed build compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guardrail.errors import SourceError


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a unit.

    `path` opens it, `name` is what documents are called after. `size` is in bytes; `stamp` is the
    time of modification in nanoseconds for a local file, and whatever a remote store tells of a
    version otherwise: a file whose size or stamp differs has changed. `problem` says why a file or
    folder found while planning cannot be read at all.
    """

    path: str
    name: str
    size: int = 0
    stamp: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """One independently readable piece of work: small files, one big file, or part of one.

    With `end` set, the unit is the range of bytes `start` to `end` of its only member, a JSON Lines
    file, and owns the lines that start inside it. Equal units read the same unchanged files.
    """

    members: tuple[Member, ...]
    start: int = 0
    end: int | None = None

    @property
    def size(self) -> int:
        """Bytes to be read, as stored (compressed files count as they lie)."""
        if self.end is not None:
            return self.end - self.start
        return sum(member.size for member in self.members)

    def to_dict(self) -> dict[str, Any]:
        """The unit as JSON-ready values."""
        return {
            "members": [
                {
                    "path": member.path,
                    "name": member.name,
                    "size": member.size,
                    "stamp": member.stamp,
                    "problem": member.problem,
                }
                for member in self.members
            ],
            "start": self.start,
            "end": self.end,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Unit:
        """The unit that `to_dict` wrote. Raises `SourceError` for anything else."""
        try:
            members = tuple(Member(**member) for member in values["members"])
            unit = cls(members, values["start"], values["end"])
        except (KeyError, TypeError, AttributeError):
            unit = None
        if unit is None or not _sound(unit):
            raise SourceError("a unit of work is malformed; plan the sources again")
        return unit


def _sound(unit: Unit) -> bool:
    texts = all(
        isinstance(member.path, str)
        and isinstance(member.name, str)
        and isinstance(member.size, int)
        and isinstance(member.stamp, str)
        and isinstance(member.problem, str | None)
        for member in unit.members
    )
    if not texts or not isinstance(unit.start, int) or not isinstance(unit.end, int | None):
        return False
    if unit.end is None:
        return unit.start == 0
    return len(unit.members) == 1 and 0 <= unit.start < unit.end
