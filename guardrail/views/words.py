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
from guardrail.views.weights import EDGE, LATIN, Kinds

# Bits by which words in a row must be more common the other way round. Passages of 60 words in
# reverse have 45 on the average, 1 of 100 less; of clean answers of models 1 of 6 has as much
# somewhere.
BACKWARD = 8 * 8
# A word of the spelling alphabet counts 3, another takes 1 away; this is a word or two.
SPELT = 24
# A word that begins (or ends) with the same letter as one of the two before counts 1, another takes
# 1 away. In clean answers of models 7 of 1,218 come so far.
GLUED = 14
# Words that come again and again, by `grow`: 12 of 24.
REPEATED = 24
# Bits by which words that stand two apart are more common in this order than those that stand next
# to one another. Of 200 passages of 60 words with a word of another text after each 196 have as
# much somewhere, with a random one 175; of 337 pieces of 2 KB of answers 14.
TWO_APART, MOST_TWO_APART = 8 * 28, 8 * 50
# More does not count, so that a stretch ends where it ends.
MOST_BACKWARD, MOST_GLUED = 3 * BACKWARD, GLUED + 8

_LONGEST_WORD = 32

# Words that may be in reverse without a sign of it.
UNORDERED = 60

# The signs, as bits.
ORDER, NATO, FIRST, LAST, AGAIN, APART = 1, 2, 4, 8, 16, 32

# fmt: off
SPELLING = {name: name[0] for name in (
    "alfa", "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india",
    "juliett", "juliet", "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo",
    "sierra", "tango", "uniform", "victor", "whiskey", "whisky", "x-ray", "xray", "yankee", "zulu",
)} | {name: str(digit) for digit, name in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
))}
# fmt: on
_IS_SPELT = 1 << 14
# What of a class tells the order.
ORDERED = _IS_SPELT - 1
SLOT_SHIFT = 51
_SLOTS = 1 << 64 - SLOT_SHIFT
SLOT_STEP = 0x9E3779B97F4A7C15
LETTER_BITS = 5

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
    endings = np.zeros(1 << 2 * LETTER_BITS, np.int16)
    endings[ends] = np.arange(len(words) + 1, size)
    numbers = {word: number for number, word in enumerate(words, 1)}
    spelling = {}
    for name in ("ray" if "-" in name else name for name in SPELLING):
        packed = sum((ord(c) - 96) << LETTER_BITS * n for n, c in enumerate(reversed(name)))
        spelling[packed] = numbers.get(packed, int(endings[packed & 1023])) | _IS_SPELT
    keys, classes = np.zeros(_SLOTS, np.int64), np.zeros(_SLOTS, np.int16)
    # One word a slot: of two the rarer one is known by its ending, as a search would cost more than
    # it tells. They stand from the most common to the rarest.
    for word, number in {**spelling, **numbers}.items():
        slot = (word * SLOT_STEP & (1 << 64) - 1) >> SLOT_SHIFT
        if not keys[slot]:
            keys[slot], classes[slot] = word, spelling.get(word, number)
    return Words(keys, classes, endings, order)


@kernel(inline=True)
def class_of(
    word: Int, keys: Packed, classes: NDArray[np.int16], endings: NDArray[np.int16]
) -> Int:
    """The class of a packed word: its own, or else that of its last two letters."""
    slot = np.uintp((np.uint64(word) * np.uint64(SLOT_STEP)) >> np.uint64(SLOT_SHIFT))
    known = np.int64(endings[np.uintp(word & 1023)])
    return np.int64(classes[slot]) if keys[slot] == word else known


@kernel()
def signs_of_words(
    packed: Packed,
    firsts: NDArray[np.uint8],
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
    each: bool,
) -> tuple[int, NDArray[np.uint8]]:
    """The signs of words and of their first letters; and, if asked for, those of each word: in the
    lower four bits what grows with it or has not gone yet, in the higher ones what counts."""
    count = len(packed)
    out = np.empty(count if each else 0, np.uint8)
    before = last_but_one = np.int64(0)
    first_one = first_two = last_one = last_two = np.int64(-1)
    one = two = three = four = np.int64(-1)
    backward: Int = 0
    spelt: Int = 0
    begins: Int = 0
    ends: Int = 0
    again: Int = 0
    apart: Int = 0
    most_backward: Int = 0
    most_spelt: Int = 0
    most_begins: Int = 0
    most_ends: Int = 0
    most_again: Int = 0
    most_apart: Int = 0
    # Sums instead of choices: a wrong guess of the processor costs more than all of this.
    for index in range(count):
        word = packed[np.uintp(index)]
        known = class_of(word, keys, classes, endings)
        now = known & ORDERED
        weight = np.int64(order[np.uintp(before), np.uintp(now)])
        backward = min(max(backward - weight, 0), MOST_BACKWARD)
        next_but_one = np.int64(order[np.uintp(last_but_one), np.uintp(now)])
        apart = min(max(apart + next_but_one - weight, 0), MOST_TWO_APART)
        last_but_one, before = before, now
        spelt = min(max(spelt + 4 * (known >> 14) - 1, 0), 2 * SPELT)
        letter = np.int64(firsts[np.uintp(index)])
        alike = np.int64(letter == first_one) | np.int64(letter == first_two)
        begins = min(max(begins + 2 * alike - 1, 0), MOST_GLUED)
        first_two, first_one = first_one, letter
        letter = word & 31
        alike = np.int64(letter == last_one) | np.int64(letter == last_two)
        ends = min(max(ends + 2 * alike - 1, 0), MOST_GLUED)
        last_two, last_one = last_one, letter
        known = (word == one) | (word == two) | (word == three) | (word == four)
        again = min(max(again + 3 * known - 1, 0), 2 * REPEATED)
        one, two, three, four = word, one, two, three
        most_backward, most_spelt = max(most_backward, backward), max(most_spelt, spelt)
        most_begins, most_ends = max(most_begins, begins), max(most_ends, ends)
        most_again, most_apart = max(most_again, again), max(most_apart, apart)
        if each:
            counts = _signs(backward, spelt, begins, ends)
            out[index] = counts << 4 | (
                ORDER * (backward > 0)
                | NATO * (spelt > 0)
                | FIRST * (begins > 0)
                | LAST * (ends > 0)
            )
    signs = _signs(most_backward, most_spelt, most_begins, most_ends)
    return signs | AGAIN * (most_again >= REPEATED) | APART * (most_apart >= TWO_APART), out


@kernel()
def backward_words(
    packed: Packed,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
) -> NDArray[np.int64]:
    """First and last (and one) of words in a row through which the sign that they stand in reverse
    grows until it counts for the last time."""
    out = np.empty((len(packed) // 2 + 1, 2), np.int64)
    found = start = last = 0
    before = np.int64(0)
    score: Int = 0
    for index in range(len(packed) + 1):
        if index < len(packed):
            now = class_of(packed[np.uintp(index)], keys, classes, endings) & ORDERED
            if score == 0:
                start = index
            weight = np.int64(order[np.uintp(before), np.uintp(now)])
            score = min(max(score - weight, 0), MOST_BACKWARD)
            before = now
            if score >= BACKWARD:
                last = index + 1
            if score > 0:
                continue
        if last:
            out[found, 0], out[found, 1] = start, last
            found += 1
        last = 0
    return out[:found]


@kernel(inline=True)
def _signs(backward: Int, spelt: Int, begins: Int, ends: Int) -> Int:
    return (
        ORDER * (backward >= BACKWARD)
        | NATO * (spelt >= SPELT)
        | FIRST * (begins >= GLUED)
        | LAST * (ends >= GLUED)
    )


@kernel(inline=True)
def grow(packed: Packed, index: int, score: int) -> int:
    """How the sign of words that come again and again grows with a word: 3 for one that stands up
    to four words before, less 1 for each."""
    word = packed[index]
    again = False
    for step in range(1, min(index, 4) + 1):
        again |= packed[index - step] == word
    return min(max(score + 3 * again - 1, 0), 2 * REPEATED)


@kernel()
def repeating_from(packed: Packed) -> int:
    """The first of the last words through which their coming again has grown; their number if it
    has not."""
    score = start = 0
    for index in range(len(packed)):
        before = score
        score = grow(packed, index, score)
        if before == 0 or score == 0:
            start = index + (score == 0)
    return start


@kernel()
def reversible_from(
    packed: Packed,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
) -> int:
    """The first word from which on to the last they do not weigh so much more in this order than
    in reverse that they cannot be in reverse; of `UNORDERED` at most."""
    found = len(packed)
    after = np.int64(-1)
    weight = 0
    for back in range(min(UNORDERED, len(packed))):
        word = packed[len(packed) - 1 - back]
        now = class_of(word, keys, classes, endings) & ORDERED
        if after >= 0:
            weight += order[now, after]
        after = now
        if weight <= BACKWARD:
            found = len(packed) - 1 - back
    return found


@kernel()
def sentences_backward(points: NDArray[np.uint8] | Points) -> bool:
    """Whether a full stop stands as it does where words are in reverse; see `stops_backward`."""
    for index in range(len(points)):
        point = points[np.uintp(index)]
        if (point == 46 or point == 63) and stops_backward(points, index):
            return True
    return False


@kernel()
def stops_backward(points: NDArray[np.uint8] | Points, index: int) -> bool:
    """Whether a stop stands behind the second word of two, the first of which begins with a capital
    letter, and before a small letter. So one does in 8 of 1,218 clean answers, in 6 of 1,907
    dialogues and in 87 of 100 answers, 99 of 100 dialogues, whose first 60 words are turned round,
    in whatever language."""
    if not 2 <= index < len(points) - 2 or not _parts(points[np.uintp(index + 1)]):
        return False
    if not 97 <= points[np.uintp(index + 2)] <= 122:
        return False
    # Back over the word before the stop to the first character of the one before that.
    place = index
    for _ in range(2):
        place -= 1
        least = max(place - _LONGEST_WORD, 0)
        while place > least and not _parts(points[np.uintp(place - 1)]):
            place -= 1
    return bool(65 <= points[np.uintp(place)] <= 90)


@kernel(inline=True)
def _parts(point: Int) -> bool:
    return bool(point == 32 or point == 10)


@kernel()
def split_words(
    points: NDArray[np.uint8] | Points, kinds: Kinds
) -> tuple[Packed, NDArray[np.uint8], NDArray[np.int64]]:
    """Words of letters of the Latin script: packed, their first letters, and where each starts and
    ends. A packed word has five bits a letter, the last in the lowest, and forgets the first ones
    of a long one."""
    most = len(points) // 2 + 1
    packed, firsts = np.empty(most, np.int64), np.empty(most, np.uint8)
    places = np.empty((most, 2), np.int64)
    found = 0
    word = np.int64(0)
    for index in range(len(points) + 1):
        kind = np.int64(EDGE)
        if index < len(points) and points[index] < LATIN:
            kind = np.int64(kinds[np.int64(points[index])])
        if kind == EDGE:
            if word:
                packed[found] = word
                places[found, 1] = index
                found += 1
            word = np.int64(0)
            continue
        if word == 0:
            firsts[found] = kind
            places[found, 0] = index
        word = word << LETTER_BITS | kind + 1
    return packed[:found], firsts[:found], places[:found]
