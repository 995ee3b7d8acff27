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

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from guardrail.errors import UsageError
from guardrail.findings import Span
from guardrail.json_edits import quoted, string_edits
from guardrail.pieces import LOOK, NO_KINDS, Edit, Piece, extends, merge, overlapping, pieces_of
from guardrail.prose_edits import prose_edits
from guardrail.redaction import Redaction
from guardrail.structure import Structure


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
        self._pieces: list[Piece] = []

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
            fresh = pieces_of(self._done, len(self._text), shifted, named)
            self._pieces = merge(sorted(self._pieces + fresh, key=lambda piece: piece[:2]))
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
                while stop < limit and extends(self._text[stop]):
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

    def _group(self, pieces: list[Piece], boundary: int) -> list[Edit]:
        """The edits for pieces near each other. `boundary`: no escape is cut there."""
        text, style, structure = self._text, self._style, self._structure
        start, end = pieces[0].start, pieces[-1].end
        edits: list[Edit] = []
        outside: list[Piece] = []
        position, first = start, 0
        spans = structure.json
        number = max(0, bisect_right(spans, (start, len(text))) - 1)
        while number < len(spans) and spans[number][0] < end:
            json_start, json_end = spans[number]
            number += 1
            if json_end <= position:
                continue
            first, covered = overlapping(pieces, first, position, json_start)
            outside += covered
            first, covered = overlapping(pieces, first, json_start, json_end)
            edits += self._json_edits(covered, boundary)
            position = json_end
        outside += overlapping(pieces, first, position, max(end, position))[1]
        if outside:
            fences = structure.fences
            near = fences[
                bisect_right(fences, start, key=lambda fence: fence.end) : bisect_left(
                    fences, end, key=lambda fence: fence.start
                )
            ]
            edits += prose_edits(text, outside, near, style)
        edits.sort()
        return edits

    def _json_edits(self, pieces: list[Piece], boundary: int) -> list[Edit]:
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
            first, covered = overlapping(pieces, first, region.start, region.end)
            if not covered or region.end <= boundary:  # a piece before these took it
                continue
            if region.string:
                begin = max(region.start, boundary)
                made = string_edits(self._text, begin, region.end, covered, self._style)
            else:
                kinds = NO_KINDS.union(*(piece.kinds for piece in covered))
                new = self._style.replacement(self._text[region.start : region.end], kinds)
                made = [Edit(region.start, region.end, f'"{quoted(new)}"')]
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


# What `anonymise` makes with a key, in JSON quoted where it stands for a number.
_SEALED = re.compile(r'"?\[[A-Za-z0-9_.-]{1,64}:(?:enc:)?[A-Za-z0-9_=-]{12,}\]"?')
