"""Detectors over a text that arrives in pieces.

Each detector is asked again as text arrives, over a window that holds what it may still change its
mind about and a little before, never over all that went by. How a detector is asked depends on what
it can tell:

- A `LiveDetector` says itself what is still open.
- One with a `window` sees each place again until so many code points follow it.
- One that needs a whole segment is given sentences (see `segments`), each once.

What shows in whole segments only (disguises, and what a `WholeDetector` tells last) is looked for
at the ends of sentences, in the sentence and what comes shortly before it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from guardrail.detector import (
    Context,
    CostlyDetector,
    Detector,
    FollowingDetector,
    LiveDetector,
    Progress,
    Unfinished,
)
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

# What a sentence is searched with, in code points before it: what is edited or disguised often goes
# on over several.
LOOKBACK = 2000

Clock = Callable[[], float]
Judge = Callable[[str, Context], tuple[Sequence[Finding], Sequence[Failure]]]
Follower = Callable[[CanonicalText], Sequence[Finding]]


class Track(Protocol):
    """A detector's way through the text. Positions are code points of the whole text."""

    names: tuple[str, ...]
    """The detectors."""
    failures: list[Failure]
    judged: int
    """The text is judged up to here."""
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

    def canonical(self, start: int) -> CanonicalText:
        """The canonical text from a start on; made once for each."""
        if start not in self._canonical:
            self._canonical[start] = canonicalise(self.raw[start - self.base :])
        return self._canonical[start]


class _Rolling:
    """A detector that is asked over a window: one that tells what is open, or has a `window`."""

    def __init__(self, detector: Detector, policy: Policy) -> None:
        self._detector = detector
        self.names: tuple[str, ...] = (detector.name,)
        self.failures: list[Failure] = []
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
            found: Sequence[Finding]
            try:
                found = self._detector.scan(text, context)
            except Unfinished as error:
                found = error.findings
                self.failures.append(Failure(self._detector.name, str(error), error.covered))
            settled = length if final else max(0, length - self._window)
            return Progress(
                [f for f in found if final or f.span.start < settled],
                [f for f in found if not final and f.span.start >= settled],
                settled,
            )
        return self._live.scan_live(text, context)


class _Segmented:
    """What is judged once for each segment. `lookback`: how much of the segments before it each is
    judged with, at most; what was found in those alone is known."""

    def __init__(
        self,
        names: Iterable[str],
        judge: Judge,
        lookback: int,
        max_wait: float | None,
        clock: Clock,
    ) -> None:
        self.names = tuple(names)
        self.failures: list[Failure] = []
        self.judged = self.settled = 0
        self._judge, self._lookback = judge, lookback
        self._starts = deque([0])
        self._max_wait, self._clock = max_wait, clock
        self._since: float | None = None

    @property
    def start(self) -> int:
        return self._starts[0]

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
            base = self.start
            findings, failures = self._judge(buffer.raw[base - buffer.base : end], context)
            for finding in findings:
                if finding.span.end + base > self.judged:
                    # What comes before may be out, as far as it was cut into pieces so.
                    first = max(finding.span.start + base, self.judged)
                    span = Span(first, finding.span.end + base)
                    found.append(replace(finding, span=span))
            self.failures += failures
            self.judged = self.settled = end + buffer.base
            self._starts.append(self.judged)
            while self._starts[0] < self.judged - self._lookback:
                self._starts.popleft()
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
        segments: Judge | None = None,
        hold_segments: bool = True,
        max_wait: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """`segments` judges whole segments besides the detectors; text waits for it if
        `hold_segments`."""
        self._policy, self._clock = policy, clock
        # Those of a whole response are not in step with its parts.
        self._context = replace(context, logprobs=None)
        self._buffer = Buffer()
        self._tracks: list[Track] = [
            _Segmented((detector.name,), _judge(detector), 0, max_wait, clock)
            if is_segmented(detector)
            else _Rolling(detector, policy)
            for detector in detectors
        ]
        self._unheld: Track | None = None
        if segments is not None:
            names = [d.name for d in detectors if not isinstance(d, CostlyDetector)]
            track = _Segmented(names, segments, LOOKBACK, max_wait, clock)
            self._unheld = None if hold_segments else track
            self._tracks.append(track)
        self._ready: list[Finding] = []
        self.beside: list[Finding] = []
        """What the findings that were taken last may overlap, as far as the policy asks for it."""
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
        settled = self._known
        if self._policy.compared:
            # What overlaps a finding is known once all is known up to its end.
            waiting = (f.span.start for f in self._ready if f.span.end > settled)
            settled = min(settled, min(waiting, default=settled))
        return settled

    @property
    def _known(self) -> int:
        """All findings that start before here, and that change the text, are here."""
        policy = self._policy
        places = [self._buffer.end]
        for track in self._tracks:
            if track is self._unheld:
                continue
            if any(map(policy.may_act_on, track.names)):
                places.append(track.settled)
            elif any(map(policy.refuses_failure, track.names)):
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
                found = list(track.advance(self._buffer, self._context, final=final))
                self._ready += found
                if self._policy.compared:
                    self.beside += found
            except Exception as error:
                covered = track.judged / max(1, self._buffer.end)
                track.failures += [Failure(name, reason(error), covered) for name in track.names]
                self._tracks.remove(track)
            for failure in track.failures:
                self.coverage[failure.detector] = failure.covered
                if failure not in self.failures:
                    self.failures.append(failure)
            track.failures.clear()
        self._buffer.trim(min((track.start for track in self._tracks), default=self.end))

    def take(self) -> list[Finding]:
        """The findings before `settled` that were not taken yet, in the order of the text."""
        settled = self.settled
        taken = [finding for finding in self._ready if finding.span.start < settled]
        self._ready = [finding for finding in self._ready if finding.span.start >= settled]
        taken.sort(key=lambda finding: (finding.span.start, -finding.span.end))
        first = taken[0].span.start if taken else settled
        self.beside = [finding for finding in self.beside if finding.span.end > first]
        return taken


def _judge(detector: Detector) -> Judge:
    """A detector as what judges the segments of one stream."""
    follower: Follower | None = None

    def judge(raw: str, context: Context) -> tuple[Sequence[Finding], Sequence[Failure]]:
        nonlocal follower
        text = canonicalise(raw)
        try:
            if isinstance(detector, FollowingDetector):
                if follower is None:
                    follower = detector.follow(context)
                return follower(text), ()
            return detector.scan(text, context), ()
        except Unfinished as error:
            return error.findings, (Failure(detector.name, str(error), error.covered),)

    return judge


class _Late(GuardrailError):
    """The deadline of the context has passed."""


def is_segmented(detector: Detector) -> bool:
    """Whether a detector judges segments, so that a stream waits for the ends of sentences."""
    return detector.window is None and not isinstance(detector, LiveDetector)
