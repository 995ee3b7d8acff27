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
    IS_ODD,
    IS_STUFFED,
    LANGUAGE,
    ORDER,
    PAIRS,
    PLAIN,
    START,
    Blocks,
    signs_of_blocks,
    weigh,
)
from guardrail.views.encodings import shifted
from guardrail.views.keyed import find_keyed
from guardrail.views.view import Kind, Points, Source, View, pick
from guardrail.views.weights import EDGE, LATIN, SCALE, tables

Signs = NDArray[np.uint8]

# What a solution must weigh, and by how much more than the text as it stands; less is asked where
# the text weighs next to nothing, as it does without spaces.
SOLVED, BETTER, SOLVED_NOTHING = 0.35, 0.3, -0.4
NOTHING = -1.5
# What a solution of a single block must weigh: clean text has four in 1,218 answers that weigh
# less, and one that weighs more.
SOLVED_ONE = 0.9
# What a stretch weighs at most in its order, of two blocks or one and of more, if it was turned
# round, and at least as language when it is turned back. Of passages of 20 words 3 in 100 weigh
# more, of 60 words 1 in 200; of 14 stretches in 1,218 clean answers 11.
TURNED_SHORT, TURNED, TURNED_BACK = -0.3, -0.15, 0.3
# Different letters in what is worth solving: a word over and over is not, nor is hexadecimal.
FEWEST_LETTERS = 10
# Names of views: all, each word and each line turned round, and the order of words; and of letters
# that change places with near ones.
ORDERS = ("reversed", "words reversed", "lines reversed", "word order reversed")
MOVED = "letters moved"
# Blocks in a row that are a language when letters are swapped.
FEWEST_BLOCKS = 3
# Blocks in a row that are tried under keys of several shifts, and in other orders.
KEYED_BLOCKS = 5
# Blocks solved together: a text may change its shift on the way.
TOGETHER = 6


def find_letters(source: Source) -> Iterator[View]:
    """Views of stretches of letters that are shifted, reversed or stuffed."""
    known = tables()
    letters = source.letters.astype(np.uint32)
    blocks = weigh(letters, known.kinds, known.language, known.order)
    signs, any_sign = signs_of_blocks(blocks)
    if not any_sign:
        return
    if any_sign & IS_ODD:
        for first, last in runs(signs, IS_ODD).tolist():
            solved = list(_solved(letters, blocks, first, last))
            yield from solved
            start, end = _range(blocks, first, last)
            if not solved and last - first >= KEYED_BLOCKS and _varied(letters[start:end]):
                yield from find_keyed(source, start, end)
    yield from _in_places(source, letters, blocks, signs)
    if any_sign & IS_BACKWARD:
        keep_turned(blocks, signs)
        for start, end in _stretches(blocks, signs, IS_BACKWARD):
            if _varied(letters[start:end]):
                yield from turned(source, start, end, "letters")
    if any_sign & HAS_TWINS:
        yield from _stuffed(source, letters, blocks, signs, HAS_TWINS, "doubled letters")
    if any_sign & IS_STUFFED:
        yield from _stuffed(source, letters, blocks, signs, IS_STUFFED, "stuffed letters")


def find_foreign(source: Source) -> Iterator[View]:
    """Views of letters of other scripts in reverse; nothing tells whether they are."""
    places = np.flatnonzero(source.points >= LATIN)
    if len(places):
        yield from turned(source, int(places[0]), int(places[-1]) + 1, "layout")


@kernel()
def runs(signs: Signs, bit: int) -> NDArray[np.int64]:
    """First of each row of blocks with a sign, and the one behind its last."""
    out = np.empty((len(signs) // 2 + 1, 2), np.int64)
    found = 0
    inside = False
    for index in range(len(signs) + 1):
        sign = index < len(signs) and signs[index] & bit != 0
        if sign and not inside:
            out[found, 0] = index
        if inside and not sign:
            out[found, 1] = index
            found += 1
        inside = sign
    return out[:found]


@kernel()
def keep_turned(blocks: Blocks, signs: Signs) -> None:
    """Leave the sign of `IS_BACKWARD` to those rows of blocks alone that are a language when they
    are turned round."""
    for row in runs(signs, IS_BACKWARD):
        language = order = pairs = 0
        for index in range(row[0], row[1]):
            language += blocks[index, LANGUAGE]
            order += blocks[index, ORDER]
            pairs += blocks[index, PAIRS]
        pairs *= SCALE
        most = TURNED if row[1] - row[0] > 2 else TURNED_SHORT
        if order > most * pairs or language - order < TURNED_BACK * pairs:
            for index in range(row[0], row[1]):
                signs[index] &= np.uint8(255 - IS_BACKWARD)


def _stretches(blocks: Blocks, signs: Signs, bit: int) -> Iterator[tuple[int, int]]:
    """Start and end in the text of blocks in a row with a sign, and a block more at either end."""
    position = 0
    for first, last in runs(signs, bit).tolist():
        start, end = _range(blocks, max(first - 1, 0), min(last + 1, len(blocks)))
        yield max(start, position), end
        position = end


def _range(blocks: Blocks, first: int, last: int) -> tuple[int, int]:
    """From the first letter to the last of blocks in a row."""
    end = blocks[last - 1, END]
    return int(blocks[first, START]), int(end or blocks[last - 2, END])


# --- shifts --------------------------------------------------------------------------------------


def _solved(letters: Points, blocks: Blocks, first: int, last: int) -> Iterator[View]:
    """Views of what is a language under some shift, mirrored or not, or ROT47."""
    # A stretch is solved in parts, and neighbours with one solution are one view.
    parts = list(range(first, max(last - TOGETHER // 2, first + 1), TOGETHER))
    solved: list[tuple[str | None, int, int]] = []
    for part, end in zip(parts, [*parts[1:], last], strict=True):
        name = _solve(letters[slice(*_range(blocks, part, end))], end - part)
        if solved and solved[-1][0] == name:
            part = solved.pop()[1]
        solved.append((name, part, end))
    for name, part, end in solved:
        if name is not None:
            more = _range(blocks, max(part - 1, 0), min(end + 1, len(blocks)))
            yield _moved(letters, *more, name)


def _in_places(source: Source, letters: Points, blocks: Blocks, signs: Signs) -> Iterator[View]:
    """Views of the stretches that are more of a language when near letters change places."""
    known = tables()
    # What is in reverse reads better when near letters change places, and best turned back.
    read = blocks[:, LANGUAGE] - np.minimum(blocks[:, ORDER], 0)
    now = read / np.maximum(blocks[:, PAIRS], 1) / SCALE
    for first, last in _rows(signs & (IS_ODD | IS_BACKWARD) > 0, blocks):
        begin, stop = _range(blocks, first, last)
        for places in begin + moved_places(letters[begin:stop], 0, stop - begin):
            # A letter moves within its word: the blocks are the same but for a few at their ends.
            other = weigh(letters[places], known.kinds, known.language, known.order)[: last - first]
            then = other[:, LANGUAGE] / np.maximum(other[:, PAIRS], 1) / SCALE
            before = now[first : first + len(then)]
            for one, two in _rows((then > before + BETTER) & (then > SOLVED), blocks[first:last]):
                start, end = _range(blocks[first:last], one, two)
                if _varied(letters[start:end]):
                    yield pick(source, places[start - begin : end - begin], MOVED, "letters")


def _rows(signs: NDArray[np.bool_], blocks: Blocks) -> list[tuple[int, int]]:
    """First and last (and one) of blocks in a row that have a sign, where that is enough of them,
    and of a block more on either side; one in between may be without it."""
    near = signs.astype(np.uint8)
    near[1:-1] |= near[:-2] & near[2:]
    return [
        (max(first - 1, 0), min(last + 1, len(blocks)))
        for first, last in runs(near, 1).tolist()
        if last - first >= FEWEST_BLOCKS
    ]


@kernel()
def moved_places(points: Points, start: int, end: int) -> NDArray[np.int64]:
    """Places of points with each two of them the other way round, from the first on, from the
    second on, and of each word."""
    out = np.empty((3, end - start), np.int64)
    for row in range(3):
        for index in range(start, end):
            out[row, index - start] = index
    for row in range(3):
        index = start + (row == 1)
        while index + 1 < end:
            if row == 2 and (_is_blank(points[index]) or _is_blank(points[index + 1])):
                index += 1
                continue
            out[row, index - start], out[row, index + 1 - start] = index + 1, index
            index += 2
    return out


def _varied(points: Points) -> bool:
    known = tables().kinds[points[points < LATIN]]
    return len(np.unique(known[known != EDGE])) >= FEWEST_LETTERS


def _solve(points: Points, blocks: int) -> str | None:
    """The name of the shift under which letters of so many blocks are a language, or None."""
    known = tables()
    least = SOLVED if blocks > 1 else SOLVED_ONE
    key = solution(points, known.kinds, known.language, known.letters, _keys(), least)
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
    least: float,
) -> int:
    """Which key makes letters a language, or that language read backwards."""
    counts = np.zeros(26, np.int64)
    for point in points:
        if point < 0x250 and kinds[point] < 26:
            counts[kinds[point]] += 1
    total, different = _tally(counts)
    if different < FEWEST_LETTERS:
        return 0
    likely = np.zeros(len(keys), np.int64)
    for key in range(len(keys)):
        for letter in range(26):
            likely[key] += counts[letter] * letters[keys[key, letter]]
    now, _ = _weighed(points, kinds, language, keys[0], False)
    best = max(least if now > NOTHING else SOLVED_NOTHING, now + BETTER)
    answer = 0
    for _ in range(3):
        key = 0
        for other in range(len(likely)):
            if likely[other] > likely[key]:
                key = other
        likely[key] = -(1 << 62)
        one, two = _weighed(points, kinds, language, keys[key], False)
        if max(one, two) > best and key:
            best = max(one, two)
            answer = key
    others = np.zeros(26, np.int64)
    for point in points:
        other = _rot47(int(point))
        if other < 0x250 and kinds[other] < 26:
            others[kinds[other]] += 1
    more, different = _tally(others)
    if more > 1.2 * total and different >= FEWEST_LETTERS:
        one, _ = _weighed(points, kinds, language, keys[0], True)
        if one > PLAIN:
            return ROT47
    return answer


@kernel(inline=True)
def _tally(counts: NDArray[np.int64]) -> tuple[int, int]:
    """The sum of counts, and how many are not 0. By hand: numpy's functions cost a kernel a second
    to compile, and a process that loads it 0.2 s and SciPy where that is installed."""
    total = different = 0
    for count in counts:
        total += int(count)
        different += int(count != 0)
    return total, different


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


def _moved(points: Points, start: int, end: int, name: str) -> View:
    points = points[start:end]
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
    for row, order in enumerate(turned_places(source.points, start, end)):
        # Without line breaks, that is the first one again.
        if row < 2 or 10 in source.points[start:end]:
            yield pick(source, order, ORDERS[row], kind)
    if kind == "layout":
        yield word_order(source, start, end)


def word_order(source: Source, start: int, end: int) -> View:
    """The words of a stretch from the last to the first."""
    return pick(source, words_turned(source.points, start, end), ORDERS[-1], "layout")


@kernel()
def words_turned(points: Points, start: int, end: int) -> NDArray[np.int64]:
    """Places of the words of a stretch, from the last to the first."""
    out = np.empty(end - start, np.int64)
    at = 0
    last = end
    for index in range(end - 1, start - 2, -1):
        if index >= start and not _is_blank(points[np.uintp(index)]):
            continue
        for place in range(index + 1, last):
            out[np.uintp(at)] = place
            at += 1
        if index >= start:
            out[np.uintp(at)] = index
            at += 1
        last = index
    return out


@kernel(inline=True)
def _is_blank(point: int) -> bool:
    return point == 32 or 9 <= point <= 13 or point == 0x3000 or point == 160


@kernel()
def turned_places(points: Points, start: int, end: int) -> NDArray[np.int64]:
    """Places of the points read backwards: all of them, each word, and each line."""
    out = np.empty((3, end - start), np.int64)
    word = line = start
    for index in range(start, end + 1):
        if index < end:
            out[0, end - 1 - index] = index
        blank = index == end or _is_blank(points[index])
        if blank:
            for place in range(word, index):
                out[1, word + index - 1 - place - start] = place
            if index < end:
                out[1, index - start] = index
            word = index + 1
        if index == end or points[index] == 10:
            for place in range(line, index):
                out[2, line + index - 1 - place - start] = place
            if index < end:
                out[2, index - start] = index
            line = index + 1
    return out


# --- letters between -----------------------------------------------------------------------------


def _stuffed(
    source: Source, letters: Points, blocks: Blocks, signs: Signs, bit: int, name: str
) -> Iterator[View]:
    """Views without the letters that were put between all others."""
    kinds = tables().kinds
    # One block may be a column of equal words; two are a way of writing.
    near = np.zeros_like(signs)
    near[1:] |= signs[:-1]
    near[:-1] |= signs[1:]
    for start, end in _stretches(blocks, signs & near if len(signs) > 1 else signs, bit):
        points = letters[start:end]
        known = kinds[np.minimum(points, LATIN - 1)]
        every = np.flatnonzero((points < LATIN) & (known != EDGE))
        filler = np.bincount(known[every]).argmax()
        rest = every[known[every] != filler]
        for places in (every[::2], every[1::2], rest):
            yield pick(source, start + places, name, "layout")
