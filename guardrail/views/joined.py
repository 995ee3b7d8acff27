"""Words joined by a letter, by digits or by a word in capitals, where blanks would be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Points, Source, View, pick
from guardrail.views.weights import EDGE, LATIN, SCALE, Kinds, Weights, tables

# Characters without a blank that are worth a look: few names and addresses have so many.
SHORTEST = 48
# One character in so many of a run joins words, at least; and at most one is a sign.
SPARSEST, SIGNS = 10, 12
# Plain text on both sides of a run that a view takes along, in code points.
CONTEXT = 200
# Bits a pair that the words weigh at least, and more than the run as it stands.
SOLVED, BETTER = 0.6, 0.3
# What `joints` answers for digits, and for nothing.
_DIGITS, _NOTHING = EDGE, -1
_CAPITALS = re.compile(r"(?<=[a-z.,;:!?])[A-Z]{2,12}(?=[a-z])")


def find_joined(source: Source) -> Iterator[View]:
    """Views of runs without what joins their words, and of what stands near them."""
    known = tables()
    found: list[tuple[int, int]] = []
    stays = np.ones(0, np.bool_)
    for start, end, letter in joints(source.points, known.kinds, known.language).tolist():
        gone = _gone(source, start, end, letter)
        if gone is None:
            continue
        if not len(stays):
            stays = np.ones(len(source.points), np.bool_)
        stays[start:end] = ~gone
        first, last = max(start - CONTEXT, 0), min(end + CONTEXT, len(stays))
        if found and first <= found[-1][1]:
            first = found.pop()[0]
        found.append((first, last))
    for first, last in found:
        yield pick(source, first + np.flatnonzero(stays[first:last]), "joined", "letters")


def _gone(source: Source, start: int, end: int, letter: int) -> NDArray[np.bool_] | None:
    """What of a run joins words: a word in capitals, if some do, or else a letter, or digits."""
    words = Counter(_CAPITALS.findall(source.text, start, end)).most_common(1)
    if words and 2 * SPARSEST * words[0][1] >= end - start:
        gone = np.zeros(end - start, np.bool_)
        for match in re.finditer(words[0][0], source.text[start:end]):
            gone[slice(*match.span())] = True
        return gone
    points = source.points[start:end]
    if letter == _DIGITS:
        return (points >= 48) & (points <= 57)
    return None if letter == _NOTHING else (points | 32) == letter + 97


@kernel()
def joints(points: Points, kinds: Kinds, language: Weights) -> NDArray[np.int64]:
    """Start and end of each run of characters without a blank, most of them letters or digits, and
    the letter without which they weigh more as words, `_DIGITS` or `_NOTHING`."""
    out = np.empty((len(points) // SHORTEST + 1, 3), np.int64)
    counts = np.empty(EDGE + 1, np.int64)
    found = start = 0
    for index in range(len(points) + 1):
        if index < len(points) and points[index] > 32:
            continue
        size = index - start
        first = start
        start = index + 1
        if size < SHORTEST:
            continue
        if not _is_lettered(points, first, index, kinds):
            continue
        counts[:] = 0
        digits = 0
        for place in range(first, index):
            point = points[place]
            counts[np.int64(kinds[point]) if point < LATIN else np.int64(EDGE)] += 1
            digits += 48 <= point <= 57
        now = _weight(points, first, index, kinds, language, EDGE)
        chosen = _NOTHING
        if SPARSEST * digits >= size and now > SOLVED:
            chosen = _DIGITS
        best = max(SOLVED, now + BETTER)
        for letter in range(EDGE):
            if SPARSEST * counts[letter] >= size:
                weight = _weight(points, first, index, kinds, language, letter)
                if weight > best:
                    best, chosen = weight, letter
        out[found, 0], out[found, 1], out[found, 2] = first, index, chosen
        found += 1
    return out[:found]


@kernel()
def may_be_joined(
    points: NDArray[np.uint8] | Points, inside: int, kinds: Kinds
) -> tuple[bool, int]:
    """Whether the run around a place is long enough, and most of it letters or digits; and where it
    ends."""
    start = end = inside
    while start > 0 and points[start - 1] > 32:
        start -= 1
    while end < len(points) and points[end] > 32:
        end += 1
    return end - start >= SHORTEST and _is_lettered(points, start, end, kinds), end


@kernel()
def _is_lettered(points: NDArray[np.uint8] | Points, start: int, end: int, kinds: Kinds) -> bool:
    letters = digits = 0
    for index in range(start, end):
        point = points[index]
        letters += point < LATIN and kinds[point] != EDGE
        digits += 48 <= point <= 57
    size = end - start
    return SIGNS * (size - digits - letters) <= size and letters >= SHORTEST // 2


@kernel(inline=True)
def _weight(
    points: Points, start: int, end: int, kinds: Kinds, language: Weights, joint: int
) -> float:
    """Bits a pair, where one letter parts words."""
    weight = pairs = 0
    before = np.int64(EDGE)
    for index in range(start, end):
        point = points[index]
        kind = np.int64(kinds[point]) if point < LATIN else np.int64(EDGE)
        if kind == joint:
            kind = np.int64(EDGE)
        if kind != EDGE or before != EDGE:
            weight += language[before, kind]
            pairs += 1
        before = kind
    return weight / (max(pairs, 1) * SCALE)
