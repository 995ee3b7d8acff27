"""Text laid out in pieces: at the edges of lines, in columns, strings, comments and marks.

Pieces are put together in the order in which they stand; what stands between them is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Points, Source, View, join, pick
from guardrail.views.weights import reads

Spans = NDArray[np.int64]

# Pieces that may hold a passage together: with fewer, the pieces are long enough by themselves.
FEWEST = 6
# Lines whose first letters are read; the built-in policy lets shorter matches through.
ACROSTIC = 24
# Longer lines are no rows of a table.
LONGEST = 200
# Longer lines are long enough to be found without the lines that go on where they end.
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
                yield join(source, np.array(spans), name, "layout")
    if text.count("\n") + 1 >= FEWEST:
        lines, delimited = line_edges(source.points, LONGEST)
        if len(lines) >= FEWEST:
            yield from _edges(source, lines)
            yield from _columns(source, lines, delimited.tolist())


def _strings(source: Source) -> Iterator[View]:
    """All strings, and those that are keys or values of JSON."""
    matches = list(_STRING.finditer(source.text))
    if len(matches) < FEWEST:
        return
    spans = np.array([match.span(1) for match in matches])
    keys = np.array([match[2] is not None for match in matches])
    yield join(source, spans, "strings", "layout")
    if 0 < np.count_nonzero(keys) < len(keys):
        yield join(source, spans[keys], "keys", "layout")
        yield join(source, spans[~keys], "values", "layout")


# Columns of what `line_edges` returns.
_START, _FIRST, _FIRST_END, _LAST, _END, _BODY, _NUMBER = range(7)


def _edges(source: Source, lines: Spans) -> Iterator[View]:
    """First and last words, first letters, and every other line."""
    yield join(source, lines[:, [_FIRST, _FIRST_END]], "first words", "layout")
    yield join(source, lines[:, [_LAST, _END]], "last words", "layout")
    if len(lines) >= ACROSTIC and reads(source.points[lines[:, _FIRST]]):
        yield pick(source, lines[:, _FIRST], "first letters", "layout")
    short = lines[lines[:, _END] - lines[:, _START] <= SHORT]
    if len(short) >= FEWEST:
        for first in range(2):
            yield join(source, short[first::2][:, [_START, _END]], "every other line", "layout")
    numbered = short[short[:, _NUMBER] >= 0]
    if len(numbered) >= FEWEST - 2:
        order = np.argsort(numbered[:, _NUMBER], kind="stable")
        yield join(source, numbered[order][:, [_BODY, _END]], "numbered", "layout")


def _columns(source: Source, lines: Spans, delimited: list[int]) -> Iterator[View]:
    """Columns of tables, whatever parts them."""
    text = source.text
    for mark, rows in zip(_DELIMITERS, delimited, strict=True):
        if rows < FEWEST or (2 * rows < len(lines) and mark not in "|\t"):
            continue
        columns: list[list[tuple[int, int]]] = [[] for _ in range(COLUMNS)]
        for start, end in lines[:, [_START, _END]].tolist():
            if end - start > LONGEST:
                continue
            for column in columns:
                stop = text.find(mark, start, end)
                column.append((start, stop if stop >= 0 else end))
                if stop < 0:
                    break
                start = stop + 1
        for column in columns:
            if len(column) >= FEWEST:
                yield join(source, np.array(column), "column", "layout")


@kernel()
def line_edges(points: Points, longest: int) -> tuple[Spans, NDArray[np.int64]]:
    """For each line with a word in it: where its words start and end, the end of the first one, the
    start of the last one, and where it goes on behind a number at its start, and that number (-1:
    none). A number counts as no first word where another word follows. And how many lines of up to
    `longest` characters hold each of | tab , ; : and =."""
    delimited = np.zeros(6, np.int64)
    marks = np.zeros(6, np.bool_)
    out = np.empty((16, 7), np.int64)
    found = words = 0
    inside = digits = False
    word = value = first = first_end = last = start = end = body = index = 0
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
            if 48 <= point <= 57 and value < 1 << 40:
                value = value * 10 + int(point) - 48
            else:
                digits = False
        elif inside:
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
            marks[0] = True
        elif point == 9:
            marks[1] = True
        elif point == 44:
            marks[2] = True
        elif point == 59:
            marks[3] = True
        elif point == 58:
            marks[4] = True
        elif point == 61:
            marks[5] = True
        if point == 10:
            for mark in range(6):
                if marks[mark] and words and end - start <= longest:
                    delimited[mark] += 1
                marks[mark] = False
            if words:
                if found == len(out):
                    wider = np.empty((2 * found, 7), np.int64)
                    for row in range(found):
                        for column in range(7):
                            wider[row, column] = out[row, column]
                    out = wider
                out[found, _START] = start
                out[found, _FIRST] = first
                out[found, _FIRST_END] = first_end
                out[found, _LAST] = last
                out[found, _END] = end
                out[found, _BODY] = body
                out[found, _NUMBER] = number if words > 1 else -1
                found += 1
            words = 0
            number = -1
        index += 1
    return out[:found], delimited
