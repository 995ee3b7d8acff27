"""Pieces of a text, put together in groups: what lists, tables and marks are searched by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from guardrail.jit import kernel
from guardrail.text import Offsets
from guardrail.views.numerals import FEWEST, number_rows
from guardrail.views.view import GAP, Int, Points, Source, Spans, View, string

_BLANK = ord(GAP)

# Letters and digits that a detector of passages needs at least.
UNITS = 27


class Groups(NamedTuple):
    """Groups of pieces of a source, put together: `points` and `starts` of all of them, and for
    each a row of where it starts and ends in these, the number of its name, and whether there are
    rows of numbers in it."""

    points: Points
    starts: Offsets
    rows: Spans


def join(source: Source, groups: Groups, names: Sequence[str]) -> Iterator[View]:
    """A view of each group."""
    points, starts, rows = groups
    if not len(rows):
        return
    text = string(points, source.text.isascii())
    ends = starts + np.uint32(1)
    for first, last, name, numbers in rows.tolist():
        part = slice(first, last)
        plain = not numbers
        yield View(names[name], text[part], starts[part], ends[part], "layout", plain=plain)


@kernel()
def joined(points: Points, spans: Spans, groups: Spans, fewest: int, units: int) -> Groups:
    """Pieces (start, end) of groups (how many pieces, the number of a name), those with a letter or
    digit in them, a blank behind each, which belongs to the end of the piece. Groups are left out
    that have fewer pieces, or letters and digits, or whose pieces stand together anyway."""
    size = len(spans)
    for index in range(len(spans)):
        size += spans[index, 1] - spans[index, 0]
    out = np.empty(size, np.uint32)
    starts = np.empty(size, np.uint32)
    rows = np.empty((len(groups), 4), np.int64)
    at = index = found = 0
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
                out[np.uintp(at)] = point
                starts[np.uintp(at)] = place
                there += _counts(point)
                digits += 48 <= point <= 57
                dots += point in (45, 46, 95) or point >= 0xB7
                at += 1
            if there == before:
                at = first
                continue
            out[at] = _BLANK
            starts[at] = max(end, 1) - 1
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
        if apart < max(fewest - 1, 1) or there < units:
            at = begin
            continue
        rows[found, 0], rows[found, 1], rows[found, 2] = begin, at, groups[group, 1]
        rows[found, 3] = max(digits, dots) >= FEWEST and len(number_rows(out[begin:at])) > 0
        found += 1
    return Groups(out[:at], starts[:at], rows[:found])


@kernel(inline=True)
def _counts(point: Int) -> bool:
    return bool(point >= 0xC0 or 48 <= point <= 57 or 97 <= point | 32 <= 122)
