"""Letters that no one shift makes a language: keys of several shifts, and fixed transpositions.

Each stretch of letters that are no language is tried under few and simple keys: what a writer can
do by heart. A key is found by how common letters are; whether it is one, by how common pairs are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Points, Source, View, pick
from guardrail.views.weights import EDGE, LATIN, SCALE, Kinds, Weights, tables

Places = NDArray[np.int64]

# How much of a stretch is put in another order, in code points, and how much of it is weighed.
MOST, SAMPLE = 8_000, 600
# Letters for each shift of a key that comes round.
EACH = 20
LONGEST_KEY = 12
STEPS = (1, -1, 2, -2, 3, -3)
# Letters for which a shift that moves on is found anew.
PART = 96
# Bits a pair that a solution weighs at least, and more than the text as it stands.
SOLVED, BETTER = 0.6, 0.5
# Bits a letter, by how common each is, that a language weighs at least in whatever order.
COMMON = -0.2
RAILS = 10


def find_keyed(source: Source, start: int, end: int) -> Iterator[View]:
    """The view of a stretch under the best of these keys, if it is a language then."""
    known = tables()
    points = source.letters[start:end].astype(np.uint32)
    kinds = known.kinds[np.minimum(points, LATIN - 1)]
    kinds[points >= LATIN] = EDGE
    places = np.flatnonzero(kinds != EDGE)
    least = max(SOLVED, _weigh(points[:SAMPLE]) + BETTER)
    if known.letters[kinds[places]].mean() >= COMMON * SCALE:
        order = None
        for places in _transposed(source, start, min(end, start + MOST)):
            if (weight := _weigh(source.letters[places[:SAMPLE]].astype(np.uint32))) > least:
                least, order = weight, places
        if order is not None:
            yield pick(source, order, "transposed", "letters")
        return
    letters = kinds[places].astype(np.int64)
    blanks = np.cumsum(points <= ord(" "), dtype=np.int64)[places]
    # What a key goes on by: letters, words, or characters of any kind.
    numbers: tuple[Places, ...] = (np.arange(len(places)), blanks, places)
    few = slice(SAMPLE)
    scheme = None
    for number in numbers:
        periods = range(2, min(LONGEST_KEY, len(letters) // EACH) + 1)
        for period, step in [*((period, 0) for period in periods), *((1, step) for step in STEPS)]:
            shifts = _shifts(letters[few], number[few], period, step)
            moved = _shifted(points[: places[few][-1] + 1], places[few], letters[few] + shifts)
            if (weight := _weigh(moved)) > least:
                least, scheme = weight, (number, period, step)
    if scheme is not None:
        shifts = _shifts(letters, *scheme)
        moved = _shifted(points, places, letters + shifts)
        where = np.arange(start, end, dtype=np.uint32)
        text = moved.tobytes().decode("utf-32-le", "surrogatepass")
        yield View("keyed shifts", text, where, where + np.uint32(1), "letters")


def _weigh(points: Points) -> float:
    known = tables()
    return float(mean_weight(points, known.kinds, known.language)) / SCALE


@kernel()
def mean_weight(points: Points, kinds: Kinds, language: Weights) -> float:
    """What a pair of letters weighs on the average, the edges of words among them."""
    weight = pairs = 0
    before = np.int64(EDGE)
    for point in points:
        kind = np.int64(kinds[point]) if point < LATIN else np.int64(EDGE)
        if kind != EDGE or before != EDGE:
            weight += language[before, kind]
            pairs += 1
        before = kind
    return weight / max(pairs, 1)


# --- shifts ---------------------------------------------------------------------------------------


def _shifts(letters: Places, number: Places, period: int, step: int) -> Places:
    """For each letter how far it has to be moved on, where a key of so many shifts comes round, or
    each is by a step more than the one before."""
    moved = (letters + step * number) % EDGE
    part = PART if step else len(letters)
    return step * number + periodic(moved, number % period, period, part, tables().letters)


def _shifted(points: Points, places: Places, letters: Places) -> Points:
    moved = points.copy()
    moved[places] = np.where(points[places] < 97, 65, 97) + letters % EDGE
    return moved


@kernel()
def periodic(letters: Places, residues: Places, period: int, part: int, common: Weights) -> Places:
    """For letters of each residue the shift that makes them most common, found for each part."""
    out = np.empty(len(letters), np.int64)
    counts = np.empty((period, EDGE), np.int64)
    for start in range(0, len(letters), part):
        end = min(start + part, len(letters))
        counts[:] = 0
        # The last part may be short: it is counted with some of the one before.
        for index in range(max(end - part, 0), end):
            counts[residues[index], letters[index]] += 1
        for residue in range(period):
            best: Int = -(1 << 62)
            chosen = 0
            for shift in range(EDGE):
                weight: Int = 0
                for letter in range(EDGE):
                    weight += counts[residue, letter] * common[(letter + shift) % EDGE]
                if weight > best:
                    best, chosen = weight, shift
            for index in range(start, end):
                if residues[index] == residue:
                    out[index] = chosen
    return out


# --- places ---------------------------------------------------------------------------------------


def _transposed(source: Source, start: int, end: int) -> Iterator[Places]:
    """Places of the letters read across lines, out of rails, and down columns."""
    lines = _lines(source.points, start, end)
    if not lines:
        return
    if 2 <= len(lines) <= RAILS:
        yield _across(lines)
        yield _zigzag(lines, len(lines))
    whole = np.concatenate(lines)
    letters = whole[source.points[whole] > 32]
    for places in (whole, letters) if len(letters) < len(whole) else (whole,):
        for rows in range(2, RAILS + 1):
            size = len(places)
            firsts = np.cumsum([0, *((size + rows - 1 - row) // rows for row in range(rows))])
            yield _across(np.split(places, firsts[1:-1]))
            yield np.concatenate([places[first::rows] for first in range(rows)])
            yield _zigzag([places], rows)


def _lines(points: Points, start: int, end: int) -> list[Places]:
    """Places of the lines that lie in a stretch for the most part."""
    line_ends = np.flatnonzero(points == 10)
    edges = np.concatenate(([0], line_ends + 1, [len(points) + 1]))
    first = int(np.searchsorted(edges, start, "right")) - 1
    last = int(np.searchsorted(edges, end, "left"))
    lines = []
    for begin, after in zip(edges[first:last], edges[first + 1 : last + 1], strict=False):
        inside = min(after - 1, end) - max(begin, start)
        if inside > 0 and 2 * inside > after - 1 - begin:
            lines.append(np.arange(begin, after - 1))
    return lines


def _across(lines: list[Places]) -> Places:
    """The first of each line, then the second of each, and so on."""
    longest = max(map(len, lines))
    grid = np.full((longest, len(lines)), -1, np.int64)
    for column, line in enumerate(lines):
        grid[: len(line), column] = line
    flat = grid.ravel()
    return flat[flat >= 0]


def _zigzag(lines: list[Places], rails: int) -> Places:
    """Letters that stand on so many rails, up and down, from rails written one after the other."""
    size = sum(map(len, lines))
    number = np.arange(size) % (2 * rails - 2)
    order = np.argsort(np.minimum(number, 2 * rails - 2 - number), kind="stable")
    out = np.empty(size, np.int64)
    out[order] = np.concatenate(lines)
    return out
