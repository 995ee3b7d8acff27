"""Codes in short groups: base64 and base32 with a blank after every few characters, and base64 of
each word by itself. No run of them is long enough to be told from a word."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from guardrail.views.encodings import decoded
from guardrail.views.signs import SHORTEST
from guardrail.views.view import Draft, Source, View

# Groups of one length in a row; words of prose have it four times in 1,000.
ALIKE = 8
# Words in a row each of which is base64 of printable ASCII, as one of 20 words of four letters is.
CODED = 6
_GROUP = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
# What stands between two groups.
_APART = 2


def find_grouped(source: Source) -> Iterator[View]:
    """Views of codes in groups, decoded."""
    row: list[tuple[int, int]] = []
    for match in _GROUP.finditer(source.text):
        group = match.span()
        if row and group[0] - row[-1][1] > _APART:
            yield from _read(source, row)
            row = []
        row.append(group)
    yield from _read(source, row)


def _read(source: Source, row: list[tuple[int, int]]) -> Iterator[View]:
    first = 0
    for number in range(1, len(row) + 1):
        size = row[first][1] - row[first][0]
        if number < len(row) and row[number][1] - row[number][0] == size:
            continue
        if number - first >= ALIKE and size * (number - first) >= SHORTEST:
            # The last group may be shorter.
            last = number + (number < len(row) and row[number][1] - row[number][0] < size)
            found = decoded(source, row[first:last])
            if found is not None:
                yield found[0].view(found[1], "code")
        first = number
    draft, words = Draft(source.text), 0
    for start, end in [*row, (0, 0)]:
        word = _word(source.text[start:end])
        if word:
            draft.stand(word, start, end)
            draft.gap()
            words += 1
            continue
        if words >= CODED:
            yield draft.view("base64", "code")
        draft, words = Draft(source.text), 0


def _word(group: str) -> str:
    """What base64 of one word says, or nothing."""
    plain = group.rstrip("=")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=None, validate=True)
    except binascii.Error:
        return ""
    return data.decode() if data.isascii() and data.decode().isprintable() else ""
