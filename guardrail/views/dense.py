"""Base85, Ascii85 and uuencode: bytes as all signs of ASCII that a keyboard has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.text import Offsets
from guardrail.views.decoding import put_bytes
from guardrail.views.view import Draft, Int, Points, Source, View

_NONE = 255

# --- five characters for four bytes ---------------------------------------------------------------

# Characters in a row without a blank, and signs among them: more than in a path or a name.
LONGEST_NAME, FEWEST_SIGNS = 40, 0.1
_B85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"


def _tables85() -> NDArray[np.uint8]:
    """The value of each ASCII character in Ascii85 and in base85; 255: it is none of theirs."""
    table = np.full((2, 128), _NONE, np.uint8)
    table[0, 33:118] = np.arange(85)
    table[1, [ord(char) for char in _B85]] = np.arange(85)
    return table


_TABLES85 = _tables85()


def find_base85(source: Source) -> Iterator[View]:
    """Views of runs of base85 and Ascii85, decoded."""
    for start, end in dense_runs(source.points, LONGEST_NAME, FEWEST_SIGNS).tolist():
        if source.text[start : start + 2] == "<~":
            start, end = start + 2, end - 2
        for table in _TABLES85:
            data, starts, ends = unpack85(source.points, start, end, table)
            draft = Draft(source.text)
            if len(data) and put_bytes(draft, data, starts, ends):
                yield draft.view("base85", "code")


@kernel()
def dense_runs(points: Points, shortest: int, signs: float) -> NDArray[np.int64]:
    """Start and end of each run of so many printable characters of ASCII that `is_dense`."""
    out = np.empty((len(points) // shortest + 1, 2), np.int64)
    found = start = 0
    for index in range(len(points) + 1):
        if index < len(points) and 32 < points[np.uintp(index)] < 127:
            continue
        if index - start >= shortest and is_dense(points, start, index, signs):
            out[found, 0], out[found, 1] = start, index
            found += 1
        start = index + 1
    return out[:found]


@kernel()
def is_dense(points: NDArray[np.uint8] | Points, start: int, end: int, signs: float) -> bool:
    """Whether such a share of a run is neither a letter nor a digit, where one sign over and over
    is none, and all of it in one of the encodings (or the signs around Ascii85)."""
    others = 0
    in_ascii85 = in_base85 = True
    before = np.int64(0)
    for index in range(start, end):
        point = np.int64(points[np.uintp(index)])
        in_ascii85 = in_ascii85 and (_TABLES85[0, point] != _NONE or point == 126)
        in_base85 = in_base85 and _TABLES85[1, point] != _NONE
        plain = 48 <= point <= 57 or 97 <= point | 32 <= 122
        others += not plain and point != before
        before = point
    return (in_ascii85 or in_base85) and others >= signs * (end - start)


@kernel()
def unpack85(
    points: Points, start: int, end: int, table: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], Offsets, Offsets]:
    """The bytes that groups of five characters hold, each with the range of its group; nothing
    where a character is none of the encoding or they are no text."""
    size = (end - start) * 4 // 5 + 8
    data = np.empty(size, np.uint8)
    starts, ends = np.empty(size, np.uint32), np.empty(size, np.uint32)
    found = 0
    bad: Int = 0
    due: Int = 0
    for group in range(start, end, 5):
        last = min(group + 5, end)
        value: Int = 0
        for index in range(group, group + 5):
            digit = np.int64(84)
            if index < last:
                point = points[index]
                digit = np.int64(table[point]) if point < 128 else np.int64(_NONE)
            if digit == _NONE:
                return data[:0], starts[:0], ends[:0]
            value = value * 85 + digit
        for step in range(last - group - 1):
            byte = value >> (24 - 8 * step) & 255
            # UTF-8: what a first byte announces has to come, and nothing else may.
            goes_on = 128 <= byte < 0xC0
            bad += byte < 9 or 13 < byte < 32 or byte == 127 or goes_on != (due > 0)
            due = due - 1 if goes_on else (byte >= 0xC2) + (byte >= 0xE0) + (byte >= 0xF0)
            data[found] = byte
            starts[found], ends[found] = group, last
            found += 1
        if found == 24 and bad > 2:
            return data[:0], starts[:0], ends[:0]
    # Of random bytes half are none of UTF-8.
    if 32 * bad > found:
        found = 0
    return data[:found], starts[:found], ends[:found]


# --- lines that tell their length -----------------------------------------------------------------

# Bytes in lines one after the other: three words.
FEWEST_BYTES = 18


def find_uuencoded(source: Source) -> Iterator[View]:
    """Views of lines of uuencode, decoded: a sign for the number of bytes, then four for each three
    bytes, where blanks at the end of a line may be lost."""
    lines = uuencoded_lines(source.points, FEWEST_BYTES)
    for first, last in lines.tolist():
        data, starts, ends = unpack_uu(source.points, first, last)
        draft = Draft(source.text)
        if put_bytes(draft, data, starts, ends):
            yield draft.view("uuencode", "code")


@kernel(inline=True)
def _line_of_bytes(points: NDArray[np.uint8] | Points, start: int) -> tuple[Int, Int]:
    """The end of the line that begins here, and how many bytes it says it has, or 0."""
    end = start
    while end < len(points) and points[np.uintp(end)] != 10 and points[np.uintp(end)] != 13:
        end += 1
    if end == start:
        return end, np.int64(0)
    count = (np.int64(points[np.uintp(start)]) - 32) & 63
    size = 1 + (count + 2) // 3 * 4
    # Blanks stand for zeros; of text the last sign may be one, more are not.
    if count == 0 or not 0 <= size - (end - start) <= 3:
        return end, np.int64(0)
    for index in range(start, end):
        if not 32 <= points[np.uintp(index)] <= 96:
            return end, np.int64(0)
    return end, count


@kernel()
def uuencoded_lines(points: NDArray[np.uint8] | Points, fewest: int) -> NDArray[np.int64]:
    """Start of the first and end of the last of lines of uuencode in a row with so many bytes."""
    out = np.empty((len(points) // fewest + 1, 2), np.int64)
    found = start = first = 0
    total: Int = 0
    end: Int = 0
    while start < len(points):
        line_end, count = _line_of_bytes(points, start)
        if count:
            first = start if total == 0 else first
            total += count
            end = line_end
        if not count or line_end + 1 >= len(points):
            if total >= fewest:
                out[found, 0], out[found, 1] = first, end
                found += 1
            total = 0
        start = line_end + 1
        if start < len(points) and points[line_end] == 13 and points[start] == 10:
            start += 1
    return out[:found]


@kernel()
def unpack_uu(points: Points, start: int, end: int) -> tuple[NDArray[np.uint8], Offsets, Offsets]:
    """The bytes of lines, each with the range of its group of four signs."""
    size = (end - start) * 3 // 4 + 3
    data = np.empty(size, np.uint8)
    starts, ends = np.empty(size, np.uint32), np.empty(size, np.uint32)
    found = 0
    while start < end:
        line_end, count = _line_of_bytes(points, start)
        left = count
        for group in range(start + 1, line_end, 4):
            last = min(group + 4, line_end)
            value: Int = 0
            for index in range(group, group + 4):
                digit = (np.int64(points[index]) - 32) & 63 if index < last else np.int64(0)
                value = value << 6 | digit
            for step in range(min(left, 3)):
                data[found] = value >> (16 - 8 * step) & 255
                starts[found], ends[found] = group, last
                found += 1
            left -= 3
        start = line_end + 1
        if start < end and points[start] == 10:
            start += 1
    return data[:found], starts[:found], ends[:found]
