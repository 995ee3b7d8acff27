"""Letters by their row and column in a square, and by the keys of a telephone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guardrail.views.view import Draft, Source, View

# Share of the numbers in a row that have to be letters.
MOST = 0.9
# Letters in a row.
FEWEST = 12
# The squares of Polybius and of the tap code: one letter is left out of each, for another.
_SQUARE, _TAPPED = "abcdefghiklmnopqrstuvwxyz", "abcdefghijlmnopqrstuvwxyz"
_KEYS = {"2": "abc", "3": "def", "4": "ghi", "5": "jkl", "6": "mno", "7": "pqrs", "8": "tuv"} | {
    "9": "wxyz",
    "0": " ",
    "1": " ",
}
_NUMBERS = re.compile(r"\d+")
_MIXED = re.compile(r"(\d)(?!\1)\d")
_DOTS = re.compile(r"(?<!\S)[.·•∙]+")
_DASHES = "-\u2212\u2013\u2014_"

Marks = list[tuple[str, int, int]]


def find_squares(source: Source, start: int, end: int, *, morse: bool) -> Iterator[View]:
    """Views of a row of numbers that are rows and columns, or keys, and of dots that are both."""
    text = source.text
    if morse:
        part = text[start:end]
        if not any(dash in part for dash in _DASHES):
            dots = [match.span() for match in _DOTS.finditer(text, start, end)]
            counts = [(str(last - first), first, last) for first, last in dots if last - first < 6]
            yield from _view(source, "taps", _paired(counts, _TAPPED), len(dots))
        return
    part = text[start:end]
    if not set(part) & set("06789"):
        digits = [(text[n], n, n + 1) for n in range(start, end) if text[n] in "12345"]
        yield from _view(source, "square", _paired(digits, _SQUARE), len(digits))
    if len(_MIXED.findall(part)) * FEWEST < len(part) / 4:
        numbers = [(match[0], *match.span()) for match in _NUMBERS.finditer(text, start, end)]
        pressed = [
            (_KEYS[number[0]][len(number) - 1], first, last)
            for number, first, last in numbers
            if len(set(number)) == 1 and len(number) <= len(_KEYS[number[0]])
        ]
        yield from _view(source, "keys of a telephone", pressed, len(numbers))


def _paired(digits: Marks, square: str) -> Marks:
    """The letters of digits from 1 to 5, two for each letter."""
    digits = [mark for mark in digits if mark[0] in "12345"]
    return [
        (square[5 * int(row) + int(column) - 6], first, last)
        for (row, first, _), (column, _, last) in zip(digits[::2], digits[1::2], strict=False)
    ]


def _view(source: Source, name: str, letters: Marks, marks: int) -> Iterator[View]:
    width = 1 if name == "keys of a telephone" else 2
    if len(letters) < FEWEST or width * len(letters) < MOST * marks:
        return
    draft = Draft(source.text)
    for letter, first, last in letters:
        draft.stand(letter, first, last)
    yield draft.view(name, "code")
