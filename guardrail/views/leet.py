"""Signs in the place of letters: @ for a, $ for s and the like.

Digits in the place of letters need no view: canonical text takes them for letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.decoding import as_text
from guardrail.views.encodings import CONTEXT
from guardrail.views.tallies import SIGNS
from guardrail.views.view import Int, Points, Source, View
from guardrail.views.weights import reads

# Telling signs are no further apart, in code points. Where letters, digits and signs are mixed by
# chance, stretches hold nine tenths of 99 of 100 passages of 60 words so, and of 83 with 64; of
# 5,582 answers of models 6 have one, in place of 2.
REACH = 200

# One blank at least in so many code points.
BLANKS = 32

# What signs stand for. A parenthesis or digit by itself is no sign of it, as clean text has these
# between letters; the others it has seldom.
_MEANT = {"@": "a", "$": "s", "!": "i", "|": "l", "+": "t", "(": "c", "<": "c", "6": "g", "9": "g"}
_TELLING = "@$!|+"


@cache
def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    meant, telling = np.zeros(128, np.uint8), np.zeros(128, np.uint8)
    for sign, letter in _MEANT.items():
        meant[ord(sign)] = ord(letter)
        telling[ord(sign)] = sign in _TELLING
    return meant, telling


def find_leet(source: Source) -> Iterator[View]:
    """Views of stretches with signs between letters, in plain letters."""
    meant, telling = _tables()
    for start, end in leet_stretches(source.points, meant, telling, REACH, SIGNS).tolist():
        start, end = max(start - CONTEXT, 0), min(end + CONTEXT, len(source.points))
        points = plain_letters(source.points[start:end], meant)
        # Codes have such signs as well, and neither blanks nor what reads as a language.
        if BLANKS * source.text.count(" ", start, end) < end - start and not reads(points):
            continue
        places = np.arange(start, end, dtype=np.uint32)
        yield View("leet", as_text(points), places, places + np.uint32(1), "letters")


@kernel(inline=True)
def _letter(points: Points, index: int, meant: NDArray[np.uint8]) -> Int:
    if index < 0 or index >= len(points):
        return False
    point = points[index]
    if point >= 128:
        return point >= 0xC0
    return 97 <= point | 32 <= 122 or 48 <= point <= 57 or meant[point] != 0


@kernel(inline=True)
def any_letter(points: Points, start: int, end: int) -> bool:
    """Whether one of the letters a to z is among points start..end."""
    found = False
    for index in range(max(start, 0), min(end, len(points))):
        found |= 97 <= points[index] | 32 <= 122
    return found


@kernel()
def leet_stretches(
    points: Points, meant: NDArray[np.uint8], telling: NDArray[np.uint8], reach: int, fewest: int
) -> NDArray[np.int64]:
    """Start and end of stretches with so many telling signs, each between two letters or signs and
    no further than one of these from a letter, and no further from the next."""
    out = np.empty((len(points) // fewest + 1, 2), np.int64)
    found = count = start = last = 0
    for index in range(1, len(points)):
        point = points[index]
        if point > 127 or not telling[point]:
            continue
        if not _letter(points, index - 1, meant) or not _letter(points, index + 1, meant):
            continue
        if not any_letter(points, index - 2, index + 3):
            continue
        if count and index - last > reach:
            if count >= fewest:
                out[found, 0], out[found, 1] = start, last + 1
                found += 1
            count = 0
        if count == 0:
            start = index
        count += 1
        last = index
    if count >= fewest:
        out[found, 0], out[found, 1] = start, last + 1
        found += 1
    return out[:found]


@kernel()
def plain_letters(points: Points, meant: NDArray[np.uint8]) -> Points:
    """Signs as letters; what ends a word or stands alone may be what it looks like."""
    out = points.copy()
    for index in range(len(points)):
        point = points[index]
        if point < 128 and meant[point]:
            before = _letter(points, index - 1, meant)
            after = _letter(points, index + 1, meant)
            if after or (before and point != 33) or point == 64:
                out[index] = meant[point]
    return out
