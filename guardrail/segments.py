"""Where a text that arrives in pieces can be cut for detectors that judge whole passages."""

from __future__ import annotations

import re
from typing import Literal, Protocol

Pace = Literal["token", "sentence", "paragraph", "response"]

# A sentence or paragraph that has no end by then is cut at its last blank, or right here.
LONGEST_SEGMENT = 1000
LONGEST_PARAGRAPH = 8000
_CUT_SEARCH = 200

# A sentence ends with a mark, closing quotes and a blank, but not after an abbreviation such as
# `Dr.` or an initial; an ideographic full stop needs no blank. A line ends a segment as well.
_END = re.compile(
    r"\n+|(?:\.(?<![A-Z]\.)(?<!\b[A-Z][a-z]\.)(?<!\b[A-Z][a-z]{2}\.)|[!?\u2026])"
    r"[\"'\u201d\u2019)\]]*\s|[\u3002\uff01\uff1f]"
)

# All up to the last blank.
_TO_BLANK = re.compile(r"(?s:.*)\s")

# A paragraph ends with an empty line.
_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n")


class Cut(Protocol):
    """Where the segment that begins at `start` ends; `start` if that is not known yet. `final`: the
    text goes no further."""

    def __call__(self, text: str, start: int, *, final: bool) -> int: ...


def cut_by(pace: Pace) -> Cut:
    """What cuts a text into paragraphs, or into sentences (or lines)."""
    return paragraph_end if pace == "paragraph" else segment_end


def segment_end(text: str, start: int, *, final: bool) -> int:
    """The end of a sentence or line; see `Cut`."""
    return _end(text, start, _END, LONGEST_SEGMENT, final)


def paragraph_end(text: str, start: int, *, final: bool) -> int:
    """The end of a paragraph; see `Cut`."""
    return _end(text, start, _EMPTY_LINE, LONGEST_PARAGRAPH, final)


def _end(text: str, start: int, form: re.Pattern[str], longest: int, final: bool) -> int:
    ceiling = start + longest
    match = form.search(text, start, min(len(text), ceiling))
    # A match at the very end could be longer if more were there.
    if match is not None and (match.end() < len(text) or match.group()[-1] != "\n" or final):
        return match.end()
    if match is None and len(text) >= ceiling:
        return last_blank(text, ceiling - _CUT_SEARCH, ceiling)
    return len(text) if final else start


def last_blank(text: str, start: int, end: int) -> int:
    """The position behind the last blank of a part of the text, or its end."""
    match = _TO_BLANK.match(text, start, end)
    return end if match is None else match.end()
