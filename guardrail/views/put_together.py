"""What most answers have: pieces in lists, tables and marks, and words that may be in reverse.

All of them in one call, as going over into compiled code and back costs more than what is done.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.inner_words import inner_words
from guardrail.views.layout import LAID_OUT, laid_out
from guardrail.views.letters import ORDERS, words_turned
from guardrail.views.marks import MARKED, marked
from guardrail.views.numerals import number_rows
from guardrail.views.pieces import UNITS, Groups, Pieces, length_of, put_pieces, put_seam
from guardrail.views.signs import LINES, MARKS, NUMBERS, REVERSED
from guardrail.views.tallies import PIECES
from guardrail.views.view import Points, Source, Spans
from guardrail.views.weights import Kinds, Weights, reading, tables
from guardrail.views.wordings import turned_words
from guardrail.views.words import Packed, word_tables

# The signs on which something of this is found.
PUT_TOGETHER = LINES | MARKS | REVERSED

# Lines whose first letters are read, or words within them; the built-in policy lets shorter
# matches through.
ACROSTIC = 24

_NAMES = (*MARKED, *LAID_OUT, "words of lines", "first letters", ORDERS[-1])
_INNER, _INITIALS, _TURNED = range(len(_NAMES) - 3, len(_NAMES))


def put_together(source: Source, seen: int) -> Pieces:
    """Views of pieces put together, and of stretches with their words in reverse, on these signs of
    the text."""
    return Pieces(source, _NAMES, groups_of, source.points, source.letters, seen, *_tables())


@cache
def _tables() -> tuple[Any, ...]:
    return (tables().kinds, tables().language, *word_tables())


@kernel()
def groups_of(
    points: Points,
    letters: NDArray[np.uint8] | Points,
    seen: int,
    kinds: Kinds,
    language: Weights,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
    maps: bool,
) -> Groups:
    """The groups of the views of `put_together`, with maps or without."""
    spans = groups = turned = np.empty((0, 2), np.int64)
    firsts = np.empty(0, np.int64)
    if seen & REVERSED:
        turned = turned_words(letters, kinds, keys, classes, endings, order)
    if seen & MARKS:
        spans, groups = marked(points, PIECES)
    if seen & LINES:
        initials, lines, pieces, named = laid_out(points, PIECES, False)
        if len(initials) >= ACROSTIC:
            if reading(points[initials], kinds, language):
                firsts = initials
            inner, told = inner_words(points, lines, kinds, keys, classes, endings, order, False)
            spans, groups = _with(spans, groups, inner, told, _INNER)
        spans, groups = _with(spans, groups, pieces, named, len(MARKED))
    size = length_of(spans, groups) + length_of(turned, turned) + len(firsts) + 2
    places = np.empty((3 if maps else 1, size), np.uint32)
    rows = np.empty((len(turned) + 1 + len(groups), 4), np.int64)
    found = at = 0
    for start, end in turned:
        # Words in reverse hold no row of numbers that the text does not hold.
        rows[found, 2], rows[found, 3] = _TURNED, seen & NUMBERS
        found, at = _put(points, words_turned(points, start, end), places, rows, found, at)
    if len(firsts):
        rows[found, 2], rows[found, 3] = _INITIALS, len(number_rows(points[firsts]))
        found, at = _put(points, firsts, places, rows, found, at)
    found, _ = put_pieces(points, spans, groups, PIECES, UNITS, places, rows, found, at)
    return places, rows[:found]


@kernel()
def _with(
    spans: Spans, groups: Spans, more_spans: Spans, more_groups: Spans, first_name: int
) -> tuple[Spans, Spans]:
    """More groups behind others, the numbers of their names from another one on."""
    for row in range(len(more_groups)):
        more_groups[row, 1] += first_name
    return np.concatenate((spans, more_spans)), np.concatenate((groups, more_groups))


@kernel()
def _put(
    points: Points,
    picked: NDArray[np.int64],
    places: Points,
    rows: Spans,
    found: int,
    at: int,
) -> tuple[int, int]:
    """A group of single code points; see `put_pieces`."""
    rows[found, 0] = at
    for place in picked:
        places[0, at] = points[place]
        if len(places) > 1:
            places[1, at], places[2, at] = place, place + 1
        at += 1
    rows[found, 1] = at
    return found + 1, put_seam(places, at)
