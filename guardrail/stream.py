"""The filter for text that arrives in pieces: what may still become part of a finding waits.

    stream = guardrail.open_stream()
    for chunk in chunks:
        send(stream.feed(chunk))
    send(stream.flush())

What is let go is the same for every way to cut the text, and is the redacted text that a check of
the whole gives; docs/streaming.md says how far that goes. Where the policy refuses, the stream ends
before the span that it refuses, with the policy's refusal: JSON and code fences that are open are
closed, and nothing tells what was found.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from guardrail.detector import EMPTY_CONTEXT, Context, is_segmented
from guardrail.errors import UsageError
from guardrail.filter import Filter
from guardrail.findings import Action, Finding, Verdict
from guardrail.redact import Part, Redactor, Seam, seams
from guardrail.scanner import Scanner
from guardrail.segments import Pace, cut_by
from guardrail.structure import Structure
from guardrail.text import join_surrogates
from guardrail.tracks import Clock

# More than this, in code points, is not held back: the stream is refused.
MAX_HELD = 1 << 16
# What came out before a redaction and is looked at again with what comes after it.
SEAM_TAIL = 2048


class StreamFilter:
    """Filters one stream. Not thread-safe: a stream has one reader."""

    def __init__(
        self,
        filter_: Filter,
        context: Context = EMPTY_CONTEXT,
        *,
        pace: Pace | None = None,
        max_wait: float | None = None,
        announce: bool = True,
        clock: Clock = time.monotonic,
    ) -> None:
        """`pace` and `max_wait`: see `StreamSettings`; None: the policy's. `announce`: whether a
        refused stream ends with the policy's refusal; if not, it just ends."""
        settings = filter_.policy.stream
        pace = pace or settings.pace
        self.max_wait = settings.max_wait if max_wait is None else max_wait
        self._policy, self._announce = filter_.policy, announce
        self._scanner = Scanner(
            filter_.detectors,
            filter_.policy,
            context,
            cut=cut_by(pace),
            views=filter_.scan_views,
            hold=pace != "token",
            max_wait=self.max_wait,
            clock=clock,
        )
        self._redactor = Redactor(filter_.redaction(context))
        self._seams = _Seams(filter_, context)
        self._shape = _Shape()
        self._half = ""
        self._closed = False
        self._action = Action.ALLOW
        self._findings: list[Finding] = []
        self._failures = 0

    @property
    def refused(self) -> bool:
        """Whether the stream has ended with a refusal; what is fed from then on is dropped."""
        return self._action is Action.REFUSE

    @property
    def fed(self) -> int:
        """How many code points were fed so far."""
        return self._scanner.end

    @property
    def held(self) -> int:
        """How many code points of what was fed were not let go yet."""
        return self._scanner.end - self._redactor.done + self._seams.held

    @property
    def verdict(self) -> Verdict:
        """The verdict so far; of the whole text after `flush`. Its text is empty: what was let go
        is not kept."""
        scanner = self._scanner
        findings, failures = tuple(self._findings), tuple(scanner.failures)
        return Verdict(self._action, "", findings, failures, dict(scanner.coverage))

    def feed(self, chunk: str) -> str:
        """What may be let go now that `chunk` arrived. Raises UsageError after `flush`."""
        if not isinstance(chunk, str):
            raise UsageError(f"a chunk of a stream is a string, not {type(chunk).__name__}")
        if self._closed:
            raise UsageError("the stream was flushed; open a new one for the next response")
        if self.refused:
            return ""
        chunk = self._half + chunk
        self._half = chunk[-1] if "\ud800" <= chunk[-1:] <= "\udbff" else ""
        return self._advance(join_surrogates(chunk[:-1] if self._half else chunk), final=False)

    def flush(self) -> str:
        """What is left to let go at the end of the text."""
        if self._closed or self.refused:
            self._closed = True
            return ""
        self._closed = True
        return self._advance(self._half, final=True)

    def over(self, chunks: Iterable[str]) -> Iterator[str]:
        """The filtered chunks of an iterable, without empty ones. It is read no further than to a
        refusal, and closed then if it has a `close`."""
        try:
            for chunk in chunks:
                if out := self.feed(chunk):
                    yield out
                if self.refused:
                    return
            if out := self.flush():
                yield out
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    async def over_async(self, chunks: AsyncIterable[str]) -> AsyncIterator[str]:
        """`over` for an asynchronous iterable. Detectors run in a thread."""
        iterator = aiter(chunks)
        task: asyncio.Future[str | None] = asyncio.ensure_future(_next(iterator))
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self.max_wait)
                chunk = task.result() if done else ""
                if chunk is None:
                    break
                if done:
                    task = asyncio.ensure_future(_next(iterator))
                if out := await self._aside(chunk):
                    yield out
                if self.refused:
                    return
            if out := await self._aside(None):
                yield out
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    async def _aside(self, chunk: str | None) -> str:
        if chunk is None:
            return await asyncio.to_thread(self.flush)
        return await asyncio.to_thread(self.feed, chunk)

    def _advance(self, text: str, *, final: bool) -> str:
        scanner, redactor = self._scanner, self._redactor
        scanner.feed(text, final=final)
        failures = scanner.failures[self._failures :]
        self._failures += len(failures)
        decision = self._policy.decide(scanner.take(), failures, scanner.beside)
        self._findings += decision.findings
        self._action = max(self._action, min(decision.action, Action.REDACT))
        cut = min(map(_refused_from, decision.findings), default=sys.maxsize)
        if final or scanner.stop <= scanner.settled:
            cut = min(cut, scanner.stop)
        refused = cut <= scanner.end
        parts = redactor.feed(
            text,
            decision.redactions,
            decision.kinds,
            min(cut, scanner.settled, scanner.stop),
            final=final and not refused,
        )
        if not refused and not final and scanner.end - redactor.done > MAX_HELD:
            refused, cut = True, redactor.done
        if refused:
            parts += redactor.cut(cut)
        out, leaks = self._seams.feed(parts, final=final or refused)
        if refused or leaks:
            return self._refuse(out)
        self._shape.feed(out)
        return out

    def _refuse(self, out: str) -> str:
        self._action = Action.REFUSE
        return self._shape.end(out, self._policy.refusal if self._announce else "")


async def _next(iterator: AsyncIterator[str]) -> str | None:
    return await anext(iterator, None)


def _refused_from(finding: Finding) -> int:
    """Where the text must end for a finding: where a refused one starts, or one that is too long
    to be held back."""
    too_long = finding.action is Action.REDACT and len(finding.span) > MAX_HELD
    return finding.span.start if too_long or finding.action is Action.REFUSE else sys.maxsize


class _Seams:
    """Checks redacted text around what was replaced: what stood on the two sides of it may be one
    protected passage once they meet. Detectors that judge whole segments are left out: to those, a
    label is a word like others."""

    def __init__(self, filter_: Filter, context: Context) -> None:
        self._policy, self._context = filter_.policy, context
        self._detectors = [d for d in filter_.detectors if not is_segmented(d)]
        self._tail = self._waiting = ""
        self._scanner: Scanner | None = None
        # In the scanner's positions: the replacements, and how much was let go.
        self._seams: list[Seam] = []
        self._gone = 0

    @property
    def held(self) -> int:
        return len(self._waiting)

    def feed(self, parts: list[Part], *, final: bool) -> tuple[str, bool]:
        """What may be let go of redacted text, and whether what would come next must not."""
        out = ""
        for part in parts:
            if part.new and self._scanner is None and self._detectors:
                self._tail = (self._tail + out)[-SEAM_TAIL:]
                self._scanner = Scanner(self._detectors, self._policy, self._context)
                self._scanner.feed(self._tail)
                self._gone, self._seams = len(self._tail), []
            if self._scanner is None:
                out += part.text
                continue
            if part.new:
                self._seams += seams([part], self._scanner.end)
            self._scanner.feed(part.text)
            self._waiting += part.text
        refused = False
        if self._scanner is not None:
            more, refused = self._settle(self._scanner, final)
            out += more
        self._tail = (self._tail + out)[-SEAM_TAIL:]
        return out, refused

    def _settle(self, scanner: Scanner, final: bool) -> tuple[str, bool]:
        if final:
            scanner.feed("", final=True)
        found = [f for f in scanner.take() if any(seam.concerns(f.span) for seam in self._seams)]
        decision = self._policy.decide(found, scanner.failures)
        refused = bool(decision.redactions) or decision.action is Action.REFUSE
        stop = scanner.end
        if refused:
            stop = min((span.start for span in decision.redactions), default=self._gone)
        elif not final and scanner.settled <= self._seams[-1].span.end:
            stop = scanner.settled
        count = max(0, stop - self._gone)
        out, self._waiting = self._waiting[:count], self._waiting[count:]
        self._gone += count
        if not self._waiting or refused:
            self._scanner = None
        return out, refused


class _Shape:
    """Follows what was let go, so that JSON and fences can be closed at any place."""

    def __init__(self) -> None:
        self._structure = Structure()
        self._text = ""
        self._empty, self._blank = True, True

    def feed(self, text: str) -> None:
        structure = self._structure
        self._text += text
        structure.scan(self._text, final=False)
        if text.strip():
            self._empty = False
        if text:
            self._blank = text[-1].isspace()
        if structure.kept:
            count = structure.kept
            self._text = self._text[count:]
            structure.drop(count)

    def end(self, text: str, refusal: str) -> str:
        """The last text of a stream that is refused."""
        start = len(self._text)
        self._text += text
        structure = self._structure
        structure.scan(self._text, final=False)
        out = self._text[start : max(start, structure.limit)]
        if out.strip():
            self._empty = False
        if self._empty:
            return out + refusal
        blank = out[-1:].isspace() if out else self._blank
        closing = structure.closing()
        if structure.is_json or not refusal:
            return out + closing
        return out + closing + ("" if blank or closing else " ") + refusal
