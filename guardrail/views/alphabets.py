"""Other alphabets for letters, and characters that nobody sees: tags, selectors, zero width."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.text import Offsets
from guardrail.views.decoding import as_text, put_bytes
from guardrail.views.view import Draft, Int, Points, Source, View, pick

# Characters of an alphabet that are worth a look: a word or two.
FEWEST = 8
# Letters on their heads that are so far apart are of two stretches.
APART = 32
# Characters with the same one between them, before these are taken out.
SPACED = 24
# And kinds of characters between letters or digits.
VARIED = 8

_TURNED = str.maketrans(
    # What looks like each letter below turned on its head.
    "ɐqɔpǝɟƃɓɥᴉıɾʞʃןɯuodbɹsʇnʌʍxʎz∀ꓭƆᗡꓷƎℲ⅁פſꓘ˥⅂ԀΌᴚꓤ⊥꓄∩ΛꓥϺ⅄MW",
    "abcdefgghiijkllmnopqrstuvwxyzABCDDEFGGJKLLPQRRTTUVVMYWM",
)
# And in a mirror.
_MIRRORED = str.maketrans("ɒdɔbɘʇǫϱʜꞁʞqpɿƨƚγ", "abcdefgghjkpqrsty")
_TURNED_ONLY = [ord(char) for char in "ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎɒɘǫϱʜꞁɿƨƚγ"]
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
    counts = count_signs(source.points, _signs()).tolist()
    if counts[_TAG] >= FEWEST:
        places = _places(source, _TAG)
        text = (source.points[places] - np.uint32(0xE0000)).tobytes().decode("utf-32-le")
        yield View("tags", text, places, places + np.uint32(1), "code")
    if counts[_SELECTOR] >= FEWEST:
        yield from _selectors(source)
    if counts[_UNSEEN] >= 8 * FEWEST:
        yield from _unseen(source)
    if counts[_BRAILLE_SIGN] >= FEWEST:
        yield _braille(source)
    if counts[_TURNED_SIGN] >= 2 * FEWEST:
        yield from _upside_down(source)
    if counts[_STYLED] + counts[_UNSEEN] >= SPACED:
        yield _unstyled(source)


# What characters beyond those of the Latin script may be; each is one thing.
_TAG, _SELECTOR, _UNSEEN, _BRAILLE_SIGN, _TURNED_SIGN, _STYLED = range(1, 7)
_RANGES = (
    (0xE0020, 0xE007F, _TAG),
    (0xFE00, 0xFE10, _SELECTOR),
    (0xE0100, 0xE01F0, _SELECTOR),
    (0x2800, 0x2900, _BRAILLE_SIGN),
    (0x1D400, 0x1D800, _STYLED),
    (0xFF01, 0xFF5F, _STYLED),
    (0x2460, 0x2500, _STYLED),
    (0x1F100, 0x1F1FF, _STYLED),
    (0x200E, 0x2010, _STYLED),
    (0xAD, 0xAE, _STYLED),
    (0x300, 0x370, _STYLED),
    *((point, point + 1, _UNSEEN) for point in _ZERO_WIDTH),
    *((point, point + 1, _TURNED_SIGN) for point in _TURNED_ONLY),
)


@cache
def _signs() -> NDArray[np.uint8]:
    signs = np.zeros(0xE01F0, np.uint8)
    for first, last, sign in _RANGES:
        signs[first:last] = sign
    return signs


@kernel()
def count_signs(points: Points, signs: NDArray[np.uint8]) -> NDArray[np.int64]:
    counts = np.zeros(7, np.int64)
    for point in points:
        if 128 <= point < len(signs):
            counts[signs[point]] += 1
    return counts


def _places(source: Source, sign: int) -> Offsets:
    known = _signs()
    points = np.minimum(source.points, len(known) - 1)
    return np.flatnonzero(known[points] == sign).astype(np.uint32)


def _selectors(source: Source) -> Iterator[View]:
    places = _places(source, _SELECTOR)
    values = source.points[places]
    data = np.where(values < 0xE0000, values - 0xFE00, values - 0xE0100 + 16).astype(np.uint8)
    draft = Draft(source.text)
    if put_bytes(draft, data, places, places + np.uint32(1)):
        yield draft.view("variation selectors", "code")


def _unseen(source: Source) -> Iterator[View]:
    """Two characters that nobody sees, as bits."""
    places = _places(source, _UNSEEN)
    kinds, bits = np.unique(source.points[places], return_inverse=True)
    whole = len(bits) // 8 * 8
    places = places[:whole]
    for one in range(2) if len(kinds) == 2 else ():
        draft = Draft(source.text)
        data = np.packbits((bits == one)[:whole])
        if put_bytes(draft, data, places[::8], places[7::8] + np.uint32(1)):
            yield draft.view("zero width", "code")


def _upside_down(source: Source) -> Iterator[View]:
    """Stretches in which letters stand on their heads. Phonetic signs among plain text do too, but
    not every third letter."""
    turned = _places(source, _TURNED_SIGN).astype(np.int64)
    for group in np.split(turned, np.flatnonzero(np.diff(turned) > APART) + 1):
        start, end = max(int(group[0]) - FEWEST, 0), int(group[-1]) + FEWEST
        if len(group) < 2 * FEWEST or 4 * len(group) < end - start:
            continue
        places = np.arange(start, min(end, len(source.text)), dtype=np.uint32)
        backwards = places[::-1]
        for name, table in (("upside down", _TURNED), ("mirrored", _MIRRORED)):
            text = source.text[start:end].translate(table)
            yield View(name, text, places, places + np.uint32(1), "letters")
            yield View(name, text[::-1], backwards, backwards + np.uint32(1), "letters")


def _braille(source: Source) -> View:
    """Braille of the first grade: letters, and digits behind the sign for numbers."""
    points, places = read_braille(source.points, _braille_letters(), _NUMBER_SIGN)
    return View("braille", as_text(points), places, places + np.uint32(1), "letters")


@cache
def _braille_letters() -> NDArray[np.uint8]:
    letters = np.zeros(256, np.uint8)
    letters[0] = 32
    for letter, point in _BRAILLE.items():
        letters[point - 0x2800] = ord(letter)
    return letters


@kernel()
def read_braille(
    points: Points, letters: NDArray[np.uint8], number_sign: int
) -> tuple[Points, Offsets]:
    """The text in letters and digits, and the place of each."""
    out, places = points.copy(), np.empty(len(points), np.uint32)
    at = 0
    numbers = False
    for index in range(len(points)):
        point = np.uint32(points[index])
        if 0x2800 <= point < 0x2900:
            letter = np.uint32(letters[point - 0x2800])
            if point == number_sign or letter <= 32:
                numbers = point == number_sign
            elif numbers and letter <= 106:  # a to j
                letter = np.uint32(48 + (letter - 96) % 10)
            point = letter
        else:
            numbers = False
        if point:
            out[at], places[at] = point, index
            at += 1
    return out[:at], places[:at]


# --- letters in another style --------------------------------------------------------------------


def _unstyled(source: Source) -> View:
    """The text in plain letters. Canonical text sees through styles anyway; what is written in a
    code needs it before the code can be read."""
    used, which = np.unique(source.points, return_inverse=True)
    plain = [_plain(chr(point)) for point in used.tolist()]
    sizes = np.array([len(chars) for chars in plain])[which]
    places = np.repeat(np.arange(len(which), dtype=np.uint32), sizes)
    text = "".join([plain[number] for number in which.tolist()])
    return View("styled", text, places, places + np.uint32(1), "letters")


@cache
def _plain(char: str) -> str:
    if char.isascii():
        return char
    return "".join(
        c for c in unicodedata.normalize("NFKD", char) if unicodedata.category(c)[0] not in "CM"
    )


# --- something between all characters ------------------------------------------------------------


@kernel()
def spaced_runs(points: Points) -> NDArray[np.int64]:
    """Start and end of runs in which every second character is one and the same; a letter or digit
    only where those between are of many kinds, as `nanana` is a word and `0a0a` a number."""
    out = np.empty((len(points) // SPACED + 1, 2), np.int64)
    found = 0
    index = 1
    while index + 2 < len(points):
        point = points[index]
        if point != points[index + 2] or points[index + 1] == point:
            index += 1
            continue
        end = index + 2
        # A bit for each kind of character between.
        kinds = np.int64(1) << np.int64(points[index + 1] & 31)
        while end + 2 < len(points) and points[end + 2] == point and points[end + 1] != point:
            kinds |= np.int64(1) << np.int64(points[end + 1] & 31)
            end += 2
        varied: Int = 0
        if _is_plain(point):
            for bit in range(32):
                varied += kinds >> bit & 1
        if end - index >= 2 * SPACED and (varied >= VARIED or not _is_plain(point)):
            out[found, 0] = index - 1
            out[found, 1] = min(end + 2, len(points))
            found += 1
        index = end + 1
    return out[:found]


@kernel(inline=True)
def _is_plain(point: int) -> bool:
    return 48 <= point <= 57 or 97 <= point | 32 <= 122


def _unspaced(source: Source, runs: list[list[int]]) -> View:
    stays = np.ones(len(source.points), np.bool_)
    for start, end in runs:
        stays[start + 1 : end : 2] = False
    return pick(source, np.flatnonzero(stays), "spaced", "letters")
