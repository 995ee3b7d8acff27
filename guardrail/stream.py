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
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import replace

from guardrail.detector import EMPTY_CONTEXT, Context
from guardrail.errors import UsageError
from guardrail.filter import Filter
from guardrail.findings import Action, Verdict
from guardrail.paced import Clock
from guardrail.release import AtEnd, Gradual, Release
from guardrail.scanner import Scanner
from guardrail.segments import Pace, cut_by
from guardrail.structure import Structure
from guardrail.text import join_surrogates


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
        self._refusal = filter_.policy.refusal if announce else ""
        self._release: Release
        if pace == "response":
            self._release = AtEnd(filter_, lambda text: filter_.check(text, context))
        else:
            scanner = Scanner(
                filter_.detectors,
                filter_.policy,
                context,
                cut=cut_by(pace),
                views=filter_.scan_views,
                hold=pace != "token",
                max_wait=self.max_wait,
                clock=clock,
            )
            self._release = Gradual(filter_, context, scanner)
        self._shape = _Shape()
        self._half = ""
        self._closed = False
        self.refused = False
        """Whether the stream has ended with a refusal; what is fed from then on is dropped."""

    @property
    def fed(self) -> int:
        """How many code points were fed so far."""
        return self._release.fed

    @property
    def held(self) -> int:
        """How many code points of what was fed were not let go yet."""
        return self._release.held

    @property
    def verdict(self) -> Verdict:
        """The verdict so far; of the whole text after `flush`. Its text is empty: what was let go
        is not kept."""
        verdict = self._release.verdict
        return replace(verdict, action=Action.REFUSE) if self.refused else verdict

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
        out, self.refused = self._release.feed(text, final=final)
        if self.refused:
            return self._shape.end(out, self._refusal)
        self._shape.feed(out)
        return out


async def _next(iterator: AsyncIterator[str]) -> str | None:
    return await anext(iterator, None)


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
