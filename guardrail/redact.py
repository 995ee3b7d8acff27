"""Rewrites a text so that the spans a policy named are gone: the only place that does.

What is rewritten depends on what the text is, so that whoever reads the result still can:

- JSON (the whole text, or JSON Lines): the covered inside of a string is replaced, a covered
  number, `true`, `false` or `null` becomes a string, punctuation stays. Escapes are never cut.
- Markdown and plain text: code fences survive and keep their line. Backtick runs survive too,
  except neighbours of the same length that one span covers together. JSON inside a fenced block
  is treated as JSON. Blanks at the ends of a span stay, and so do the `>` of a quoted line.

A span is widened over combining marks, joiners and emoji modifiers that follow it. In the
`label` style, spans on one line with nothing but up to `JOIN_GAP` blanks and commas between them
become one label.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from guardrail.errors import UsageError
from guardrail.findings import Span

DEFAULT_LABEL = "[REDACTED]"
MASK = "█"
JOIN_GAP = 8
MAX_LABEL = 200

Style = Literal["label", "mask", "remove"]
STYLES: tuple[Style, ...] = ("label", "mask", "remove")


Operator = Callable[[str], str]
"""Makes what stands in the place of one value from the value itself."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What stands in the place of a redacted span.

    `label` puts `text` there, in which `{kind}` becomes the kinds of the findings; `mask` puts
    one █ for each code point and so reveals the length; `remove` puts nothing, or the default
    label where nothing would change a code fence or an inline code span. `operators` make the
    replacement of a span from what it holds, by kind, where all of it is of one kind.
    Raises UsageError for an unknown style or a text that could break what surrounds it.
    """

    style: Style = "label"
    text: str = DEFAULT_LABEL
    operators: Mapping[str, Operator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise UsageError(f"unknown redaction style; allowed: {', '.join(STYLES)}")
        problem = label_problem(self.text)
        if problem is not None:
            raise UsageError(f"redaction text {problem}")

    def uses_kind(self) -> bool:
        """Whether the replacement depends on the kind of what was found."""
        return bool(self.operators) or (self.style == "label" and "{kind}" in self.text)

    def operator(self, kinds: Iterable[str]) -> Operator | None:
        """What makes the replacement of a span of these kinds, if not the style."""
        if not self.operators:
            return None
        one, *more = [*kinds] or [""]
        return None if more else self.operators.get(one)

    def replacement(self, value: str, kinds: Iterable[str] = ()) -> str:
        """What replaces this text, in which findings of these kinds lie."""
        operator = self.operator(kinds)
        if operator is not None:
            made = operator(value)
            # What is made of private text must not open a block or break a line either.
            if made.isprintable() and made.strip() and "`" not in made and "~" not in made:
                return made
            return DEFAULT_LABEL
        if self.style == "mask":
            return MASK * len(value)
        if self.style == "remove":
            return ""
        if "{kind}" not in self.text:
            return self.text
        # A kind is a detector's own word, but a plug-in's word could hold a quote or a backtick.
        named = "+".join(sorted({_NOT_IN_KIND.sub("_", kind)[:64] for kind in kinds}))
        return self.text.replace("{kind}", named or "match")


class Edit(NamedTuple):
    """Replace code points `start` to `end` (half-open) of the text by `text`."""

    start: int
    end: int
    text: str


def label_problem(text: str) -> str | None:
    """Why a text cannot be a redaction label, or None if it can."""
    if not text.strip():
        return "is empty; to leave nothing behind use the style remove"
    if len(text) > MAX_LABEL:
        return f"has {len(text)} characters; allowed: up to {MAX_LABEL}"
    if not text.isprintable():
        return "holds a line break or another character that does not print"
    if "`" in text or "~" in text:
        return "holds ` or ~, which could open or close a code block"
    if _PLACEHOLDER.search(text.replace("{kind}", "")):
        return "holds an unknown placeholder; allowed: {kind}"
    return None


def redact(text: str, spans: Sequence[Span], style: Redaction, kinds: Sequence[str] = ()) -> str:
    """The text with every span replaced. Without spans, the very same text.

    Spans are in code points, in any order, and may overlap; what lies outside the text is
    ignored. `kinds` names what each span holds (several joined by `+`), for labels with `{kind}`.
    Raises UsageError if `kinds` is given and its length is not that of `spans`.
    """
    edits = plan_edits(text, spans, style, kinds)
    if not edits:
        return text
    parts: list[str] = []
    position = 0
    for edit in edits:
        parts.append(text[position : edit.start])
        parts.append(edit.text)
        position = edit.end
    parts.append(text[position:])
    return "".join(parts)


def plan_edits(
    text: str, spans: Sequence[Span], style: Redaction, kinds: Sequence[str] = ()
) -> list[Edit]:
    """The edits that `redact` applies: sorted by position, disjoint, over the given text."""
    if kinds and len(kinds) != len(spans):
        raise UsageError(f"{len(kinds)} kinds for {len(spans)} spans: one for each is needed")
    pieces = _pieces(len(text), spans, kinds if style.uses_kind() else ())
    if not pieces:
        return []
    if _is_json(text, 0, len(text)):
        return _json_edits(text, 0, len(text), pieces, style)
    fences, blocks = _fences(text)
    inside, outside = _split(text, pieces, blocks)
    edits = _prose_edits(text, outside, fences, style)
    for (start, end), covered in inside:
        edits += _json_edits(text, start, end, covered, style)
    edits.sort()
    return edits


# --- pieces: spans on their way to an edit ----------------------------------------------------


class _Piece(NamedTuple):
    start: int
    end: int
    kinds: frozenset[str]


_NO_KINDS: frozenset[str] = frozenset()
_NOT_IN_KIND = re.compile(r"[^\w.-]")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def _pieces(length: int, spans: Sequence[Span], kinds: Sequence[str]) -> list[_Piece]:
    raw: list[_Piece] = []
    for number, span in enumerate(spans):
        start, end = max(span.start, 0), min(span.end, length)
        if start < end:
            named = frozenset(kinds[number].split("+")) if kinds else _NO_KINDS
            raw.append(_Piece(start, end, named))
    raw.sort(key=lambda piece: piece[:2])
    return _merge(raw)


def _merge(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Sorted pieces with those that overlap or touch made one."""
    merged: list[_Piece] = []
    for piece in pieces:
        if merged and piece.start <= merged[-1].end:
            last = merged[-1]
            merged[-1] = _Piece(last.start, max(last.end, piece.end), last.kinds | piece.kinds)
        else:
            merged.append(piece)
    return merged


def _join(text: str, pieces: Iterable[_Piece], style: Redaction) -> list[_Piece]:
    """Sorted pieces with those made one that only blanks and commas on one line part, unless an
    operator makes something of one of them."""
    joined: list[_Piece] = []
    for piece in pieces:
        if joined and piece.start - joined[-1].end <= JOIN_GAP:
            last = joined[-1]
            alone = style.operator(last.kinds) or style.operator(piece.kinds)
            if not alone and _JOINABLE.issuperset(text[last.end : piece.start]):
                joined[-1] = _Piece(last.start, piece.end, last.kinds | piece.kinds)
                continue
        joined.append(piece)
    return joined


# No line break, bracket, backtick, backslash or emphasis: those carry structure.
_JOINABLE = frozenset(" \t\u00a0.,;:!?'\"&/-\u2010\u2011\u2013\u2014\u2019\u2026")


def _overlapping(
    pieces: list[_Piece], first: int, start: int, end: int
) -> tuple[int, list[_Piece]]:
    """The parts of sorted pieces between start and end, looking from piece `first` on.

    Also returns the first piece that ends after `start`: where the next, later range looks from.
    """
    while first < len(pieces) and pieces[first].end <= start:
        first += 1
    found: list[_Piece] = []
    for number in range(first, len(pieces)):
        piece = pieces[number]
        if piece.start >= end or start == end:
            break
        found.append(_Piece(max(piece.start, start), min(piece.end, end), piece.kinds))
    return first, found


def _split(
    text: str, pieces: list[_Piece], blocks: list[tuple[int, int]]
) -> tuple[list[tuple[tuple[int, int], list[_Piece]]], list[_Piece]]:
    """Pieces inside those blocks that are JSON, block by block, and all other pieces."""
    inside: list[tuple[tuple[int, int], list[_Piece]]] = []
    first = 0
    for block in blocks:
        first, covered = _overlapping(pieces, first, *block)
        if covered and _is_json(text, *block):
            inside.append((block, covered))
    outside: list[_Piece] = []
    position = first = 0
    for (start, end), _ in [*inside, ((len(text), len(text)), [])]:
        first, covered = _overlapping(pieces, first, position, start)
        outside += covered
        position = end
    return inside, outside


def _extends(char: str) -> bool:
    """Whether a character only changes the one before it, and so must not be left alone."""
    if char < "\u0300":
        return False
    return (
        char in "\u200c\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or unicodedata.category(char) in ("Mn", "Mc", "Me")
    )


# --- JSON -------------------------------------------------------------------------------------

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_SCALAR = re.compile(r"[^\s\[\]{},:]+")
# A pair of surrogate escapes is one character.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\."
)
_JSON_START = frozenset('{["-0123456789tfnIN')
_JSON_BLANKS = " \t\r\n"


def _is_json(text: str, start: int, end: int) -> bool:
    """Whether this part of the text is one JSON value, or several with a line for each."""
    while start < end and text[start] in _JSON_BLANKS:
        start += 1
    if start == end or text[start] not in _JSON_START:
        return False
    if _parses(text[start:end]):
        return True
    values = 0
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        line = text[start:stop].strip(_JSON_BLANKS)
        if line:
            if line[0] not in _JSON_START or not _parses(line):
                return False
            values += 1
        start = stop + 1
    return values > 0


def _parses(text: str) -> bool:
    try:
        # Numbers stay text: their size is no business of ours, and int() refuses long ones.
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _json_edits(
    text: str, start: int, end: int, pieces: list[_Piece], style: Redaction
) -> list[Edit]:
    """Edits for pieces between start and end, where the text is valid JSON or JSON Lines."""
    edits: list[Edit] = []
    position, first = start, 0
    while first < len(pieces):
        match = _STRING.search(text, position, end)
        gap_end = match.start() if match else end
        if pieces[first].start < gap_end:
            first, covered = _overlapping(pieces, first, position, gap_end)
            if covered:
                edits += _scalar_edits(text, position, gap_end, covered, style)
        if match is None:
            break
        position = match.end()
        first, covered = _overlapping(pieces, first, match.start() + 1, position - 1)
        if covered:
            edits += _string_edits(text, match.start() + 1, position - 1, covered, style)
    return edits


def _scalar_edits(
    text: str, start: int, end: int, pieces: list[_Piece], style: Redaction
) -> list[Edit]:
    edits: list[Edit] = []
    first = 0
    for match in _SCALAR.finditer(text, start, end):
        first, covered = _overlapping(pieces, first, match.start(), match.end())
        if covered:
            kinds = _NO_KINDS.union(*(piece.kinds for piece in covered))
            replacement = style.replacement(match.group(), kinds)
            edits.append(Edit(match.start(), match.end(), f'"{_quoted(replacement)}"'))
    return edits


def _string_edits(
    text: str, start: int, end: int, pieces: list[_Piece], style: Redaction
) -> list[Edit]:
    """Edits inside one string literal, whose quotes are just outside of start and end."""
    widened: list[_Piece] = []
    escapes = _ESCAPE.finditer(text, start, end)
    escape = next(escapes, None)
    for piece in pieces:
        begin, stop = piece.start, piece.end
        if widened and begin < widened[-1].end:
            begin = widened[-1].end
            if begin >= stop:
                widened[-1] = widened[-1]._replace(kinds=widened[-1].kinds | piece.kinds)
                continue
        while escape is not None and escape.end() <= begin:
            escape = next(escapes, None)
        if escape is not None and escape.start() < begin:
            begin = escape.start()
        while escape is not None and escape.end() <= stop:
            escape = next(escapes, None)
        if escape is not None and escape.start() < stop:
            stop = escape.end()
            escape = next(escapes, None)
        while stop < end:
            if escape is not None and escape.start() == stop:
                if not _extends(_decoded(escape.group())):
                    break
                stop = escape.end()
                escape = next(escapes, None)
            elif _extends(text[stop]):
                stop += 1
            else:
                break
        widened.append(_Piece(begin, stop, piece.kinds))
    widened = _merge(widened)
    if style.style == "label":
        widened = _join(text, widened, style)
    return [
        Edit(
            piece.start,
            piece.end,
            _quoted(style.replacement(_decoded(text[piece.start : piece.end]), piece.kinds)),
        )
        for piece in widened
    ]


def _decoded(inside: str) -> str:
    """What the inside of a JSON string stands for; a lone surrogate stays one."""
    value: str = json.loads(f'"{inside}"', strict=False)
    return value


def _quoted(text: str) -> str:
    """A replacement as the inside of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


# --- Markdown and plain text ------------------------------------------------------------------

_BREAK = re.compile(r"\r\n?|\n")
_FENCE = re.compile(r"`{3,}|~{3,}")
_TICKS = re.compile(r"`+")
# Blanks, quote signs and list markers that may stand before a fence. Possessive, so linear.
_CONTAINER = re.compile(r"(?:[ \t]*+(?:>|[-*+](?=[ \t])|[0-9]{1,9}[.)](?=[ \t])))*+[ \t]*+")
_NUMBER = re.compile(r"[0-9]+")
_CONTAINER_CHARS = " \t>*+-.)0123456789"
_LEAD = re.compile(r"[\s>]*")
_JSON_INFO = frozenset(("json", "jsonl", "ndjson", "geojson", "json5", "jsonc"))


class _Fence(NamedTuple):
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


def _fences(text: str) -> tuple[list[_Fence], list[tuple[int, int]]]:
    """The fence lines of a text, and the contents of fenced blocks that may be JSON."""
    fences: list[_Fence] = []
    blocks: list[tuple[int, int]] = []
    if "```" not in text and "~~~" not in text:
        return fences, blocks
    open_run, open_end, open_json = "", 0, False
    line = 0
    while match := _FENCE.search(text, line):
        line_start = 1 + max(
            text.rfind("\n", line, match.start()), text.rfind("\r", line, match.start()), line - 1
        )
        broken = _BREAK.search(text, match.end())
        info_end, line_end = broken.span() if broken else (len(text), len(text))
        if _CONTAINER.fullmatch(text, line_start, match.start()):
            run = match.group()
            info = text[match.end() : info_end].strip()
            before = text[line_start : match.start()]
            opens = not open_run and (run[0] == "~" or "`" not in info)
            if opens:
                open_run, open_end = run, line_end
                word = info.split(maxsplit=1)[0].lower() if info else ""
                open_json = word in _JSON_INFO or not word
            elif open_run and run.startswith(open_run) and not info and not before.strip(" \t>"):
                if open_json:
                    blocks.append((open_end, line_start))
                open_run = ""
            start = line_start
            while start > 0 and line_start - start < 2 and text[start - 1] in "\r\n":
                start -= 1
            fences.append(_Fence(start, line_start, match.end(), info_end, line_end, opens))
        if broken is None:
            break
        line = line_end
    if open_run and open_json:
        blocks.append((open_end, len(text)))
    return fences, blocks


class _Mode:
    """Where a piece of prose lies: in running text, after an opening fence or another one, or in
    the number of a list item that starts with a fence."""

    TEXT, OPENING, FENCED, NUMBER = range(4)


def _prose_edits(
    text: str, pieces: list[_Piece], fences: list[_Fence], style: Redaction
) -> list[Edit]:
    """Edits for pieces of running text, in no order."""
    pieces = _merge(
        _widen(text, piece, pieces[number + 1].start if number + 1 < len(pieces) else len(text))
        for number, piece in enumerate(pieces)
    )
    kept: list[tuple[_Piece, int]] = []
    edits: list[Edit] = []
    for part, mode in _outside_fences(text, pieces, fences):
        if mode == _Mode.NUMBER:
            # Nine digits can be a secret; whatever stands here has to be a number.
            edits.append(Edit(part.start, part.end, "1"))
            continue
        for unticked in _outside_ticks(text, part, keep_all=mode != _Mode.TEXT):
            trimmed = _trim(text, unticked)
            if trimmed is not None:
                kept.append((trimmed, mode))
    opening = {piece.start for piece, mode in kept if mode == _Mode.OPENING}
    parts = [piece for piece, _ in kept]
    if style.style == "label":
        parts = _join(text, parts, style)
    for number, part in enumerate(parts):
        replacement = style.replacement(text[part.start : part.end], part.kinds)
        if not replacement.strip(_CONTAINER_CHARS):
            before = parts[number - 1].end if number else 0
            after = parts[number + 1].start if number + 1 < len(parts) else len(text)
            if _touches_ticks(text, part, before, after, part.start in opening):
                replacement = DEFAULT_LABEL
        edits.append(Edit(part.start, part.end, replacement))
    return edits


def _widen(text: str, piece: _Piece, limit: int) -> _Piece:
    """A piece with what only changes its last character, which must be one that goes itself."""
    end = piece.end
    if text[end - 1] in "`~>" or text[end - 1].isspace():
        return piece
    while end < limit and _extends(text[end]):
        end += 1
    return piece if end == piece.end else piece._replace(end=end)


def _outside_fences(
    text: str, pieces: list[_Piece], fences: list[_Fence]
) -> Iterable[tuple[_Piece, int]]:
    first = 0
    for piece in pieces:
        while first < len(fences) and fences[first].end <= piece.start:
            first += 1
        position = piece.start
        for number in range(first, len(fences)):
            fence = fences[number]
            if fence.start >= piece.end:
                break
            if position < fence.start:
                yield _Piece(position, fence.start, piece.kinds), _Mode.TEXT
            for match in _NUMBER.finditer(text, max(position, fence.line), fence.run_end):
                if match.start() < piece.end:
                    end = min(match.end(), piece.end)
                    yield _Piece(match.start(), end, piece.kinds), _Mode.NUMBER
            info = max(position, fence.run_end), min(piece.end, fence.info_end)
            if info[0] < info[1]:
                mode = _Mode.OPENING if fence.opens else _Mode.FENCED
                yield _Piece(*info, piece.kinds), mode
            position = max(position, fence.end)
        if position < piece.end:
            yield _Piece(position, piece.end, piece.kinds), _Mode.TEXT


def _outside_ticks(text: str, piece: _Piece, *, keep_all: bool) -> list[_Piece]:
    """The parts of a piece around the backtick runs that stay.

    Two neighbouring runs of one length go together, so that for each length the number of runs
    stays odd or even; whatever pairs up outside of the piece goes on to pair up.
    """
    runs = [match.span() for match in _TICKS.finditer(text, piece.start, piece.end)]
    if not runs:
        return [piece]
    parts: list[_Piece] = []
    position = piece.start
    number = 0
    while number < len(runs):
        start, end = runs[number]
        if not keep_all and number + 1 < len(runs):
            next_start, next_end = runs[number + 1]
            cut = (start == piece.start and text[start - 1 : start] == "`") or (
                next_end == piece.end and text[next_end : next_end + 1] == "`"
            )
            if not cut and end - start == next_end - next_start:
                number += 2
                continue
        if position < start:
            parts.append(_Piece(position, start, piece.kinds))
        position = end
        number += 1
    if position < piece.end:
        parts.append(_Piece(position, piece.end, piece.kinds))
    return parts


def _trim(text: str, piece: _Piece) -> _Piece | None:
    """A piece without blanks at its ends and the `>` of a quoted line; None if nothing is left."""
    lead = _LEAD.match(text, piece.start, piece.end)
    content = lead.end() if lead else piece.start
    if content == piece.end:
        return None
    skipped = text[piece.start : content]
    start = content
    if ">" in skipped and not ("\n" in skipped or "\r" in skipped):
        # This look back ends at the last piece at the latest: each holds more than these.
        before = piece.start
        while before > 0 and text[before - 1] in " \t>":
            before -= 1
        if before > 0 and text[before - 1] not in "\r\n":
            start = piece.start + skipped.index(">")
    end = piece.end
    while text[end - 1].isspace():
        end -= 1
    return _Piece(start, end, piece.kinds)


def _touches_ticks(text: str, piece: _Piece, before: int, after: int, opening: bool) -> bool:
    """Whether leaving nothing (or only list markers) would change what a run of ` or ~ means."""
    end = piece.end
    while end < after and text[end] in _CONTAINER_CHARS:
        end += 1
    if end < after and text[end] in "`~":
        return True
    start = piece.start
    while start > before and text[start - 1] in " \t":
        start -= 1
    return not opening and start > before and text[start - 1] in "`~"
