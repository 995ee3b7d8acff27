"""Every second word among other words, told by the order of words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Source, Spans, View, pick
from guardrail.views.weights import tables
from guardrail.views.words import (
    MOST_TWO_APART,
    ORDERED,
    TWO_APART,
    Packed,
    class_of,
    split_words,
    word_tables,
)

# Words on both sides of a stretch that a view takes along: its order shows here and there only.
AROUND = 60
# Bits by which what is picked out must be more common in its order than in reverse.
IN_ORDER = 8 * 16


@kernel()
def apart_runs(
    packed: Packed,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
) -> Spans:
    """First and last (and one) of words in a row of which every second stand in their order, and
    neighbours do not."""
    out = np.empty((len(packed) // 4 + 2, 2), np.int64)
    found = start = end = 0
    one = two = np.int64(0)
    score: Int = 0
    most: Int = 0
    for index in range(len(packed)):
        word = packed[np.uintp(index)]
        now = class_of(word, keys, classes, endings) & ORDERED
        if score == 0:
            start = index
        score += order[np.uintp(two), np.uintp(now)]
        score = min(max(score - order[np.uintp(one), np.uintp(now)], 0), MOST_TWO_APART)
        two, one = one, now
        if score >= most:
            most, end = score, index + 1
        if score == 0 or index + 1 == len(packed):
            if most >= TWO_APART:
                out[found, 0], out[found, 1] = start, end
                found += 1
            most = 0
    return out[:found]


def find_every(source: Source) -> Iterator[View]:
    """Views of every second word of a stretch, as blanks part them, where these are in order."""
    packed, _, words = split_words(source.letters, tables().kinds)
    for first, last in apart_runs(packed, *word_tables()).tolist():
        around = words[max(first - AROUND, 0) : last + AROUND]
        start, end = int(around[0, 0]), int(around[-1, 1])
        blank = source.points[start:end] <= ord(" ")
        begins = np.append(True, blank[:-1] & ~blank[1:])
        # Signs by themselves are no words.
        points = source.points[start:end]
        plain = (points >= 48) & (points <= 57) | (points | 32 >= 97) & (points | 32 <= 122)
        piece = np.cumsum(begins) - 1
        lettered = np.zeros(piece[-1] + 1, np.bool_)
        lettered[piece[plain | (points >= 0xC0)]] = True
        number = np.cumsum(begins & lettered[piece])
        for place in range(2):
            stays = start + np.flatnonzero(number % 2 == place)
            picked, _, _ = split_words(source.letters[stays], tables().kinds)
            if order_weight(picked, *word_tables()) >= IN_ORDER:
                # Numbers in a row are one without the words between them.
                yield replace(pick(source, stays, "every other word", "layout"), plain=True)


@kernel()
def order_weight(
    packed: Packed,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
) -> int:
    """By how much words are more common in this order than in reverse."""
    weight: Int = 0
    before = np.int64(0)
    for word in packed:
        now = class_of(word, keys, classes, endings) & ORDERED
        weight += order[np.uintp(before), np.uintp(now)]
        before = now
    return weight  # type: ignore[no-any-return]
