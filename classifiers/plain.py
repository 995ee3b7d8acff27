"""The text that rules read: what looks like a plain character is one, and nothing is invisible."""

from __future__ import annotations

import re

# Characters that look like, or are shown as, those that rules are written with, and characters
# that are not shown at all. Written as a disguise, or by a program that sets type.
_PLAIN = {
    **{chr(point): "-" for point in (0x2010, 0x2011, 0x2012, 0x2013, 0x2212, 0xFE63, 0xFF0D)},
    **{chr(point): " " for point in (0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)},
    **{chr(point): chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F) if point != 0xFF0D},
    **{chr(point): "" for point in (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F))},
    **{chr(point): "" for point in (*range(0x2060, 0x2065), 0xFEFF, *range(0xFE00, 0xFE10))},
    "\u2024": ".",
    "\ufe52": ".",
    "\uff61": ".",
    "\u3002": ".",
    "\ufe6b": "@",
}
_ODD = re.compile(f"[{''.join(map(re.escape, _PLAIN))}]")
_UNSEEN = re.compile(f"[{''.join(re.escape(char) for char, plain in _PLAIN.items() if not plain)}]")


def plain(raw: str) -> tuple[str, list[int] | None]:
    """The text that rules are run over: dashes, blanks, full-width letters and signs as ASCII has
    them, and invisible characters gone.

    Also the offset in `raw` of each of its code points and of its end, or None where they are the
    same. Digits of other scripts stay: `\\d` and `int` take them.
    """
    if raw.isascii() or not _ODD.search(raw):
        return raw, None
    if not _UNSEEN.search(raw):
        return _ODD.sub(lambda match: _PLAIN[match.group()], raw), None
    parts: list[str] = []
    offsets: list[int] = []
    for offset, char in enumerate(raw):
        char = _PLAIN.get(char, char)
        if char:
            parts.append(char)
            offsets.append(offset)
    offsets.append(len(raw))
    return "".join(parts), offsets
