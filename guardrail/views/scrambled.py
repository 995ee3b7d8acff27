"""Words that are no words: their letters in another order, or syllables put between them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.short_words import scrambled_runs, short_words, stuffed_runs
from guardrail.views.view import Points, Source, View, pick
from guardrail.views.weights import EDGE, LATIN, tables
from guardrail.views.words import SLOT_SHIFT, SLOT_STEP, Packed, split_words, word_tables

# Words on both sides of a stretch that a view takes along.
AROUND = 24
# Share of words in a view that are known, and by how much more than as they stand: half of English
# words are. And by how much less than in the best order, as a stretch has plain text about it.
KNOWN, MORE, NEAR = 0.2, 0.1, 0.05


@kernel()
def count_known(packed: Packed, keys: Packed) -> int:
    """How many words are among the most common ones."""
    known = 0
    for word in packed:
        slot = np.uintp((np.uint64(word) * np.uint64(SLOT_STEP)) >> np.uint64(SLOT_SHIFT))
        known += keys[slot] == word
    return known


def _known(points: NDArray[np.uint8] | Points) -> float:
    packed, _, _ = split_words(points, tables().kinds)
    return count_known(packed, word_tables().keys) / max(len(packed), 1)


def find_scrambled(source: Source) -> Iterator[View]:
    """Views of words with their letters back in their places."""
    packed, _, words = split_words(source.letters, tables().kinds)
    runs: list[list[int]] = []
    for first, last in scrambled_runs(packed, short_words()).tolist():
        if runs and first - runs[-1][1] <= 2 * AROUND:
            runs[-1][1] = last
        else:
            runs.append([first, last])
    for first, last in runs:
        start, end = int(words[first, 0]), int(words[last - 1, 1])
        now = _known(source.letters[start:end])
        around = slice(max(first - AROUND, 0), last + AROUND)
        begin, stop = int(words[around][0, 0]), int(words[around][-1, 1])
        orders = orders_in_words(source.letters.astype(np.uint32), begin, stop)
        core = slice(start - begin, end - begin)
        known = np.array([_known(source.letters[places[core]]) for places in orders])
        for places in orders[(known > now) & (known >= max(KNOWN, known.max() - NEAR))]:
            yield pick(source, places, "moved round", "letters")


ORDERS = 8


@kernel()
def orders_in_words(points: Points, start: int, end: int) -> NDArray[np.int64]:
    """Places of points with the letters of each word moved round: one and two places on and back,
    half of them; with the first and the last one, and with all but these, in reverse."""
    out = np.empty((ORDERS, end - start), np.int64)
    letters = np.empty(end - start, np.int64)
    count = 0
    for index in range(start, end + 1):
        if index < end:
            for row in range(ORDERS):
                out[row, index - start] = index
            point = points[index]
            if 97 <= point | 32 <= 122 or 0xC0 <= point < LATIN:
                letters[count] = index
                count += 1
        if index < end and not (points[index] == 32 or 9 <= points[index] <= 13):
            continue
        for number in range(count if count > 1 else 0):
            here = letters[number] - start
            out[0, here] = letters[(number - 1) % count]
            out[1, here] = letters[(number + 1) % count]
            out[2, here] = letters[(number - 2) % count]
            out[3, here] = letters[(number + 2) % count]
            out[4, here] = letters[(number - count // 2) % count]
            out[5, here] = letters[(number + count // 2) % count]
            is_end = number == 0 or number == count - 1
            out[6 if is_end else 7, here] = letters[count - 1 - number]
        count = 0
    return out


# --- syllables ------------------------------------------------------------------------------------

_VOWEL, _CONSONANT = "[aeiouy]", "[b-df-hj-np-tv-z]"
# A syllable between a letter, or some vowels, and the same again.
_ECHOES = (f"({_VOWEL}+)({_CONSONANT}[a-z]{{0,2}}?)\\1", f"({_CONSONANT})([aeiou])\\1")
_LONGEST_SYLLABLE = 5
# Letters of a stretch by which a syllable is chosen.
SAMPLE = 600


def find_stuffed(source: Source) -> Iterator[View]:
    """Views of words without the syllables that were put into them."""
    packed, _, words = split_words(source.letters, tables().kinds)
    kinds = tables().kinds
    for first, last in stuffed_runs(packed, short_words()).tolist():
        around = slice(max(first - AROUND, 0), last + AROUND)
        begin, stop = int(words[around][0, 0]), int(words[around][-1, 1])
        letters = kinds[np.minimum(source.letters[begin:stop].astype(np.uint32), LATIN - 1)]
        plain = np.where(letters == EDGE, ord(" "), letters + 97).astype(np.uint8)
        text = plain.tobytes().decode()
        core = int(words[first, 0]) - begin
        sample = text[core : min(core + SAMPLE, int(words[last - 1, 1]) - begin)]
        known, syllables = _known(plain[core : core + len(sample)]), ""
        for pattern in _stuffing(sample):
            left = plain[core : core + len(sample)][~_matched(sample, pattern)]
            if (now := _known(left)) >= max(KNOWN, known + MORE):
                known, syllables = now, pattern
        if syllables:
            stays = np.flatnonzero(~_matched(text, syllables))
            yield pick(source, begin + stays, "syllables between", "letters")


def _stuffing(text: str) -> Iterator[str]:
    """Patterns, in their last group, of what may be syllables put between: what stands most often
    before or behind vowels, or between a letter and the same again."""
    vowels = [match.start() for match in re.finditer(_VOWEL, text)]
    least = (text.count(" ") + 1) // 2
    for size in range(2, _LONGEST_SYLLABLE + 1):
        for found in _commonest([text[place - size : place] for place in vowels], least):
            yield f"({found})(?={_VOWEL})"
        for found in _commonest([text[place + 1 : place + 1 + size] for place in vowels], least):
            yield f"(?<={_VOWEL})({found})"
    for echo in _ECHOES:
        for found in _commonest([match[2] for match in re.finditer(echo, text)], least):
            yield f"{echo.partition(')')[0]})({found}\\1)"


def _commonest(pieces: list[str], least: int) -> list[str]:
    """The piece that is there most often, if it is one of letters and so often there."""
    return [p for p, count in Counter(pieces).most_common(1) if p.isalpha() and count >= least]


def _matched(text: str, pattern: str) -> NDArray[np.bool_]:
    """Where the last group of a pattern matches."""
    gone = np.zeros(len(text), np.bool_)
    for match in re.finditer(pattern, text):
        gone[slice(*match.span(match.re.groups))] = True
    return gone
