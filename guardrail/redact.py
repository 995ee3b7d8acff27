"""Rewrites a text so that the spans a policy named are gone: the only place that does.

What is rewritten depends on what the text is, so that whoever reads the result still can:

- JSON objects and arrays (the whole text, JSON Lines, fenced blocks; see `structure`): the covered
  inside of a string is replaced, a covered number, `true`, `false` or `null` becomes a string,
  punctuation stays. Escapes are never cut.
- Markdown and plain text: code fences survive and keep their line. Backtick runs survive too,
  except neighbours of the same length that one span covers together. Blanks at the ends of a span
  stay, and so do the `>` of a quoted line.

A span is widened over combining marks, joiners and emoji modifiers that follow it. In the
`label` style, spans on one line with nothing but up to `JOIN_GAP` blanks and commas between them
become one label.

A text may arrive in pieces: what an edit is depends on no more than `LOOK` code points on either
side of it, the line that it ends on, and the structure before it. A whole text is one piece.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from guardrail.errors import UsageError
from guardrail.findings import Span
from guardrail.structure import CONTAINER_CHARS, ESCAPE, Fence, Structure

DEFAULT_LABEL = "[REDACTED]"
MASK = "█"
JOIN_GAP = 8
LOOK = 16
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
    parts = redact_parts(text, spans, style, kinds)
    return "".join(part.text for part in parts) if any(part.new for part in parts) else text


def redact_parts(
    text: str, spans: Sequence[Span], style: Redaction, kinds: Sequence[str] = ()
) -> list[Part]:
    """`redact`, with what was replaced told from what was not."""
    return list(_applied(text, 0, plan_edits(text, spans, style, kinds), len(text)))


def plan_edits(
    text: str, spans: Sequence[Span], style: Redaction, kinds: Sequence[str] = ()
) -> list[Edit]:
    """The edits that `redact` applies: sorted by position, disjoint, over the given text."""
    return Redactor(style).plan(text, spans, kinds)


class Part(NamedTuple):
    """A piece of redacted text; `new` where it stands for something that was there."""

    text: str
    new: bool


@dataclass(frozen=True, slots=True)
class Seam:
    """Where a replacement stands in redacted text, as code points. A `sealed` one says nothing of
    what it replaces, and holds characters that may look like anything: what was made with a key."""

    span: Span
    sealed: bool

    def concerns(self, found: Span) -> bool:
        """Whether a span of redacted text holds some of what is beside the replacement and part of
        it, or of a sealed one all of it and what is on both its sides. What lies within it is what
        the policy put there."""
        if self.sealed:
            return found.start < self.span.start and found.end > self.span.end
        touches = found.start < self.span.end and found.end > self.span.start
        return touches and not self.holds(found)

    def holds(self, found: Span) -> bool:
        """Whether a span lies within the replacement."""
        return self.span.start <= found.start and found.end <= self.span.end


def seams(parts: Iterable[Part], position: int = 0) -> list[Seam]:
    """The seams of redacted text that begins at a position."""
    found: list[Seam] = []
    for part in parts:
        end = position + len(part.text)
        if part.new:
            sealed = _SEALED.fullmatch(part.text) is not None
            found.append(Seam(Span(position, end), sealed))
        position = end
    return found


class Redactor:
    """Redacts a text that arrives in pieces; what comes out is the same for every way to cut it.

    All positions that are given are code points of the whole text.
    """

    def __init__(self, style: Redaction) -> None:
        self._style = style
        self._structure = Structure()
        self._text = ""
        self._base = 0  # the position of the buffer's first code point
        self._done = 0  # in the buffer, like all that follows
        self._pieces: list[_Piece] = []

    @property
    def done(self) -> int:
        """How much of the text came out, in code points of what went in."""
        return self._base + self._done

    def feed(
        self,
        text: str,
        spans: Sequence[Span],
        kinds: Sequence[str],
        settled: int,
        *,
        final: bool = False,
    ) -> list[Part]:
        """More of the text, and spans in what is there; no later span starts before `settled`.

        `final`: the text ends here. Returns what can be let go.
        """
        done = self._done
        self._add(text, spans, kinds, final)
        parts = list(_applied(self._text, done, self._advance(settled, final), self._done))
        self._trim()
        return parts

    def cut(self, position: int) -> list[Part]:
        """End the text at a position that was not let go yet, whatever was given from there on."""
        self._text = self._text[: max(position - self._base, self._done)]
        end = len(self._text)
        self._pieces = [
            piece._replace(end=min(piece.end, end)) for piece in self._pieces if piece.start < end
        ]
        done = self._done
        return list(_applied(self._text, done, self._advance(position, True), end))

    def plan(self, text: str, spans: Sequence[Span], kinds: Sequence[str]) -> list[Edit]:
        """The edits of a text that is fed whole."""
        self._add(text, spans, kinds, True)
        return self._advance(len(text), True)

    def _add(self, text: str, spans: Sequence[Span], kinds: Sequence[str], final: bool) -> None:
        if kinds and len(kinds) != len(spans):
            raise UsageError(f"{len(kinds)} kinds for {len(spans)} spans: one for each is needed")
        self._text += text
        if spans:
            shifted = [Span(span.start - self._base, span.end - self._base) for span in spans]
            named = kinds if self._style.uses_kind() else ()
            fresh = _pieces(self._done, len(self._text), shifted, named)
            self._pieces = _merge(sorted(self._pieces + fresh, key=lambda piece: piece[:2]))
        if self._pieces or not final:
            self._structure.scan(self._text, final=final)

    def _advance(self, settled: int, final: bool) -> list[Edit]:
        """The edits in what can be let go, in positions of the buffer; moves `_done` behind it."""
        structure = self._structure
        limit = len(self._text)
        if not final:
            limit = structure.floor(
                self._text, min(max(settled - self._base, self._done), limit), self._done
            )
        edits: list[Edit] = []
        boundary = self._done
        first = 0
        while first < len(self._pieces) and self._pieces[first].start < limit:
            end, after = self._pieces[first].end, first + 1
            while after < len(self._pieces) and self._pieces[after].start - end <= LOOK:
                end, after = self._pieces[after].end, after + 1
            if not final:
                stop = end
                while stop < limit and _extends(self._text[stop]):
                    stop += 1
                if stop + LOOK >= min(limit, structure.decided):
                    limit = structure.floor(self._text, self._pieces[first].start, boundary)
                    break
            made = self._group(self._pieces[first:after], boundary)
            boundary = made[-1].end if made else boundary
            edits += made
            first = after
        self._pieces = self._pieces[first:]
        self._done = max(limit, boundary)
        return edits

    def _group(self, pieces: list[_Piece], boundary: int) -> list[Edit]:
        """The edits for pieces near each other. `boundary`: no escape is cut there."""
        text, style, structure = self._text, self._style, self._structure
        start, end = pieces[0].start, pieces[-1].end
        edits: list[Edit] = []
        outside: list[_Piece] = []
        position, first = start, 0
        spans = structure.json
        number = max(0, bisect_right(spans, (start, len(text))) - 1)
        while number < len(spans) and spans[number][0] < end:
            json_start, json_end = spans[number]
            number += 1
            if json_end <= position:
                continue
            first, covered = _overlapping(pieces, first, position, json_start)
            outside += covered
            first, covered = _overlapping(pieces, first, json_start, json_end)
            edits += self._json_edits(covered, boundary)
            position = json_end
        outside += _overlapping(pieces, first, position, max(end, position))[1]
        if outside:
            fences = structure.fences
            near = fences[
                bisect_right(fences, start, key=lambda fence: fence.end) : bisect_left(
                    fences, end, key=lambda fence: fence.start
                )
            ]
            edits += _prose_edits(text, outside, near, style)
        edits.sort()
        return edits

    def _json_edits(self, pieces: list[_Piece], boundary: int) -> list[Edit]:
        """Edits for pieces inside JSON: of strings and scalars, and of nothing else."""
        edits: list[Edit] = []
        if not pieces:
            return edits
        regions = self._structure.regions
        number = max(0, bisect_right(regions, pieces[0].start, key=lambda r: r.start) - 1)
        first = 0
        while number < len(regions) and regions[number].start < pieces[-1].end:
            region = regions[number]
            number += 1
            first, covered = _overlapping(pieces, first, region.start, region.end)
            if not covered or region.end <= boundary:  # a piece before these took it
                continue
            if region.string:
                begin = max(region.start, boundary)
                made = _string_edits(self._text, begin, region.end, covered, self._style)
            else:
                kinds = _NO_KINDS.union(*(piece.kinds for piece in covered))
                new = self._style.replacement(self._text[region.start : region.end], kinds)
                made = [Edit(region.start, region.end, f'"{_quoted(new)}"')]
            edits += made
        return edits

    def _trim(self) -> None:
        """Forget what nothing looks back at any more."""
        count = min(self._done - LOOK, self._structure.kept)
        if count <= 0:
            return
        self._text = self._text[count:]
        self._base += count
        self._done -= count
        self._structure.drop(count)
        self._pieces = [
            piece._replace(start=piece.start - count, end=piece.end - count)
            for piece in self._pieces
        ]


def _applied(text: str, position: int, edits: list[Edit], end: int) -> Iterator[Part]:
    for edit in edits:
        if position < edit.start:
            yield Part(text[position : edit.start], False)
        yield Part(edit.text, True)
        position = edit.end
    if position < end:
        yield Part(text[position:end], False)


# --- pieces: spans on their way to an edit ----------------------------------------------------


class _Piece(NamedTuple):
    start: int
    end: int
    kinds: frozenset[str]


_NO_KINDS: frozenset[str] = frozenset()
_NOT_IN_KIND = re.compile(r"[^\w.-]")
# What `anonymise` makes with a key, in JSON quoted where it stands for a number.
_SEALED = re.compile(r'"?\[[A-Za-z0-9_.-]{1,64}:(?:enc:)?[A-Za-z0-9_=-]{12,}\]"?')
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def _pieces(begin: int, length: int, spans: Sequence[Span], kinds: Sequence[str]) -> list[_Piece]:
    raw: list[_Piece] = []
    for number, span in enumerate(spans):
        start, end = max(span.start, begin), min(span.end, length)
        if start < end:
            named = frozenset(kinds[number].split("+")) if kinds else _NO_KINDS
            raw.append(_Piece(start, end, named))
    return raw


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


def _string_edits(
    text: str, start: int, end: int, pieces: list[_Piece], style: Redaction
) -> list[Edit]:
    """Edits inside one string literal, whose quotes are just outside of start and end."""
    widened: list[_Piece] = []
    escapes = ESCAPE.finditer(text, start, end)
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
    try:
        value: str = json.loads(f'"{inside}"', strict=False)
    except ValueError:  # cut within an escape, where a stream ends
        return inside
    return value


def _quoted(text: str) -> str:
    """A replacement as the inside of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


# --- Markdown and plain text ------------------------------------------------------------------

_TICKS = re.compile(r"`+")
_NUMBER = re.compile(r"[0-9]+")
_LEAD = re.compile(r"[\s>]*")


class _Mode:
    """Where a piece of prose lies: in running text, after an opening fence or another one, or in
    the number of a list item that starts with a fence."""

    TEXT, OPENING, FENCED, NUMBER = range(4)


def _prose_edits(
    text: str, pieces: list[_Piece], fences: list[Fence], style: Redaction
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
        if not replacement.strip(CONTAINER_CHARS):
            before = max(part.start - LOOK, parts[number - 1].end if number else 0)
            after = min(
                part.end + LOOK,
                parts[number + 1].start if number + 1 < len(parts) else len(text),
            )
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
    text: str, pieces: list[_Piece], fences: list[Fence]
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
        before = piece.start
        floor = max(0, before - LOOK)
        while before > floor and text[before - 1] in " \t>":
            before -= 1
        if before > floor and text[before - 1] not in "\r\n":
            start = piece.start + skipped.index(">")
    end = piece.end
    while text[end - 1].isspace():
        end -= 1
    return _Piece(start, end, piece.kinds)


def _touches_ticks(text: str, piece: _Piece, before: int, after: int, opening: bool) -> bool:
    """Whether leaving nothing (or only list markers) would change what a run of ` or ~ means."""
    end = piece.end
    while end < after and text[end] in CONTAINER_CHARS:
        end += 1
    if end < after and text[end] in "`~":
        return True
    start = piece.start
    while start > before and text[start - 1] in " \t":
        start -= 1
    return not opening and start > before and text[start - 1] in "`~"
