"""Where a disguise may begin that a text, as far as it has come, does not show yet.

A view needs so many characters, letters or lines before it shows. What could be the first of them
are the end of a text that is no plain words: codes, letters that are no language, short lines.
"""

from __future__ import annotations

import re

import numpy as np

from guardrail.views.blocks import END, LANGUAGE, ORDER, PAIRS, START, weigh
from guardrail.views.view import Source
from guardrail.views.weights import SCALE, tables

# A word that no code is made of: letters between blanks, not only those of hexadecimal digits; or a
# letter of another script.
_WORD = re.compile(
    r"(?<!\S)[^\w\s]*(?=[^\W\d_]*[^\W\d_a-fA-F])[^\W\d_]{2,23}(?:['\u2019-][^\W\d_]{1,23})*[^\w\s]*(?!\S)"
    r"|[\u0370-\u1fff\u3040-\ud7ff]"
)
# Bits a pair of letters, as `letters` has it, from which on a block of letters is surely plain.
_PLAIN, _FORWARD = 0.5, 0.0
# Codes show by then: binary takes 9 characters for a letter, and a passage 64 letters. And letters.
_LONGEST_CODE, _BLOCKS = 600, 6
# Lines that show no layout yet; how long those of a list are, and rows of a table.
_FEW, _SHORT, _ROW = 7, 60, 200
_LINE = re.compile(r"[^\n]*[^\W_][^\n]*")


def unfinished(raw: str) -> int:
    """The code point from which on a text may be part of a disguise that does not show yet."""
    return min(_codes(raw), _letters(raw), _lines(raw))


def _codes(raw: str) -> int:
    """The end of the last word that no code is made of."""
    last = max(0, len(raw) - _LONGEST_CODE)
    for match in _WORD.finditer(raw, last):
        last = match.end()
    return last


def _letters(raw: str) -> int:
    """The start of the last blocks of letters that weigh too little as language."""
    known = tables()
    blocks = weigh(Source(raw).points, known.kinds, known.language, known.order)
    size = np.maximum(blocks[:, PAIRS], 1) * SCALE
    plain = (blocks[:, LANGUAGE] >= _PLAIN * size) & (blocks[:, ORDER] >= _FORWARD * size)
    count = len(blocks)
    while count > len(blocks) - _BLOCKS and count and not plain[count - 1]:
        count -= 1
    if count == len(blocks):
        return len(raw)
    return int(blocks[count, START]) if blocks[count, END] else len(raw)


def _lines(raw: str) -> int:
    """The start of the last short lines and rows of a table, which may be a layout that does not
    show before there are more."""
    start = len(raw)
    for match in reversed(list(_LINE.finditer(raw))[-_FEW:]):
        line = match.group()
        row = len(line) <= _ROW and ("|" in line or "\t" in line)
        if len(line.strip()) > _SHORT and not row:
            break
        start = match.start()
    return start
