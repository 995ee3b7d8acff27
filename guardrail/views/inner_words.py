"""Words within lines, told by the order of words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from guardrail.jit import kernel
from guardrail.views.every import IN_ORDER, order_weight
from guardrail.views.pieces import UNITS, join, joined
from guardrail.views.tallies import PIECES
from guardrail.views.view import Points, Source, Spans, View
from guardrail.views.weights import EDGE, LATIN, Kinds, tables
from guardrail.views.words import LETTER_BITS, Packed, word_tables

# Places of words in their lines; first and last ones are found without their order.
INNER = (2, 3)


def inner_words(source: Source, lines: Spans, *, going_on: bool = False) -> Iterator[View]:
    """Views of the second words of lines, and of the third ones, where they stand as words do that
    belong together, which does not tell yet where more lines may follow; `lines` has start and end
    of each."""
    fewest, units = (1, 1) if going_on else (PIECES, UNITS)
    for place in INNER:
        spans, packed = words_of_lines(source.points, lines, place, tables().kinds)
        if going_on or order_weight(packed, *word_tables()) >= IN_ORDER:
            groups = np.array([[len(spans), 0]])
            pieces = joined(source.points, spans, groups, fewest, units)
            yield from join(source, pieces, ("words of lines",))


@kernel()
def words_of_lines(points: Points, lines: Spans, place: int, kinds: Kinds) -> tuple[Spans, Packed]:
    """Start and end of the words at a place of lines, as blanks part them, and these packed."""
    out = np.empty((len(lines), 2), np.int64)
    packed = np.empty(len(lines), np.int64)
    found = 0
    for line in range(len(lines)):
        count = 0
        index = lines[line, 0]
        while index < lines[line, 1] and count < place:
            start = index
            word = np.int64(0)
            while index < lines[line, 1] and points[index] > 32:
                point = points[index]
                kind = np.int64(kinds[point]) if point < LATIN else np.int64(EDGE)
                if kind != EDGE:
                    word = word << LETTER_BITS | kind + 1
                index += 1
            count += index > start
            if index > start and count == place:
                out[found, 0], out[found, 1], packed[found] = start, index, word
                found += 1
            index += 1
    return out[:found], packed[:found]
