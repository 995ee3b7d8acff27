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
from guardrail.views.dense import (
    FEWEST_BYTES,
    FEWEST_SIGNS,
    LONGEST_NAME,
    is_dense,
    uuencoded_lines,
)
from guardrail.views.joined import may_be_joined
from guardrail.views.short_words import short_words, signs_of_short_words, stuffed_runs
from guardrail.views.tallies import (
    PIECES,
    RARE,
    ROOM,
    has_escapes,
    has_leet,
    has_many_escapes,
    has_marks,
    tally,
)
from guardrail.views.view import Int, Points
from guardrail.views.weights import EDGE, LATIN, SCALE, Kinds, Weights, reads_as_words, tables
from guardrail.views.words import (
    AGAIN,
    APART,
    FIRST,
    LAST,
    LETTER_BITS,
    NATO,
    ORDER,
    Packed,
    signs_of_words,
    stops_backward,
    word_tables,
)

# Runs of a code; percent signs, ampersands, backslashes and equals signs; many of one of them;
# numbers in a row, or signs of Morse code; letters that are no language, or in another order;
# one character between all others; what is not ASCII; lines of a list or a table; pieces in marks;
# words that spell letters, or with letters glued on; signs for letters;
# runs of base85; letters of other scripts; words again and again; numbers from 1 on; lines that
# tell their length; many characters without a blank; letters of words in another order; syllables
# in words; every other word in its order; words in reverse.
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
    BASE85,
    SCRIPTS,
    REPEATS,
    COUNTS,
    UUENCODED,
    UNBROKEN,
    SCRAMBLED,
    STUFFED,
    EVERY,
    REVERSED,
) = (1 << n for n in range(21))

# 12 bytes of hexadecimal, 15 of base32, 18 of base64: two or three words.
SHORTEST = 24
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
# And steps of which every run has so many that may be words joined without one.
_JOINED_STEPS = 5

# What a character is, in the order in which pairs are weighed: a letter, a digit that ROT47 makes
# of no letter and one of a small letter, a sign that it makes of one, any other character.
_DIGIT, _SHIFTED_DIGIT, _SHIFTED = EDGE + 1, EDGE + 2, EDGE + 3
_KIND = 31
# And else, as bits.
_CODE, _WORD, _NUMERIC, _MORSE, _DELIMITER, _SHOWN, _RARE, _STOP, _NEWLINE, _FILLED = (
    1 << n for n in range(5, 15)
)
# What parts the cells of rows, a bit each.
DELIMITERS = "|\t,;:="
_DELIMITER_BITS = np.zeros(128, np.uint8)
_DELIMITER_BITS[[ord(char) for char in DELIMITERS]] = [1 << n for n in range(len(DELIMITERS))]
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
        classes[point] |= _FILLED * (point > 32)
        classes[point] |= _DELIMITER * (char in DELIMITERS)
        classes[point] |= _RARE * (char in RARE)
        classes[point] |= _STOP * (char in ".?")
        classes[point] |= _NEWLINE * (char == "\n")
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
    known = tables()
    words = (*word_tables(), short_words())
    signs = look(points, _classes(), _pairs(), known.kinds, known.language, *words)
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
    info = np.int64(EDGE | _FILLED)
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
    kinds: Kinds,
    language: Weights,
    keys: Packed,
    word_classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    word_order: NDArray[np.int8],
    short: NDArray[np.int8],
) -> int:
    """In steps; nothing in the inner loop hangs on what a character is, as a wrong guess of the
    processor costs more than all that is done with one. What is rare is looked at in those steps
    that have some of it."""
    signs = 0
    tallies = np.zeros(ROOM, np.int32)
    rows = np.zeros(7, np.int64)
    length = len(points)
    before = np.int64(EDGE)
    language_before = order_before = 10.0
    weight = np.int64(0)
    steps = 0
    all_foreign: Int = 0
    foreign = delimiters = np.int64(0)
    all_code = backward = may_be_lines = False
    numbers = morse = unbroken = filled = 0
    line = coded = lines = run_looked_at = 0
    # Words: one is written at each character, and stays where it ends.
    packed = np.empty(length + 2, np.int64)
    firsts = np.empty(length + 2, np.uint8)
    words = word = np.int64(0)
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
            packed[np.uintp(words)] = word
            firsts[np.uintp(words)] = first
            words += np.int64(word != 0) & np.int64(kind >= EDGE)
            first = first if word else kind
            word = word << LETTER_BITS | kind + 1 if kind < EDGE else np.int64(0)
            if point >= LATIN:
                foreign += is_foreign(point)
        if some & (_RARE | _NUMERIC | _STOP):
            for index in range(start, end):
                point = np.int64(points[np.uintp(index)])
                if point < 128 and classes[np.uintp(point)] & (_RARE | _NUMERIC):
                    tally(points, index, tallies)
                elif point == 46 or point == 63:
                    backward = backward or stops_backward(points, index)
        if some & _NEWLINE:
            for index in range(start, end):
                if points[np.uintp(index)] == 10:
                    lines = _more_lines(points, line, index, delimiters, classes, rows, lines)
                    line = index + 1
                    delimiters = np.int64(0)
                delimiters |= _info(points[np.uintp(index)], classes)
        else:
            delimiters |= some
        # A run of three steps less one character holds two steps.
        if every & _CODE:
            if all_code and start >= coded:
                coded = run_end(points, start, classes, _CODE)
                if is_code(points, start, coded, classes, kinds, language):
                    signs |= CODES
            all_code = True
        else:
            all_code = False
        unbroken = unbroken + 1 if every & _SHOWN else 0
        filled = filled + 1 if every & _FILLED else 0
        if filled == _JOINED_STEPS and start >= run_looked_at:
            joined, run_looked_at = may_be_joined(points, start, kinds)
            if joined:
                signs |= UNBROKEN
        if unbroken == _UNBROKEN_STEPS:
            may_be_lines = True
            if may_be_dense(points, start, classes):
                signs |= BASE85
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
            as_language, order = low * scale, middle * scale
            sign: Int = block_signs(
                as_language, order, language_before, order_before, count, shifted, foreign
            )[0]
            if sign:
                signs |= LETTERS
            if _alternate(points, start, end):
                signs |= LETTERS | SPACED
            language_before, order_before = as_language, order
            all_foreign += foreign
            weight = np.int64(0)
            foreign = np.int64(0)
            steps = 0
        start = end
    packed[np.uintp(words)] = word
    firsts[np.uintp(words)] = first
    words += np.int64(word != 0)
    word_signs, _ = signs_of_words(
        packed[:words], firsts[:words], keys, word_classes, endings, word_order, False
    )
    if word_signs & (NATO | FIRST | LAST):
        signs |= WORDS
    if word_signs & ORDER or backward:
        signs |= REVERSED
    if word_signs & AGAIN:
        signs |= REPEATS
    scrambled, stuffed = signs_of_short_words(packed[:words], short)
    if scrambled:
        signs |= SCRAMBLED
    if stuffed and len(stuffed_runs(packed[:words], short)):
        signs |= STUFFED
    if word_signs & APART:
        signs |= EVERY
    if _more_lines(points, line, length, delimiters, classes, rows, lines) >= PIECES:
        signs |= LINES
    digits = tallies[49] >= 5
    for digit in range(50, 58):
        digits = digits and tallies[digit] > 0
    if digits and counts_on(points):
        signs |= COUNTS
    # As far as look-alikes are no other signs.
    if may_be_lines and (points.itemsize > 1 or len(uuencoded_lines(points, FEWEST_BYTES))):
        signs |= UUENCODED
    if all_foreign >= FOREIGN:
        signs |= SCRIPTS
    if has_escapes(tallies):
        signs |= ESCAPES
    if has_many_escapes(tallies):
        signs |= DENSE
    if has_leet(tallies):
        signs |= LEET
    if has_marks(tallies):
        signs |= MARKS
    return signs


@kernel()
def is_code(
    points: NDArray[np.uint8] | Points,
    inside: int,
    end: int,
    classes: NDArray[np.uint16],
    kinds: Kinds,
    language: Weights,
) -> bool:
    """Whether the run of a code around a place is long enough and no words. Look-alikes next to one
    lengthen it here and not there, where words are told."""
    start = inside
    while start > 0 and _info(points[np.uintp(start - 1)], classes) & _CODE:
        start -= 1
    if end - start < SHORTEST:
        return False
    while end < len(points) and points[np.uintp(end)] == 61:
        end += 1
    return points.itemsize > 1 or not reads_as_words(points, start, end, kinds, language)


@kernel()
def may_be_dense(
    points: NDArray[np.uint8] | Points, inside: int, classes: NDArray[np.uint16]
) -> bool:
    """Whether the run of printable characters around a place may be one of base85."""
    start, end = inside, run_end(points, inside, classes, _SHOWN)
    while start > 0 and _info(points[np.uintp(start - 1)], classes) & _SHOWN:
        start -= 1
    long = end - start >= LONGEST_NAME
    return points.itemsize > 1 or (long and is_dense(points, start, end, FEWEST_SIGNS))


@kernel(inline=True)
def run_end(
    points: NDArray[np.uint8] | Points, start: int, classes: NDArray[np.uint16], bit: int
) -> int:
    while start < len(points) and _info(points[np.uintp(start)], classes) & bit:
        start += 1
    return start


@kernel()
def _more_lines(
    points: NDArray[np.uint8] | Points,
    start: int,
    end: int,
    delimiters: Int,
    classes: NDArray[np.uint16],
    rows: NDArray[np.int64],
    most: int,
) -> int:
    """How many lines in a row so far may be a list, or rows that one delimiter parts, with one more
    line that has words. `rows`: how many up to here for each delimiter, and for lists."""
    while start < end and not _info(points[np.uintp(start)], classes) & _WORD:
        start += 1
    while end > start and not _info(points[np.uintp(end - 1)], classes) & _WORD:
        end -= 1
    if start == end:
        return most
    shown = np.int64(end - start <= SHORT) << 6
    if delimiters & _DELIMITER and end - start <= LONGEST:
        shown |= delimiters_in(points, start, end)
    for number in range(7):
        rows[number] = (rows[number] + 1) * (shown >> number & 1)
        most = max(most, rows[number])
    return most


@kernel(inline=True)
def delimiters_in(points: NDArray[np.uint8] | Points, start: int, end: int) -> Int:
    """Which of `DELIMITERS` stand in a part of a text, a bit each."""
    shown = np.int64(0)
    for index in range(start, end):
        point = points[np.uintp(index)]
        shown |= np.int64(_DELIMITER_BITS[np.uintp(point & 127)]) * (point < 128)
    return shown


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
def _alternate(points: NDArray[np.uint8] | Points, start: int, end: int) -> bool:
    """Whether characters that were weighed together, up to these, are equal to the last but one and
    not to the last in such numbers."""
    count = 0
    for index in range(max(start - _STEP * (_STEPS - 1), 2), end):
        point = points[np.uintp(index)]
        count += (point == points[np.uintp(index - 2)]) & (point != points[np.uintp(index - 1)])
    return count >= _ALIKE
