"""The shortest words, which every text has: in another order, or none of them for long.

They are a sign of letters that changed places within each word, and of syllables put into words.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Spans
from guardrail.views.words import LETTER_BITS, Packed, word_tables

# English words of two and three letters, the letters of which change places wherever those of all
# words do.
_SHORT = """
the of and to in is was for you not are but her his had has she him who all can our out be by it
as on at or my we he if so an do no me up did now get how any
"""

# A short word with its letters in another order counts 2, a word that is short and known takes 3
# away. Of 200 passages of 60 words whose first letters stand behind, or whose last ones stand in
# front, 198 have as much; of 674 pieces of 2 KB of answers 4.
SCRAMBLED = 4
_MOST_SCRAMBLED = 16
# Words in a row, less 4 for each that is short and known. With a syllable before each vowel 197 of
# 200 passages have as much, and one piece of 2 KB of answers in five.
UNKNOWN = 16
# And such a row is over when it counts so much less.
_ENOUGH = 12
# Share of one consonant, or of one vowel, among their letters: `e` has an eighth in English.
_CONSONANT, _VOWEL, _SPARE = 0.16, 0.24, 3
_VOWELS = 1 << 0 | 1 << 4 | 1 << 8 | 1 << 14 | 1 << 20


@cache
def short_words() -> NDArray[np.int8]:
    """For each word of two or three letters, packed: what it adds to the sign of letters in another
    order."""
    gains = np.zeros(1 << 3 * LETTER_BITS, np.int8)
    keys = word_tables().keys
    # A letter by itself is a word in one language and an initial in another.
    gains[keys[(keys >= 1 << LETTER_BITS) & (keys < len(gains))]] = -1
    for word in _SHORT.split():
        for moved in (word[1:] + word[0], word[-1] + word[:-1], word[::-1]):
            gains[_packed(moved)] = 1
    gains[[_packed(word) for word in _SHORT.split()]] = -1
    return gains


def _packed(word: str) -> int:
    return sum((ord(c) - 96) << LETTER_BITS * n for n, c in enumerate(reversed(word)))


@kernel()
def signs_of_short_words(packed: Packed, short: NDArray[np.int8]) -> tuple[bool, bool]:
    """Whether `scrambled_runs` finds anything, and whether `stuffed_runs` may."""
    scrambled: Int = 0
    stuffed: Int = 0
    most_scrambled: Int = 0
    most_stuffed: Int = 0
    for word in packed:
        gain = np.int64(short[np.uintp(word)]) if 0 < word < len(short) else np.int64(0)
        known = np.int64(gain < 0)
        scrambled = min(max(scrambled + 2 * gain - known, 0), _MOST_SCRAMBLED)
        stuffed = max(stuffed + 1 - 7 * known, 0)
        most_scrambled, most_stuffed = max(most_scrambled, scrambled), max(most_stuffed, stuffed)
    return most_scrambled >= SCRAMBLED, most_stuffed >= UNKNOWN


@kernel()
def scrambled_runs(packed: Packed, short: NDArray[np.int8]) -> Spans:
    """First and last (and one) of words in a row whose letters may stand in another order."""
    out = np.empty((len(packed) // 2 + 1, 2), np.int64)
    score: Int = 0
    found = start = end = 0
    for index in range(len(packed)):
        word = packed[np.uintp(index)]
        if not 0 < word < len(short):
            continue
        gain = np.int64(short[np.uintp(word)])
        if score == 0:
            start = index
        score = min(max(score + gain * (2 if gain > 0 else 3), 0), _MOST_SCRAMBLED)
        if score >= SCRAMBLED:
            end = index + 1
        if score == 0 and end:
            out[found, 0], out[found, 1] = start, end
            found += 1
            end = 0
    if end:
        out[found, 0], out[found, 1] = start, end
        found += 1
    return out[:found]


@kernel()
def stuffed_runs(packed: Packed, short: NDArray[np.int8]) -> Spans:
    """First and last (and one) of words in a row without short known ones, among whose letters one
    is that no language has so often."""
    out = np.empty((len(packed) // UNKNOWN + 1, 2), np.int64)
    found = score = most = start = end = 0
    for index in range(len(packed) + 1):
        known: Int = 1
        if index < len(packed):
            word = packed[np.uintp(index)]
            known = 0 < word < len(short) and short[np.uintp(word)] < 0
            if score == 0:
                start = index
            score = max(score + 1 - 7 * known, 0)
            if score >= most:
                most, end = score, index + 1
        if most - score <= _ENOUGH * (score > 0) and index < len(packed):
            continue
        if most >= UNKNOWN and _is_stuffed(packed, start, end):
            out[found, 0], out[found, 1] = start, end
            found += 1
        score = most = 0
    return out[:found]


@kernel(inline=True)
def _is_stuffed(packed: Packed, start: int, end: int) -> bool:
    counts = np.zeros(32, np.int64)
    total = 0
    for index in range(start, end):
        word = packed[index]
        while word > 0:
            counts[word & 31] += 1
            word >>= LETTER_BITS
            total += 1
    for letter in range(26):
        most = _VOWEL if _VOWELS >> letter & 1 else _CONSONANT
        if counts[letter + 1] > most * total + _SPARE:
            return True
    return False
