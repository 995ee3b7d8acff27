"""Every second or third word among other words, told by the order in which words stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Points, Source, Spans, View, pick
from guardrail.views.weights import EDGE, LATIN, Kinds, tables
from guardrail.views.words import (
    LETTER_BITS,
    SLOT_SHIFT,
    SLOT_STEP,
    Packed,
    split_words,
    word_tables,
)

# Words on both sides of a stretch that a view takes along: its order shows here and there only.
AROUND = 60
# Bits by which words that stand two or three apart are more common in this order than those that
# stand next to one another. Of 200 passages of 60 words with one other word
# (or two) after each 192 (164) have as much somewhere, of 337 pieces of 2 KB of answers 10 (8).
_LEAST = 8 * 28
_MOST = 8 * 50
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
    """First and last (and one) of words in a row of which every second, or every third (the last
    column), stand in their order, and neighbours do not."""
    out = np.empty((len(packed) // 4 + 2, 3), np.int64)
    found = 0
    one = two = three = np.int64(0)
    # For every second and every third: the sum, the most of it, where it began and was most.
    sum_two: Int = 0
    sum_three: Int = 0
    most_two: Int = 0
    most_three: Int = 0
    start_two = start_three = end_two = end_three = 0
    for index in range(len(packed) + 1):
        now = np.int64(0)
        if index < len(packed):
            word = packed[np.uintp(index)]
            slot = np.uintp((np.uint64(word) * np.uint64(SLOT_STEP)) >> np.uint64(SLOT_SHIFT))
            now = np.int64(endings[np.uintp(word & 1023)])
            now += (np.int64(classes[slot]) - now) * np.int64(keys[slot] == word)
            now &= 16383
        near = np.int64(order[np.uintp(one), np.uintp(now)])
        before_two, before_three = sum_two, sum_three
        sum_two += np.int64(order[np.uintp(two), np.uintp(now)]) - near
        sum_three += np.int64(order[np.uintp(three), np.uintp(now)]) - near
        three, two, one = two, one, now
        if sum_two <= 0 or index == len(packed):
            if most_two >= _LEAST:
                out[found, 0], out[found, 1], out[found, 2] = start_two, end_two, 2
                found += 1
            sum_two = most_two = 0
        else:
            sum_two = min(sum_two, _MOST)
            if sum_two >= most_two:
                most_two, end_two = sum_two, index + 1
                if before_two == 0:
                    start_two = index
        if sum_three <= 0 or index == len(packed):
            if most_three >= _LEAST:
                out[found, 0], out[found, 1], out[found, 2] = start_three, end_three, 3
                found += 1
            sum_three = most_three = 0
        else:
            sum_three = min(sum_three, _MOST)
            if sum_three >= most_three:
                most_three, end_three = sum_three, index + 1
                if before_three == 0:
                    start_three = index
    return out[:found]


def find_every(source: Source) -> Iterator[View]:
    """Views of every second or third word of a stretch, as blanks part them, that stand in the
    order of words that belong together."""
    packed, _, words = split_words(source.letters, tables().kinds)
    for first, last, apart in apart_runs(packed, *word_tables()).tolist():
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
        for place in range(apart):
            stays = start + np.flatnonzero(number % apart == place)
            picked, _, _ = split_words(source.letters[stays], tables().kinds)
            if order_weight(picked, *word_tables()) >= IN_ORDER:
                # Numbers in a row are one without the words between them.
                yield replace(pick(source, stays, "every other word", "layout"), plain=True)


INNER = (2, 3)


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
        slot = np.uintp((np.uint64(word) * np.uint64(SLOT_STEP)) >> np.uint64(SLOT_SHIFT))
        now = np.int64(endings[np.uintp(word & 1023)])
        if keys[slot] == word:
            now = np.int64(classes[slot])
        now &= 16383
        weight += order[np.uintp(before), np.uintp(now)]
        before = now
    return weight  # type: ignore[no-any-return]


def inner_words(source: Source, lines: Spans) -> Iterator[tuple[str, Spans]]:
    """The second words of lines, the third ones, where they stand as words do that belong
    together; `lines` has start and end of each."""
    for place in INNER:
        spans, packed = words_of_lines(source.points, lines, place, tables().kinds)
        if order_weight(packed, *word_tables()) >= IN_ORDER:
            yield "words of lines", spans


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
