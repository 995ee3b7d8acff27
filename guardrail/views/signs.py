"""The first look at a text: one pass over it that tells which disguises it shows signs of.

Each sign is a little less than what the search behind it asks for, so that nothing is passed over
here which would be found there.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.blocks import FOREIGN, block_signs, is_foreign
from guardrail.views.every import apart_runs
from guardrail.views.short_words import scrambled_runs, short_words, stuffed_runs
from guardrail.views.view import Int, Points
from guardrail.views.weights import EDGE, LATIN, SCALE, tables
from guardrail.views.words import (
    LETTER_BITS,
    Packed,
    is_repeated,
    sentences_backward,
    signs_of_words,
    word_tables,
)

# Runs of a code; percent signs, ampersands, backslashes and equals signs; many of one of them;
# numbers in a row, or signs of Morse code; letters that are no language, or in another order;
# one character between all others; what is not ASCII; lines of a list or a table; pieces in marks;
# words in reverse, that spell letters, or with letters glued on; signs for letters;
# many characters without a blank; letters of other scripts; words again and again; numbers from
# 1 on; letters of words in another order; syllables in words; every other word in its order.
(
    CODES,
    ESCAPES,
    DENSE,
    NUMBERS,
    LETTERS,
    SPACED,
    WIDE,
    LINES,
    MARKS,
    WORDS,
    LEET,
    UNBROKEN,
    SCRIPTS,
    REPEATS,
    COUNTS,
    SCRAMBLED,
    STUFFED,
    EVERY,
) = (1 << n for n in range(18))

# 12 bytes of hexadecimal, 15 of base32, 18 of base64: two or three words.
SHORTEST = 24
# Escapes that are worth a look although they say nothing.
MANY = 12
# Signs for letters that are worth a look.
SIGNS = 6
# Pieces that may hold a passage together: with fewer, the pieces are long enough by themselves.
PIECES = 8
# Numbers from 1 on, before what stands between them is put together.
COUNTED = 12
# Longer lines are no list, and long enough to be found without those that go on where they end;
# still longer ones are no rows of a table.
SHORT, LONGEST = 60, 200

# Characters that are looked at together, and how many of such groups are weighed together.
_STEP, _STEPS = 8, 6
# Characters equal to the last but one and not to the last, of those weighed together: where one is
# put between all others, half of them.
_ALIKE = 13
# Steps with a digit in each, or with signs of Morse code and no letter, that make a row.
_ROW = 4

# Steps without a blank that are worth a look.
_UNBROKEN_STEPS = 4

# What a character is, in the order in which pairs are weighed: a letter, a digit that ROT47 makes
# of no letter and one of a small letter, a sign that it makes of one, any other character.
_DIGIT, _SHIFTED_DIGIT, _SHIFTED = EDGE + 1, EDGE + 2, EDGE + 3
_KIND = 31
# And else, as bits.
_CODE, _WORD, _NUMERIC, _MORSE, _DELIMITER, _SHOWN = (1 << n for n in range(5, 11))
# Fields of a packed weight, 16 bits each: as language; in its order; 1 for each pair; 1 for what
# ROT47 makes of a small letter.
_FIELD = 16


@cache
def _classes() -> NDArray[np.uint16]:
    classes = tables().kinds.astype(np.uint16)
    for point in range(LATIN):
        char = chr(point)
        plain = char.isascii() and char.isalnum()
        if 48 <= point <= 64:
            classes[point] = (_DIGIT if point < 50 else _SHIFTED_DIGIT) if plain else _SHIFTED
        classes[point] |= _CODE * (plain or char in "+/-_")
        classes[point] |= _WORD * (plain or point >= 0xC0)
        classes[point] |= _NUMERIC * (char in "0123456789")
        classes[point] |= _MORSE * (char in "-._·")
        classes[point] |= _SHOWN * (32 < point < 127)
        classes[point] |= _DELIMITER * (char in "|\t,;:=")
    return classes


@cache
def _pairs() -> NDArray[np.int64]:
    """The weights of each pair of kinds in one number."""
    known = tables()
    letter = np.minimum(np.arange(32), EDGE)
    language, order = known.language[letter][:, letter], known.order[letter][:, letter]
    weighed = (letter[:, None] != EDGE) | (letter != EDGE)
    shifted = np.isin(np.arange(32), (_SHIFTED_DIGIT, _SHIFTED))
    pairs = np.where(weighed, language.astype(np.int64) + (order.astype(np.int64) << _FIELD), 0)
    pairs += weighed.astype(np.int64) << 2 * _FIELD
    pairs += shifted.astype(np.int64) << 3 * _FIELD
    return pairs.ravel()


def signs_of(points: NDArray[np.uint8] | Points) -> int:
    """The signs of a text as bits; its code points come as bytes where it is ASCII, and else with
    look-alikes in plain letters."""
    signs = look(points, _classes(), _pairs(), *word_tables(), short_words())
    return signs | WIDE if points.itemsize > 1 else signs


@kernel(inline=True)
def _field(packed: Int) -> tuple[Int, Int]:
    """The lowest field of packed numbers, which has a sign, and the others."""
    half = np.int64(1 << (_FIELD - 1))
    low = ((packed + half) & np.int64((1 << _FIELD) - 1)) - half
    return low, (packed - low) >> np.int64(_FIELD)


@kernel(inline=True)
def _info(point: Int, classes: NDArray[np.uint16]) -> Int:
    if point < LATIN:
        return np.int64(classes[np.uintp(point)])
    info = np.int64(EDGE)
    if not 0x2000 <= point < 0x2C00 and not 0x3000 <= point < 0x3040:
        info |= _WORD
    elif point in (0x2022, 0x2219, 0x2212, 0x2013, 0x2014):
        info |= _MORSE
    return info


@kernel()
def look(
    points: NDArray[np.uint8] | Points,
    classes: NDArray[np.uint16],
    pairs: NDArray[np.int64],
    keys: Packed,
    word_classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    word_order: NDArray[np.int8],
    short: NDArray[np.int8],
) -> int:
    """In steps; nothing in the inner loop but the ends of lines hangs on what a character is, as a
    wrong guess of the processor costs more than all that is done with one."""
    signs = 0
    counts = np.zeros(128, np.int32)
    length = len(points)
    before = np.int64(EDGE)
    last = last_but_one = np.int64(-1)
    language_before = order_before = 10.0
    weight = np.int64(0)
    alike = steps = 0
    all_foreign: Int = 0
    foreign = delimiters = np.int64(0)
    all_code = False
    numbers = morse = unbroken = 0
    line = lists = columns = most_lines = 0
    # Words: one is written at each character, and stays where it ends.
    packed = np.empty(length + 2, np.int64)
    firsts = np.empty(length + 2, np.uint8)
    words = word = inside = np.int64(0)
    first = np.int64(EDGE)
    start = 0
    while start < length:
        end = min(start + _STEP, length)
        every, some = np.int64(-1), np.int64(0)
        for index in range(start, end):
            point = np.int64(points[np.uintp(index)])
            info = _info(point, classes)
            every &= info
            some |= info
            kind = info & _KIND
            weight += pairs[np.uintp(before << 5 | kind)]
            before = kind
            letter = np.int64(kind < EDGE)
            packed[np.uintp(words)] = word
            firsts[np.uintp(words)] = first
            words += inside & (1 - letter)
            first = kind + (first - kind) * inside
            word = (word << LETTER_BITS | kind + 1) * letter
            inside = letter
            if point < 128:
                counts[np.uintp(point)] += 1
            elif point >= LATIN:
                foreign += is_foreign(point)
            alike += point == last_but_one
            last_but_one = last
            last = point
            if point == 10:
                size = _trimmed(points, line, index, classes)
                line = index + 1
                if size:
                    delimiters |= some
                    lists = lists + 1 if size <= SHORT else 0
                    columns = columns + 1 if size <= LONGEST and delimiters & _DELIMITER else 0
                    most_lines = max(most_lines, lists, columns)
                    delimiters = np.int64(0)
        delimiters |= some
        # A run of three steps less one character holds two steps.
        if every & _CODE:
            if all_code:
                signs |= CODES
            all_code = True
        else:
            all_code = False
        unbroken = unbroken + 1 if every & _SHOWN else 0
        if unbroken == _UNBROKEN_STEPS:
            signs |= UNBROKEN
        if some & _NUMERIC:
            numbers += 1
            if numbers >= _ROW:
                signs |= NUMBERS
        elif numbers:
            numbers -= 1
        if some & _MORSE and not some & _WORD:
            morse += 1
            if morse >= _ROW:
                signs |= NUMBERS
        else:
            morse = 0
        steps += 1
        if steps == _STEPS or end == length:
            low, rest = _field(weight)
            middle, rest = _field(rest)
            count, shifted = _field(rest)
            scale = 1.0 / (max(count, 1) * SCALE)
            language, order = low * scale, middle * scale
            sign: Int = block_signs(
                language, order, language_before, order_before, count, shifted, foreign
            )[0]
            if sign:
                signs |= LETTERS
            if alike >= _ALIKE and _alternate(points, start, end):
                signs |= LETTERS | SPACED
            language_before, order_before = language, order
            all_foreign += foreign
            weight = np.int64(0)
            foreign = np.int64(0)
            alike = steps = 0
        start = end
    packed[np.uintp(words)] = word
    firsts[np.uintp(words)] = first
    words += inside
    word_signs, _ = signs_of_words(
        packed[:words], firsts[:words], keys, word_classes, endings, word_order, False
    )
    if is_repeated(packed[:words]):
        signs |= REPEATS
    if len(scrambled_runs(packed[:words], short)):
        signs |= SCRAMBLED
    if len(stuffed_runs(packed[:words], short)):
        signs |= STUFFED
    if len(apart_runs(packed[:words], keys, word_classes, endings, word_order)):
        signs |= EVERY
    digits = counts[49] >= 5
    for digit in range(50, 58):
        digits = digits and counts[digit] > 0
    if digits and counts_on(points):
        signs |= COUNTS
    if word_signs or sentences_backward(points):
        signs |= WORDS
    size = _trimmed(points, line, length, classes)
    most_lines += 0 < size <= LONGEST
    if most_lines >= PIECES:
        signs |= LINES
    if all_foreign >= FOREIGN:
        signs |= SCRIPTS
    if counts[37] or counts[38] or counts[92] or counts[61]:
        signs |= ESCAPES
        if max(counts[37], counts[35], counts[92]) >= MANY:
            signs |= DENSE
    if counts[33] + counts[36] + counts[43] + counts[64] + counts[124] >= SIGNS:
        signs |= LEET
    # Two marks a piece but for brackets and comments.
    if max(counts[34], counts[39], counts[96], counts[47], counts[45]) >= 2 * PIECES:
        signs |= MARKS
    if max(counts[42], counts[40], counts[91], counts[60], counts[35]) >= PIECES:
        signs |= MARKS
    return signs


@kernel()
def counts_on(points: NDArray[np.uint8] | Points) -> bool:
    """Whether all numbers from 1 to `COUNTED` are in a text."""
    seen = value = digits = 0
    for index in range(len(points) + 1):
        digit = np.int64(points[np.uintp(index)]) - 48 if index < len(points) else np.int64(-1)
        if 0 <= digit <= 9:
            value = value * 10 + int(digit) if digits < 2 else COUNTED + 1
            digits += 1
        elif digits:
            if value <= COUNTED:
                seen |= 1 << value
            value = digits = 0
    return seen >> 1 == (1 << COUNTED) - 1


@kernel(inline=True)
def _trimmed(
    points: NDArray[np.uint8] | Points, start: int, end: int, classes: NDArray[np.uint16]
) -> int:
    """The length of a line from its first word to its last, or 0."""
    while start < end and not _info(points[np.uintp(start)], classes) & _WORD:
        start += 1
    while end > start and not _info(points[np.uintp(end - 1)], classes) & _WORD:
        end -= 1
    return end - start


@kernel(inline=True)
def _alternate(points: NDArray[np.uint8] | Points, start: int, end: int) -> bool:
    """Whether characters that were weighed together, up to these, are equal to the last but one and
    not to the last in such numbers."""
    count = 0
    for index in range(max(start - _STEP * (_STEPS - 1), 2), end):
        point = points[np.uintp(index)]
        if point == points[np.uintp(index - 2)] and point != points[np.uintp(index - 1)]:
            count += 1
    return count >= _ALIKE
