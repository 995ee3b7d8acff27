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

# Letters weighed together. In 2 KB of prose there are about 50 such blocks.
BLOCK = 32
SCALE = 16
# Not a letter of the Latin script: the edge of a word.
EDGE = 26
# Code points below have a class of their own; the Latin script with its accents ends here.
LATIN = 0x250

# Columns of what `weigh` returns.
START, END, LANGUAGE, ORDER, PAIRS, TWINS, NEXT_BUT_ONE, SHIFTED, FOREIGN_LETTERS = range(9)


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
    return bool(_mean(points, known.kinds, known.language) > READS * SCALE)


@kernel()
def _mean(points: Points, kinds: Kinds, language: Weights) -> float:
    """The weight of a pair of letters on the average; that of letters of other scripts is unknown
    and as good as any."""
    weight = pairs = 0
    before = np.int64(26)
    for point in points:
        if point >= 0x250:
            return np.inf
        kind = np.int64(kinds[point])
        if kind != 26:
            if before != 26:
                weight += language[before, kind]
                pairs += 1
            before = kind
    return weight / max(pairs, 1)


@kernel()
def weigh(points: Points, kinds: Kinds, language: Weights, order: Weights) -> NDArray[np.int64]:
    """A row for each `BLOCK` letters (the last for fewer): where they start and end; the weight of
    their pairs as language and in this order, and the number of pairs; letters equal to the one
    before, and to the one before that; signs that ROT47 makes of small letters; letters of other
    scripts."""
    out = np.zeros((len(points) // BLOCK + 2, 9), np.int64)
    block = letters = 0
    before = np.int64(26)
    one = two = np.int64(-1)
    for index in range(len(points)):
        point = np.int64(points[index])
        kind = np.int64(26)
        if point < 0x250:
            kind = np.int64(kinds[point])
        if kind == 26:
            if 50 <= point <= 64:
                out[block, SHIFTED] += 1
            # Scripts, without punctuation, symbols, presentation selectors and emoji.
            if (
                0x370 <= point < 0x2000
                or 0x2C00 <= point < 0x3000
                or 0x3040 <= point < 0xD800
                or 0x20000 <= point < 0x40000
            ):
                out[block, FOREIGN_LETTERS] += 1
            if before == 26:
                continue
        out[block, LANGUAGE] += language[before, kind]
        out[block, ORDER] += order[before, kind]
        out[block, PAIRS] += 1
        before = kind
        if kind == 26:
            continue
        if letters == 0:
            out[block, START] = index
        letters += 1
        out[block, TWINS] += kind == one
        out[block, NEXT_BUT_ONE] += kind == two
        two = one
        one = kind
        out[block, END] = index + 1
        if letters == BLOCK:
            block += 1
            letters = 0
    return out[: block + 1]
