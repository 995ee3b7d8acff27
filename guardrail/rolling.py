"""A detector that is asked over a window that goes along with the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from guardrail.detector import (
    Context,
    Detector,
    Progress,
    Unfinished,
    is_live,
)
from guardrail.findings import Failure, Finding, Span
from guardrail.policy import Policy
from guardrail.text import LONGEST_WORD, CanonicalText
from guardrail.tracks import Buffer

# What is scanned before the first place that is still open: a finding is widened to a whole word.
CONTEXT = LONGEST_WORD + 8
# More than this is not scanned again for a finding that goes on and on, and that may pass.
LONGEST_WINDOW = 1 << 16


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
