"""Dumps of bytes: rows of a place, bytes in hexadecimal, and the same in plain text beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from guardrail.views.decoding import put_bytes
from guardrail.views.view import Draft, Source, View

# Bytes in a dump: two or three words.
FEWEST = 18
# A row, as `xxd`, `hexdump -C` and `od -t x1` write them: the place, then groups of whole bytes.
_ROW = re.compile(
    r"\n[ \t>#*|/]*+(?:0[xX])?(?P<place>[0-9A-Fa-f]{4,16}+)h?[:|]?[ \t]++(?:\|[ \t]*+)?"
    r"(?P<bytes>(?:(?:[0-9A-Fa-f]{2}){1,8}(?:[ \t|-]{1,3}|(?=\n|$))){1,32})[^\n]*"
)
_GROUP = re.compile(r"[0-9A-Fa-f]+")
# Bytes in a row where no next one tells.
_WIDTH = 16


def find_dumps(source: Source, fewest: int = FEWEST) -> Iterator[View]:
    """Views of the bytes of dumps that have so many, without places and text. What stands before
    and behind the bytes of a row belongs to its first and its last one."""
    if source.text.count("\n") == 0:
        return
    rows: list[re.Match[str]] = []
    for row in _ROW.finditer("\n" + source.text):
        if rows and row.start() != rows[-1].end():
            yield from _dump(source, rows, fewest)
            rows = []
        rows.append(row)
    yield from _dump(source, rows, fewest)


def _dump(source: Source, rows: list[re.Match[str]], fewest: int) -> Iterator[View]:
    data, starts, ends = bytearray(), list[int](), list[int]()
    for number, row in enumerate(rows):
        width = _WIDTH
        if number + 1 < len(rows):
            width = int(rows[number + 1]["place"], 16) - int(row["place"], 16)
        before = len(data)
        for group in _GROUP.finditer(row.string, *row.span("bytes")):
            for place in range(*group.span(), 2):
                if len(data) - before < width:
                    data.append(int(row.string[place : place + 2], 16))
                    # The string has a line break more before it than the source.
                    starts.append(place - 1)
                    ends.append(place + 1)
        if len(data) > before:
            starts[before], ends[-1] = row.start(), row.end() - 1
    if len(data) < fewest:
        return
    draft = Draft(source.text)
    found = np.frombuffer(bytes(data), np.uint8)
    if put_bytes(draft, found, np.array(starts, np.uint32), np.array(ends, np.uint32)):
        yield draft.view("dump", "code")
