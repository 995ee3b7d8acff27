"""The filter: detectors over one canonical text, the policy over what they found, and redaction."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, perf_counter

from guardrail.detector import EMPTY_CONTEXT, Context, CostlyDetector, Detector
from guardrail.errors import GuardrailError, UsageError
from guardrail.findings import Action, Failure, Finding, Verdict
from guardrail.policy import Policy
from guardrail.redact import redact
from guardrail.text import canonicalise


class Filter:
    """Checks texts. Thread-safe as far as its detectors are, which is their contract."""

    def __init__(self, policy: Policy, detectors: Sequence[Detector]) -> None:
        """Raises UsageError where there is no detector or two have one name."""
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
        self._costly = tuple(d for d in detectors if isinstance(d, CostlyDetector))
        self._cheap = tuple(d for d in detectors if not isinstance(d, CostlyDetector))

    def check(self, response: str, context: Context = EMPTY_CONTEXT) -> Verdict:
        """The verdict on one response. Raises UsageError where it is not a string.

        What goes wrong inside a detector is a `Failure` in the verdict; the policy decides on it.
        """
        if not isinstance(response, str):
            raise UsageError(f"a response is a string, not {type(response).__name__}")
        began = perf_counter()
        timings: dict[str, float] = {}
        coverage = dict.fromkeys((detector.name for detector in self.detectors), 1.0)
        findings, failures = self._scan(response, context, timings, coverage)
        decision = self.policy.decide(findings, failures)
        action, text = decision.action, response
        if action is Action.REDACT:
            text = redact(response, decision.redactions, self.policy.redactor, decision.kinds)
            if self._leaks(text, context):
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
        findings: list[Finding] = []
        failures: list[Failure] = []
        began = perf_counter()
        try:
            text = canonicalise(response)
        except Exception as error:
            return [], [Failure(detector.name, _reason(error)) for detector in self.detectors]
        ended = perf_counter()
        timings["canonical"] = ended - began

        def run(detector: Detector) -> None:
            began = perf_counter()
            if context.deadline is not None and monotonic() > context.deadline:
                failures.append(Failure(detector.name, "the deadline had passed"))
                return
            try:
                findings.extend(detector.scan(text, context))
            except Exception as error:
                failures.append(Failure(detector.name, _reason(error)))
            timings[detector.name] = perf_counter() - began

        for detector in self._cheap:
            run(detector)
        if coverage is None:
            return findings, failures
        for place, costly in enumerate(self._costly):
            later = frozenset[str]().union(*(other.kinds for other in self._costly[place + 1 :]))
            if self.policy.may_change(costly, later, findings, failures, len(response.split())):
                run(costly)
            else:
                coverage[costly.name] = 0.0
        return findings, failures

    def _leaks(self, redacted: str, context: Context) -> bool:
        """Whether a redacted text must still not leave: what stood on the two sides of a removed
        span may be one protected passage once they meet."""
        findings, failures = self._scan(redacted, context, {})
        decision = self.policy.decide(findings, failures)
        return bool(decision.redactions) or decision.action is Action.REFUSE


def _reason(error: Exception) -> str:
    """What may be said of an error: our own messages hold no private text, others might."""
    return str(error) if isinstance(error, GuardrailError) else type(error).__name__
