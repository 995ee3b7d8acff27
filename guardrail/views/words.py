"""Words: in which order they stand, and what they begin and end with.

The table of the order of words is made by scripts/make_word_table.py; its weights are eighths of
bits.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Points
from guardrail.views.weights import EDGE, LATIN, Kinds, tables

# Bits by which words in a row must be more common the other way round. Passages of 60 words in
# reverse have 45 on the average, 1 of 100 less; of clean answers of models 1 of 6 has as much
# somewhere.
BACKWARD = 8
# A word of the spelling alphabet counts 3, another takes 1 away; this is a word or two.
SPELT = 24
# A word that begins (or ends) with the same letter as the one before counts 1, another takes 2
# away.
GLUED = 14

# The signs, as bits.
ORDER, NATO, FIRST, LAST = 1, 2, 4, 8

SPELLING = """
alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november
oscar papa quebec romeo sierra tango uniform victor whiskey whisky xray ray yankee zulu
""".split()
_IS_SPELT = 1 << 14
_SLOTS = 4096
_MULTIPLIER = 0x9E3779B97F4A7C15
_LETTER_BITS = 5

Packed = NDArray[np.int64]


class Words(NamedTuple):
    """`keys` and `classes`: a hash table of packed words; `endings`: the class for the last two
    letters of any other; `order`: a weight for each pair of classes."""

    keys: Packed
    classes: NDArray[np.int16]
    endings: NDArray[np.int16]
    order: NDArray[np.int8]


@cache
def word_tables() -> Words:
    with (
        resources.files("guardrail.views").joinpath("words.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        words, ends = arrays["words"].tolist(), arrays["endings"].tolist()
        size = len(words) + len(ends) + 1
        order = np.zeros((size, size), np.int8)
        order[arrays["first"], arrays["second"]] = arrays["order"]
        order[arrays["second"], arrays["first"]] = -arrays["order"]
    endings = np.zeros(1 << 2 * _LETTER_BITS, np.int16)
    endings[ends] = np.arange(len(words) + 1, size)
    keys, classes = np.zeros(_SLOTS, np.int64), np.zeros(_SLOTS, np.int16)
    numbers = {word: number for number, word in enumerate(words, 1)}
    for name in SPELLING:
        packed = sum((ord(c) - 96) << _LETTER_BITS * n for n, c in enumerate(reversed(name)))
        numbers[packed] = numbers.get(packed, int(endings[packed & 1023])) | _IS_SPELT
    for word, number in numbers.items():
        slot = (word * _MULTIPLIER & (1 << 64) - 1) >> 52
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot], classes[slot] = word, number
    return Words(keys, classes, endings, order)


def word_signs(points: NDArray[np.uint8] | Points) -> int:
    """The signs of a text, as bits."""
    signs, _ = look_at_words(points, tables().kinds, *word_tables(), False)
    return int(signs)


@kernel(inline=True)
def _class(word: Int, keys: Packed, classes: NDArray[np.int16], endings: NDArray[np.int16]) -> Int:
    slot = np.int64((np.uint64(word) * np.uint64(_MULTIPLIER)) >> np.uint64(52))
    while keys[np.uintp(slot)] != word:
        if keys[np.uintp(slot)] == 0:
            return np.int64(endings[np.uintp(word & 1023)])
        slot = (slot + 1) & (_SLOTS - 1)
    return np.int64(classes[np.uintp(slot)])


@kernel()
def look_at_words(
    points: NDArray[np.uint8] | Points,
    kinds: Kinds,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
    places: bool,
) -> tuple[int, NDArray[np.int64]]:
    """The signs; and, if asked for, a row for each word: where it starts and ends, and which signs
    grow or shrink with it."""
    length = len(points)
    packed = np.empty(length + 2, np.int64)
    firsts = np.empty(length + 2, np.uint8)
    rows = np.empty((length + 2 if places else 0, 3), np.int64)
    count = 0
    word = np.int64(0)
    first = np.int64(EDGE)
    inside = np.int64(0)
    # Nothing hangs on what a character is: a word is written at each, and stays if it ends there.
    for index in range(length + 1):
        kind = np.int64(EDGE)
        if index < length and points[np.uintp(index)] < LATIN:
            kind = np.int64(kinds[np.uintp(points[np.uintp(index)])])
        letter = np.int64(kind != EDGE)
        packed[np.uintp(count)] = word
        firsts[np.uintp(count)] = first
        if places and letter and not inside:
            rows[count, 0] = index
        if places and inside and not letter:
            rows[count, 1] = index
        count += inside & (1 - letter)
        first = kind if not inside else first
        word = (word << _LETTER_BITS | kind + 1) * letter
        inside = letter
    signs = 0
    before = last_first = last_last = np.int64(0)
    backward = spelt = begins = ends = np.int64(0)
    for index in range(count):
        word = packed[np.uintp(index)]
        known = _class(word, keys, classes, endings)
        now = known & (_IS_SPELT - 1)
        backward = max(backward - order[np.uintp(before), np.uintp(now)], 0)
        spelt = max(spelt + (3 if known & _IS_SPELT else -1), 0)
        begins = max(begins + (1 if firsts[np.uintp(index)] == last_first else -2), 0)
        ends = max(ends + (1 if word & 31 == last_last else -2), 0)
        before, last_first, last_last = now, np.int64(firsts[np.uintp(index)]), word & 31
        now_signs = (
            ORDER * (backward >= 8 * BACKWARD)
            | NATO * (spelt >= SPELT)
            | FIRST * (begins >= GLUED)
            | LAST * (ends >= GLUED)
        )
        signs |= now_signs
        if places:
            rows[index, 2] = (
                ORDER * (backward > 0)
                | NATO * (spelt > 0)
                | FIRST * (begins > 0)
                | LAST * (ends > 0)
                | now_signs << 4
            )
    return signs, rows[:count] if places else rows
