"""Escapes: percent encoding, HTML entities, backslashes and quoted-printable, decoded in place.

Between escapes stands plain text, so a view takes along what stands between and around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape

import numpy as np

from guardrail.views.decoding import put_bytes
from guardrail.views.encodings import CONTEXT, REACH, shifted
from guardrail.views.view import Draft, Source, View, pick

# What was escaped several times (%2520, &amp;#65;, \\\\n) is decoded at once: that is no layer.
_PERCENT = re.compile(r"(?:%(?:25)*+[0-9A-Fa-f]{2})++|(?:%25)++")
_BYTE = re.compile(r"%(?:25)*+([0-9A-Fa-f]{2})|%25")
_ENTITY = re.compile(
    r"&(?:amp;)*+(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"
)
_QUOTED = re.compile(r"(?:=[0-9A-F]{2})+|=[ \t]{0,8}\r?\n")
_BACKSLASH = re.compile(
    r"""(?<!\\)\\++(?:
        u[dD][89abAB][0-9A-Fa-f]{2}\\++u[dD][c-fC-F][0-9A-Fa-f]{2}
        | u[0-9A-Fa-f]{4} | u\{[0-9A-Fa-f]{1,6}\} | U[0-9A-Fa-f]{8}
        | x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2})*+ | [0-7]{3}(?:\\[0-7]{3})*+
        | [nrtbfav0"'/] | \r?\n
    )""",
    re.VERBOSE,
)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0"}
_LAST = 0x10FFFF

# What follows a backslash, and is no digit of a code that was turned round.
_FORWARD = re.compile(r"\\[uUxnrt\\\"'/]")

# Escapes that are worth a look although they say nothing, and how far apart they stand at most.
DENSE = 12
SPARSE = 12
# What escapes begin with, the letters in them, and which letters these must be (a is 0).
_MARKS = (
    ("%", re.compile(r"%([0-9A-Za-z]{2})"), frozenset(range(6))),
    ("\\", re.compile(r"\\([A-Za-z])"), frozenset((ord("u") - ord("a"), ord("x") - ord("a")))),
    ("#", re.compile(r"#([xX])"), frozenset((ord("x") - ord("a"),))),
)


def find_escapes(source: Source) -> Iterator[View]:
    """Views of a text in which one kind of escape is decoded."""
    text = source.text
    if "%" in text:
        yield from _views(text, "percent", _PERCENT, _put_percent)
    if "&" in text:
        yield from _views(text, "entities", _ENTITY, _put_entity)
    if "\\" in text:
        yield from _views(text, "backslash", _BACKSLASH, _put_backslash)
    if "=" in text:
        yield from _views(text, "quoted-printable", _QUOTED, _put_quoted)


def find_changed_escapes(source: Source) -> Iterator[View]:
    """Views of stretches of escapes whose letters were shifted or that were turned round.

    Hexadecimal digits have the letters a to f, and a backslash has a u or an x: too few to be told
    by how often each is there, and enough to see of which shift they are.
    """
    text = source.text
    for mark, pattern, meant in _MARKS:
        if text.count(mark) < DENSE:
            continue
        start, end = text.find(mark), text.rfind(mark)
        if end - start > SPARSE * text.count(mark):
            continue
        start, end = max(start - CONTEXT, 0), min(end + CONTEXT, len(text))
        places = np.arange(start, end)
        if not _reads(text[start:end], mark):
            yield pick(source, places[::-1], "reversed", "letters")
        found = "".join(set(pattern.findall(text))).lower()
        used = {ord(char) - ord("a") for char in found}
        used = {letter for letter in used if 0 <= letter < 26}
        if used <= meant:
            continue
        for mirrored in range(2):
            for shift in range(26):
                if {((25 - x if mirrored else x) + shift) % 26 for x in used} <= meant:
                    points = shifted(source.points[start:end], shift, mirrored)
                    changed = points.tobytes().decode("utf-32-le", "surrogatepass")
                    name = ">".join(["atbash"] * mirrored + [f"rot{26 - shift}"] * (shift > 0))
                    starts = places.astype(np.uint32)
                    yield View(name, changed, starts, starts + np.uint32(1), "letters")


def _reads(text: str, mark: str) -> bool:
    """Whether escapes say something as they stand."""
    if mark == "#":
        return 2 * text.count("&#") > text.count(mark)
    if mark == "\\":
        return 2 * len(_FORWARD.findall(text)) > text.count(mark)
    data = np.frombuffer(bytes.fromhex("".join(_BYTE.findall(text))), np.uint8)
    places = np.arange(len(data), dtype=np.uint32)
    return put_bytes(Draft(text), data, places, places + np.uint32(1))


Put = Callable[[Draft, re.Match[str]], None]


def _views(text: str, name: str, pattern: re.Pattern[str], put: Put) -> Iterator[View]:
    draft: Draft | None = None
    position = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        if draft is not None and start - position > REACH:
            draft.keep(position, position + CONTEXT)
            yield draft.view(name, "escape")
            draft = None
        if draft is None:
            draft = Draft(text)
            position = max(position, start - CONTEXT)
        draft.keep(position, start)
        put(draft, match)
        position = end
    if draft is not None:
        draft.keep(position, min(len(text), position + CONTEXT))
        yield draft.view(name, "escape")


def _put_percent(draft: Draft, match: re.Match[str]) -> None:
    data = bytes.fromhex("".join(pair or "25" for pair in _BYTE.findall(match[0])))
    if 3 * len(data) == len(match[0]):
        _put_data(draft, data, match.start(), 3)
        return
    parts = list(_BYTE.finditer(match.string, *match.span()))
    starts = np.array([part.start() for part in parts], np.uint32)
    ends = np.array([part.end() for part in parts], np.uint32)
    if not put_bytes(draft, np.frombuffer(data, np.uint8), starts, ends):
        draft.put(data.decode("latin-1"), starts, ends)


def _put_quoted(draft: Draft, match: re.Match[str]) -> None:
    if match[0][-1] != "\n":
        _put_hex(draft, match[0].replace("=", ""), match.start(), 3)


def _put_hex(draft: Draft, digits: str, start: int, width: int) -> None:
    _put_data(draft, bytes.fromhex(digits), start, width)


def _put_data(draft: Draft, data: bytes, start: int, width: int) -> None:
    """Bytes that so many code points of the source stand for each."""
    if data.isascii():
        draft.step(data.decode("ascii"), start, width)
        return
    starts = start + width * np.arange(len(data), dtype=np.uint32)
    if not put_bytes(draft, np.frombuffer(data, np.uint8), starts, starts + np.uint32(width)):
        draft.step(data.decode("latin-1"), start, width)


def _put_entity(draft: Draft, match: re.Match[str]) -> None:
    draft.stand(unescape("&" + re.sub("^&(?:amp;)*", "", match[0])), *match.span())


def _put_backslash(draft: Draft, match: re.Match[str]) -> None:
    start, end = match.span()
    body = match[0].lstrip("\\")
    # Of several backslashes the last one escapes.
    start = end - len(body) - 1
    kind = body[0]
    if kind == "x":
        _put_hex(draft, body.replace("\\", "").replace("x", ""), start, 4)
    elif kind in "01234567" and len(body) >= 3:
        values = [int(body[place : place + 3], 8) & 255 for place in range(0, len(body), 4)]
        _put_data(draft, bytes(values), start, 4)
    elif kind in "uU" and len(body) > 1:
        if "\\" in body:
            high, low = int(body[1:5], 16), int(body[-4:], 16)
            point = 0x10000 + ((high & 0x3FF) << 10 | low & 0x3FF)
        else:
            point = min(int(body[1:].strip("{}"), 16), _LAST)
        draft.stand(chr(point), start, end)
    elif kind not in "\r\n":
        draft.stand(_PLAIN.get(kind, kind), start, end)
