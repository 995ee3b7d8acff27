"""Where JSON and Markdown fences lie in a text that arrives in pieces.

What a part of a text is follows from what stands before it, so that it is known as soon as the part
is there, and is the same however the text was cut:

- A text that begins with `{` or `[`, and a fenced block without a language or with one of JSON's
  that does, is JSON as far as it could still become valid: one value, or one a line. From the first
  character on that no JSON can have there, it is prose.
- A line that starts with a run of three or more ` or ~ is a fence, behind up to `LONGEST_LEAD`
  quote signs, list markers and blanks. It has to end within `LONGEST_INFO` code points of the run.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

LONGEST_LEAD = 64
LONGEST_INFO = 256

CONTAINER_CHARS = " \t>*+-.)0123456789"
# A pair of surrogate escapes is one character.
ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^\x00-\x1f]"
)
_PAIR = 12
_HIGH = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")

_BREAK = re.compile(r"\r\n?|\n")
_FENCE = re.compile(r"`{3,}|~{3,}")
# Possessive, so linear.
_CONTAINER = re.compile(r"(?:[ \t]*+(?:>|[-*+](?=[ \t])|[0-9]{1,9}[.)](?=[ \t])))*+[ \t]*+")
_MAYBE_FENCE = re.compile(rf"[ \t>*+\-.)0-9]{{0,{LONGEST_LEAD}}}(?:`{{0,2}}|~{{0,2}})")
_JSON_INFO = frozenset(("json", "jsonl", "ndjson", "geojson", "json5", "jsonc"))

_BLANKS = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_SCALAR = re.compile(r'[^\s\[\]{},:"]+')
_LITERAL = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|NaN|-?Infinity"
)


class Fence(NamedTuple):
    """A line that starts with a run of three or more ` or ~, whether it opens, closes or neither.

    From `start` (the line break before) to `run_end`, and from `info_end` to `end` (the line
    break after) nothing may be touched but the number of a list item; between the two stands the
    info string. `line` is where the line itself starts.
    """

    start: int
    line: int
    run_end: int
    info_end: int
    end: int
    opens: bool


class Region(NamedTuple):
    """The inside of a JSON string, or a JSON number or literal."""

    start: int
    end: int
    string: bool


class Structure:
    """The structure of the text that was scanned, in positions of the buffer that `scan` is given.

    Up to `decided` all of it is known, whatever follows. Up to `limit` the text may be let go:
    beyond it lies part of an escape or of a scalar, which can only be replaced as one.
    """

    def __init__(self) -> None:
        self.decided = self.limit = 0
        self.json: list[tuple[int, int]] = []
        self.regions: list[Region] = []
        self.fences: list[Fence] = []
        self._at = 0
        self._fence_run = ""
        # Prose: whether the line at `_at` has begun before it and is no fence.
        self._in_line = False
        # JSON: brackets that are open, what may come next, the string that is open.
        self._is_json = True
        self._stack: list[str] = []
        self._expect = "start"
        self._line = 0
        self._in_string = False

    def scan(self, text: str, *, final: bool) -> None:
        """Go on with a buffer that begins as the last one did, or as `drop` left it."""
        while self._json(text, final) if self._is_json else self._prose(text, final):
            pass
        if final:
            self.decided = self.limit = len(text)

    def drop(self, count: int) -> None:
        """Forget the first `count` code points of the buffer: positions count from there on."""

        def moved(place: int) -> int:
            return max(0, place - count)

        self.decided, self.limit = moved(self.decided), moved(self.limit)
        self._at = moved(self._at)
        if self._line >= 0:
            self._line = moved(self._line)
        self.json = [(moved(start), end - count) for start, end in self.json if end > count]
        self.regions = [
            Region(moved(region.start), region.end - count, region.string)
            for region in self.regions
            if region.end > count or self._is_open(region)
        ]
        self.fences = [
            fence._replace(
                start=moved(fence.start),
                line=moved(fence.line),
                run_end=moved(fence.run_end),
                info_end=moved(fence.info_end),
                end=fence.end - count,
            )
            for fence in self.fences
            if fence.end > count
        ]

    @property
    def kept(self) -> int:
        """What lies before this position of the buffer is not looked at again."""
        line = self._line if self._is_json and self._line >= 0 else self._at
        return max(0, min(self._at, line) - 2)

    def floor(self, text: str, position: int, boundary: int) -> int:
        """The last position, up to the given one, where the text may be cut. `boundary` is such a
        position before it."""
        if position >= self.limit:
            return self.limit
        place = bisect_right(self.regions, position, key=lambda region: region.start) - 1
        if place >= 0 and position < self.regions[place].end:
            region = self.regions[place]
            if not region.string:
                return region.start
            begin = max(region.start, boundary)
            for escape in ESCAPE.finditer(text, begin, min(len(text), position + _PAIR)):
                if escape.start() >= position:
                    break
                if escape.end() > position:
                    return escape.start()
        return position

    def closing(self) -> str:
        """What has to follow what was scanned so that JSON is valid and no fence is open."""
        end = ""
        if self._is_json and self._stack:
            key = self._expect in ("key", "first key")
            if self._in_string:
                end = '":null' if key else '"'
            elif self._expect == "key":
                end = '"":null'
            elif self._expect in ("colon", "value"):
                end = ":null" if self._expect == "colon" else "null"
            end += "".join("}" if bracket == "{" else "]" for bracket in reversed(self._stack))
        if self._fence_run:
            end += f"\n{self._fence_run}\n"
        return end

    @property
    def is_json(self) -> bool:
        """Whether the whole text so far is JSON that has begun."""
        return self._is_json and not self._fence_run and self._expect != "start"

    # --- prose ----------------------------------------------------------------------------------

    def _prose(self, text: str, final: bool) -> bool:
        """Go on line by line; False where the text is at its end or more of it is needed."""
        self.limit = len(text)
        if not final and text[-1:] == "\r":
            text = text[:-1]  # a line feed that comes next belongs to it
        at = self._at
        if self._in_line:
            broken = _BREAK.search(text, at)
            if broken is None:
                self._at = self.decided = len(text)
                return False
            at, self._in_line = broken.end(), False
        match = _FENCE.search(text, at)
        if match is None:
            start = 1 + max(text.rfind("\n", at), text.rfind("\r", at), at - 1)
            self._in_line = not _MAYBE_FENCE.fullmatch(text, start)
            self._at = len(text) if self._in_line else start
            self.decided = len(text) if self._in_line else max(0, start - 2)
            return False
        line = 1 + max(
            text.rfind("\n", at, match.start()), text.rfind("\r", at, match.start()), at - 1
        )
        if match.start() - line > LONGEST_LEAD or not _CONTAINER.fullmatch(
            text, line, match.start()
        ):
            self._at, self._in_line = match.end(), True
            return True
        broken = _BREAK.search(text, match.end())
        if broken is None and not final and len(text) - match.end() <= LONGEST_INFO:
            self._at, self.decided = line, max(0, line - 2)
            return False
        info_end, line_end = broken.span() if broken else (len(text), len(text))
        if info_end - match.end() > LONGEST_INFO:
            self._at, self._in_line = match.end(), True
            return True
        self._fence(text, match, line, info_end, line_end)
        self._at, self.decided = line_end, max(0, line_end - 2)
        return line_end < len(text) or self._is_json

    def _fence(
        self, text: str, match: re.Match[str], line: int, info_end: int, line_end: int
    ) -> None:
        run = match.group()
        info = text[match.end() : info_end].strip()
        before = text[line : match.start()]
        opens = not self._fence_run and (run[0] == "~" or "`" not in info)
        if opens:
            self._fence_run = run
            word = info.split(maxsplit=1)[0].lower() if info else ""
            if word in _JSON_INFO or not word:
                self._is_json, self._expect, self._line = True, "start", line_end
        elif (
            self._fence_run
            and run.startswith(self._fence_run)
            and not info
            and not before.strip(" \t>")
        ):
            self._fence_run = ""
        start = line
        while start > 0 and line - start < 2 and text[start - 1] in "\r\n":
            start -= 1
        self.fences.append(Fence(start, line, match.end(), info_end, line_end, opens))

    # --- JSON -----------------------------------------------------------------------------------

    def _json(self, text: str, final: bool) -> bool:
        """Go on token by token; False where the text is at its end or more of it is needed."""
        while True:
            more = self._string(text, final) if self._in_string else self._token(text, final)
            if self.json and self._expect != "start" and self._is_json:
                self.json[-1] = self.json[-1][0], self._at
            if not self._is_json:
                return True
            if not more:
                self.decided = self.limit = self._at
                return False

    def _leave(self) -> None:
        """What comes next cannot be JSON: it is prose from here on."""
        if self.json and self._expect != "start":
            self.json[-1] = self.json[-1][0], self._at
        self._in_line = self._line < 0
        if self._line >= 0:
            self._at = self._line
        self._is_json, self._in_string, self._stack = False, False, []

    def _string(self, text: str, final: bool) -> bool:
        region = self.regions[-1]
        more = True
        while True:
            match = _PLAIN.match(text, self._at)
            self._at = match.end() if match else self._at
            if self._at == len(text):
                more = False
                break
            if text[self._at] == "\\":
                end = _escape_end(text, self._at, final)
                if end < 0:
                    more = False
                    break
                if end > self._at:
                    self._at = end
                    continue
            break
        self.regions[-1] = Region(region.start, self._at, True)
        if not more:
            return False
        if text[self._at] != '"':
            self._leave()
            return True
        self._at += 1
        self._in_string = False
        self._expect = "colon" if self._expect in ("key", "first key") else "after"
        return True

    def _token(self, text: str, final: bool) -> bool:
        blanks = _BLANKS.match(text, self._at)
        end = blanks.end() if blanks else self._at
        newline = max(text.rfind("\n", self._at, end), text.rfind("\r", self._at, end))
        if newline >= 0:
            self._line = newline + 1
            if self._expect == "done":
                self._expect = "next"
        self._at = end
        if end == len(text):
            return False
        char, expect, stack = text[end], self._expect, self._stack
        top = stack[-1] if stack else ""
        if expect in ("value", "first item", "start", "next") and char in "{[":
            if expect == "start":
                self.json.append((end, end))
            stack.append(char)
            self._expect = "first key" if char == "{" else "first item"
        elif expect in ("value", "first item", "key", "first key") and char == '"':
            self._in_string = True
            self.regions.append(Region(end + 1, end + 1, True))
        elif (char == "}" and top == "{" and expect in ("first key", "after")) or (
            char == "]" and top == "[" and expect in ("first item", "after")
        ):
            stack.pop()
            self._expect = "after" if stack else "done"
        elif char == "," and expect == "after":
            self._expect = "key" if top == "{" else "value"
        elif char == ":" and expect == "colon":
            self._expect = "value"
        elif expect in ("value", "first item") and (match := _SCALAR.match(text, end)):
            if match.end() == len(text) and not final:
                return False
            if not _LITERAL.fullmatch(match.group()):
                self._leave()
                return True
            self.regions.append(Region(*match.span(), False))
            self._expect = "after"
            self._at, self._line = match.end(), -1
            return True
        else:
            self._leave()
            return True
        self._at, self._line = end + 1, -1
        return True

    def _is_open(self, region: Region) -> bool:
        return self._in_string and region is self.regions[-1]


def _escape_end(text: str, start: int, final: bool) -> int:
    """Where an escape ends; `start` if there is none, -1 where that is not known yet."""
    if not final:
        left = len(text) - start
        if left < 2 or (text[start + 1] == "u" and left < 6):
            return -1
        if left < _PAIR and _HIGH.match(text, start) and r"\u".startswith(text[start + 6 :][:2]):
            return -1
    match = ESCAPE.match(text, start)
    return match.end() if match else start
