"""Letters that are no language, or one read backwards: Caesar shifts, Atbash, reversed text.

Blocks of letters are weighed in one pass (`weights`). A stretch that weighs too little as language
is solved by the counts of its letters; one whose pairs are more common the other way round is
reversed. Letters of other scripts cannot be weighed: they are read backwards in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.blocks import (
    END,
    HAS_TWINS,
    IS_BACKWARD,
    IS_FOREIGN,
    IS_ODD,
    IS_STUFFED,
    PLAIN,
    START,
    Blocks,
    signs_of_blocks,
    weigh,
)
from guardrail.views.encodings import shifted
from guardrail.views.view import Kind, Points, Source, View, pick
from guardrail.views.weights import EDGE, LATIN, SCALE, tables

Mask = NDArray[np.bool_]

# What a solution must weigh, and by how much more than the text as it stands; less is asked where
# the text weighs next to nothing, as it does without spaces.
SOLVED, BETTER, SOLVED_NOTHING = 0.35, 0.3, -0.4
NOTHING = -1.5
# Different letters in what is worth solving: a word over and over is not, nor is hexadecimal.
FEWEST_LETTERS = 10
# Blocks solved together: a text may change its shift on the way.
TOGETHER = 6


def find_letters(source: Source) -> Iterator[View]:
    """Views of stretches of letters that are shifted, reversed or stuffed."""
    known = tables()
    blocks = weigh(source.points, known.kinds, known.language, known.order)
    signs, any_sign = signs_of_blocks(blocks)
    if not any_sign:
        return
    if any_sign & IS_ODD:
        yield from _solved(source, blocks, (signs & IS_ODD) > 0)
    if any_sign & IS_BACKWARD:
        for start, end in _stretches(blocks, (signs & IS_BACKWARD) > 0):
            if _varied(source.points[start:end]):
                yield from turned(source, start, end, "letters")
    if any_sign & HAS_TWINS:
        yield from _stuffed(source, blocks, (signs & HAS_TWINS) > 0, "doubled letters")
    if any_sign & IS_STUFFED:
        yield from _stuffed(source, blocks, (signs & IS_STUFFED) > 0, "stuffed letters")
    if any_sign & IS_FOREIGN:
        places = np.flatnonzero(source.points >= LATIN)
        yield from turned(source, int(places[0]), int(places[-1]) + 1, "layout")


def _runs(signs: Mask) -> list[tuple[int, int]]:
    """First of each row of blocks with a sign, and the one behind its last."""
    edges = np.flatnonzero(np.diff(signs, prepend=False, append=False)).reshape(-1, 2)
    return [(first, last) for first, last in edges.tolist()]


def _stretches(blocks: Blocks, signs: Mask) -> Iterator[tuple[int, int]]:
    """Start and end in the text of blocks in a row, with a block more at either end."""
    position = 0
    for first, last in _runs(signs):
        start, end = _range(blocks, max(first - 1, 0), min(last + 1, len(blocks)))
        yield max(start, position), end
        position = end


def _range(blocks: Blocks, first: int, last: int) -> tuple[int, int]:
    """From the first letter to the last of blocks in a row."""
    end = blocks[last - 1, END]
    return int(blocks[first, START]), int(end or blocks[last - 2, END])


# --- shifts --------------------------------------------------------------------------------------


def _solved(source: Source, blocks: Blocks, signs: Mask) -> Iterator[View]:
    """Views of the stretches that are a language under some shift, mirrored or not, or ROT47."""
    for first, last in _runs(signs):
        # A stretch is solved in parts, and neighbours with one solution are one view.
        parts = list(range(first, max(last - TOGETHER // 2, first + 1), TOGETHER))
        solved: list[tuple[str | None, int, int]] = []
        for part, end in zip(parts, [*parts[1:], last], strict=True):
            name = _solve(source.points[slice(*_range(blocks, part, end))])
            if solved and solved[-1][0] == name:
                part = solved.pop()[1]
            solved.append((name, part, end))
        for name, part, end in solved:
            if name is not None:
                more = _range(blocks, max(part - 1, 0), min(end + 1, len(blocks)))
                yield _moved(source, *more, name)


def _varied(points: Points) -> bool:
    known = tables().kinds[points[points < LATIN]]
    return len(np.unique(known[known != EDGE])) >= FEWEST_LETTERS


def _solve(points: Points) -> str | None:
    """The name of the shift under which letters are a language, or None."""
    known = tables()
    key = solution(points, known.kinds, known.language, known.letters, _keys())
    if key == ROT47:
        return "rot47"
    mirrored, shift = divmod(key, EDGE)
    return ">".join(["atbash"] * mirrored + [f"rot{EDGE - shift}"] * (shift > 0)) or None


# What `solution` answers for ROT47; other answers are rows of `_keys`, and 0 is none.
ROT47 = 2 * EDGE


@kernel()
def solution(
    points: Points,
    kinds: NDArray[np.uint8],
    language: NDArray[np.int16],
    letters: NDArray[np.int16],
    keys: NDArray[np.int64],
) -> int:
    """Which key makes letters a language, or that language read backwards."""
    counts = np.zeros(26, np.int64)
    for point in points:
        if point < 0x250 and kinds[point] < 26:
            counts[kinds[point]] += 1
    if np.count_nonzero(counts) < FEWEST_LETTERS:
        return 0
    likely = np.zeros(len(keys), np.int64)
    for key in range(len(keys)):
        for letter in range(26):
            likely[key] += counts[letter] * letters[keys[key, letter]]
    now, _ = _weighed(points, kinds, language, keys[0], False)
    best = max(SOLVED if now > NOTHING else SOLVED_NOTHING, now + BETTER)
    answer = 0
    for _ in range(3):
        key = int(np.argmax(likely))
        likely[key] = -(1 << 62)
        one, two = _weighed(points, kinds, language, keys[key], False)
        if max(one, two) > best and key:
            best = max(one, two)
            answer = key
    others = 0
    for point in points:
        other = _rot47(int(point))
        others += other < 0x250 and kinds[other] < 26
    if others > 1.2 * counts.sum():
        one, _ = _weighed(points, kinds, language, keys[0], True)
        if one > PLAIN:
            return ROT47
    return answer


@kernel(inline=True)
def _rot47(point: int) -> int:
    return 33 + (int(point) + 14) % 94 if 32 < point < 127 else int(point)


@kernel()
def _weighed(
    points: Points,
    kinds: NDArray[np.uint8],
    language: NDArray[np.int16],
    key: NDArray[np.int64],
    moved: bool,
) -> tuple[float, float]:
    """Bits a pair of letters under a key, read forwards and backwards."""
    forward = backward = pairs = 0
    before = np.int64(26)
    for index in range(len(points)):
        point = _rot47(int(points[index])) if moved else int(points[index])
        kind = np.int64(26)
        if point < 0x250 and kinds[point] < 26:
            kind = key[kinds[point]]
        if index and (kind != 26 or before != 26):
            forward += language[before, kind]
            backward += language[kind, before]
            pairs += 1
        before = kind
    size = max(pairs, 1) * SCALE
    return forward / size, backward / size


@cache
def _keys() -> NDArray[np.int64]:
    """What each letter becomes: for each shift of the alphabet, and for its mirror image."""
    letters = np.arange(EDGE)
    shifts = [(letters + shift) % EDGE for shift in range(EDGE)]
    return np.array([*shifts, *((shifted_[::-1]) for shifted_ in shifts)])


def rot47(points: Points) -> Points:
    """Printable ASCII moved on by half its length."""
    shown = (points > 32) & (points < 127)
    return np.where(shown, 33 + (points + 14) % 94, points).astype(np.uint32)


def _moved(source: Source, start: int, end: int, name: str) -> View:
    points = source.points[start:end]
    if name == "rot47":
        points = rot47(points)
    else:
        shift = int(name.partition("rot")[2] or 0)
        points = shifted(points, -shift % EDGE, int("atbash" in name))
    places = np.arange(start, end, dtype=np.uint32)
    text = points.tobytes().decode("utf-32-le", "surrogatepass")
    return View(name, text, places, places + np.uint32(1), "letters")


# --- order ---------------------------------------------------------------------------------------


def turned(source: Source, start: int, end: int, kind: Kind) -> Iterator[View]:
    """A stretch read backwards: as a whole, each line, each word, and word by word."""
    points = source.points[start:end]
    places = np.arange(start, end)
    blank = (points == 32) | ((points >= 9) & (points <= 13)) | (points == 0x3000) | (points == 160)
    yield pick(source, places[::-1], "reversed", kind)
    yield pick(source, _each(places, blank), "words reversed", kind)
    if (points == 10).any():
        yield pick(source, _each(places, points == 10), "lines reversed", kind)
    if kind == "layout":
        yield word_order(source, start, end)


def word_order(source: Source, start: int, end: int) -> View:
    """The words of a stretch from the last to the first."""
    points = source.points[start:end]
    blank = (points == 32) | ((points >= 9) & (points <= 13)) | (points == 0x3000) | (points == 160)
    places = np.arange(start, end)
    return pick(source, _each(places, blank)[::-1], "word order reversed", "layout")


def _each(places: NDArray[np.int64], apart: Mask) -> NDArray[np.int64]:
    """Places with each run between those that are `apart` turned round."""
    edges = np.concatenate([[-1], np.flatnonzero(apart), [len(places)]])
    sizes = np.diff(edges)
    # In the run from edge e to the next one f, what stood at e + i stands at f - i.
    turned_ = np.repeat(edges[:-1] + edges[1:], sizes)[: len(places)] - np.arange(len(places))
    turned_[apart] = np.flatnonzero(apart)
    return places[turned_]


# --- letters between -----------------------------------------------------------------------------


def _stuffed(source: Source, blocks: Blocks, signs: Mask, name: str) -> Iterator[View]:
    """Views without the letters that were put between all others."""
    kinds = tables().kinds
    # One block may be a column of equal words; two are a way of writing.
    signs[1:-1] &= signs[:-2] | signs[2:]
    for start, end in _stretches(blocks, signs):
        points = source.points[start:end]
        known = kinds[np.minimum(points, LATIN - 1)]
        letters = np.flatnonzero((points < LATIN) & (known != EDGE))
        filler = np.bincount(known[letters]).argmax()
        rest = letters[known[letters] != filler]
        for places in (letters[::2], letters[1::2], rest):
            yield pick(source, start + places, name, "layout")
