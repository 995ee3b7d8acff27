"""Characters written as numbers, in any base, or in the signs of Morse code."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.decoding import put_bytes, put_points
from guardrail.views.view import Draft, Points, Source, View

# Numbers in a row, and signs of Morse code.
FEWEST = 12
# Characters between two numbers of a row: a comma, a blank, `U+`.
APART = 6

_TOKEN = re.compile(r"(?:0[xXoObB]|\\[xu]|[xXuU](?=[0-9A-Fa-f])|[uU]\+)?([0-9A-Fa-f]+)")
_BASES = (("binary", 2, 7, 32), ("hex", 16, 2, 8), ("decimal", 10, 1, 7), ("octal", 8, 2, 7))
_DIGITS = {base: frozenset("0123456789abcdef"[:base]) for _, base, _, _ in _BASES}
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
        view = _morse(source.text, start, end) if morse else _numbers(source.text, start, end)
        if view is not None:
            yield view


def _numbers(text: str, start: int, end: int) -> View | None:
    tokens = list(_TOKEN.finditer(text, start, end))
    digits = [token[1] for token in tokens]
    starts = np.array([token.start() for token in tokens], np.uint32)
    ends = np.array([token.end() for token in tokens], np.uint32)
    different = set(digits)
    sizes = set(map(len, different))
    used = set("".join(different).lower())
    best: tuple[float, str, NDArray[np.int64]] | None = None
    for name, base, shortest, longest in _BASES:
        if not shortest <= min(sizes) <= max(sizes) <= longest or not used <= _DIGITS[base]:
            continue
        known = {number: int(number, base) for number in different}
        values = np.array([known[number] for number in digits])
        small = (values >= ord("a")) & (values <= ord("z")) | (values == ord(" "))
        letters = float((small | (values >= 0xC0)).mean())
        if values.max() <= 0x10FFFF and (best is None or letters > best[0]):
            best = letters, name, values
    if best is None:
        return None
    _, name, values = best
    draft = Draft(text)
    if values.max() < 256:
        done = put_bytes(draft, values.astype(np.uint8), starts, ends)
    else:
        done = put_points(draft, values.astype(np.uint32), starts, ends)
    return draft.view(name, "code") if done else None


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
