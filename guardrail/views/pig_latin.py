"""Pig Latin: the consonants that a word begins with behind its end, and `ay` behind them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Points, Source
from guardrail.views.weights import EDGE, LATIN, Kinds, tables
from guardrail.views.words import LETTER_BITS, SLOT_SHIFT, SLOT_STEP, Packed, word_tables

# Share of the words that end in `ay`; in clean text few do.
MOST = 0.6
# fmt: off
# What English words begin with, longest first; single consonants besides.
_ONSETS = (
    "sch", "scr", "shr", "spl", "spr", "squ", "str", "thr", "bl", "br", "ch", "cl", "cr", "dr",
    "dw", "fl", "fr", "gh", "gl", "gr", "kn", "ph", "pl", "pr", "ps", "qu", "rh", "sc", "sh", "sk",
    "sl", "sm", "sn", "sp", "st", "sw", "th", "tr", "tw", "wh", "wr",
)
# fmt: on
_VOWELS = 1 << 0 | 1 << 4 | 1 << 8 | 1 << 14 | 1 << 20
_A, _U, _W, _Y = 0, 20, 22, 24


def pig_latin(source: Source, words: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Places of the code points from the first of the words to the last with each word read out of
    pig Latin, or None where most of them are no words of it."""
    places, read = read_pig_latin(
        source.letters.astype(np.uint32),
        words,
        tables().kinds,
        _onsets(),
        word_tables().keys,
    )
    return places if read >= MOST * len(words) else None


@cache
def _onsets() -> NDArray[np.bool_]:
    """Whether a word may begin so, by up to three packed letters."""
    known = np.zeros(1 << 3 * LETTER_BITS, np.bool_)
    for onset in (*_ONSETS, *"bcdfghjklmnpqrstvwxyz"):
        known[sum(ord(c) - 96 << LETTER_BITS * n for n, c in enumerate(reversed(onset)))] = True
    return known


@kernel(inline=True)
def _kind(points: Points, index: int, kinds: Kinds) -> Int:
    point = points[index]
    return np.int64(kinds[point]) if point < LATIN else np.int64(EDGE)


@kernel(inline=True)
def _is_common(points: Points, start: int, cut: int, end: int, kinds: Kinds, keys: Packed) -> bool:
    """Whether what stands from `cut` to `end`, and then from `start` to `cut`, is a common word."""
    word = np.int64(0)
    for index in range(cut, end):
        word = word << LETTER_BITS | _kind(points, index, kinds) + 1
    for index in range(start, cut):
        word = word << LETTER_BITS | _kind(points, index, kinds) + 1
    slot = np.uintp((np.uint64(word) * np.uint64(SLOT_STEP)) >> np.uint64(SLOT_SHIFT))
    return bool(keys[slot] == word)


@kernel()
def read_pig_latin(
    points: Points,
    words: NDArray[np.int64],
    kinds: Kinds,
    onsets: NDArray[np.bool_],
    keys: Packed,
) -> tuple[NDArray[np.int64], int]:
    """The places, and how many words were read.

    Where consonants could be a beginning in more than one way, a common word is preferred, and then
    the longest beginning; behind a vowel `way` and `yay` stand for `ay`.
    """
    out = np.empty(words[len(words) - 1, 1] - words[0, 0], np.int64)
    at = read = 0
    position = words[0, 0]
    for row in range(len(words)):
        start, end = words[row, 0], words[row, 1]
        for place in range(position, start):
            out[at] = place
            at += 1
        position = end
        stem = cut = end
        if (
            end - start > 2
            and _kind(points, end - 1, kinds) == _Y
            and _kind(points, end - 2, kinds) == _A
        ):
            read += 1
            stem = cut = end - 2
            glide = _VOWELS >> _kind(points, start, kinds) & 1 != 0
            glide = glide and _kind(points, stem - 1, kinds) in (_W, _Y)
            common = glide and _is_common(points, start, start, stem - 1, kinds, keys)
            chosen = glide
            onset = np.int64(0)
            for width in range(1, min(4, stem - start)):
                place = stem - width
                kind = _kind(points, place, kinds)
                onset |= kind + 1 << LETTER_BITS * (width - 1)
                if not onsets[onset]:
                    # `qu` has a vowel behind its consonant.
                    if width == 1 and kind == _U:
                        continue
                    break
                if common:
                    break
                common = _is_common(points, start, place, stem, kinds, keys)
                if common or not chosen:
                    cut = place
            if glide and cut == stem:
                stem = cut = stem - 1
        for place in range(cut, stem):
            out[at] = place
            at += 1
        for place in range(start, cut):
            out[at] = place
            at += 1
    return out[:at], read
