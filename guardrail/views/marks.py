"""Pieces in marks: strings, code spans, bold text, brackets, tags and comments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import grown, kernel
from guardrail.views.pieces import Pieces, joined
from guardrail.views.tallies import LONGEST_PIECE
from guardrail.views.view import Points, Source, Spans, View

# What marks pieces, as numbered by the kernel; a string before a colon is a key.
MARKED = (
    "strings",
    "strings",
    "marked",
    "marked",
    "brackets",
    "brackets",
    "untagged",
    "comments",
    "comments",
    "comments",
    "comments",
    "comments",
    "keys",
    "values",
)
(
    _DOUBLE,
    _SINGLE,
    _BACKTICK,
    _STARS,
    _ROUND,
    _SQUARE,
    _TAG,
    _HASH,
    _SLASHES,
    _DASHES,
    _SLASH_STAR,
    _HTML,
    _KEY,
    _VALUE,
) = range(14)

# Which characters begin or end pieces or the lines that they stand in.
_ACTS = np.zeros(128, np.bool_)
_ACTS[[ord(char) for char in "\n\"'`*([)]><#/-"]] = True


def open_marks(source: Source) -> Iterator[View]:
    """What is found in marks when the text goes on: the pieces that there are."""
    groups = marked(source.points, 1)
    yield from Pieces(source, MARKED, joined, source.points, *groups, 1, 1)


@kernel()
def marked(points: Points, fewest: int) -> tuple[Spans, Spans]:
    """Groups, for `put_pieces`, of the pieces in one kind of mark each, if there are enough of it.
    Strings of JSON are keys, and values, and all of them."""
    pieces, counts = marked_pieces(points, LONGEST_PIECE)
    chosen = np.zeros(14, np.bool_)
    every = counts[_DOUBLE] + counts[_KEY]
    if counts[_DOUBLE] and counts[_KEY] and every >= fewest:
        chosen[_KEY] = chosen[_VALUE] = True
    counts[_VALUE] = counts[_DOUBLE]
    counts[_DOUBLE] = every
    for kind in range(_KEY):
        chosen[kind] = counts[kind] >= fewest
    if chosen[_TAG] and not has_tags(points, fewest):
        chosen[_TAG] = False
    size = found = number = 0
    for kind in range(14):
        size += counts[kind] * chosen[kind]
        found += chosen[kind]
    spans, groups = np.empty((size, 2), np.int64), np.empty((found, 2), np.int64)
    size = 0
    for kind in (12, 13, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11):
        if not chosen[kind]:
            continue
        groups[number, 0], groups[number, 1] = counts[kind], kind
        number += 1
        for row in range(len(pieces)):
            own = _DOUBLE if kind == _VALUE else kind
            if pieces[row, 0] == own or (kind == _DOUBLE and pieces[row, 0] == _KEY):
                spans[size, 0], spans[size, 1] = pieces[row, 1], pieces[row, 2]
                size += 1
    return spans, groups


@kernel()
def has_tags(points: Points, fewest: int) -> bool:
    """Whether there are so many tags or comments of HTML."""
    tags = comments = 0
    for index in range(2, len(points)):
        tags += points[index] == 47 and points[index - 1] == 60
        comments += points[index] == 62 and points[index - 1] == 45 and points[index - 2] == 45
    return max(tags, comments) >= fewest


@kernel(inline=True)
def _add(out: NDArray[np.int64], found: int, kind: int, start: int, end: int) -> int:
    out[found, 0] = kind
    out[found, 1] = start
    out[found, 2] = end
    return found + 1


@kernel(inline=True)
def _word(point: int) -> bool:
    return point >= 0xC0 or 48 <= point <= 57 or 65 <= point <= 90 or 97 <= point <= 122


@kernel(inline=True)
def _is(points: Points, index: int, point: int) -> bool:
    return index < len(points) and points[index] == point


@kernel()
def marked_pieces(points: Points, longest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the kind of mark (or `_KEY`), start and end of each piece of up to so many
    characters, kind by kind no two of which overlap; and how many of each kind there are."""
    out = np.empty((64, 3), np.int64)
    found = 0
    length = len(points)
    # Behind the last piece of each kind, and the last opening bracket or mark that may be closed.
    after = np.zeros(12, np.int64)
    opened = np.full(12, -1, np.int64)
    for index in range(length):
        point = points[np.uintp(index)]
        if point >= 128 or not _ACTS[point]:
            continue
        if found + 2 > len(out):
            out = grown(out)
        if point == 10:
            opened[:_TAG] = -1
        elif point == 34 or point == 39:
            kind = _DOUBLE if point == 34 else _SINGLE
            if index < after[kind]:
                continue
            if kind == _SINGLE and index and _word(points[index - 1]):
                continue
            end, items = index + 1, 0
            while end < length and points[end] != point and points[end] != 10 and items < longest:
                end += 1 + (points[end] == 92)
                items += 1
            if not items or not _is(points, end, point):
                continue
            if kind == _SINGLE and end + 1 < length and _word(points[end + 1]):
                continue
            after[kind] = end + 1
            if kind == _DOUBLE:
                behind = end + 1
                while behind < length and behind < end + 9 and points[behind] in (32, 9, 10, 13):
                    behind += 1
                if _is(points, behind, 58):
                    kind = _KEY
            found = _add(out, found, kind, index + 1, end)
        elif point == 96 or (point == 42 and _is(points, index + 1, 42)):
            kind = _BACKTICK if point == 96 else _STARS
            if index < after[kind]:
                continue
            first = opened[kind]
            width = 1 if point == 96 else 2
            if first >= 0 and 0 < index - first <= longest:
                found = _add(out, found, kind, first, index)
                opened[kind] = -1
            else:
                opened[kind] = index + width
            after[kind] = index + width
        elif point == 40 or point == 91:
            opened[_ROUND if point == 40 else _SQUARE] = index + 1
        elif point == 41 or point == 93:
            kind = _ROUND if point == 41 else _SQUARE
            first = opened[kind]
            if first >= 0 and 0 < index - first <= longest:
                found = _add(out, found, kind, first, index)
            opened[kind] = -1
        elif point == 62:
            opened[_TAG] = index + 1
        elif point == 60:
            first = opened[_TAG]
            if first >= 0 and 0 < index - first <= longest:
                found = _add(out, found, _TAG, first, index)
            opened[_TAG] = -1
            if _is(points, index + 1, 33) and _is(points, index + 2, 45):
                found = _comment(points, index, _HTML, 4, longest, after, out, found)
        elif point == 35:
            found = _comment(points, index, _HASH, 1, longest, after, out, found)
        elif point == 47 and _is(points, index + 1, 47):
            found = _comment(points, index, _SLASHES, 2, longest, after, out, found)
        elif point == 45 and _is(points, index + 1, 45):
            found = _comment(points, index, _DASHES, 2, longest, after, out, found)
        elif point == 47 and _is(points, index + 1, 42):
            found = _comment(points, index, _SLASH_STAR, 2, longest, after, out, found)
    counts = np.zeros(14, np.int64)
    for row in range(found):
        counts[out[row, 0]] += 1
    return out[:found], counts


@kernel(inline=True)
def _comment(
    points: Points,
    index: int,
    kind: int,
    width: int,
    longest: int,
    after: NDArray[np.int64],
    out: NDArray[np.int64],
    found: int,
) -> int:
    """The piece behind the mark of a comment, if that stands in no other of its kind."""
    if index < after[kind]:
        return found
    start = index + width
    while start < len(points) and (points[start] == 32 or points[start] == 9):
        start += 1
    end = start
    while end < len(points) and end - start < longest and points[end] != 10:
        if kind == _SLASH_STAR and points[end] == 42:
            break
        if kind == _HTML and points[end] == 45 and _is(points, end + 1, 45):
            break
        end += 1
    after[kind] = max(end, index + width)
    return _add(out, found, kind, start, end) if end > start else found
