"""The filter: detectors over one canonical text and over what it disguises, the policy over what
they found, and redaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic, perf_counter

from guardrail.detector import (
    EMPTY_CONTEXT,
    Context,
    Detector,
    Progress,
    Unfinished,
    is_costly,
    is_live,
    is_pieces,
    is_whole,
)
from guardrail.errors import GuardrailError, UsageError
from guardrail.findings import Action, Failure, Finding, Span, Verdict
from guardrail.policy import Policy
from guardrail.redact import Seam, redact_parts, seams
from guardrail.redaction import Redaction
from guardrail.text import CanonicalText, canonicalise, join_surrogates
from guardrail.views.unfinished import open_views, together, unfinished
from guardrail.views.unmask import Unmasked, unmask, unmasked_findings
from guardrail.views.view import View, through

LiveScan = Callable[[CanonicalText, Context], Progress]
Scan = Callable[[CanonicalText, Context], Sequence[Finding]]

# Pieces of a view are at most so far apart, in code points, to a stream: what goes on later is
# another one. And what nothing tells of in a view waits for so many at most.
VIEW_REACH, VIEW_WAIT = 256, 6000
# What is looked at of a view before what is not known, in code points of the text: words that stand
# around a value.
VIEW_CONTEXT = 256


class Filter:
    """Checks texts. Thread-safe as far as its detectors are, which is their contract."""

    def __init__(
        self,
        policy: Policy,
        detectors: Sequence[Detector],
        redaction: Callable[[Context], Redaction] | None = None,
    ) -> None:
        """`redaction` says how a response is redacted, where that depends on more than the policy.
        Raises UsageError where there is no detector or two have one name."""
        names = [detector.name for detector in detectors]
        if not names:
            raise UsageError(
                "there is nothing to check against: name an index, or give a policy with detectors"
            )
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two detectors are called {name!r}; give each its own name")
        self.policy = policy
        self.detectors = tuple(detectors)
        self._coverage = dict.fromkeys(names, 1.0)
        self._costly = tuple(d for d in detectors if is_costly(d))
        self._others = tuple(d for d in detectors if not is_costly(d))
        self._in_views = tuple(
            (d.name, d.scan, d.scan_pieces if is_pieces(d) else None) for d in self._others
        )
        self._scans = tuple((detector.name, detector.scan) for detector in self._others)
        # What tells what is open in a view; and in one in which pieces were put together.
        self._live_scans: list[LiveScan] = []
        self._live_in_pieces: list[LiveScan] = []
        for detector in self._others:
            scans: list[LiveScan] = [detector.scan_live] if is_live(detector) else []
            if is_whole(detector):
                scans.append(detector.scan_whole)
            self._live_scans += scans
            self._live_in_pieces += [detector.open_pieces] if is_pieces(detector) else scans
        self.redaction = redaction or (lambda _: policy.redactor)

    def check(self, response: str, context: Context = EMPTY_CONTEXT) -> Verdict:
        """The verdict on one response. Raises UsageError where it is not a string.

        A pair of surrogates counts as the one code point that it stands for, in the verdict too.
        What goes wrong inside a detector is a `Failure` in the verdict; the policy decides on it.
        """
        if not isinstance(response, str):
            raise UsageError(f"a response is a string, not {type(response).__name__}")
        began = perf_counter()
        timings: dict[str, float] = {}
        coverage = self._coverage.copy()
        response = join_surrogates(response)
        findings, failures = self._scan(response, context, timings, coverage)
        decision = self.policy.decide(findings, failures)
        action, text = decision.action, response
        if action is Action.REDACT:
            parts = redact_parts(
                response, decision.redactions, self.redaction(context), decision.kinds
            )
            text = "".join(part.text for part in parts)
            if self._leaks(text, seams(parts), context):
                action = Action.REFUSE
        if action is Action.REFUSE:
            text = self.policy.refusal
        for failure in failures:
            coverage[failure.detector] = failure.covered
        timings["total"] = perf_counter() - began
        return Verdict(action, text, decision.findings, tuple(failures), coverage, timings)

    def _scan(
        self,
        response: str,
        context: Context,
        timings: dict[str, float],
        coverage: dict[str, float] | None = None,
    ) -> tuple[list[Finding], list[Failure]]:
        """What is found. Costly detectors run where `coverage` is given, which tells whether."""
        began = perf_counter()
        try:
            text = canonicalise(response)
        except Exception as error:
            return [], _all_fail(self.detectors, reason(error))
        timings["canonical"] = perf_counter() - began
        findings, failures = self._detect(text, context, timings)
        began = perf_counter()
        masked = None
        try:
            masked = unmask(response)
        except Exception as error:
            failures += _all_fail(self._others, reason(error))
        timings["views"] = perf_counter() - began
        if masked is not None:
            found, failed = self._detect_views(masked, context, timings)
            findings += unmasked_findings(masked, found, findings)
            failures += failed
            if masked.unseen is not None:
                failures += _all_fail(self._others, masked.unseen)
        if failures:
            failures = list(dict.fromkeys(failures))
        if coverage is None or not self._costly:
            return findings, failures
        words = len(response.split())
        for place, costly in enumerate(self._costly):
            later = frozenset[str]().union(*(other.kinds for other in self._costly[place + 1 :]))
            if self.policy.may_change(costly, later, findings, failures, words):
                found, failed = self._detect(text, context, timings, [(costly.name, costly.scan)])
                findings, failures = findings + found, failures + failed
            else:
                coverage[costly.name] = 0.0
        return findings, failures

    def scan_views(
        self, text: CanonicalText, context: Context, since: int
    ) -> tuple[Progress, list[Failure]]:
        """What a stream asks about the end of a segment besides what its detectors find in the text
        as it stands: what is found in its views, and where what is hidden may go on. What begins
        before `since` is known."""
        settled = whole = len(text.raw)
        open_: list[Finding] = []
        try:
            since -= VIEW_CONTEXT
            masked = unmask(text.raw, since)
            settled = max(unfinished(text.raw), whole - VIEW_WAIT)
            views = list(masked.views) if masked is not None else []
            shown = {(view.name, view.text) for view in views}
            begun = [*open_views(text.raw), *_begun_in(views, whole)]
            views += [
                part
                for view in begun
                if (part := view.behind(since)) and (part.name, part.text) not in shown
            ]
            if joined := together(views, whole, VIEW_REACH):
                views.append(joined)
            going_on = [(view, first) for view in views if (first := _since(view, whole)) < whole]
            for view, first in sorted(going_on, key=lambda pair: pair[0].first):
                # Nothing can be open in the others that does not wait already.
                if view.first < settled:
                    known, more = self._unsettled(view, context)
                    settled = min(settled, max(known, first))
                    open_ += [replace(f, span=Span(f.span.start, whole)) for f in more]
        except Exception as error:
            return Progress((), (), whole), _all_fail(self._others, reason(error))
        findings: list[Finding] = []
        failures: list[Failure] = []
        if masked is not None:
            found, failures = self._detect_views(masked, context, {})
            plain = self._detect(text, context, {})[0] if found else []
            findings = unmasked_findings(masked, found, plain)
            if masked.unseen is not None:
                failures += _all_fail(self._others, masked.unseen)
        return Progress(findings, open_, settled), list(dict.fromkeys(failures))

    def _unsettled(self, view: View, context: Context) -> tuple[int, list[Finding]]:
        """Of a view that goes on with its text: from where on more may be found in it, and what is
        open, as findings that start where it starts in the text."""
        if not view.is_forward:
            return view.first, []
        seen = canonicalise(view.text)
        first = len(view.text) if view.pieced else unfinished(view.text)
        open_: list[Finding] = []
        for scan in self._live_in_pieces if view.pieced else self._live_scans:
            progress = scan(seen, context)
            first = min(first, progress.settled)
            open_ += progress.open
            if first == 0:
                break
        # What stands before the first letter belongs to a finding that begins with it.
        begin = int(seen.offsets[0]) if len(seen) else 0

        def place(at: int) -> int:
            if at == len(view.text):
                return int(view.ends[-1])
            return int(view.starts[at if at > begin else 0])

        starts = [place(f.span.start) for f in open_]
        return place(first), [
            replace(f, span=Span(start, start + 1)) for f, start in zip(open_, starts, strict=True)
        ]

    def _detect(
        self,
        text: CanonicalText,
        context: Context,
        timings: dict[str, float],
        scans: Sequence[tuple[str, Scan]] | None = None,
    ) -> tuple[list[Finding], list[Failure]]:
        """The findings and failures of some scans, by the names of their detectors; of all that are
        not costly without `scans`."""
        findings: list[Finding] = []
        failures: list[Failure] = []
        ended = perf_counter()
        for name, scan in scans or self._scans:
            began = ended
            if context.deadline is not None and monotonic() > context.deadline:
                failures.append(Failure(name, "the deadline had passed"))
                continue
            try:
                findings += scan(text, context)
            except Unfinished as error:
                findings += error.findings
                failures.append(Failure(name, str(error), error.covered))
            except Exception as error:
                failures.append(Failure(name, reason(error)))
            ended = perf_counter()
            timings[name] = timings.get(name, 0.0) + ended - began
        return findings, failures

    def _detect_views(
        self, masked: Unmasked, context: Context, timings: dict[str, float]
    ) -> tuple[list[Finding], list[Failure]]:
        """What is found in views, but for what would not count in them."""
        scans = [
            (name, scan if pieces is None else partial(pieces, first=masked.pieces))
            for name, scan, pieces in self._in_views
        ]
        return self._detect(masked.text, context, timings, scans)

    def _leaks(self, redacted: str, seams: list[Seam], context: Context) -> bool:
        """Whether a redacted text must still not leave: what stood on the two sides of a removed
        span may be one protected passage once they meet, and what is left of a disguise may still
        say something. Elsewhere the text is as it was judged."""
        findings, failures = self._scan(redacted, context, {})
        met = [
            finding
            for finding in findings
            if any(seam.concerns(finding.span) for seam in seams)
            or (
                finding.evidence.view is not None
                and not any(seam.holds(finding.span) for seam in seams)
            )
        ]
        decision = self.policy.decide(met, failures)
        return bool(decision.redactions) or decision.action is Action.REFUSE


def _begun_in(views: Sequence[View], end: int) -> Iterator[View]:
    """What may begin in those views that go on with a text."""
    for view in views:
        if not view.pieced and view.is_forward and _since(view, end) < end:
            yield from (through(view, inner) for inner in open_views(view.text))


def _since(view: View, end: int) -> int:
    """From where on a view may be one with what follows the end of a text; the end if it is not."""
    return max(view.together_from(end, VIEW_REACH), end - VIEW_WAIT)


def _all_fail(detectors: Sequence[Detector], reason: str) -> list[Failure]:
    return [Failure(detector.name, reason) for detector in detectors]


def reason(error: Exception) -> str:
    """What may be said of an error: our own messages hold no private text, others might."""
    return str(error) if isinstance(error, GuardrailError) else type(error).__name__
