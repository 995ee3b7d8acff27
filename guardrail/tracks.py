"""Ways of detectors through a text that arrives in pieces.

Each detector is asked again as text arrives, over a window that holds what it may still change its
mind about and a little before, never over all that went by. How a detector is asked depends on what
it can tell:

- A `LiveDetector` says at any time what is still open.
- One with a `window` sees each place again until so many code points follow it.
- A `WholeDetector` says at the ends of segments what is still open.
- Any other is given segments, each once.

Disguises are looked for at the ends of segments as well. What is open then waits, together with
what comes, until it is known; or until `LONGEST_OPEN` or the time that it may take, when the
detector has failed: the policy decides what that means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from guardrail.detector import (
    Context,
    Detector,
    Progress,
    Unfinished,
    is_following,
    is_live,
    is_segmented,
    is_whole,
)
from guardrail.findings import Failure, Finding, Span
from guardrail.policy import Policy
from guardrail.segments import Cut, last_blank
from guardrail.text import LONGEST_WORD, CanonicalText, canonicalise

# What is scanned before the first place that is still open: a finding is widened to a whole word.
CONTEXT = LONGEST_WORD + 8
# More than this is not scanned again for a finding that goes on and on, and that may pass.
LONGEST_WINDOW = 1 << 16

# What a segment is searched with, in code points before what is not settled: what is edited or
# disguised often goes on over several.
LOOKBACK = 2000
# What a `WholeDetector` sees behind the end of a segment, in code points: what begins at its end
# shows there. Text waits about as long for verbatim runs anyway.
AHEAD = 40
# More than this is not kept open, in code points.
LONGEST_OPEN = 1 << 14
# And this is not, when the time is over that it may take: what is shorter goes on to wait.
LONGEST_LATE = 200
# While something is open, all of it is looked at again when it has grown by a share of so much.
GROWTH = 8
# And when it has grown by so much, in code points, in any case: short lines are judged together.
STEP = 100

Clock = Callable[[], float]
Judge = Callable[[CanonicalText, Context, int], tuple[Progress, Sequence[Failure]]]
Follower = Callable[[CanonicalText], Sequence[Finding]]


class Track(Protocol):
    """A detector's way through the text. Positions are code points of the whole text."""

    names: tuple[str, ...]
    """The detectors."""
    failures: list[tuple[int, Failure]]
    """What could not be judged, and from where on."""
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
        self._canonical: dict[tuple[int, int], CanonicalText] = {}
        self._ends: dict[int, int] = {}

    @property
    def end(self) -> int:
        return self.base + len(self.raw)

    def add(self, text: str) -> None:
        self.raw += text
        self._canonical.clear()
        self._ends.clear()

    def trim(self, start: int) -> None:
        if start > self.base:
            self.raw, self.base = self.raw[start - self.base :], start
            self._canonical.clear()

    def end_of(self, start: int, cut: Cut, *, final: bool) -> int:
        """Where the segment ends that begins at a place, as `cut` tells; found once."""
        if start not in self._ends:
            self._ends[start] = cut(self.raw, start - self.base, final=final) + self.base
        return self._ends[start]

    def canonical(self, start: int, end: int) -> CanonicalText:
        """The canonical text of a range; made once for each."""
        if (start, end) not in self._canonical:
            raw = self.raw[start - self.base : end - self.base]
            self._canonical[start, end] = canonicalise(raw)
        return self._canonical[start, end]


class Rolling:
    """A detector that is asked over a window: one that tells what is open, or has a `window`."""

    def __init__(self, detector: Detector, policy: Policy) -> None:
        self._detector = detector
        self.names: tuple[str, ...] = (detector.name,)
        self.failures: list[tuple[int, Failure]] = []
        self.judged = self.settled = 0
        self._policy = policy
        self._live = detector if is_live(detector) else None
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
        text = buffer.canonical(base, buffer.end)
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
                failure = Failure(self._detector.name, str(error), error.covered)
                self.failures.append((self.settled, failure))
            settled = length if final else max(0, length - self._window)
            return Progress(
                [f for f in found if final or f.span.start < settled],
                [f for f in found if not final and f.span.start >= settled],
                settled,
            )
        return self._live.scan_live(text, context)


class Paced:
    """What is asked at the ends of segments, over the text up to there."""

    def __init__(
        self,
        names: Iterable[str],
        judge: Judge,
        ahead: int,
        policy: Policy,
        cut: Cut,
        max_wait: float | None,
        clock: Clock,
        *,
        whole: bool = False,
    ) -> None:
        """`ahead`: how much is seen of what follows a segment; with `whole`, no line and no
        word in part, as it would look like another."""
        self.names = tuple(names)
        self.failures: list[tuple[int, Failure]] = []
        self.judged = self.settled = 0
        self._judge, self._ahead, self._whole = judge, ahead, whole
        self._policy, self._cut = policy, cut
        self._base = 0
        self._is_over = False
        self._edges = deque([0])  # of segments: where what is looked at may begin
        self._again = 0
        self._recent: list[Finding] = []
        self._max_wait, self._clock = max_wait, clock
        self._since: float | None = None

    @property
    def start(self) -> int:
        return self._base

    def advance(self, buffer: Buffer, context: Context, *, final: bool) -> Iterable[Finding]:
        found: list[Finding] = []
        while not self._is_over:
            edge = self._edges[-1]
            start = edge - buffer.base
            end = buffer.end_of(edge, self._cut, final=final)
            until = self._until(buffer, end)
            late = not final and self._is_late()
            if late:
                until = end = last_blank(buffer.raw, start, len(buffer.raw)) + buffer.base
            if not final and (end == edge or until > buffer.end):
                break
            self._is_over = final and end == buffer.end
            self._edges.append(end)
            if self._is_over or late or end >= self._again:
                found += self._ask(buffer, end, min(until, buffer.end), context, late=late)
        if self.settled == buffer.end:
            self._since = None
        elif self._since is None:
            self._since = self._clock()
        return found

    def _until(self, buffer: Buffer, end: int) -> int:
        """Where the text ends that is looked at for a segment with an end."""
        until = end + self._ahead
        if not self._whole:
            return until
        at = end - buffer.base
        if buffer.raw[at - 1 : at] == "\n":
            return end
        line = buffer.raw.find("\n", at, at + self._ahead)
        if line >= 0:
            return line + 1 + buffer.base
        if until > buffer.end:
            return until
        return last_blank(buffer.raw, at, at + self._ahead) + buffer.base

    def _ask(
        self, buffer: Buffer, end: int, until: int, context: Context, *, late: bool
    ) -> Iterable[Finding]:
        """What is found in the text up to `until`, and starts before `end`. What is `late` waits
        for nothing but what is open."""
        base, before = self._base, self.settled
        if before == until:
            return ()
        progress, failures = self._judge(buffer.canonical(base, until), context, before - base)
        self.failures += [(before, failure) for failure in failures]
        self.judged, settled = end, end
        if not self._is_over:
            acting = [f.span.start for f in progress.open if self._policy.may_act(f)]
            settled = base + min([end - base if late else progress.settled, *acting])
        self.settled = max(before, min(settled, end))
        known = {(f.detector, f.kind, f.span, f.evidence) for f in self._recent}
        found = []
        for finding in progress.findings:
            span = Span(finding.span.start + base, finding.span.end + base)
            whole = replace(finding, span=span)
            if span.start >= self.settled or span.end <= before:
                continue
            if (finding.detector, finding.kind, span, finding.evidence) not in known:
                self._recent.append(whole)
                # What comes before may be out.
                found.append(replace(whole, span=Span(max(span.start, before), span.end)))
        self._recent = [f for f in self._recent if f.span.end > self.settled]
        if self.settled > before:
            self._since = None
        waiting = end - self.settled
        # What is given segments, each once, looks at nothing again.
        self._again = end if progress.needed == end - base else end + max(STEP, waiting // GROWTH)
        if waiting > (LONGEST_LATE if late else LONGEST_OPEN):
            self._give_up(end)
        self._forget(None if progress.needed is None else base + progress.needed)
        return found

    def _give_up(self, end: int) -> None:
        """What is open may be let go, unless the policy has it that this must not fail."""
        covered = self.settled / max(1, end)
        reason = "something that may be a finding did not end in time"
        self.failures += [(self.settled, Failure(name, reason, covered)) for name in self.names]
        self.settled = self.judged

    def _forget(self, needed: int | None) -> None:
        edges = self._edges
        least = self.settled - LOOKBACK if needed is None else min(needed, self.settled)
        while len(edges) > 1 and edges[1] <= least:
            edges.popleft()
        self._base = max(self._base, edges[0] if needed is None else least)

    def _is_late(self) -> bool:
        if self._max_wait is None or self._since is None:
            return False
        return self._clock() - self._since > self._max_wait


def judge_of(detector: Detector) -> Judge | None:
    """What a detector says of the segments of one stream, if anything."""
    if not is_whole(detector) and not is_segmented(detector):
        return None
    follower: Follower | None = None

    def judge(
        text: CanonicalText, context: Context, since: int
    ) -> tuple[Progress, Sequence[Failure]]:
        nonlocal follower
        end = len(text.raw)
        try:
            if is_whole(detector):
                return detector.scan_whole(text, context), ()
            if is_following(detector):
                if follower is None:
                    follower = detector.follow(context)
                return Progress(follower(text), (), end, end), ()
            return Progress(detector.scan(text, context), (), end, end), ()
        except Unfinished as error:
            failure = Failure(detector.name, str(error), error.covered)
            needed = None if is_whole(detector) else end
            return Progress(error.findings, (), end, needed), (failure,)

    return judge
