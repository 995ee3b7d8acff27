"""Other alphabets for letters, and characters that nobody sees: tags, selectors, zero width."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.decoding import put_bytes
from guardrail.views.view import Draft, Points, Source, View

# Characters of an alphabet that are worth a look: a word or two.
FEWEST = 8
# Characters with the same one between them, before these are taken out.
SPACED = 24

_TURNED = str.maketrans(
    # What looks like each letter below turned on its head.
    "ɐqɔpǝɟƃɓɥᴉıɾʞʃןɯuodbɹsʇnʌʍxʎz∀ꓭƆᗡꓷƎℲ⅁פſꓘ˥⅂ԀΌᴚꓤ⊥꓄∩ΛꓥϺ⅄MW",
    "abcdefgghiijkllmnopqrstuvwxyzABCDDEFGGJKLLPQRRTTUVVMYWM",
)
_TURNED_ONLY = [ord(char) for char in "ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ"]
# The dots of each letter.
_DOTS = (
    "1 12 14 145 15 124 1245 125 24 245 13 123 134 1345 135 1234 12345 1235 234 2345 136 1236 2456 "
    "1346 13456 1356"
)
_BRAILLE = {
    chr(ord("a") + number): 0x2800 + sum(1 << int(dot) - 1 for dot in dots)
    for number, dots in enumerate(_DOTS.split())
}
_NUMBER_SIGN = 0x283C
_ZERO_WIDTH = (0x200B, 0x200C, 0x200D, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF, 0x180E)


def find_alphabets(source: Source) -> Iterator[View]:
    """Views of what is written in signs for letters, or in signs that do not show."""
    if spaced := spaced_runs(source.points).tolist():
        yield _unspaced(source, spaced)
    points = source.points
    if not (points >= 0x250).any():
        return
    yield from _hidden(source)
    braille = points[(points >= 0x2800) & (points < 0x2900)]
    if len(braille) >= FEWEST:
        yield _braille(source)
    turned = np.flatnonzero(np.isin(points, _TURNED_ONLY)) if (points > 0x180).any() else points[:0]
    if len(turned) >= 2 * FEWEST:
        start, end = max(int(turned[0]) - FEWEST, 0), int(turned[-1]) + FEWEST
        text = source.text[start:end].translate(_TURNED)
        places = np.arange(start, start + len(text), dtype=np.uint32)
        yield View("upside down", text, places, places + np.uint32(1), "letters")
        backwards = places[::-1]
        yield View("upside down", text[::-1], backwards, backwards + np.uint32(1), "letters")
    if _is_styled(points):
        yield _unstyled(source)


def _hidden(source: Source) -> Iterator[View]:
    points = source.points
    tags = np.flatnonzero((points > 0xE001F) & (points < 0xE007F))
    if len(tags) >= FEWEST:
        text = (points[tags] - np.uint32(0xE0000)).astype(np.uint8).tobytes().decode("ascii")
        starts = tags.astype(np.uint32)
        yield View("tags", text, starts, starts + np.uint32(1), "code")
    low = (points >= 0xFE00) & (points < 0xFE10)
    selectors = np.flatnonzero(low | ((points >= 0xE0100) & (points < 0xE01F0)))
    if len(selectors) >= FEWEST:
        values = points[selectors]
        data = np.where(values < 0xE0000, values - 0xFE00, values - 0xE0100 + 16).astype(np.uint8)
        starts = selectors.astype(np.uint32)
        draft = Draft(source.text)
        if put_bytes(draft, data, starts, starts + np.uint32(1)):
            yield draft.view("variation selectors", "code")
    unseen = np.flatnonzero(np.isin(points, _ZERO_WIDTH))
    if len(unseen) >= 8 * FEWEST:
        kinds, bits = np.unique(points[unseen], return_inverse=True)
        for one in range(2) if len(kinds) == 2 else ():
            whole = len(bits) // 8 * 8
            data = np.packbits((bits == one)[:whole])
            places = unseen[:whole].astype(np.uint32)
            draft = Draft(source.text)
            if put_bytes(draft, data, places[::8], places[7::8] + np.uint32(1)):
                yield draft.view("zero width", "code")


def _braille(source: Source) -> View:
    """Braille of the first grade: letters, and digits behind the sign for numbers."""
    letters = {point: letter for letter, point in _BRAILLE.items()}
    draft = Draft(source.text)
    numbers = False
    kept = 0
    for place in np.flatnonzero((source.points >= 0x2800) & (source.points < 0x2900)).tolist():
        if place > kept:
            numbers = False
            draft.keep(kept, place)
        kept = place + 1
        point = int(source.points[place])
        letter = letters.get(point, "")
        if point == _NUMBER_SIGN or point == 0x2800:
            numbers = point == _NUMBER_SIGN
            letter = "" if numbers else " "
        elif numbers and letter and letter <= "j":
            letter = str((ord(letter) - ord("a") + 1) % 10)
        draft.stand(letter, place, place + 1)
    draft.keep(kept, len(source.text))
    return draft.view("braille", "letters")


# --- letters in another style --------------------------------------------------------------------


def _is_styled(points: Points) -> bool:
    """Whether there are letters in circles, mathematical styles and the like, or invisible signs,
    in such numbers that a code may be written in them."""
    styled = (points >= 0x1D400) & (points < 0x1D800) | (points >= 0xFF01) & (points < 0xFF5F)
    styled |= (points >= 0x2460) & (points < 0x2500) | (points >= 0x1F100) & (points < 0x1F1FF)
    styled |= (points >= 0x200B) & (points < 0x2010) | (points == 0xAD) | (points == 0xFEFF)
    styled |= (points >= 0x2060) & (points < 0x2065) | (points >= 0x300) & (points < 0x370)
    return int(np.count_nonzero(styled)) >= SPACED


def _unstyled(source: Source) -> View:
    """The text in plain letters. Canonical text sees through styles anyway; what is written in a
    code needs it before the code can be read."""
    draft = Draft(source.text)
    kept = 0
    for place in np.flatnonzero(source.points >= 0x80).tolist():
        draft.keep(kept, place)
        kept = place + 1
        draft.stand(_plain(source.text[place]), place, kept)
    draft.keep(kept, len(source.text))
    return draft.view("styled", "letters")


@cache
def _plain(char: str) -> str:
    return "".join(
        c for c in unicodedata.normalize("NFKD", char) if unicodedata.category(c)[0] not in "CM"
    )


# --- something between all characters ------------------------------------------------------------


@kernel()
def spaced_runs(points: Points) -> NDArray[np.int64]:
    """Start and end of runs in which every second character is one and the same, and no letter."""
    out = np.empty((len(points) // SPACED + 1, 2), np.int64)
    found = 0
    index = 1
    while index + 2 < len(points):
        point = points[index]
        if point != points[index + 2] or 48 <= point <= 57 or 65 <= point <= 90:
            index += 1
            continue
        if 97 <= point <= 122 or points[index + 1] == point:
            index += 1
            continue
        end = index + 2
        while end + 2 < len(points) and points[end + 2] == point and points[end + 1] != point:
            end += 2
        if end - index >= 2 * SPACED:
            out[found, 0] = index - 1
            out[found, 1] = min(end + 2, len(points))
            found += 1
        index = end + 1
    return out[:found]


def _unspaced(source: Source, runs: list[list[int]]) -> View:
    draft = Draft(source.text)
    kept = 0
    for start, end in runs:
        draft.keep(kept, start)
        for place in range(start, end, 2):
            draft.keep(place, place + 1)
        kept = end
    draft.keep(kept, len(source.text))
    return draft.view("spaced", "letters")
