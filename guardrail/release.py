"""What of a text that arrives in pieces may be let go: as it is judged, or all at its end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from guardrail.detector import Context, is_segmented
from guardrail.filter import Filter
from guardrail.findings import Action, Finding, Verdict
from guardrail.redact import Part, Redactor, Seam, seams
from guardrail.scanner import Scanner

# More than this, in code points, is not held back: the stream is refused.
MAX_HELD = 1 << 16
# What came out before a redaction and is looked at again with what comes after it.
SEAM_TAIL = 2048


class Release(Protocol):
    """A way to let a text go. Lengths are in code points."""

    @property
    def fed(self) -> int:
        """The length of the text so far."""

    @property
    def held(self) -> int:
        """How much of it was not let go yet."""

    @property
    def verdict(self) -> Verdict:
        """The verdict so far, without text."""

    def feed(self, text: str, *, final: bool) -> tuple[str, bool]:
        """What may be let go now that more of the text is here, and whether what would come next
        is refused. `final`: the text ends here."""


class Gradual:
    """Lets go what no finding can begin in any more."""

    def __init__(self, filter_: Filter, context: Context, scanner: Scanner) -> None:
        self._policy = filter_.policy
        self._scanner = scanner
        self._redactor = Redactor(filter_.redaction(context))
        self._seams = _Seams(filter_, context)
        self._action = Action.ALLOW
        self._findings: list[Finding] = []
        self._failures = 0

    @property
    def fed(self) -> int:
        return self._scanner.end

    @property
    def held(self) -> int:
        return self._scanner.end - self._redactor.done + self._seams.held

    @property
    def verdict(self) -> Verdict:
        scanner = self._scanner
        findings, failures = tuple(self._findings), tuple(scanner.failures)
        return Verdict(self._action, "", findings, failures, dict(scanner.coverage))

    def feed(self, text: str, *, final: bool) -> tuple[str, bool]:
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
        return out, refused or leaks


class AtEnd:
    """Lets nothing go before the end, and then what a check gives."""

    def __init__(self, filter_: Filter, check: Callable[[str], Verdict]) -> None:
        self._check = check
        self._chunks: list[str] = []
        self.fed = self.held = 0
        unjudged = {detector.name: 0.0 for detector in filter_.detectors}
        self.verdict = Verdict(Action.ALLOW, "", (), (), unjudged)

    def feed(self, text: str, *, final: bool) -> tuple[str, bool]:
        self._chunks.append(text)
        self.fed += len(text)
        self.held = self.fed
        if self.fed > MAX_HELD:
            return "", True
        if not final:
            return "", False
        verdict = self._check("".join(self._chunks))
        self.held = 0
        self.verdict = replace(verdict, text="")
        refused = verdict.action is Action.REFUSE
        return "" if refused else verdict.text, refused


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
