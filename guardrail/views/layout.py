"""Text laid out in pieces: at the edges of lines, in columns, strings, comments and marks.

Pieces are put together in the order in which they stand; what stands between them is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Points, Source, View, join, pick
from guardrail.views.weights import reads

Spans = NDArray[np.int64]

# Pieces that may hold a passage together: with fewer, the pieces are long enough by themselves.
FEWEST = 8
# Lines whose first letters are read; the built-in policy lets shorter matches through.
ACROSTIC = 24
# Longer lines are no rows of a table.
LONGEST = 200
# Longer lines are no list, unless all begin with a bullet or a number, and long enough to be found
# without the lines that go on where they end.
SHORT = 60
COLUMNS = 16

# What marks pieces: characters that a text has as often as pieces are wanted, and the pattern of a
# piece (its group 1). Longer pieces are long enough by themselves.
_STRING = re.compile(r'"((?:[^"\\\n]|\\.){1,100})"(\s{0,8}:)?')
_MARKED: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("strings", "'", re.compile(r"(?<!\w)'((?:[^'\\\n]|\\.){1,100})'(?!\w)")),
    ("marked", "`", re.compile(r"`([^`\n]{1,100})`")),
    ("marked", "**", re.compile(r"\*\*([^*\n]{1,100})\*\*")),
    ("brackets", "(", re.compile(r"\(([^()\n]{1,100})\)")),
    ("brackets", "[", re.compile(r"\[([^\[\]\n]{1,100})\]")),
    ("untagged", "</", re.compile(r">([^<>]{1,100})<")),
    ("comments", "#", re.compile(r"#[ \t]*([^\n]{1,100})")),
    ("comments", "//", re.compile(r"//[ \t]*([^\n]{1,100})")),
    ("comments", "--", re.compile(r"--[ \t]*([^\n]{1,100})")),
    ("comments", "/*", re.compile(r"/\*[ \t]*([^*]{1,100})")),
    ("comments", "<!--", re.compile(r"<!--[ \t]*([^>\n]{1,100}?)--")),
)
_DELIMITERS = "|\t,;:="


def find_layouts(source: Source) -> Iterator[View]:
    """Views of pieces that are laid out in a regular way."""
    text = source.text
    if text.count('"') >= 2 * FEWEST:
        yield from _strings(source)
    for name, mark, pattern in _MARKED:
        if text.count(mark) >= FEWEST:
            spans = [match.span(1) for match in pattern.finditer(text)]
            if len(spans) >= FEWEST:
                yield from join(source, np.array(spans), FEWEST, name)
    if text.count("\n") + 1 >= FEWEST:
        lines, signs = line_edges(source.points, SHORT, LONGEST, FEWEST)
        if signs & _LIST:
            yield from _edges(source, lines[lines[:, _SIGNS] & _LIST > 0])
        if signs & (_LIST - 1):
            yield from _columns(source, lines, int(signs))


def _strings(source: Source) -> Iterator[View]:
    """All strings, and those that are keys or values of JSON."""
    matches = list(_STRING.finditer(source.text))
    if len(matches) < FEWEST:
        return
    spans = np.array([match.span(1) for match in matches])
    keys = np.array([match[2] is not None for match in matches])
    yield from join(source, spans, FEWEST, "strings")
    if 0 < np.count_nonzero(keys) < len(keys):
        yield from join(source, spans[keys], FEWEST, "keys")
        yield from join(source, spans[~keys], FEWEST, "values")


# Columns of what `line_edges` returns, and the sign of a line in a list; lower bits are those of
# the delimiters, in their order.
_START, _FIRST, _FIRST_END, _LAST, _END, _BODY, _NUMBER, _SIGNS = range(8)
_LIST = 1 << len(_DELIMITERS)


def _edges(source: Source, lines: Spans) -> Iterator[View]:
    """First and last words, first letters, and every other line, of lines in a list."""
    yield from join(source, lines[:, _FIRST : _FIRST_END + 1], FEWEST, "first words")
    yield from join(source, lines[:, _LAST : _END + 1], FEWEST, "last words")
    if len(lines) >= ACROSTIC and reads(source.points[lines[:, _FIRST]]):
        yield pick(source, lines[:, _FIRST], "first letters", "layout")
    short = lines[lines[:, _END] - lines[:, _START] <= SHORT]
    for first in range(2):
        half = short[first::2]
        if len(half) >= FEWEST:
            yield from join(source, half[:, _START : _END + 1 : _END], FEWEST, "every other line")
    numbered = short[short[:, _NUMBER] >= 0]
    if len(numbered) >= FEWEST:
        order = np.argsort(numbered[:, _NUMBER], kind="stable")
        spans = numbered[order][:, [_BODY, _END]]
        yield from join(source, spans, FEWEST, "numbered")


def _columns(source: Source, lines: Spans, signs: int) -> Iterator[View]:
    """Columns of tables, whatever parts them."""
    for bit, mark in enumerate(_DELIMITERS):
        if signs >> bit & 1:
            rows = lines[lines[:, _SIGNS] >> bit & 1 > 0]
            cells, firsts = columns(source.points, rows, ord(mark), COLUMNS)
            for start, end in pairwise(firsts.tolist()):
                if end - start >= FEWEST:
                    yield from join(source, cells[start:end], FEWEST, "column")


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
def line_edges(points: Points, short: int, longest: int, fewest: int) -> tuple[Spans, int]:
    """For each line with a word in it: where its words start and end, the end of the first one, the
    start of the last one, and where it goes on behind a number at its start, and that number (-1:
    none). A number counts as no first word where another word follows. And its signs: which of
    | tab , ; : and = part its words, if it has up to `longest` characters; whether it is one of a
    list, for it has up to `short` ones or begins with a bullet or a number. Signs that are not
    shared by so many lines in a row are left out; at last, the signs of all lines together.
    """
    out = np.empty((16, 8), np.int64)
    found = words = 0
    inside = digits = bullet = False
    word = value = first = first_end = last = start = end = body = index = 0
    marks = pending = 0
    number = -1
    while index <= len(points):
        point = points[index] if index < len(points) else np.uint32(10)
        letter = (
            48 <= point <= 57
            or 65 <= point <= 90
            or 97 <= point <= 122
            or (point >= 0xC0 and not 0x2000 <= point < 0x2C00 and not 0x3000 <= point < 0x3040)
        )
        if letter:
            if not inside:
                inside = digits = True
                value = 0
                word = index
                if words:
                    marks |= pending
                pending = 0
            if 48 <= point <= 57 and value < 1 << 40:
                value = value * 10 + int(point) - 48
            else:
                digits = False
        else:
            if inside:
                inside = False
                words += 1
                if words == 1:
                    start = first = word
                    first_end = index
                    body = word
                    if digits:
                        number = value
                elif words == 2 and number >= 0:
                    first, first_end, body = word, index, word
                last = word
                end = index
            if point == 124:
                pending |= 1
            elif point == 9:
                pending |= 2
            elif point == 44:
                pending |= 4
            elif point == 59:
                pending |= 8
            elif point == 58:
                pending |= 16
            elif point == 61:
                pending |= 32
            elif words == 0 and (point == 42 or point == 43 or point == 45 or point == 0x2022):
                bullet = True
        if point == 10:
            if words:
                if found == len(out):
                    wider = np.empty((2 * found, 8), np.int64)
                    wider[:found] = out
                    out = wider
                if words == 1:
                    number = -1
                size = end - start
                listed = size <= short or bullet or number >= 0
                out[found, 0] = start
                out[found, 1] = first
                out[found, 2] = first_end
                out[found, 3] = last
                out[found, 4] = end
                out[found, 5] = body
                out[found, 6] = number
                out[found, 7] = (marks if size <= longest else 0) | (64 if listed else 0)
                found += 1
            words = marks = pending = 0
            number = -1
            bullet = False
        index += 1
    together = 0
    for bit in range(7):
        row = 0
        for line in range(found + 1):
            if line < found and out[line, 7] >> bit & 1:
                row += 1
                continue
            if row >= fewest:
                together |= 1 << bit
            else:
                for before in range(line - row, line):
                    out[before, 7] &= ~(1 << bit)
            row = 0
    return out[:found], together
