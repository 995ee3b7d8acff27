"""Pieces of a text, put together in groups: what lists, tables and marks are searched by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from guardrail.jit import kernel
from guardrail.views.numerals import FEWEST, number_rows
from guardrail.views.view import GAP, SEAM, Int, Points, Source, Spans, View, string

_BLANK, _BREAK = ord(GAP), ord(SEAM[0])

# Letters and digits are counted in the lower half of a number; digits, dots and strokes, of which
# rows of numbers and of Morse code are made, in the upper one.
_HALF = 32
_LOWER = (1 << _HALF) - 1
_COUNTED = np.array(
    [char.isalnum() + ((char.isdigit() or char in "-._") << _HALF) for char in map(chr, range(128))]
)

# Letters and digits that a detector of passages needs at least.
UNITS = 27


# The code points of groups of pieces, a seam behind each group, and in further rows, if maps are
# asked for, where each starts and ends in the source; and for each group a row of where it starts
# and ends in these, the number of its name, and whether there are rows of numbers in it.
Groups = tuple[Points, Spans]


class Pieces:
    """The views of groups, with maps that are made when they are asked for: hardly any text has
    something to show in them. `text`: that of all of them, a seam behind each; `firsts`: where each
    begins in it; `plain`: see `View`, for all of them."""

    def __init__(
        self, source: Source, names: Sequence[str], make: Callable[..., Groups], *arguments: Any
    ) -> None:
        """`make` makes the groups of some arguments, the last one being whether with maps."""
        self._names, self._make, self._arguments = names, make, arguments
        places, rows = make(*arguments, False)
        self._rows = rows.tolist()
        self.firsts = [row[0] for row in self._rows]
        self.plain = not any(row[3] for row in self._rows)
        end = self._rows[-1][1] + len(SEAM) if self._rows else 0
        self.text = string(places[0, :end], source.text.isascii())

    def __iter__(self) -> Iterator[View]:
        if not self._rows:
            return
        places, _ = self._make(*self._arguments, True)
        for first, last, name, numbers in self._rows:
            text, starts, ends = self.text[first:last], places[1, first:last], places[2, first:last]
            yield View(self._names[name], text, starts, ends, "layout", plain=not numbers)


@kernel()
def joined(
    points: Points, spans: Spans, groups: Spans, fewest: int, units: int, maps: bool
) -> Groups:
    """The groups alone that `put_pieces` puts together."""
    places = np.empty((3 if maps else 1, length_of(spans, groups)), np.uint32)
    rows = np.empty((len(groups), 4), np.int64)
    found, _ = put_pieces(points, spans, groups, fewest, units, places, rows, 0, 0)
    return places, rows[:found]


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
        counts = np.int64(0)
        apart, last = 0, -1
        for _ in range(groups[group, 0]):
            start, end = spans[index, 0], spans[index, 1]
            index += 1
            before, size = counts, end - start
            for place in range(size):
                point = np.int64(points[np.uintp(start + place)])
                out[0, np.uintp(at + place)] = point
                counts += _counted(point)
            if not (counts ^ before) & _LOWER:
                continue
            out[0, at + size] = _BLANK
            if len(out) > 1:
                for place in range(size):
                    out[1, at + place], out[2, at + place] = start + place, start + place + 1
                out[1, at + size], out[2, at + size] = max(end, 1) - 1, max(end, 1)
            at += size + 1
            # Whether letters or digits stand between it and the one before.
            if last > start:
                apart += 1
            elif last >= 0:
                for place in range(last, start):
                    if _counted(np.int64(points[np.uintp(place)])) & _LOWER:
                        apart += 1
                        break
            last = end
        if apart < max(fewest - 1, 1) or counts & _LOWER < units:
            at = begin
            continue
        rows[found, 0], rows[found, 1], rows[found, 2] = begin, at, groups[group, 1]
        rows[found, 3] = counts >> _HALF >= FEWEST and len(number_rows(out[0, begin:at])) > 0
        found += 1
        at = put_seam(out, at)
    return found, at


@kernel(inline=True)
def put_seam(out: Points, at: int) -> int:
    out[0, at] = out[0, at + 1] = _BREAK
    return at + 2


@kernel(inline=True)
def _counted(point: Int) -> Int:
    """What is counted of a code point."""
    if point < 128:
        return _COUNTED[np.uintp(point)]
    return np.int64(point >= 0xC0) + (np.int64(point >= 0xB7) << _HALF)
