"""Canonical text: the form in which corpora and responses are compared.

A canonical text is a sequence of units, one byte each: what remains of a string when case, width,
accents, look-alikes, spacing, punctuation and invisible characters are taken away (see
scripts/make_canonical_table.py for the rules and docs/index-format.md for what follows from them).
Each unit knows the code point of the raw text that it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.findings import Span
from guardrail.jit import kernel

# Raised whenever the table or the rules change what any text becomes.
CANONICAL_VERSION = 2

# Two bits tell a unit that matches from one that does not: a match runs on by one unit or two at
# 15 ends of 64, and by more at one.
STRAY = 2
# Letters that nothing separates for longer than this belong to no word.
LONGEST_WORD = 200

Units = NDArray[np.uint8]
Offsets = NDArray[np.uint32]
# Of each code point, whether it is a letter or digit (LETTER) or white space (SPACE); and how many
# words, as blanks part them, begin before each code point and before the end.
Outline = tuple[NDArray[np.uint8], NDArray[np.uint32]]
LETTER, SPACE = 1, 2


@dataclass(slots=True, eq=False)  # not frozen: that takes three times as long to make
class CanonicalText:
    """A text and its canonical form. Nobody changes it.

    `units`: uint8, shape (n,). `offsets`: uint32, shape (n,), not decreasing: the code point of
    `raw` that each unit came from (one code point may yield several units, most yield one).
    """

    raw: str
    units: Units
    offsets: Offsets
    _outline: Outline | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.units)

    def span(self, start: int, end: int) -> Span:
        """The raw span of the units start..end (half-open, not empty), at word boundaries.

        A word that is cut is taken in whole, unless only its first or last `STRAY` letters are
        meant: a match runs on so far by chance, and a word more would be lost at one end in four.
        """
        return Span(*self.spans(np.array([[start, end]]))[0, :2].tolist())

    def words(self, start: int, end: int) -> int:
        """The number of words in the raw span of some units."""
        return int(self.spans(np.array([[start, end]]))[0, 2])

    def spans(self, ranges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Start and end of the raw span, and the number of words in it, for each row of first unit
        and end: int64, shape (n, 3)."""
        return _spans(ranges, self.offsets, *self.outline)

    @property
    def outline(self) -> Outline:
        """What tells where words are, made once."""
        if self._outline is None:
            self._outline = _outline(self.raw)
        return self._outline

    def word_start(self, position: int) -> int:
        """Where the word around a code point begins: `span` starts no earlier."""
        raw, floor = self.raw, max(0, position - LONGEST_WORD)
        if position == len(raw) or not raw[position].isalnum():
            return position
        while position > floor and raw[position - 1].isalnum():
            position -= 1
        return position


def canonicalise(raw: str) -> CanonicalText:
    """The canonical form of any string, lone surrogates and nulls included."""
    units, offsets = canonical_units(raw)
    return CanonicalText(raw, units, offsets)


class Scratch:
    """Arrays to make canonical texts in, one after the other, without asking the system for memory
    each time. For one thread."""

    def __init__(self) -> None:
        self.units: Units = np.empty(0, np.uint8)
        self.offsets: Offsets = np.empty(0, np.uint32)

    def reserve(self, size: int) -> tuple[Units, Offsets]:
        """The arrays, with room for at least so many units."""
        if size > len(self.units):
            self.units, self.offsets = np.empty(size, np.uint8), np.empty(size, np.uint32)
        return self.units, self.offsets


def canonical_units(raw: str, scratch: Scratch | None = None) -> tuple[Units, Offsets]:
    """`units` and `offsets` of a string; see `CanonicalText`. In `scratch` if that is given, which
    its next use overwrites."""
    points: NDArray[Any]
    if raw.isascii():
        points = np.frombuffer(raw.encode("ascii"), np.uint8)
    else:
        points = np.frombuffer(raw.encode("utf-32-le", "surrogatepass"), np.uint32)
    plain, pages, table, pool = canonical_table()
    # One code point may yield 18 units, and hardly any yields more than one.
    size, written = len(points) + len(points) // 8 + 16, -1
    while written < 0:
        if scratch is None:
            units, offsets = np.empty(size, np.uint8), np.empty(size, np.uint32)
        else:
            units, offsets = scratch.reserve(size)
        written = _map_points(points, plain, pages, table, pool, units, offsets)
        size *= 2
    return units[:written], offsets[:written]


def join_surrogates(text: str) -> str:
    """The text with each pair of surrogate halves as the one code point that it stands for: what a
    reader of the JSON or UTF-16 around it sees. Halves without the other stay."""
    try:
        text.encode()  # the fastest way to see that there are none
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


@cache
def canonical_table() -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint32], Units]:
    """What the table says of ASCII (unit, and how many, 0 or 1, in the upper byte), then the pages
    of code points, what each becomes, and longer units; see `_map_points`."""
    with (
        resources.files("guardrail").joinpath("canonical.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        pages, table, pool = arrays["pages"], arrays["table"], arrays["pool"]
    first = table[int(pages[0]) << 8 :][:128]
    plain = ((first & 255) | (first >> 24 << 8)).astype(np.uint16)
    return plain, pages, table, pool


@kernel()
def _map_points(
    points: NDArray[Any],
    plain: NDArray[np.uint16],
    pages: NDArray[np.uint16],
    table: NDArray[np.uint32],
    pool: Units,
    units: Units,
    offsets: Offsets,
) -> int:
    """Map code points through the table; how many units there are, or -1 where there is too little
    room for them.

    A point of one unit or none, which nearly all are, costs no branch on which it is: its unit is
    written in any case, and the place to write moves on or does not.
    """
    total, room = np.int64(len(points)), np.int64(len(units))
    written = np.uint64(0)
    for index in range(total):
        point = np.uint32(points[index])
        if point < np.uint32(128):
            letter = plain[point]
            units[written] = np.uint8(letter & np.uint16(255))
            offsets[written] = np.uint32(index)
            written += np.uint64(letter >> np.uint16(8))
            continue
        page = np.uint32(pages[point >> np.uint32(8)])
        entry = table[(page << np.uint32(8)) | (point & np.uint32(255))]
        count = np.int64(entry >> np.uint32(24))
        if count <= 1:
            units[written] = np.uint8(entry & np.uint32(255))
            offsets[written] = np.uint32(index)
            written += np.uint64(count)
            continue
        # Room for one unit of each point that follows stays, so that nothing else has to look.
        if np.int64(written) + count + total - index > room:
            return -1
        packed = entry & np.uint32(0xFFFFFF)
        for step in range(count):
            if count <= 3:
                unit = np.uint8((packed >> np.uint32(8 * step)) & np.uint32(255))
            else:
                unit = pool[np.int64(packed) + step]
            units[written] = unit
            offsets[written] = np.uint32(index)
            written += np.uint64(1)
    return np.int64(written)  # type: ignore[return-value]


def _outline(raw: str) -> Outline:
    if raw.isascii():
        # A `bytearray`, as kernels are compiled for arrays that can be written to.
        kinds = np.frombuffer(bytearray(raw, "ascii").translate(_ascii_kinds()), np.uint8)
    else:
        points = np.frombuffer(raw.encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds = np.frombuffer(_ascii_kinds(), np.uint8)[np.minimum(points, 128)]
        others = np.flatnonzero(points >= 128)
        kinds[others] = [_kind(raw[place]) for place in others.tolist()]
    return kinds, _begun(kinds)


def _kind(char: str) -> int:
    return LETTER * char.isalnum() | SPACE * char.isspace()


@cache
def _ascii_kinds() -> bytes:
    return bytes(_kind(chr(point)) if point < 128 else 0 for point in range(256))


@kernel()
def _begun(kinds: NDArray[np.uint8]) -> NDArray[np.uint32]:
    begun = np.empty(len(kinds) + 1, np.uint32)
    count, before = np.uint32(0), SPACE
    for index in range(len(kinds)):
        begun[index] = count
        now = kinds[index] & SPACE
        count += np.uint32(before & ~now) >> np.uint32(1)
        before = now
    begun[len(kinds)] = count
    return begun


@kernel()
def _spans(
    ranges: NDArray[np.int64], offsets: Offsets, kinds: NDArray[np.uint8], begun: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """See `CanonicalText.spans`."""
    out = np.empty((len(ranges), 3), np.int64)
    for index in range(len(ranges)):
        out[index, 0], out[index, 1], out[index, 2] = span_of(
            ranges[index, 0], ranges[index, 1], offsets, kinds, begun
        )
    return out


@kernel()
def span_of(
    start: np.int64,
    end: np.int64,
    offsets: Offsets,
    kinds: NDArray[np.uint8],
    begun: NDArray[np.uint32],
) -> tuple[np.int64, np.int64, np.int64]:
    """See `CanonicalText.spans`, for one row."""
    total = len(kinds)
    first = np.int64(offsets[start])
    last = np.int64(offsets[end - 1]) + 1
    if last < total and kinds[last - 1] & kinds[last] & LETTER:
        back = last - 1
        while back > first and last - back <= STRAY and kinds[back - 1] & LETTER:
            back -= 1
        if back > first and last - back <= STRAY:
            last = back
            while not kinds[last - 1] & LETTER and last - 1 > first:
                last -= 1
        else:
            ceiling = min(np.int64(total), last + LONGEST_WORD)
            while last < ceiling and kinds[last] & LETTER:
                last += 1
    if first > 0 and kinds[first] & kinds[first - 1] & LETTER:
        ahead = first + 1
        while ahead < last and ahead - first <= STRAY and kinds[ahead] & LETTER:
            ahead += 1
        if ahead < last and ahead - first <= STRAY:
            first = ahead
            while not kinds[first] & LETTER and first + 1 < last:
                first += 1
        else:
            floor = max(np.int64(0), first - LONGEST_WORD)
            while first > floor and kinds[first - 1] & LETTER:
                first -= 1
    words = np.int64(begun[last]) - np.int64(begun[first])
    if not kinds[first] & SPACE and begun[first + 1] == begun[first]:
        words += 1
    return first, last, words
