"""Pieces of a text, put together in groups: what lists, tables and marks are searched by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from guardrail.jit import kernel
from guardrail.views.numerals import FEWEST, number_rows
from guardrail.views.view import GAP, SEAM, Int, Points, Source, Spans, View, string

_BLANK, _BREAK = ord(GAP), ord(SEAM[0])

# Letters and digits that a detector of passages needs at least.
UNITS = 27


class Groups(NamedTuple):
    """Groups of pieces of a source, put together: the code points of all of them, a seam behind
    each group, and where each starts and ends in the source, shape (3, n); and for each group a row
    of where it starts and ends in these, the number of its name, and whether there are rows of
    numbers in it."""

    places: Points
    rows: Spans


class Pieces:
    """The views of groups, made when they are asked for: hardly any text has something to show in
    them. `text`: that of all of them, a seam behind each; `firsts`: where each begins in it;
    `plain`: see `View`, for all of them."""

    def __init__(self, source: Source, groups: Groups, names: Sequence[str]) -> None:
        self._rows = groups.rows.tolist()
        self._groups, self._names = groups, names
        self.firsts = [row[0] for row in self._rows]
        self.plain = not any(row[3] for row in self._rows)
        end = self._rows[-1][1] + len(SEAM) if self._rows else 0
        self.text = string(groups.places[0, :end], source.text.isascii())

    def __iter__(self) -> Iterator[View]:
        _, starts, ends = self._groups.places
        for first, last, name, numbers in self._rows:
            part = slice(first, last)
            text = self.text[part]
            yield View(
                self._names[name], text, starts[part], ends[part], "layout", plain=not numbers
            )


@kernel()
def joined(points: Points, spans: Spans, groups: Spans, fewest: int, units: int) -> Groups:
    """The groups alone that `put_pieces` puts together."""
    places = np.empty((3, length_of(spans, groups)), np.uint32)
    rows = np.empty((len(groups), 4), np.int64)
    found, _ = put_pieces(points, spans, groups, fewest, units, places, rows, 0, 0)
    return Groups(places, rows[:found])


@kernel()
def length_of(spans: Spans, groups: Spans) -> int:
    """How many code points groups of pieces have at most with a blank behind each, and seams."""
    size = len(spans) + 2 * len(groups)
    for index in range(len(spans)):
        size += spans[index, 1] - spans[index, 0]
    return size


@kernel()
def put_pieces(
    points: Points,
    spans: Spans,
    groups: Spans,
    fewest: int,
    units: int,
    out: Points,
    rows: Spans,
    found: int,
    at: int,
) -> tuple[int, int]:
    """Pieces (start, end) of groups (how many pieces, the number of a name), those with a letter or
    digit in them, a blank behind each, which belongs to the end of the piece. Groups are left out
    that have fewer pieces, or letters and digits, or whose pieces stand together anyway. How many
    groups and code points there are then."""
    index = 0
    for group in range(len(groups)):
        begin = at
        there: Int = 0
        digits: Int = 0
        dots: Int = 0
        apart, last = 0, -1
        for _ in range(groups[group, 0]):
            start, end = spans[index, 0], spans[index, 1]
            index += 1
            first, before = at, there
            for place in range(start, end):
                point: Int = np.int64(points[np.uintp(place)])
                out[0, np.uintp(at)] = point
                out[1, np.uintp(at)] = place
                out[2, np.uintp(at)] = place + 1
                there += _counts(point)
                digits += 48 <= point <= 57
                dots += point in (45, 46, 95) or point >= 0xB7
                at += 1
            if there == before:
                at = first
                continue
            out[0, at] = _BLANK
            out[1, at] = max(end, 1) - 1
            out[2, at] = max(end, 1)
            at += 1
            # Whether letters or digits stand between it and the one before.
            if last > start:
                apart += 1
            elif last >= 0:
                for place in range(last, start):
                    if _counts(points[np.uintp(place)]):
                        apart += 1
                        break
            last = end
        if apart < fewest - 1 or there < units:
            at = begin
            continue
        rows[found, 0], rows[found, 1], rows[found, 2] = begin, at, groups[group, 1]
        rows[found, 3] = max(digits, dots) >= FEWEST and len(number_rows(out[0, begin:at])) > 0
        found += 1
        at = put_seam(out, at)
    return found, at


@kernel(inline=True)
def put_seam(out: Points, at: int) -> int:
    out[0, at] = out[0, at + 1] = _BREAK
    return at + 2


@kernel(inline=True)
def _counts(point: Int) -> bool:
    return bool(point >= 0xC0 or 48 <= point <= 57 or 97 <= point | 32 <= 122)
