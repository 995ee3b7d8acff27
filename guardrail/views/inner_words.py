"""Words within lines, told by the order of words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.every import IN_ORDER, order_weight
from guardrail.views.view import Points, Spans
from guardrail.views.weights import EDGE, LATIN, Kinds
from guardrail.views.words import LETTER_BITS, Packed

# Places of words in their lines; first and last ones are found without their order.
INNER = (2, 3)


@kernel()
def inner_words(
    points: Points,
    lines: Spans,
    kinds: Kinds,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
    going_on: bool,
) -> tuple[Spans, Spans]:
    """Groups of the second words of lines, and of the third ones, where they stand as words do that
    belong together, which does not tell yet where more lines may follow; `lines` has start and end
    of each."""
    spans, groups = np.empty((0, 2), np.int64), np.empty((len(INNER), 2), np.int64)
    found = 0
    for place in INNER:
        words, packed = words_of_lines(points, lines, place, kinds)
        if going_on or order_weight(packed, keys, classes, endings, order) >= IN_ORDER:
            spans = np.concatenate((spans, words))
            groups[found, 0], groups[found, 1] = len(words), 0
            found += 1
    return spans, groups[:found]


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
