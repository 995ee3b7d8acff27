"""The filter: detectors over one canonical text, the policy over what they found, and redaction."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, perf_counter

from guardrail.detector import EMPTY_CONTEXT, Context, Detector
from guardrail.errors import GuardrailError, UsageError
from guardrail.findings import Action, Failure, Finding, Span, Verdict
from guardrail.policy import Policy
from guardrail.redact import crosses, redact_parts, seams
from guardrail.text import canonicalise, join_surrogates


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

    def check(self, response: str, context: Context = EMPTY_CONTEXT) -> Verdict:
        """The verdict on one response. Raises UsageError where it is not a string.

        A pair of surrogates counts as the one code point that it stands for, in the verdict too.
        What goes wrong inside a detector is a `Failure` in the verdict; the policy decides on it.
        """
        if not isinstance(response, str):
            raise UsageError(f"a response is a string, not {type(response).__name__}")
        began = perf_counter()
        timings: dict[str, float] = {}
        response = join_surrogates(response)
        findings, failures = self._scan(response, context, timings)
        decision = self.policy.decide(findings, failures)
        action, text = decision.action, response
        if action is Action.REDACT:
            style, kinds = self.policy.redactor, decision.kinds
            parts = redact_parts(response, decision.redactions, style, kinds)
            text = "".join(part.text for part in parts)
            if self._leaks(text, seams(parts), context):
                action = Action.REFUSE
        if action is Action.REFUSE:
            text = self.policy.refusal
        coverage = dict.fromkeys((detector.name for detector in self.detectors), 1.0)
        for failure in failures:
            coverage[failure.detector] = failure.covered
        timings["total"] = perf_counter() - began
        return Verdict(action, text, decision.findings, tuple(failures), coverage, timings)

    def _scan(
        self, response: str, context: Context, timings: dict[str, float]
    ) -> tuple[list[Finding], list[Failure]]:
        findings: list[Finding] = []
        failures: list[Failure] = []
        began = perf_counter()
        try:
            text = canonicalise(response)
        except Exception as error:
            return [], [Failure(detector.name, reason(error)) for detector in self.detectors]
        ended = perf_counter()
        timings["canonical"] = ended - began
        for detector in self.detectors:
            began = ended
            if context.deadline is not None and monotonic() > context.deadline:
                failures.append(Failure(detector.name, "the deadline had passed"))
                continue
            try:
                findings += detector.scan(text, context)
            except Exception as error:
                failures.append(Failure(detector.name, reason(error)))
            ended = perf_counter()
            timings[detector.name] = ended - began
        return findings, failures

    def _leaks(self, redacted: str, seams: list[Span], context: Context) -> bool:
        """Whether a redacted text must still not leave: what stood on the two sides of a removed
        span may be one protected passage once they meet."""
        findings, failures = self._scan(redacted, context, {})
        met = [finding for finding in findings if crosses(finding.span, seams)]
        decision = self.policy.decide(met, failures)
        return bool(decision.redactions) or decision.action is Action.REFUSE


def reason(error: Exception) -> str:
    """What may be said of an error: our own messages hold no private text, others might."""
    return str(error) if isinstance(error, GuardrailError) else type(error).__name__
