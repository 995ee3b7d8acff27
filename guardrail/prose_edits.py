"""Edits of Markdown and plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from guardrail.pieces import LOOK, Edit, Piece, extends, join, merge
from guardrail.redaction import DEFAULT_LABEL, Redaction
from guardrail.structure import CONTAINER_CHARS, Fence

_TICKS = re.compile(r"`+")
_NUMBER = re.compile(r"[0-9]+")
_LEAD = re.compile(r"[\s>]*")


class _Mode:
    """Where a piece of prose lies: in running text, after an opening fence or another one, or in
    the number of a list item that starts with a fence."""

    TEXT, OPENING, FENCED, NUMBER = range(4)


def prose_edits(
    text: str, pieces: list[Piece], fences: list[Fence], style: Redaction
) -> list[Edit]:
    """Edits for pieces of running text, in no order."""
    pieces = merge(
        _widen(text, piece, pieces[number + 1].start if number + 1 < len(pieces) else len(text))
        for number, piece in enumerate(pieces)
    )
    kept: list[tuple[Piece, int]] = []
    edits: list[Edit] = []
    for part, mode in _outside_fences(text, pieces, fences):
        if mode == _Mode.NUMBER:
            # Nine digits can be a secret; whatever stands here has to be a number.
            edits.append(Edit(part.start, part.end, "1"))
            continue
        for unticked in _outside_ticks(text, part, keep_all=mode != _Mode.TEXT):
            trimmed = _trim(text, unticked)
            if trimmed is not None:
                kept.append((trimmed, mode))
    opening = {piece.start for piece, mode in kept if mode == _Mode.OPENING}
    parts = [piece for piece, _ in kept]
    if style.style == "label":
        parts = join(text, parts, style)
    for number, part in enumerate(parts):
        replacement = style.replacement(text[part.start : part.end], part.kinds)
        if not replacement.strip(CONTAINER_CHARS):
            before = max(part.start - LOOK, parts[number - 1].end if number else 0)
            after = min(
                part.end + LOOK,
                parts[number + 1].start if number + 1 < len(parts) else len(text),
            )
            if _touches_ticks(text, part, before, after, part.start in opening):
                replacement = DEFAULT_LABEL
        edits.append(Edit(part.start, part.end, replacement))
    return edits


def _widen(text: str, piece: Piece, limit: int) -> Piece:
    """A piece with what only changes its last character, which must be one that goes itself."""
    end = piece.end
    if text[end - 1] in "`~>" or text[end - 1].isspace():
        return piece
    while end < limit and extends(text[end]):
        end += 1
    return piece if end == piece.end else piece._replace(end=end)


def _outside_fences(
    text: str, pieces: list[Piece], fences: list[Fence]
) -> Iterable[tuple[Piece, int]]:
    first = 0
    for piece in pieces:
        while first < len(fences) and fences[first].end <= piece.start:
            first += 1
        position = piece.start
        for number in range(first, len(fences)):
            fence = fences[number]
            if fence.start >= piece.end:
                break
            if position < fence.start:
                yield Piece(position, fence.start, piece.kinds), _Mode.TEXT
            for match in _NUMBER.finditer(text, max(position, fence.line), fence.run_end):
                if match.start() < piece.end:
                    end = min(match.end(), piece.end)
                    yield Piece(match.start(), end, piece.kinds), _Mode.NUMBER
            info = max(position, fence.run_end), min(piece.end, fence.info_end)
            if info[0] < info[1]:
                mode = _Mode.OPENING if fence.opens else _Mode.FENCED
                yield Piece(*info, piece.kinds), mode
            position = max(position, fence.end)
        if position < piece.end:
            yield Piece(position, piece.end, piece.kinds), _Mode.TEXT


def _outside_ticks(text: str, piece: Piece, *, keep_all: bool) -> list[Piece]:
    """The parts of a piece around the backtick runs that stay.

    Two neighbouring runs of one length go together, so that for each length the number of runs
    stays odd or even; whatever pairs up outside of the piece goes on to pair up.
    """
    runs = [match.span() for match in _TICKS.finditer(text, piece.start, piece.end)]
    if not runs:
        return [piece]
    parts: list[Piece] = []
    position = piece.start
    number = 0
    while number < len(runs):
        start, end = runs[number]
        if not keep_all and number + 1 < len(runs):
            next_start, next_end = runs[number + 1]
            cut = (start == piece.start and text[start - 1 : start] == "`") or (
                next_end == piece.end and text[next_end : next_end + 1] == "`"
            )
            if not cut and end - start == next_end - next_start:
                number += 2
                continue
        if position < start:
            parts.append(Piece(position, start, piece.kinds))
        position = end
        number += 1
    if position < piece.end:
        parts.append(Piece(position, piece.end, piece.kinds))
    return parts


def _trim(text: str, piece: Piece) -> Piece | None:
    """A piece without blanks at its ends and the `>` of a quoted line; None if nothing is left."""
    lead = _LEAD.match(text, piece.start, piece.end)
    content = lead.end() if lead else piece.start
    if content == piece.end:
        return None
    skipped = text[piece.start : content]
    start = content
    if ">" in skipped and not ("\n" in skipped or "\r" in skipped):
        before = piece.start
        floor = max(0, before - LOOK)
        while before > floor and text[before - 1] in " \t>":
            before -= 1
        if before > floor and text[before - 1] not in "\r\n":
            start = piece.start + skipped.index(">")
    end = piece.end
    while text[end - 1].isspace():
        end -= 1
    return Piece(start, end, piece.kinds)


def _touches_ticks(text: str, piece: Piece, before: int, after: int, opening: bool) -> bool:
    """Whether leaving nothing (or only list markers) would change what a run of ` or ~ means."""
    end = piece.end
    while end < after and text[end] in CONTAINER_CHARS:
        end += 1
    if end < after and text[end] in "`~":
        return True
    start = piece.start
    while start > before and text[start - 1] in " \t":
        start -= 1
    return not opening and start > before and text[start - 1] in "`~"
