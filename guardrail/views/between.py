"""Words and numbers that were put between the words of a text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.pieces import UNITS, Pieces, joined
from guardrail.views.signs import COUNTED
from guardrail.views.view import Points, Source, Spans, View, pick
from guardrail.views.weights import tables
from guardrail.views.words import REPEATED, Packed, grow, split_words

# Words on both sides of a stretch that a view takes along.
AROUND = 24
# One word of so many is the same where it was put between others; of English words `the` is one of
# seventeen.
SHARE = 6
# What belongs to a number, in code points, before the next one.
PIECE = 100


def find_repeated(source: Source) -> Iterator[View]:
    """Views of stretches without the words that come again and again, and without a word that
    stands twice."""
    packed, _, words = split_words(source.letters, tables().kinds)
    for first, last in repeated_stretches(packed).tolist():
        around = slice(max(first - AROUND, 0), last + AROUND)
        names, counts = np.unique(packed[first:last], return_counts=True)
        often = names[counts * SHARE >= last - first]
        gone = np.isin(packed[around], often)
        gone[1:] |= packed[around][1:] == packed[around][:-1]
        start, end = int(words[around][0, 0]), int(words[around][-1, 1])
        edges = np.zeros(end - start + 1, np.int8)
        edges[words[around][gone] - start] = (1, -1)
        stays = np.cumsum(edges[:-1], dtype=np.int8) == 0
        yield pick(source, start + np.flatnonzero(stays), "words between", "layout")


@kernel()
def repeated_stretches(packed: Packed) -> NDArray[np.int64]:
    """First and last (and one) of words in a row of which many stand a little before."""
    out = np.empty((len(packed) // REPEATED + 1, 2), np.int64)
    found = score = start = end = 0
    counts = False
    for index in range(len(packed)):
        before = score
        score = grow(packed, index, score)
        if before == 0:
            start = index
        if score >= REPEATED:
            counts, end = True, index + 1
        if score == 0 and counts:
            out[found, 0], out[found, 1] = max(start - 4, 0), end
            found += 1
            counts = False
    if counts:
        out[found, 0], out[found, 1] = max(start - 4, 0), end
        found += 1
    return out[:found]


def find_counted(source: Source) -> Iterator[View]:
    """Views of pieces between numbers that count from 1 on, in the order of the numbers: what
    stands behind each, and what stands before it."""
    numbers = counting_numbers(source.points)
    if len(numbers) < COUNTED:
        return
    by_place = np.argsort(numbers[:, 0], kind="stable")
    starts, ends = numbers[by_place, 0], numbers[by_place, 1]
    behind = np.append(starts[1:], len(source.points))
    before = np.append(0, ends[:-1])
    order = np.argsort(by_place, kind="stable")
    pieces = (
        np.stack((ends, np.minimum(behind, ends + PIECE)), axis=1)[order],
        np.stack((np.maximum(before, starts - PIECE), starts), axis=1)[order],
    )
    groups = np.array([[len(piece), 0] for piece in pieces])
    spans = np.concatenate(pieces)
    yield from Pieces(source, ["counted"], joined, source.points, spans, groups, COUNTED, UNITS)


@kernel()
def counting_numbers(points: Points) -> Spans:
    """Start and end of the first 1, the first 2 and so on, as far as there are such numbers."""
    most = len(points) // 2 + 1
    places = np.zeros((most + 1, 2), np.int64)
    index = 0
    while index < len(points):
        start, value = index, 0
        while index < len(points) and 48 <= points[index] <= 57:
            if index - start < 9:
                value = value * 10 + int(points[index]) - 48
            index += 1
        if start < index <= start + 8 and 0 < value <= most and places[value, 1] == 0:
            places[value, 0], places[value, 1] = start, index
        index += index == start
    last = 1
    while last <= most and places[last, 1]:
        last += 1
    return places[1:last]
