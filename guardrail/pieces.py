"""Spans on their way to an edit of the text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from guardrail.findings import Span
from guardrail.redaction import Redaction

JOIN_GAP = 8
LOOK = 16


class Piece(NamedTuple):
    start: int
    end: int
    kinds: frozenset[str]


class Edit(NamedTuple):
    """Replace code points `start` to `end` (half-open) of the text by `text`."""

    start: int
    end: int
    text: str


NO_KINDS: frozenset[str] = frozenset()


def pieces_of(begin: int, length: int, spans: Sequence[Span], kinds: Sequence[str]) -> list[Piece]:
    raw: list[Piece] = []
    for number, span in enumerate(spans):
        start, end = max(span.start, begin), min(span.end, length)
        if start < end:
            named = frozenset(kinds[number].split("+")) if kinds else NO_KINDS
            raw.append(Piece(start, end, named))
    return raw


def merge(pieces: Iterable[Piece]) -> list[Piece]:
    """Sorted pieces with those that overlap or touch made one."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and piece.start <= merged[-1].end:
            last = merged[-1]
            merged[-1] = Piece(last.start, max(last.end, piece.end), last.kinds | piece.kinds)
        else:
            merged.append(piece)
    return merged


def join(text: str, pieces: Iterable[Piece], style: Redaction) -> list[Piece]:
    """Sorted pieces with those made one that only blanks and commas on one line part, unless an
    operator makes something of one of them."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and piece.start - joined[-1].end <= JOIN_GAP:
            last = joined[-1]
            alone = style.operator(last.kinds) or style.operator(piece.kinds)
            if not alone and _JOINABLE.issuperset(text[last.end : piece.start]):
                joined[-1] = Piece(last.start, piece.end, last.kinds | piece.kinds)
                continue
        joined.append(piece)
    return joined


# No line break, bracket, backtick, backslash or emphasis: those carry structure.
_JOINABLE = frozenset(" \t\u00a0.,;:!?'\"&/-\u2010\u2011\u2013\u2014\u2019\u2026")


def overlapping(pieces: list[Piece], first: int, start: int, end: int) -> tuple[int, list[Piece]]:
    """The parts of sorted pieces between start and end, looking from piece `first` on.

    Also returns the first piece that ends after `start`: where the next, later range looks from.
    """
    while first < len(pieces) and pieces[first].end <= start:
        first += 1
    found: list[Piece] = []
    for number in range(first, len(pieces)):
        piece = pieces[number]
        if piece.start >= end or start == end:
            break
        found.append(Piece(max(piece.start, start), min(piece.end, end), piece.kinds))
    return first, found


def extends(char: str) -> bool:
    """Whether a character only changes the one before it, and so must not be left alone."""
    if char < "\u0300":
        return False
    return (
        char in "\u200c\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or unicodedata.category(char) in ("Mn", "Mc", "Me")
    )
