"""What letters weigh: how common two neighbours are in languages of the Latin script, either way.

The table is made by scripts/make_letter_table.py; its weights are sixteenths of bits.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Points

Weights = NDArray[np.int16]
Kinds = NDArray[np.uint8]

SCALE = 16
# Not a letter of the Latin script: the edge of a word.
EDGE = 26
# Code points below have a class of their own; the Latin script with its accents ends here.
LATIN = 0x250


class Tables(NamedTuple):
    """`language` and `order`: a weight for each pair of kinds; `letters`: for each letter alone;
    `kinds`: for each code point under `LATIN` 0 to 25, its letter, or `EDGE`."""

    language: Weights
    order: Weights
    letters: Weights
    kinds: Kinds


@cache
def tables() -> Tables:
    with (
        resources.files("guardrail.views").joinpath("letters.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        language, order, letters = arrays["language"], arrays["order"], arrays["letters"]
    kinds = np.full(LATIN, EDGE, np.uint8)
    for point in range(LATIN):
        base = unicodedata.normalize("NFKD", chr(point).lower())[0]
        if "a" <= base <= "z":
            kinds[point] = ord(base) - ord("a")
    return Tables(language, order, letters, kinds)


# Bits a pair, without spaces: prose weighs 1 on the average, letters by chance less than -1.
READS = 0.2


def reads(points: Points) -> bool:
    """Whether letters may be a language if they are read one after the other."""
    known = tables()
    return reading(points, known.kinds, known.language)


@kernel()
def reading(points: Points, kinds: Kinds, language: Weights) -> bool:
    """The same, by the weight of a pair of letters on the average; that of letters of other scripts
    is unknown and as good as any."""
    weight = pairs = 0
    before = np.int64(26)
    for point in points:
        if point >= 0x250:
            return True
        kind = np.int64(kinds[point])
        if kind != 26:
            if before != 26:
                weight += language[before, kind]
                pairs += 1
            before = kind
    return bool(weight > READS * SCALE * max(pairs, 1))


@kernel()
def reads_as_words(
    points: NDArray[np.uint8] | Points, start: int, end: int, kinds: Kinds, language: Weights
) -> bool:
    """Whether a run is a path, a name or the like: letters, most of them next to one another, that
    weigh as language does. Those of codes weigh less than -1.5 a pair, whatever they hold."""
    weight = pairs = 0
    before = np.int64(EDGE)
    for index in range(start, end):
        kind = np.int64(kinds[points[index]])
        if kind != EDGE and before != EDGE:
            weight += language[before, kind]
            pairs += 1
        before = kind
    return 2 * pairs > end - start and weight > READS * SCALE * pairs


# What the first letters of a text weigh on the average, of so many or more: as a bound that is
# seldom passed, since what is meant to read goes up and down before it comes to its average.
_MAY_READ, _FEW = -0.3, 16


def may_read(points: Points) -> int:
    """The first of the letters from which on to the last they may begin to read as a language."""
    known = tables()
    return _from(points, known.kinds, known.language)


@kernel()
def _from(points: Points, kinds: Kinds, language: Weights) -> int:
    found = len(points)
    weight = pairs = 0
    after = np.int64(26)
    for back in range(len(points)):
        index = len(points) - 1 - back
        point = points[index]
        kind = np.int64(26)
        if point < LATIN:
            kind = np.int64(kinds[point])
        if kind != 26:
            if after != 26:
                weight += language[kind, after]
                pairs += 1
            after = kind
        if back < _FEW or point >= LATIN or weight > _MAY_READ * SCALE * pairs:
            found = index
    return found
