"""Detectors over a text that arrives in pieces.

Each detector is asked again as text arrives, over a window that holds what it may still change its
mind about and a little before, never over all that went by. How a detector is asked depends on what
it can tell:

- A `LiveDetector` says itself what is still open.
- One with a `window` sees each place again until so many code points follow it.
- One that needs a whole segment is given sentences (see `segments`), each once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from guardrail.detector import Context, Detector, LiveDetector, Progress
from guardrail.errors import GuardrailError
from guardrail.filter import reason
from guardrail.findings import Failure, Finding, Span
from guardrail.policy import Policy
from guardrail.segments import last_blank, segment_end
from guardrail.text import LONGEST_WORD, CanonicalText, canonicalise

# What is scanned before the first place that is still open: a finding is widened to a whole word.
CONTEXT = LONGEST_WORD + 8
# More than this is not scanned again for a finding that goes on and on, and that may pass.
LONGEST_WINDOW = 1 << 16

Clock = Callable[[], float]


class Track(Protocol):
    """One detector's way through the text. Positions are code points of the whole text."""

    detector: Detector
    judged: int
    """The detector has judged the text up to here."""
    settled: int
    """No finding that is not known yet starts before here."""

    @property
    def start(self) -> int:
        """Text before here is not needed any more."""

    def advance(self, buffer: Buffer, context: Context, *, final: bool) -> Iterable[Finding]:
        """The findings that became final."""


class Buffer:
    """The end of the text that is still needed, from `base` on."""

    def __init__(self) -> None:
        self.raw, self.base = "", 0
        self._canonical: dict[int, CanonicalText] = {}

    @property
    def end(self) -> int:
        return self.base + len(self.raw)

    def add(self, text: str) -> None:
        self.raw += text
        self._canonical.clear()

    def trim(self, start: int) -> None:
        if start > self.base:
            self.raw, self.base = self.raw[start - self.base :], start
            self._canonical.clear()

    def canonical(self, start: int, end: int | None = None) -> CanonicalText:
        """The canonical text of a part; that of the rest from one start is made once."""
        if end is not None:
            return canonicalise(self.raw[start - self.base : end - self.base])
        if start not in self._canonical:
            self._canonical[start] = canonicalise(self.raw[start - self.base :])
        return self._canonical[start]


class _Rolling:
    """A detector that is asked over a window: one that tells what is open, or has a `window`."""

    def __init__(self, detector: Detector, policy: Policy) -> None:
        self.detector = detector
        self.judged = self.settled = 0
        self._policy = policy
        self._live = detector if isinstance(detector, LiveDetector) else None
        self._window = detector.window or 0
        self._context = max(CONTEXT, self._window)
        # Before here all findings are known. Those that reach beyond are in `_recent`, as the next
        # window shows them again.
        self._known = 0
        self._recent: list[Finding] = []
        self._first = 0

    @property
    def start(self) -> int:
        return max(0, self._first - self._context)

    def advance(self, buffer: Buffer, context: Context, *, final: bool) -> Iterable[Finding]:
        base = self.start
        text = buffer.canonical(base)
        progress = self._progress(text, context, final)
        known = {(f.kind, f.span, f.evidence.collection, f.evidence.labels) for f in self._recent}
        before = self._known
        fresh = []
        for finding in progress.findings:
            span = Span(finding.span.start + base, finding.span.end + base)
            evidence = finding.evidence
            # One that lies before is the rest of one that the window cuts.
            if span.end > before and (
                (finding.kind, span, evidence.collection, evidence.labels) not in known
            ):
                fresh.append(replace(finding, span=span))
        acting = [f.span.start for f in progress.open if self._policy.may_act(f)]
        self.settled = max(self.settled, min([progress.settled, *acting]) + base)
        self._known = max(
            self._known, min([progress.settled, *(f.span.start for f in progress.open)]) + base
        )
        self.judged = buffer.end
        self._recent = [f for f in [*self._recent, *fresh] if f.span.end > self._known]
        first = min([self._known, *(f.span.start for f in self._recent)])
        self._first = max(first, buffer.end - LONGEST_WINDOW)
        return fresh

    def _progress(self, text: CanonicalText, context: Context, final: bool) -> Progress:
        length = len(text.raw)
        if final or self._live is None:
            found = self.detector.scan(text, context)
            settled = length if final else max(0, length - self._window)
            return Progress(
                [f for f in found if final or f.span.start < settled],
                [f for f in found if not final and f.span.start >= settled],
                settled,
            )
        return self._live.scan_live(text, context)


class _Segmented:
    """A detector that is asked once for each segment."""

    def __init__(self, detector: Detector, max_wait: float | None, clock: Clock) -> None:
        self.detector = detector
        self.judged = self.settled = 0
        self._max_wait, self._clock = max_wait, clock
        self._since: float | None = None

    @property
    def start(self) -> int:
        return self.judged

    def advance(self, buffer: Buffer, context: Context, *, final: bool) -> Iterable[Finding]:
        found: list[Finding] = []
        while self.judged < buffer.end:
            start = self.judged - buffer.base
            end = segment_end(buffer.raw, start, final=final)
            if end == start and self._is_late():
                end = last_blank(buffer.raw, start, len(buffer.raw))
            if end == start:
                if self._since is None:
                    self._since = self._clock()
                break
            base = self.judged
            for finding in self.detector.scan(buffer.canonical(base, end + buffer.base), context):
                span = Span(finding.span.start + base, finding.span.end + base)
                found.append(replace(finding, span=span))
            self.judged = self.settled = end + buffer.base
            self._since = None
        return found

    def _is_late(self) -> bool:
        if self._max_wait is None or self._since is None:
            return False
        return self._clock() - self._since > self._max_wait


class Scanner:
    """Feeds a text to detectors and collects what they find, in the order of the text."""

    def __init__(
        self,
        detectors: Sequence[Detector],
        policy: Policy,
        context: Context,
        *,
        max_wait: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._policy, self._context, self._clock = policy, context, clock
        self._buffer = Buffer()
        self._tracks: list[Track] = [
            _Segmented(detector, max_wait, clock)
            if is_segmented(detector)
            else _Rolling(detector, policy)
            for detector in detectors
        ]
        self._ready: list[Finding] = []
        self.failures: list[Failure] = []
        self.coverage = {detector.name: 1.0 for detector in detectors}

    @property
    def end(self) -> int:
        """The length of the text so far."""
        return self._buffer.end

    @property
    def settled(self) -> int:
        """No finding that changes the text and was not taken yet starts before here, and no
        detector that must not fail has yet to see what is before."""
        policy = self._policy
        places = [self._buffer.end]
        for track in self._tracks:
            name = track.detector.name
            if policy.may_act_on(name):
                places.append(track.settled)
            elif policy.refuses_failure(name):
                places.append(track.judged)
        return min(places)

    def feed(self, text: str, *, final: bool = False) -> None:
        """More of the text. `final`: it ends here."""
        self._buffer.add(text)
        for track in list(self._tracks):
            deadline = self._context.deadline
            try:
                if deadline is not None and self._clock() > deadline:
                    raise _Late("the deadline had passed")
                self._ready += track.advance(self._buffer, self._context, final=final)
            except Exception as error:
                name, covered = track.detector.name, track.judged / max(1, self._buffer.end)
                self.coverage[name] = covered
                self.failures.append(Failure(name, reason(error), covered))
                self._tracks.remove(track)
        self._buffer.trim(min((track.start for track in self._tracks), default=self.end))

    def take(self) -> list[Finding]:
        """The findings before `settled` that were not taken yet, in the order of the text."""
        settled = self.settled
        taken = [finding for finding in self._ready if finding.span.start < settled]
        self._ready = [finding for finding in self._ready if finding.span.start >= settled]
        taken.sort(key=lambda finding: (finding.span.start, -finding.span.end))
        return taken


class _Late(GuardrailError):
    """The deadline of the context has passed."""


def is_segmented(detector: Detector) -> bool:
    """Whether a detector judges segments, so that a stream waits for the ends of sentences."""
    return detector.window is None and not isinstance(detector, LiveDetector)
