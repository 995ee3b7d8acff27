"""Text laid out in pieces at the edges of lines and in columns.

Pieces are put together in the order in which they stand; what stands between them is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import grown, kernel
from guardrail.views.every import inner_words
from guardrail.views.signs import LONGEST, PIECES, SHORT
from guardrail.views.view import Int, Points, Source, Spans, View, join, pick
from guardrail.views.weights import may_read, reads

Group = tuple[str, Spans]

# Lines whose first letters are read, or words within them; the built-in policy lets shorter
# matches through.
ACROSTIC = 24
COLUMNS = 16

_DELIMITERS = "|\t,;:="


# What each ASCII character is to lines: a letter or digit, the end of a line, anything else, or
# one of the delimiters, in their order.
_LETTER, _NEWLINE, _OTHER, _DELIMITER = range(4)


def _classes() -> NDArray[np.uint8]:
    classes = np.full(128, _OTHER, np.uint8)
    for point in range(128):
        char = chr(point)
        if char.isalnum():
            classes[point] = _LETTER
        elif char in _DELIMITERS:
            classes[point] = _DELIMITER + _DELIMITERS.index(char)
    classes[10] = _NEWLINE
    return classes


_CLASSES = _classes()


def find_layouts(source: Source) -> Iterator[View]:
    """Views of pieces that are laid out in a regular way."""
    lines, signs = line_edges(source.points, _CLASSES, SHORT, LONGEST, PIECES, False)
    groups: list[Group] = []
    if signs & _LIST:
        short = lines[lines[:, _SIGNS] & _LIST > 0]
        groups += _edges(short, PIECES)
        if len(short) >= ACROSTIC:
            groups += inner_words(source, short[:, [_START, _END]])
        if len(short) >= ACROSTIC and reads(source.points[short[:, _FIRST]]):
            yield pick(source, short[:, _FIRST], "first letters", "layout")
    if signs & (_LIST - 1):
        groups += _columns(source, lines, signs)
    yield from join(source, groups, PIECES)


def open_layouts(source: Source) -> Iterator[View]:
    """What `find_layouts` may find when the text goes on: views with the pieces that there are,
    where the last lines may go on to be a list or a table, however few they are."""
    lines, signs = line_edges(source.points, _CLASSES, SHORT, LONGEST, PIECES, True)
    groups: list[Group] = []
    if len(lines) and lines[-1, _SIGNS] & _LIST:
        short = lines[lines[:, _SIGNS] & _LIST > 0]
        groups += _edges(short, 1)
        letters = short[:, _FIRST]
        letters = letters[may_read(source.points[letters]) :]
        if len(letters):
            yield pick(source, letters, "first letters", "layout")
    if len(lines):
        groups += _columns(source, lines, signs & int(lines[-1, _SIGNS]), 1)
    yield from join(source, groups, 1, 1)


# Columns of what `line_edges` returns, and the sign of a line in a list; lower bits are those of
# the delimiters, in their order.
_START, _FIRST, _FIRST_END, _LAST, _END, _BODY, _NUMBER, _SIGNS = range(8)
_LIST = 1 << len(_DELIMITERS)


def _edges(lines: Spans, fewest: int) -> Iterator[Group]:
    """First and last words, and every other line, of short lines; numbered ones in their order,
    if there are so many."""
    yield "first words", lines[:, _FIRST : _FIRST_END + 1]
    yield "last words", lines[:, _LAST : _END + 1]
    if len(lines) >= 2 * fewest - 1:
        whole = lines[:, [_START, _END]]
        yield "every other line", whole[::2]
        yield "every other line", whole[1::2]
    numbered = lines[lines[:, _NUMBER] >= 0]
    if len(numbered) >= fewest:
        order = np.argsort(numbered[:, _NUMBER], kind="stable")
        yield "numbered", numbered[order][:, [_BODY, _END]]


def _columns(source: Source, lines: Spans, signs: int, fewest: int = PIECES) -> Iterator[Group]:
    """Columns of tables, whatever parts them."""
    for bit, mark in enumerate(_DELIMITERS):
        if signs >> bit & 1:
            rows = lines[lines[:, _SIGNS] >> bit & 1 > 0]
            cells, firsts = columns(source.points, rows, ord(mark), COLUMNS)
            for start, end in pairwise(firsts.tolist()):
                if end - start >= fewest:
                    yield "column", cells[start:end]


@kernel()
def columns(points: Points, rows: Spans, mark: int, most: int) -> tuple[Spans, NDArray[np.int64]]:
    """Start and end of each cell of rows that a mark parts, column by column, and the number of the
    first cell of each column."""
    firsts = np.zeros(most + 1, np.int64)
    out = np.empty((0, 2), np.int64)
    for filling in range(2):
        at = firsts[:-1].copy()
        for row in range(len(rows)):
            start = rows[row, 0]
            column = 0
            for index in range(start, rows[row, 4] + 1):
                if column < most and (index == rows[row, 4] or points[index] == mark):
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
def line_edges(
    points: Points,
    classes: NDArray[np.uint8],
    short: int,
    longest: int,
    fewest: int,
    going_on: bool,
) -> tuple[Spans, int]:
    """For each line with a word in it: where its words start and end, the end of the first one, the
    start of the last one, and where it goes on behind a number at its start, and that number (-1:
    none). A number counts as no first word where another word follows. And its signs: which of
    | tab , ; : and = part its words, if it has up to `longest` characters; whether it may be one
    of a list, having up to `short`. Signs that are not
    shared by so many lines in a row are left out; then the signs of all lines together. With
    `going_on`, more lines may follow the last ones, and a line without an end have any sign.
    """
    out = np.empty((16, 8), np.int64)
    found = words = index = marks = pending = 0
    first = first_end = last = start = end = body = 0
    number = -1
    while index <= len(points):
        kind = 1
        if index < len(points):
            kind = _class(points[np.uintp(index)], classes)
        if kind == 0:
            word = index
            while index < len(points) and _class(points[np.uintp(index)], classes) == 0:
                index += 1
            if words:
                marks |= pending
            pending = 0
            words += 1
            if words == 1:
                start = first = body = word
                first_end = index
                number = _number(points, word, index)
            elif words == 2 and number >= 0:
                first, first_end, body = word, index, word
            last = word
            end = index
            continue
        index += 1
        if kind >= 3:
            pending |= 1 << (kind - 3)
        elif kind == 1:
            if words:
                if found == len(out):
                    out = grown(out)
                if words == 1:
                    number = -1
                size = end - start
                if going_on and index > len(points):
                    marks = 63
                signs = marks if size <= longest else 0
                if size <= short:
                    signs |= 64
                out[found, 0] = start
                out[found, 1] = first
                out[found, 2] = first_end
                out[found, 3] = last
                out[found, 4] = end
                out[found, 5] = body
                out[found, 6] = number
                out[found, 7] = signs
                found += 1
            words = marks = pending = 0
            number = -1
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
def _class(point: int, classes: NDArray[np.uint8]) -> Int:
    if point < 128:
        return np.int64(classes[np.uintp(point)])
    letter = point >= 0xC0 and not 0x2000 <= point < 0x2C00 and not 0x3000 <= point < 0x3040
    return np.int64(0 if letter else 2)


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
