"""Characters written as numbers, in any base, or in the signs of Morse code."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.text import Offsets
from guardrail.views.decoding import put_bytes, put_points
from guardrail.views.encodings import TABLES, unpack
from guardrail.views.squares import find_squares
from guardrail.views.view import Draft, Int, Points, Source, View

# Numbers in a row, and signs of Morse code.
FEWEST = 12
# Characters between two numbers of a row: a comma, a blank, `U+`.
APART = 6

# What numbers are read as: a base, how many digits they have in it, and what is added to them. In
# clean text the values are seldom those of letters, but for the last: the place in the alphabet.
_BASES = np.array(((2, 7, 32, 0), (16, 2, 8, 0), (10, 1, 7, 0), (8, 2, 7, 0), (10, 1, 2, 96)))
_NAMES = ("binary", "hex", "decimal", "octal", "alphabet")
# Several bytes of hexadecimal in one, as words or dumps have them.
_BYTES = re.compile(r"\b(?:[0-9A-Fa-f]{2})+\b")
_DASHES = str.maketrans("·•∙−–—_", "...----")
_MORSE_TOKEN = re.compile(r"[.\-·•∙−–—_]+|[/|\n]|   +")
_MORSE = {
    ".-": "a", "-...": "b", "-.-.": "c", "-..": "d", ".": "e", "..-.": "f", "--.": "g",
    "....": "h", "..": "i", ".---": "j", "-.-": "k", ".-..": "l", "--": "m", "-.": "n",
    "---": "o", ".--.": "p", "--.-": "q", ".-.": "r", "...": "s", "-": "t", "..-": "u",
    "...-": "v", ".--": "w", "-..-": "x", "-.--": "y", "--..": "z", "-----": "0", ".----": "1",
    "..---": "2", "...--": "3", "....-": "4", ".....": "5", "-....": "6", "--...": "7",
    "---..": "8", "----.": "9",
}  # fmt: skip


def find_numerals(source: Source) -> Iterator[View]:
    """Views of rows of numbers that are characters, and of Morse code."""
    for start, end, morse in number_rows(source.points).tolist():
        view = _morse(source.text, start, end) if morse else _numbers(source, start, end)
        if view is not None:
            yield view
        yield from find_squares(source, start, end, morse=bool(morse))


def _numbers(source: Source, start: int, end: int) -> View | None:
    base, values, starts, ends = read_numbers(source.points[start:end], start, _BASES)
    draft = Draft(source.text)
    if base < 0:
        found = [match.span() for match in _BYTES.finditer(source.text, start, end)]
        places = np.concatenate([np.arange(*span) for span in [(0, 0), *found]])
        if not len(places):
            return None
        read = unpack(source.points[places], places, TABLES[1], 4, 2)
        return draft.view("hex", "code") if put_bytes(draft, *read[:3]) else None
    if values.max() < 256:
        done = put_bytes(draft, values.astype(np.uint8), starts, ends)
    else:
        done = put_points(draft, values, starts, ends)
    return draft.view(_NAMES[base], "code") if done else None


@kernel()
def read_numbers(
    points: Points, first: int, bases: NDArray[np.int64]
) -> tuple[int, Points, Offsets, Offsets]:
    """The row of `bases` in which most of the numbers in a row are letters, or -1; the values of
    those in a row that are numbers of that base, and where each starts and ends, `first` being the
    place of the first code point. A number may have `0x`, `x`, `u`, `U+` and the like before it;
    numbers of other forms stand before and behind those of a code, by chance."""
    most = len(points) // 2 + 2
    values = np.empty((len(bases), most), np.int64)
    starts, ends = np.empty(most, np.uint32), np.empty(most, np.uint32)
    # For each base, the numbers in a row that ends here and those of the best row so far: the
    # first, the one behind the last, and how many are letters.
    here = np.zeros((len(bases), 3), np.int64)
    best = np.zeros((len(bases), 3), np.int64)
    count = index = 0
    while index < len(points):
        if _digit(points[index]) > 15 and not _is_prefix(points[index]):
            index += 1
            continue
        begin = index
        if index + 1 < len(points) and _digit(points[index]) == 0 and _is_prefix(points[index + 1]):
            index += 2
        elif _is_prefix(points[index]):
            index += 1 + (index + 1 < len(points) and points[index + 1] == 43)
        if index >= len(points) or _digit(points[index]) > 15:
            continue
        digits = index
        while index < len(points) and _digit(points[index]) < 16:
            index += 1
        for row in range(len(bases)):
            fits = bases[row, 1] <= index - digits <= bases[row, 2]
            value = np.int64(0)
            for place in range(digits, index):
                digit = _digit(points[place])
                fits = fits and digit < bases[row, 0]
                value = value * bases[row, 0] + digit
            if bases[row, 3]:
                # Counted from 0, the letters are shifted by one.
                fits = fits and value <= 26
                value = bases[row, 3] + (value if value else 26)
            values[row, count] = value
            if not fits or value > 0x10FFFF:
                here[row, 0] = count + 1
                here[row, 2] = 0
                continue
            here[row, 1] = count + 1
            here[row, 2] += 97 <= value <= 122 or value == 32 or value >= 0xC0
            if here[row, 2] > best[row, 2]:
                for column in range(3):  # not as a slice: see `grown`
                    best[row, column] = here[row, column]
        starts[count] = first + begin
        ends[count] = first + index
        count += 1
    chosen = 0
    for row in range(len(bases)):
        if best[row, 2] > best[chosen, 2]:
            chosen = row
    # Numbers of ones and zeros are most of them code points in decimal as well.
    if 8 * (best[0, 1] - best[0, 0]) >= 7 * (best[chosen, 1] - best[chosen, 0]):
        chosen = 0
    one, other = best[chosen, 0], best[chosen, 1]
    if other - one < FEWEST:
        chosen = -1
    return chosen, values[chosen, one:other].astype(np.uint32), starts[one:other], ends[one:other]


@kernel(inline=True)
def _digit(point: int) -> Int:
    """The value of a hexadecimal digit, or more."""
    if 48 <= point <= 57:
        return np.int64(point) - 48
    if 97 <= point <= 102:
        return np.int64(point) - 87
    return np.int64(point) - 55 if 65 <= point <= 70 else np.int64(99)


@kernel(inline=True)
def _is_prefix(point: int) -> bool:
    return point in (120, 88, 117, 85, 111, 79)


def _morse(text: str, start: int, end: int) -> View | None:
    draft = Draft(text)
    letters = strange = 0
    for token in _MORSE_TOKEN.finditer(text, start, end):
        letter = _MORSE.get(token[0].translate(_DASHES))
        if letter is not None:
            draft.stand(letter, *token.span())
            letters += 1
        elif token[0][0] in "/| \n":
            draft.gap()
        else:
            strange += 1
    return draft.view("Morse", "code") if letters > 4 * strange else None


@kernel(inline=True)
def _add(out: NDArray[np.int64], found: int, start: int, end: int, morse: int) -> int:
    out[found, 0] = start
    out[found, 1] = end
    out[found, 2] = morse
    return found + 1


@kernel()
def number_rows(points: Points) -> NDArray[np.int64]:
    """Rows (start, end, whether of Morse signs) of at least `FEWEST` numbers, or Morse letters."""
    out = np.empty((2 * len(points) // FEWEST + 2, 3), np.int64)
    found = 0
    count = start = end = index = 0
    signs = sign_start = sign_end = 0
    length = len(points)
    while index < length:
        point = points[index]
        if 48 <= point <= 57 or 65 <= point <= 90 or 97 <= point <= 122:
            first = index
            digits = others = 0
            while index < length:
                point = points[index]
                if 48 <= point <= 57:
                    digits += 1
                elif 65 <= point <= 70 or 97 <= point <= 102 or point in (120, 88, 117, 85):
                    others += 1
                elif 65 <= point <= 90 or 97 <= point <= 122:
                    others += 100
                else:
                    break
                index += 1
            if others < 100 and (digits or others == 2) and index - first <= 34:
                if count and first - end > APART:
                    if count >= FEWEST:
                        found = _add(out, found, start, end, 0)
                    count = 0
                if count == 0:
                    start = first
                count += 1
                end = index
            elif index - first > 1 or points[first] not in (85, 117):  # the U of U+0041
                if count >= FEWEST:
                    found = _add(out, found, start, end, 0)
                count = 0
            if signs >= FEWEST:
                found = _add(out, found, sign_start, sign_end, 1)
            signs = 0
            continue
        if point in (45, 46, 95, 0xB7, 0x2022, 0x2219, 0x2212, 0x2013, 0x2014):
            if signs == 0:
                sign_start = index
            if index == 0 or points[index - 1] in (32, 10, 47, 124) or signs == 0:
                signs += 1
            sign_end = index + 1
        elif point not in (32, 10, 13, 47, 124):
            if signs >= FEWEST:
                found = _add(out, found, sign_start, sign_end, 1)
            signs = 0
        index += 1
    if count >= FEWEST:
        found = _add(out, found, start, end, 0)
    if signs >= FEWEST:
        found = _add(out, found, sign_start, sign_end, 1)
    return out[:found]
