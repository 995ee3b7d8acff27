"""What is asked at the ends of segments: detectors that judge whole ones, and the search for
disguises."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from guardrail.detector import (
    Context,
    Detector,
    Progress,
    Unfinished,
    is_following,
    is_segmented,
    is_whole,
)
from guardrail.findings import Failure, Finding, Span
from guardrail.policy import Policy
from guardrail.segments import Cut, last_blank
from guardrail.text import CanonicalText
from guardrail.tracks import Buffer

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
            late = not final and self._is_late()
            if late:
                end = last_blank(buffer.raw, start, len(buffer.raw)) + buffer.base
            self._is_over = final and end == buffer.end
            is_asked = self._is_over or late or end >= self._again
            until = self._until(buffer, end) if is_asked and not late else end
            if not final and (end == edge or until > buffer.end):
                break
            self._edges.append(end)
            if is_asked:
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
