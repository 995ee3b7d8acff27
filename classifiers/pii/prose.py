"""A text as models of language were trained on it: sentences in ordinary case.

Records, signatures and quoted mail are lines without ends, in capitals or without any. A model that
was trained on news takes "Anna Nowak" over "Apt. 4" for one name, and finds none behind a `>`.
"""

from __future__ import annotations

import re

_LOUD = re.compile(r"\b[^\W\d_]{4,}\b")
_WORD = re.compile(r"\b[^\W\d_]{2,}\b")
_MARKS = re.compile(r"^[>|?*#\t -]+", re.MULTILINE)
_LINE_END = re.compile(r"(?<=\w)\n(?=[^\n])")


def prose(text: str) -> str:
    """A text of the same length: words in capitals with one capital, and where there are no
    capitals at all, one for each word; marks of quotes and lists as blanks, and a comma where a
    line ends within a paragraph."""
    quiet = text.islower()
    text = (_WORD if quiet else _LOUD).sub(
        lambda match: (
            _capital(match.group()) if quiet or match.group().isupper() else match.group()
        ),
        text,
    )
    text = _MARKS.sub(lambda match: " " * len(match.group()), text)
    return _LINE_END.sub(",", text)


def _capital(word: str) -> str:
    changed = word[0].upper() + word[1:].lower()
    return changed if len(changed) == len(word) else word
