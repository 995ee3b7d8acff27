"""Base64, base32 and hexadecimal: runs of a small alphabet that hold bytes.

A run is decoded where it is text then. Where it is not, it may have been turned round, shifted by
a Caesar cipher or cut out of a longer run: a sample of it is tried in all these ways in one kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.text import Offsets
from guardrail.views.decoding import put_bytes
from guardrail.views.signs import SHORTEST
from guardrail.views.view import Draft, Points, Source, View
from guardrail.views.weights import reads_as_words, tables

# Plain text on both sides of a run that a view takes along, in code points.
CONTEXT = 64
# Runs at most so far apart are seen in one view.
REACH = 256
# How much is tried at once: of the ways above, and of a run that holds no text as a whole. Several
# shifts make hexadecimal of hexadecimal: of 64 characters of it 23 in 100 were read wrongly, of
# 256 two.
SAMPLE = 256
CHUNK = 128
# Signs that may part groups, and characters that each of them parts at most.
_PARTING = (ord("-"), ord("_"))
SPARSEST = 18

_B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_B32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HEX = "0123456789abcdef"
_NAMES = ("binary", "hex", "base32", "base32", "base64")
_BITS = (1, 4, 5, 5, 6)
_GROUP = {1: 8, 4: 2, 5: 8, 6: 4}
_NONE = 255
# The rest of a run on the next line, behind what quotes, comments and string literals put before.
_NEXT = re.compile(
    r"[\"'\\+,;]{0,4}[ \t]{0,64}\r?\n[ \t>#*|/\"'+]{0,64}([A-Za-z0-9+/_-]+={0,2})"
    r"(?=[\"'\\+,;)| \t]{0,8}(?:\r?\n|$))"
)


def _tables() -> NDArray[np.uint8]:
    """The value of each ASCII character in each encoding; 255: it is none of its characters."""
    tables = np.full((5, 128), _NONE, np.uint8)
    for row, alphabet in enumerate(("01", _HEX, _B32, _B32.lower(), _B64)):
        for value, char in enumerate(alphabet):
            tables[row, ord(char)] = value
    tables[1, ord("A") : ord("F") + 1] = range(10, 16)
    tables[4, ord("-")], tables[4, ord("_")] = 62, 63
    return tables


def _weights() -> NDArray[np.int8]:
    """How much each byte looks like text; what weighs more than 2.8 a byte is text (`probe`)."""
    weights = np.full(256, -4, np.int8)
    weights[32:127] = 3
    weights[[9, 10, 13]] = 3
    weights[ord("a") : ord("z") + 1] = 4
    weights[[ord(char) for char in " etaoinsrhld"]] = 6
    weights[0xC2:0xF5] = 2  # the first of several bytes; what continues it weighs 6
    weights[0] = 2  # half of UTF-16
    return weights


TABLES = _tables()
_WEIGHTS = _weights()


def find_encodings(source: Source) -> Iterator[View]:
    """Views of a text in which runs of base64, base32 and hexadecimal are decoded in place."""
    spans = find_runs(source.points, TABLES, SHORTEST)
    if not len(spans):
        return
    text, known = source.text, tables()
    found: list[tuple[Draft, str, int, int]] = []
    nothing: set[str] = set()
    position = 0
    for start, end in spans.tolist():
        if start < position:
            continue
        if reads_as_words(source.points, start, end, known.kinds, known.language):
            continue
        pieces, end = _continued(text, start, end)
        position = end
        run = text[start:end]
        if run in nothing:
            continue
        part = decoded(source, pieces)
        if part is None:
            nothing.add(run)
        else:
            found.append((*part, start, end))
    yield from _joined(text, found)


def _continued(text: str, start: int, end: int) -> tuple[list[tuple[int, int]], int]:
    """The pieces of a run that goes on over the ends of lines, and its end."""
    pieces = [(start, end)]
    width = end - start
    while match := _NEXT.match(text, end):
        piece = match.span(1)
        if piece[1] - piece[0] > width:
            break
        pieces.append(piece)
        end = piece[1]
        if piece[1] - piece[0] < width:
            break
    return pieces, end


def _joined(text: str, found: list[tuple[Draft, str, int, int]]) -> Iterator[View]:
    """Decoded runs in the company of what stands around them."""
    first = 0
    while first < len(found):
        last = first
        while last + 1 < len(found) and found[last + 1][2] - found[last][3] <= REACH:
            last += 1
        draft = Draft(text)
        position = max(0, found[first][2] - CONTEXT)
        for part, _, start, end in found[first : last + 1]:
            draft.keep(position, start)
            draft.extend(part)
            position = end
        draft.keep(position, min(len(text), position + CONTEXT))
        yield draft.view(found[first][1], "code")
        first = last + 1


def decoded(source: Source, pieces: list[tuple[int, int]]) -> tuple[Draft, str] | None:
    """What a run holds, and the name of its encoding, or None where it holds no text."""
    if len(pieces) == 1:
        places = np.arange(*pieces[0])
    else:
        places = np.concatenate([np.arange(*piece) for piece in pieces])
    places = places[source.points[places] != ord("=")]
    draft = Draft(source.text)
    name = _decode(draft, source.points[places], places)
    if name is None:
        # Groups that one of the signs of base64 for URLs parts.
        for mark in _PARTING:
            whole = places[source.points[places] != mark]
            parted = SPARSEST * (len(places) - len(whole)) > len(places) < 2 * len(whole)
            if name is None and parted:
                name = _decode(draft, source.points[whole], whole)
    if name is None and len(places) > 2 * CHUNK:
        name = _decode_parts(draft, source.points, places)
    return None if name is None else (draft, name)


def _decode_parts(draft: Draft, points: Points, places: NDArray[np.int64]) -> str | None:
    """What there is of text in a run that is none as a whole: parts that are twice as long as the
    one before as long as they are text, so that the work is in proportion to the run."""
    name = None
    best: Draft | None = None
    first, size = 0, CHUNK
    while first < len(places):
        part = places[first : first + size]
        trial = Draft(draft.source)
        found = _decode(trial, points[part], part)
        if found is not None and first + size < len(places):
            name, best = found, trial
            size *= 2
            continue
        if found is not None:
            name, best, size = found, trial, 2 * size
        if best is not None:
            draft.extend(best)
        first += size // 2 if best is not None else size
        best, size = None, CHUNK
    return name


def _decode(draft: Draft, points: Points, places: NDArray[np.int64]) -> str | None:
    if points.min() == points.max():
        return None
    row, shift, mirrored, turned, phase = probe(
        points[:SAMPLE], points[-SAMPLE:][::-1].copy(), TABLES, _WEIGHTS
    )
    if row < 0:
        return None
    changed = shifted(points, shift, mirrored)
    name = f"atbash>{_NAMES[row]}" if mirrored else _NAMES[row]
    if shift and not mirrored:
        name = f"rot{26 - shift}>{name}"
    if turned:
        changed, places = changed[::-1], places[::-1]
        name = f"reversed>{name}"
    bits = _BITS[row]
    data, starts, ends, plain = unpack(
        changed[phase:], places[phase:], TABLES[row], bits, _GROUP[bits]
    )
    if plain:
        draft.put(data.tobytes().decode("ascii"), starts, ends)
        return name
    return name if put_bytes(draft, data, starts, ends) else None


@kernel()
def unpack(
    points: Points, places: NDArray[np.int64], table: NDArray[np.uint8], bits: int, group: int
) -> tuple[NDArray[np.uint8], Offsets, Offsets, bool]:
    """The bytes that characters of so many bits hold, each with the range of its group of
    characters, and whether all of them are printable ASCII or white space."""
    size = len(points) * bits // 8
    data = np.empty(size, np.uint8)
    starts, ends = np.empty(size, np.uint32), np.empty(size, np.uint32)
    plain = size > 1
    buffer = np.int64(0)
    held = found = 0
    for index in range(len(points)):
        value = np.int64(table[points[index]])
        buffer = ((buffer << bits) | (0 if value == 255 else value)) & 0xFFFF
        held += bits
        if held < 8:
            continue
        held -= 8
        byte = (buffer >> held) & 255
        if not (32 <= byte < 127 or 9 <= byte <= 13):
            plain = False
        first = found * 8 // bits // group * group
        last = min(first + group, len(places)) - 1
        data[found] = byte
        starts[found] = min(places[first], places[last])
        ends[found] = max(places[first], places[last]) + 1
        found += 1
    return data, starts, ends, plain


@kernel()
def find_runs(points: Points, tables: NDArray[np.uint8], shortest: int) -> NDArray[np.int64]:
    """Start and end of each run of at least so many characters of base64; padding ends it."""
    out = np.empty((len(points) // shortest + 1, 2), np.int64)
    found = 0
    start = index = 0
    while index <= len(points):
        point = points[index] if index < len(points) else np.uint32(0)
        index += 1
        if point < 128 and tables[4, point] != 255:
            continue
        end = index - 1
        if end - start >= shortest:
            while end < len(points) and points[end] == 61:
                end += 1
            out[found, 0] = start
            out[found, 1] = end
            found += 1
            index = max(index, end)
        start = index
    return out[:found]


@kernel()
def shifted(points: Points, shift: int, mirrored: int) -> Points:
    """The same with its ASCII letters moved on in the alphabet, or mirrored and then moved."""
    out = points.copy()
    for index in range(len(points)):
        point = np.int64(points[index])
        base = 65 if 65 <= point <= 90 else 97 if 97 <= point <= 122 else 0
        if base:
            letter = point - base
            if mirrored:
                letter = 25 - letter
            out[index] = np.uint32(base + (letter + shift) % 26)
    return out


@kernel()
def probe(
    head: Points, tail: Points, tables: NDArray[np.uint8], weights: NDArray[np.int8]
) -> tuple[int, int, int, int, int]:
    """Row of `tables`, shift, mirroring, direction and phase for which a run is text, or -1.

    Judged by the first characters of the run, and by its last ones (which `tail` has in reverse)
    where it is read backwards.
    """
    best = 0
    answer = (-1, 0, 0, 0, 0)
    # All digits of hexadecimal: no other code has such runs, and shifted they would be others.
    digits = True
    for point in head:
        digits = digits and tables[1, point] != 255
    for turned in range(2):
        sample = tail if turned else head
        for variant in range(1 if digits else 27):
            for row in range(2 if digits else 5):
                bits = (1, 4, 5, 5, 6)[row]
                phases = 1
                if variant == 0:
                    phases = (8, 2, 8, 8, 4)[row]
                for phase in range(phases):
                    held = good = total = bad = due = 0
                    buffer = np.int64(0)
                    for index in range(phase, len(sample)):
                        point = np.int64(sample[index])
                        base = 65 if 65 <= point <= 90 else 97 if 97 <= point <= 122 else 0
                        if base:
                            letter = point - base
                            point = base + (25 - letter if variant == 26 else letter + variant) % 26
                        value = np.int64(tables[row, point])
                        if value == 255:
                            good = -1
                            break
                        buffer = ((buffer << bits) | value) & 0xFFFF
                        held += bits
                        if held >= 8:
                            held -= 8
                            byte = (buffer >> held) & 255
                            total += 1
                            if due and 128 <= byte < 0xC0:
                                due -= 1
                                good += 6
                            else:
                                due = (
                                    0
                                    if byte < 0xC2
                                    else 1
                                    if byte < 0xE0
                                    else 2
                                    if byte < 0xF0
                                    else 3
                                )
                                good += weights[byte]
                                bad += weights[byte] < 0
                            # What was not changed may begin with a byte order mark.
                            if (
                                (total == 4 and good <= (6 if variant + turned else -4))
                                or (total == 8 and good <= (16 if variant + turned else 8))
                                or (total == 16 and good <= 30)
                            ):
                                break
                    # Of so many shifts one makes letters of any bytes, but faults as well.
                    chance = variant + turned > 0 and 16 * bad > total
                    if total >= 8 and 5 * good > 14 * total and not chance:
                        # As it stands and without faults it is no chance.
                        plain = variant + turned + phase == 0 and 16 * bad <= total
                        score = good * 64 // total + (1 << 20) * plain
                        if score > best:
                            best = score
                            answer = (row, variant % 26, variant // 26, turned, phase)
            if best >= 1 << 20:
                return answer
    return answer
