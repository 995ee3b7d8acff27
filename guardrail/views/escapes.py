"""Escapes: percent encoding, HTML entities, backslashes and quoted-printable, decoded in place.

Between escapes stands plain text, so a view takes along what stands between and around them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from html import unescape

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.text import Offsets
from guardrail.views.decoding import IS_BYTE, LAST, READABLE, as_text, join_bytes
from guardrail.views.encodings import CONTEXT, REACH, shifted
from guardrail.views.tallies import EQUALS, MANY
from guardrail.views.view import SEAM, Draft, Int, Points, Source, View, pick

# What was escaped several times (%2520, &amp;#65;, \\\\n) is decoded at once: that is no layer.
_ENTITY = re.compile(
    r"&(?:amp;)*+(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"
)
# What a letter behind a backslash stands for; other characters stand for themselves.
_MEANT = dict(zip(b"nrtbfav0", b"\n\r\t\b\f\a\v\0", strict=True))
_NAME = re.compile(r"\\N\{([A-Za-z0-9 -]{2,64})\}")

# What follows a backslash, and is no digit of a code that was turned round.
_FORWARD = re.compile(r"\\[uUxnrt\\\"'/]")

# How far apart, at most, escapes stand that are worth a look although they say nothing.
SPARSE = 12
# What escapes begin with, the letters in them, and which letters these must be (a is 0).
_MARKS = (
    ("%", re.compile(r"%([0-9A-Za-z]{2})"), frozenset(range(6))),
    ("\\", re.compile(r"\\([A-Za-z])"), frozenset((ord("u") - ord("a"), ord("x") - ord("a")))),
    ("#", re.compile(r"#([xX])"), frozenset((ord("x") - ord("a"),))),
)


def find_escapes(source: Source) -> Iterator[View]:
    """Views of a text in which one kind of escape is decoded."""
    text = source.text
    if "%" in text:
        yield from _unescaped(source, "percent", _PERCENT)
    if "&" in text:
        yield from _entities(text)
    if "\\" in text:
        yield from _unescaped(source, "backslash", _BACKSLASH)
        if text.count("\\N{") >= MANY:
            yield _named(text)
    if "=" in text:
        yield from _unescaped(source, "quoted-printable", _QUOTED)


def find_changed_escapes(source: Source) -> Iterator[View]:
    """Views of stretches of escapes whose letters were shifted or that were turned round.

    Hexadecimal digits have the letters a to f, and a backslash has a u or an x: too few to be told
    by how often each is there, and enough to see of which shift they are.
    """
    text = source.text
    for mark, pattern, meant in _MARKS:
        if text.count(mark) < MANY:
            continue
        start, end = text.find(mark), text.rfind(mark)
        if end - start > SPARSE * text.count(mark):
            continue
        start, end = max(start - CONTEXT, 0), min(end + CONTEXT, len(text))
        places = np.arange(start, end)
        if not _reads(text[start:end], source.points[start:end], mark):
            yield pick(source, places[::-1], "reversed", "letters")
        found = "".join(set(pattern.findall(text))).lower()
        used = {ord(char) - ord("a") for char in found}
        used = {letter for letter in used if 0 <= letter < 26}
        if used <= meant:
            continue
        for mirrored in range(2):
            for shift in range(26):
                if {((25 - x if mirrored else x) + shift) % 26 for x in used} <= meant:
                    points = shifted(source.points[start:end], shift, mirrored)
                    changed = points.tobytes().decode("utf-32-le", "surrogatepass")
                    name = ">".join(["atbash"] * mirrored + [f"rot{26 - shift}"] * (shift > 0))
                    starts = places.astype(np.uint32)
                    yield View(name, changed, starts, starts + np.uint32(1), "letters")


def _reads(text: str, points: Points, mark: str) -> bool:
    """Whether escapes say something as they stand."""
    if mark == "#":
        return 2 * text.count("&#") > text.count(mark)
    if mark == "\\":
        return 2 * len(_FORWARD.findall(text)) > text.count(mark)
    points, starts, ends, _, _ = unescape_points(points, _PERCENT, _meant(), 0, len(text))
    _, _, _, readable = join_bytes(points, starts, ends)
    return bool(readable >= READABLE * len(points))


# --- entities ------------------------------------------------------------------------------------


def _entities(text: str) -> Iterator[View]:
    """Their names are known to the standard library alone."""
    draft: Draft | None = None
    position = 0
    for match in _ENTITY.finditer(text):
        start, end = match.span()
        meant = unescape("&" + re.sub("^&(?:amp;)*", "", match[0]))
        if len(meant) > 2:  # an ampersand and a word
            continue
        if draft is None:
            draft = Draft(text)
            position = max(0, start - CONTEXT)
        elif start - position > REACH:
            draft.keep(position, position + CONTEXT)
            draft.gap(SEAM)
            position = start - CONTEXT
        draft.keep(position, start)
        draft.stand(meant, start, end)
        position = end
    if draft is not None:
        draft.keep(position, min(len(text), position + CONTEXT))
        yield draft.view("entities", "escape")


# --- names ---------------------------------------------------------------------------------------


def _named(text: str) -> View:
    """Characters by their names in Unicode, as Python has them in strings."""
    draft = Draft(text)
    position = max(text.find("\\N{") - CONTEXT, 0)
    for match in _NAME.finditer(text):
        try:
            meant = unicodedata.lookup(match[1])
        except KeyError:
            continue
        if match.start() - position > REACH:
            position = match.start() - CONTEXT
            draft.gap(SEAM)
        draft.keep(position, match.start())
        draft.stand(meant, *match.span())
        position = match.end()
    draft.keep(position, min(len(text), position + CONTEXT))
    return draft.view("names", "escape")


# --- the others ----------------------------------------------------------------------------------

_PERCENT, _BACKSLASH, _QUOTED = range(3)


def _unescaped(source: Source, name: str, kind: int) -> Iterator[View]:
    points, starts, ends, found, any_byte = unescape_points(
        source.points, kind, _meant(), CONTEXT, REACH
    )
    if found < (EQUALS if kind == _QUOTED else 1):
        return
    if any_byte:
        points, starts, ends, _ = join_bytes(points, starts, ends)
    yield View(name, as_text(points), starts, ends, "escape")


@cache
def _meant() -> NDArray[np.uint8]:
    """What each ASCII character means behind a backslash; 255: nothing."""
    meant = np.full(128, 255, np.uint8)
    for point in b"\"'/":
        meant[point] = point
    for letter, point in _MEANT.items():
        meant[letter] = point
    return meant


@kernel(inline=True)
def _digits(points: Points, start: Int, count: int, base: int) -> Int:
    """The value of so many digits, or -1."""
    if start + count > len(points):
        return -1
    value: Int = 0
    for index in range(start, start + count):
        point = np.int64(points[index])
        digit = np.int64(99)
        if 48 <= point <= 57:
            digit = point - 48
        elif 65 <= point <= 70:
            digit = point - 55
        elif 97 <= point <= 102:
            digit = point - 87
        if digit >= base:
            return -1
        value = value * base + digit
    return value


@kernel()
def _escape(
    points: Points, start: int, kind: int, meant: NDArray[np.uint8]
) -> tuple[Int, Int, Int]:
    """Start, end and value of an escape whose mark stands at `start`: a code point, a byte with
    `IS_BYTE`, -1 for nothing at all, or -2 where there is none; it then ends where the search
    goes on."""
    length = len(points)
    index = start + 1
    if kind == _PERCENT:
        while _digits(points, index, 2, 16) == 0x25:
            index += 2
        value = _digits(points, index, 2, 16)
        if value >= 0:
            return start, index + 2, value | IS_BYTE
        return start, index, 37 if index > start + 1 else -2
    if kind == _QUOTED:
        value = _digits(points, index, 2, 16)
        if value >= 0 and points[index] <= 70 and points[index + 1] <= 70:
            return start, index + 2, value | IS_BYTE
        while index < min(length, start + 9) and points[index] in (32, 9):
            index += 1
        if index < length and points[index] == 13:
            index += 1
        if index < length and points[index] == 10:
            return start, index + 1, -1
        return start, start + 1, -2
    # Of several backslashes the last one escapes.
    while index < length and points[index] == 92:
        index += 1
    start = index - 1
    if index == length:
        return start, index, -2
    point = points[index]
    if point == 117:  # u
        value = _digits(points, index + 1, 4, 16)
        if value >= 0:
            end = index + 5
            if 0xD800 <= value < 0xDC00 and end < length and points[end] == 92:
                while end < length and points[end] == 92:
                    end += 1
                low: Int = -1
                if end < length and points[end] == 117:
                    low = _digits(points, end + 1, 4, 16)
                if 0xDC00 <= low < 0xE000:
                    return start, end + 5, 0x10000 + ((value & 0x3FF) << 10 | low & 0x3FF)
            return start, index + 5, value
        if index + 1 < length and points[index + 1] == 123:  # {
            for count in range(1, 7):
                end = index + 2 + count
                if end < length and points[end] == 125:
                    value = _digits(points, index + 2, count, 16)
                    if value >= 0:
                        return start, end + 1, min(value, LAST)
        return start, index, -2
    if point == 85:  # U
        value = _digits(points, index + 1, 8, 16)
        return (start, index + 9, min(value, LAST)) if value >= 0 else (start, index, -2)
    if point == 120:  # x
        value = _digits(points, index + 1, 2, 16)
        return (start, index + 3, value | IS_BYTE) if value >= 0 else (start, index, -2)
    value = _digits(points, index, 3, 8)
    if value >= 0:
        return start, index + 3, (value & 255) | IS_BYTE
    if point == 10:
        return start, index + 1, -1
    if point == 13 and index + 1 < length and points[index + 1] == 10:
        return start, index + 2, -1
    if point < 128 and meant[point] != 255:
        return start, index + 1, np.int64(meant[point])
    return start, index, -2


@kernel()
def unescape_points(
    points: Points, kind: int, meant: NDArray[np.uint8], context: int, reach: int
) -> tuple[Points, Offsets, Offsets, int, bool]:
    """Escapes decoded among the text around them, with the range of the source for each code point
    or byte (which have `IS_BYTE`); the number of escapes, and whether there are bytes that are no
    ASCII. What stands far from all of them is left out, with two line breaks in its place."""
    mark = (37, 92, 61)[kind]
    length = len(points)
    out = np.empty(length, np.uint32)
    starts, ends = np.empty(length, np.uint32), np.empty(length, np.uint32)
    at = index = position = found = 0
    any_byte = False
    while index < length:
        if points[index] != mark:
            index += 1
            continue
        start, end, value = _escape(points, index, kind, meant)
        index = end
        if value == -2:
            continue
        first = position
        if found == 0:
            first = max(0, start - context)
        elif start - position > reach:
            for place in range(position, position + context):
                out[at], starts[at], ends[at] = points[place], place, place + 1
                at += 1
            for _ in range(2):
                out[at], starts[at], ends[at] = 10, starts[at - 1], ends[at - 1]
                at += 1
            first = start - context
        for place in range(first, start):
            out[at], starts[at], ends[at] = points[place], place, place + 1
            at += 1
        found += 1
        position = end
        if value >= 0:
            any_byte |= value & IS_BYTE != 0 and value & 255 > 127
            out[at] = value if value & 255 > 127 else value & ~IS_BYTE
            starts[at], ends[at] = start, end
            at += 1
    if found:
        for place in range(position, min(length, position + context)):
            out[at], starts[at], ends[at] = points[place], place, place + 1
            at += 1
    return out[:at], starts[:at], ends[:at], found, any_byte
