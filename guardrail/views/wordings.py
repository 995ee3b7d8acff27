"""Views of words in another order, of words that spell letters, and of letters glued to words."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.pig_latin import pig_latin
from guardrail.views.view import Draft, Points, Source, Spans, View, pick
from guardrail.views.weights import Kinds, tables
from guardrail.views.words import (
    FIRST,
    LAST,
    NATO,
    ORDER,
    SPELLING,
    Packed,
    backward_words,
    repeating_from,
    reversible_from,
    sentences_backward,
    signs_of_words,
    split_words,
    word_tables,
)

# Words on both sides of a stretch that a view takes along.
AROUND = 24
# Words before a sign begins to grow.
UNTOLD = 4
# Different words among those that letters are glued to: a word over and over is no disguise.
DIFFERENT = 10
# Share of the words that have the letter which all are to lose.
MOST = 0.6

_BLANKS = np.array([9, 10, 11, 12, 13, 32, 160])
_SPELT = re.compile(rf"(?i)\b(?:{'|'.join(SPELLING)})\b")


def find_words(source: Source) -> Iterator[View]:
    """Views of stretches whose words spell letters or have letters glued on."""
    packed, words, signs, marks = words_seen(source.letters, tables().kinds, *word_tables())
    if signs & NATO:
        for first, last in stretches(marks, NATO).tolist():
            yield _spelt(source.text, int(words[first, 0]), int(words[last - 1, 1]))
    for sign, column, name in ((FIRST, 0, "letters in front"), (LAST, 1, "letters behind")):
        if signs & sign:
            for first, last in stretches(marks, sign).tolist():
                first = max(first - 2, 0)
                if len(np.unique(packed[first:last])) >= DIFFERENT:
                    yield from _unglued(source, words, first, last, column, name)
                    if (
                        sign == LAST
                        and (places := pig_latin(source, words[first:last])) is not None
                    ):
                        yield pick(source, places, "pig Latin", "letters")


@kernel()
def words_seen(
    letters: NDArray[np.uint8] | Points,
    kinds: Kinds,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
) -> tuple[Packed, Spans, int, NDArray[np.uint8]]:
    """Words, packed, and where they stand; their signs and those of each."""
    packed, firsts, words = split_words(letters, kinds)
    signs, marks = signs_of_words(packed, firsts, keys, classes, endings, order, True)
    return packed, words, signs, marks


@kernel()
def turned_words(
    letters: NDArray[np.uint8] | Points,
    kinds: Kinds,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
) -> Spans:
    """Start and end of stretches in reverse with the words around them, and of all words where a
    full stop says that they are."""
    packed, _, words = split_words(letters, kinds)
    rows = backward_words(packed, keys, classes, endings, order)
    out = np.empty((len(rows) + 1, 2), np.int64)
    for row in range(len(rows)):
        out[row, 0] = words[max(rows[row, 0] - AROUND, 0), 0]
        out[row, 1] = words[min(rows[row, 1] + AROUND, len(words)) - 1, 1]
    whole = len(words) > 0 and sentences_backward(letters)
    if whole:
        out[len(rows), 0], out[len(rows), 1] = words[0, 0], words[-1, 1]
    return out[: len(rows) + whole]


def open_words(source: Source) -> int:
    """Where in the text begins what the views of `find_words` and of words that come again may
    still come to hold: words through which a sign has grown to the end, though it may not count
    yet, and those that a view takes along; and words that stand as well in reverse."""
    place = _open_from(source.letters, tables().kinds, *word_tables())
    return len(source.text) if place < 0 else int(place)


@kernel()
def _open_from(
    points: NDArray[np.uint8] | Points,
    kinds: Kinds,
    keys: Packed,
    classes: NDArray[np.int16],
    endings: NDArray[np.int16],
    order: NDArray[np.int8],
) -> int:
    packed, firsts, words = split_words(points, kinds)
    count = len(words)
    if count == 0:
        return -1
    _, marks = signs_of_words(packed, firsts, keys, classes, endings, order, True)
    first = reversible_from(packed, keys, classes, endings, order)
    start = repeating_from(packed)
    for sign in (0, ORDER, NATO, FIRST, LAST):
        if sign:
            start = count
            while start and marks[start - 1] & sign:
                start -= 1
        first = min(first, start - (AROUND if start < count else UNTOLD))
    return int(words[max(first, 0), 0])


@kernel()
def stretches(marks: NDArray[np.uint8], sign: int) -> NDArray[np.int64]:
    """First and last (and one) of words in a row through which a sign grew until it counted."""
    out = np.empty((len(marks) // 2 + 1, 2), np.int64)
    found = 0
    start = last = -1
    for index in range(len(marks) + 1):
        if index < len(marks) and marks[index] & sign:
            if start < 0:
                start = index
            if marks[index] >> 4 & sign:
                last = index
            continue
        if last >= 0:
            out[found, 0] = start
            out[found, 1] = last + 1
            found += 1
        start = last = -1
    return out[:found]


def _spelt(text: str, start: int, end: int) -> View:
    """Letters for the words that stand for them; between two words that more than one blank parts,
    or a sign, something is left."""
    draft = Draft(text)
    position = start
    for match in _SPELT.finditer(text, start, end):
        between = text[position : match.start()]
        if between.strip(" -") or len(between) > 1:
            draft.keep(position, match.start())
        draft.stand(SPELLING[match[0].lower()], *match.span())
        position = match.end()
    return draft.view("NATO", "code")


def _unglued(
    source: Source, words: NDArray[np.int64], first: int, last: int, column: int, name: str
) -> Iterator[View]:
    """The words of a stretch and those around it without the letters that most of the stretch begin
    (or end) with. What counts is what blanks part: a letter behind a comma is glued on as well."""
    letters = source.letters
    around = slice(max(first - AROUND, 0), last + AROUND)
    start, end = int(words[around][0, 0]), int(words[around][-1, 1])
    number = np.arange(len(words))[around]
    words = words[around]
    beyond = words[:, 0] - 1 if column == 0 else words[:, 1]
    outside = (beyond < 0) | (beyond >= len(letters))
    apart = outside | np.isin(letters[np.where(outside, 0, beyond)], _BLANKS)
    words, core = words[apart], ((number >= first) & (number < last))[apart]
    stays = np.ones(end - start, np.bool_)
    for width in range(1, 4):
        # Place of the letter in each word that is long enough to lose it.
        long = words[:, 1] - words[:, 0] >= width
        places = (words[:, 0] + width - 1 if column == 0 else words[:, 1] - width)[long]
        known = letters[places] | np.uint32(32)
        counts = np.bincount(known[core[long]])
        if not len(counts) or counts.max() < MOST * np.count_nonzero(core):
            break
        glued = known == counts.argmax()
        stays[places[glued] - start] = False
        yield pick(source, start + np.flatnonzero(stays), name, "letters")
        words, core = words[long][glued], core[long][glued]
