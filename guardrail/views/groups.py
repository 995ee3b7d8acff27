"""Codes in short groups: base64 and base32 with a blank after every few characters, and base64 of
each word by itself. No run of them is long enough to be told from a word."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.encodings import TABLES, decoded
from guardrail.views.signs import SHORTEST
from guardrail.views.view import Draft, Int, Points, Source, View

# Groups of one length in a row.
ALIKE = 8
# At most one in so many letters of Latin-1 beyond ASCII; French has about one in 25.
LATIN = 10
# Words in a row, each in base64: of printable ASCII, the first character is one of these.
CODED = 6
_CODED = re.compile(
    rf"(?<![\w+/])(?:[I-Za-f][A-Za-z0-9+/]{{1,40}}+={{0,2}}+(?:\s{{1,2}}+|$)){{{CODED},}}"
)


def find_grouped(source: Source) -> Iterator[View]:
    """Views of codes in groups, decoded."""
    rows, coded = even_groups(source.points, TABLES, ALIKE, SHORTEST)
    for start, end, _ in rows.tolist():
        groups = [match.span() for match in re.finditer(r"[^\s*,.:;|]+", source.text[start:end])]
        found = decoded(source, [(start + first, start + last) for first, last in groups])
        if found is not None and _is_text(view := found[0].view(found[1], "code")):
            yield view
    if coded < CODED:
        return
    for match in _CODED.finditer(source.text):
        draft, coded, words = Draft(source.text), 0, 0
        for word in re.finditer(r"\S+", match[0]):
            start, end = (match.start() + place for place in word.span())
            words += 1
            if said := _word(word[0].rstrip("=")):
                coded += 1
                draft.stand(said, start, end)
                draft.gap()
            else:
                draft.keep(start, end)
        if 2 * coded > words:
            yield draft.view("base64", "code")


def _is_text(view: View) -> bool:
    """Whether it is ASCII or UTF-8 for the most part: chance is read as Latin-1 otherwise."""
    return LATIN * sum("\x80" <= char <= "\xff" for char in view.text) <= len(view.text)


def _word(group: str) -> str:
    """What base64 of one word says, or nothing."""
    try:
        data = base64.b64decode(group + "=" * (-len(group) % 4), validate=True)
    except binascii.Error:
        return ""
    return data.decode() if data.isascii() and data.decode().isprintable() else ""


@kernel(inline=True)
def _parts(point: Int) -> bool:
    """Whether it is a blank, or one of * , . : ; and |."""
    return bool(9 <= point <= 13 or point in (32, 42, 44, 46, 58, 59, 124))


@kernel()
def even_groups(
    points: Points, tables: NDArray[np.uint8], fewest: int, shortest: int
) -> tuple[NDArray[np.int64], int]:
    """Start, end and length of so many groups of one length in a row, with so many characters of
    base64 together, one or two blanks between two, and the last one up to that long; and how many
    groups in a row begin as base64 of ASCII does."""
    out = np.empty((len(points) // shortest + 1, 3), np.int64)
    found = start = size = count = 0
    first = last = coded = most_coded = 0
    parted = False
    for index in range(len(points) + 1):
        if index < len(points) and points[index] < 128 and tables[4, points[index]] != 255:
            continue
        length = index - start
        if length:
            near = start - last <= 2 and not parted
            point = points[start]
            coded = coded + 1 if 73 <= point <= 90 or 97 <= point <= 102 else 0
            most_coded = max(most_coded, coded)
            if near and length == size:
                count += 1
            else:
                if count >= fewest and count * size >= shortest:
                    out[found, 0], out[found, 2] = first, size
                    out[found, 1] = index if near and length < size else last
                    found += 1
                first, size, count = start, length, 1
            last = index
            parted = False
        if index < len(points) and not _parts(points[index]):
            # Padding ends a row, as anything else does.
            parted = True
        start = index + 1
    if count >= fewest and count * size >= shortest:
        out[found, 0], out[found, 1], out[found, 2] = first, last, size
        found += 1
    return out[:found], most_coded
