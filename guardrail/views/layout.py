"""Text laid out in pieces at the edges of lines and in columns.

Pieces are put together in the order in which they stand; what stands between them is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import grown, kernel
from guardrail.views.inner_words import inner_words
from guardrail.views.pieces import Pieces, joined
from guardrail.views.signs import DELIMITERS, LONGEST, SHORT, delimiters_in
from guardrail.views.tallies import PIECES
from guardrail.views.view import Int, Points, Source, Spans, View, pick
from guardrail.views.weights import may_read, tables
from guardrail.views.words import word_tables

COLUMNS = 16

_MARKS = tuple(map(ord, DELIMITERS))

# Which ASCII characters are letters or digits.
_LETTERS = np.array([chr(point).isalnum() for point in range(128)])

LAID_OUT = ("first words", "last words", "every other line", "numbered", "column")
_FIRST_WORDS, _LAST_WORDS, _EVERY_OTHER, _NUMBERED, _COLUMN = range(5)


def open_layouts(source: Source) -> Iterator[View]:
    """What is found in lists and tables when the text goes on: views with the pieces that there
    are, where the last lines may go on to be a list or a table, however few they are."""
    firsts, _, spans, groups = laid_out(source.points, 1, True)
    letters = firsts[may_read(source.points[firsts]) :]
    if len(letters):
        yield pick(source, letters, "first letters", "layout")
    yield from Pieces(source, LAID_OUT, joined, source.points, spans, groups, 1, 1)
    if len(firsts):
        lines, _ = line_edges(source.points, PIECES, True)
        others = np.flatnonzero(lines[:, _SIGNS] & _LIST == 0)
        last = np.ascontiguousarray(lines[others[-1] + 1 if len(others) else 0 :, [_START, _END]])
        inner = inner_words(source.points, last, tables().kinds, *word_tables(), True)
        yield from Pieces(source, ("words of lines",), joined, source.points, *inner, 1, 1)


# Columns of what `line_edges` returns, and the sign of a line in a list; lower bits are those of
# the delimiters, in their order.
_START, _FIRST, _FIRST_END, _LAST, _END, _BODY, _NUMBER, _SIGNS = range(8)
_LIST = 1 << len(DELIMITERS)


@kernel()
def laid_out(
    points: Points, fewest: int, going_on: bool
) -> tuple[NDArray[np.int64], Spans, Spans, Spans]:
    """Where the first letters of the lines of lists stand; these lines; and groups, for
    `put_pieces`: their first words, last words and every other line, the numbered ones in their
    order if there are so many, and columns of tables, whatever parts them. With `going_on` of the
    last lines alone, however few they are."""
    lines, signs = line_edges(points, PIECES, going_on)
    if going_on:
        signs = signs & lines[-1, _SIGNS] if len(lines) else 0
    listed = numbered = 0
    for line in range(len(lines)):
        if signs & _LIST and lines[line, _SIGNS] & _LIST:
            listed += 1
            numbered += lines[line, _NUMBER] >= 0
    numbered = numbered if numbered >= fewest else 0
    others = listed if listed >= 2 * fewest - 1 else 0
    size, names = 2 * listed + others + numbered, 0
    groups = np.empty((5 + COLUMNS * len(DELIMITERS), 2), np.int64)
    for count, name in (
        (listed, _FIRST_WORDS),
        (listed, _LAST_WORDS),
        ((others + 1) // 2, _EVERY_OTHER),
        (others // 2, _EVERY_OTHER),
        (numbered, _NUMBERED),
    ):
        if count:
            groups[names, 0], groups[names, 1] = count, name
            names += 1
    firsts, list_ = np.empty(listed, np.int64), np.empty((listed, 2), np.int64)
    spans = np.empty((size, 2), np.int64)
    values, bodies = np.empty(numbered, np.int64), np.empty((numbered, 2), np.int64)
    at = value = 0
    for line in range(len(lines) if listed else 0):
        if not lines[line, _SIGNS] & _LIST:
            continue
        firsts[at] = lines[line, _FIRST]
        list_[at, 0], list_[at, 1] = lines[line, _START], lines[line, _END]
        spans[at, 0], spans[at, 1] = lines[line, _FIRST], lines[line, _FIRST_END]
        spans[listed + at, 0], spans[listed + at, 1] = lines[line, _LAST], lines[line, _END]
        if others:
            place = 2 * listed + (at & 1) * ((others + 1) // 2) + at // 2
            spans[place, 0], spans[place, 1] = lines[line, _START], lines[line, _END]
        if numbered and lines[line, _NUMBER] >= 0:
            values[value] = lines[line, _NUMBER]
            bodies[value, 0], bodies[value, 1] = lines[line, _BODY], lines[line, _END]
            value += 1
        at += 1
    for place, value in enumerate(np.argsort(values, kind="mergesort")):
        spans[size - numbered + place] = bodies[value]
    for bit in range(len(DELIMITERS)):
        if signs >> bit & 1:
            cells, ends = columns(points, lines, bit)
            for column in range(COLUMNS):
                start, end = ends[column], ends[column + 1]
                if end - start >= fewest:
                    groups[names, 0], groups[names, 1] = end - start, _COLUMN
                    names += 1
                    spans = np.concatenate((spans, cells[start:end]))
    return firsts, list_, spans, groups[:names]


@kernel()
def columns(points: Points, lines: Spans, bit: int) -> tuple[Spans, NDArray[np.int64]]:
    """Start and end of each cell of the lines that a delimiter parts, column by column, and the
    number of the first cell of each column."""
    mark = _MARKS[bit]
    firsts = np.zeros(COLUMNS + 1, np.int64)
    out = np.empty((0, 2), np.int64)
    for filling in range(2):
        at = firsts[:-1].copy()
        for row in range(len(lines)):
            if not lines[row, _SIGNS] >> bit & 1:
                continue
            start, end = lines[row, _START], lines[row, _END]
            column = 0
            for index in range(start, end + 1):
                if column < COLUMNS and (index == end or points[np.uintp(index)] == mark):
                    if filling:
                        out[at[column], 0] = start
                        out[at[column], 1] = index
                        at[column] += 1
                    else:
                        firsts[column + 1] += 1
                    start = index + 1
                    column += 1
        if not filling:
            firsts = np.cumsum(firsts)
            out = np.empty((firsts[-1], 2), np.int64)
    return out, firsts


@kernel()
def line_edges(points: Points, fewest: int, going_on: bool) -> tuple[Spans, int]:
    """For each line with a word in it: where its words start and end, the end of the first one, the
    start of the last one, and where it goes on behind a number at its start, and that number (-1:
    none), for those of a list. A number counts as no first word where another word follows. And its
    signs: which of | tab , ; : and = part its words, if it has up to `LONGEST` characters; whether
    it may be one of a list, having up to `SHORT`. Signs that are not shared by so many lines in a
    row are left out; then the signs of all lines together. With `going_on`, more lines may follow
    the last ones, and a line without an end have any sign.
    """
    out = np.empty((16, 8), np.int64)
    found = begin = 0
    length = len(points)
    while begin < length:
        stop = begin
        while stop < length and points[np.uintp(stop)] != 10:
            stop += 1
        start, end = _ends_of_words(points, begin, stop)
        begin = stop + 1
        if start == end:
            continue
        if found == len(out):
            out = grown(out)
        size, signs = end - start, 0
        first, first_end, last, number = start, start, end, -1
        if size <= SHORT:
            signs = _LIST
            while first_end < end and _is_letter(points[np.uintp(first_end)]):
                first_end += 1
            while last > start and _is_letter(points[np.uintp(last - 1)]):
                last -= 1
            if first_end < end:
                number = _number(points, first, first_end)
            if number >= 0:
                first = first_end
                while not _is_letter(points[np.uintp(first)]):
                    first += 1
                first_end = first
                while first_end < end and _is_letter(points[np.uintp(first_end)]):
                    first_end += 1
        if size <= LONGEST:
            signs |= delimiters_in(points, start, end)
            if going_on and stop == length:
                signs |= _LIST - 1
        out[found, _START] = start
        out[found, _FIRST] = first
        out[found, _FIRST_END] = first_end
        out[found, _LAST] = last
        out[found, _END] = end
        out[found, _BODY] = first
        out[found, _NUMBER] = number
        out[found, _SIGNS] = signs
        found += 1
    together = 0
    for bit in range(7):
        row = 0
        for line in range(found + 1):
            if line < found and out[line, 7] >> bit & 1:
                row += 1
                continue
            if row >= fewest or (going_on and row and line == found):
                together |= 1 << bit
            else:
                for before in range(line - row, line):
                    out[before, 7] &= ~(1 << bit)
            row = 0
    return out[:found], together


@kernel(inline=True)
def _ends_of_words(points: Points, start: int, end: int) -> tuple[int, int]:
    """Where the first word of a line begins and its last one ends; equal without one."""
    while start < end and not _is_letter(points[np.uintp(start)]):
        start += 1
    while end > start and not _is_letter(points[np.uintp(end - 1)]):
        end -= 1
    return start, end


@kernel(inline=True)
def _is_letter(point: Int) -> bool:
    if point < 128:
        return bool(_LETTERS[np.uintp(point)])
    return point >= 0xC0 and not 0x2000 <= point < 0x2C00 and not 0x3000 <= point < 0x3040


@kernel(inline=True)
def _number(points: Points, start: int, end: int) -> int:
    """What a word of digits says, or -1."""
    if end - start > 12:
        return -1
    value = 0
    for index in range(start, end):
        if not 48 <= points[index] <= 57:
            return -1
        value = value * 10 + int(points[index]) - 48
    return value
