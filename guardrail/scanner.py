"""Detectors over a text that arrives in pieces: what they find, in the order of the text."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from guardrail.detector import Context, Detector, is_costly, is_segmented, is_whole
from guardrail.errors import GuardrailError
from guardrail.filter import reason
from guardrail.findings import Failure, Finding
from guardrail.paced import AHEAD, Clock, Judge, Paced, judge_of
from guardrail.policy import Policy
from guardrail.rolling import Rolling
from guardrail.segments import Cut
from guardrail.tracks import Buffer, Track


class Scanner:
    """Feeds a text to detectors and collects what they find, in the order of the text."""

    def __init__(
        self,
        detectors: Sequence[Detector],
        policy: Policy,
        context: Context,
        *,
        cut: Cut | None = None,
        views: Judge | None = None,
        hold: bool = True,
        max_wait: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """`cut` tells where segments end; without it, nothing is judged but what a `LiveDetector`
        and one with a `window` find. `views` judges a text's disguises. `hold`: whether text waits
        for what is found in it besides what a `LiveDetector` tells at any time."""
        self._policy, self._clock = policy, clock
        # Those of a whole response are not in step with its parts.
        self._context = replace(context, logprobs=None)
        self._buffer = Buffer()
        self._tracks: list[Track] = []
        unheld: list[Track] = []
        for detector in detectors:
            segmented = is_segmented(detector)
            if not segmented:
                self._tracks.append(Rolling(detector, policy))
            if cut is not None and (judge := judge_of(detector)) is not None:
                ahead = AHEAD if is_whole(detector) else 0
                track = Paced((detector.name,), judge, ahead, policy, cut, max_wait, clock)
                self._tracks.append(track)
                unheld += [] if hold or segmented else [track]
        if cut is not None and views is not None:
            names = [d.name for d in detectors if not is_costly(d)]
            track = Paced(names, views, AHEAD, policy, cut, max_wait, clock, whole=True)
            self._tracks.append(track)
            unheld += [] if hold else [track]
        # Those that text waits for: whether for what they find, or so that they see it at all.
        self._waited: dict[Track, bool] = {}
        for one in self._tracks:
            acts = any(map(policy.may_act_on, one.names))
            if one not in unheld and (acts or any(map(policy.refuses_failure, one.names))):
                self._waited[one] = acts
        self._ready: list[Finding] = []
        self.beside: list[Finding] = []
        """What the findings that were taken last may overlap, as far as the policy asks for it."""
        self.failures: list[Failure] = []
        self.stop = sys.maxsize
        """Where the text must end, as something could not be judged that must be."""
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
        places = [self._buffer.end]
        for track in self._tracks:
            if track in self._waited:
                places.append(track.settled if self._waited[track] else track.judged)
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
                at = min(track.settled, track.judged)
                covered = at / max(1, self._buffer.end)
                track.failures += [(at, Failure(n, reason(error), covered)) for n in track.names]
                self._tracks.remove(track)
            for at, failure in track.failures:
                self.coverage[failure.detector] = failure.covered
                if self._policy.refuses_failure(failure.detector):
                    self.stop = min(self.stop, at)
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


class _Late(GuardrailError):
    """The deadline of the context has passed."""
