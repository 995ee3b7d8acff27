"""Edits inside strings of JSON."""

from __future__ import annotations

import json

from guardrail.pieces import Edit, Piece, extends, join, merge
from guardrail.redaction import Redaction
from guardrail.structure import ESCAPE


def string_edits(
    text: str, start: int, end: int, pieces: list[Piece], style: Redaction
) -> list[Edit]:
    """Edits inside one string literal, whose quotes are just outside of start and end."""
    widened: list[Piece] = []
    escapes = ESCAPE.finditer(text, start, end)
    escape = next(escapes, None)
    for piece in pieces:
        begin, stop = piece.start, piece.end
        if widened and begin < widened[-1].end:
            begin = widened[-1].end
            if begin >= stop:
                widened[-1] = widened[-1]._replace(kinds=widened[-1].kinds | piece.kinds)
                continue
        while escape is not None and escape.end() <= begin:
            escape = next(escapes, None)
        if escape is not None and escape.start() < begin:
            begin = escape.start()
        while escape is not None and escape.end() <= stop:
            escape = next(escapes, None)
        if escape is not None and escape.start() < stop:
            stop = escape.end()
            escape = next(escapes, None)
        while stop < end:
            if escape is not None and escape.start() == stop:
                if not extends(_decoded(escape.group())):
                    break
                stop = escape.end()
                escape = next(escapes, None)
            elif extends(text[stop]):
                stop += 1
            else:
                break
        widened.append(Piece(begin, stop, piece.kinds))
    widened = merge(widened)
    if style.style == "label":
        widened = join(text, widened, style)
    return [
        Edit(
            piece.start,
            piece.end,
            quoted(style.replacement(_decoded(text[piece.start : piece.end]), piece.kinds)),
        )
        for piece in widened
    ]


def _decoded(inside: str) -> str:
    """What the inside of a JSON string stands for; a lone surrogate stays one."""
    try:
        value: str = json.loads(f'"{inside}"', strict=False)
    except ValueError:  # cut within an escape, where a stream ends
        return inside
    return value


def quoted(text: str) -> str:
    """A replacement as the inside of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
