"""The policy: what happens to a text, given what detectors found and where they failed.

A `Policy` is a frozen model; `guardrail.policy_file` reads it from YAML. Its `decide` is the only
place where findings and failures become an action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from guardrail.detector import CostlyDetector
from guardrail.detector_settings import DetectorSettings
from guardrail.findings import Action, Evidence, Failure, Finding, Span
from guardrail.policy_fields import FailureAction, Name, PolicyPart
from guardrail.policy_settings import (
    ExcuseSettings,
    KeySource,
    RedactionSettings,
    StreamSettings,
)
from guardrail.redaction import Redaction
from guardrail.rule_matching import NO_KINDS, UNMATCHED, CompiledRule, judge, kinds_beside
from guardrail.rules import Condition, Rule, rule_problems

MAX_REFUSAL = 2000


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decided about one text.

    `action` is the strongest action of all findings and failures. `findings` are those given, in
    their order, with `action` and `rule` filled in. `redactions` are the spans of findings whose
    action is redact or refuse: sorted, disjoint, in code points; `kinds` names for each of them
    the kinds found there, joined by `+`. `would` is what `action` would be if every shadow rule
    were in force.
    """

    action: Action
    findings: tuple[Finding, ...] = ()
    redactions: tuple[Span, ...] = ()
    kinds: tuple[str, ...] = ()
    would: Action = Action.ALLOW


_CLEAN = Decision(Action.ALLOW)
_NOWHERE = Span(0, 0)


def _version(value: Any) -> Any:
    # True == 1 == 1.0, so a plain Literal[1] would take `version: true`.
    if type(value) is not int or value != 1:
        raise PydanticCustomError("version", "this program reads version 1")
    return value


class Policy(PolicyPart):
    """A policy. Construct it from YAML with `guardrail.policy_file`, which names lines in errors;
    the constructor raises pydantic's ValidationError."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = Field(
        description="The version of this format: 1."
    )
    detectors: dict[Name, DetectorSettings] = Field(
        default_factory=dict,
        description="Detectors by name; findings carry the name. None: the program's own.",
    )
    key: KeySource | None = Field(default=None, description="Where the secret key comes from.")
    rules: tuple[Rule, ...] = Field(
        description="The first that matches a finding decides; none: the finding is flagged."
    )
    excuses: ExcuseSettings = Field(
        default_factory=ExcuseSettings, description="What may be said although a corpus holds it."
    )
    failure: FailureAction = Field(
        default=Action.REFUSE, description="What happens when a detector could not judge the text."
    )
    failures: dict[Name, FailureAction] = Field(
        default_factory=dict, description="The same for single detectors, by name."
    )
    redaction: RedactionSettings = Field(
        default_factory=RedactionSettings, description="How redacted text is replaced."
    )
    stream: StreamSettings = Field(
        default_factory=StreamSettings, description="What text that is streamed waits for."
    )
    refusal: str = Field(
        default="I can't share that.",
        min_length=1,
        max_length=MAX_REFUSAL,
        description="The text that replaces a refused one.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Policy:
        problems = rule_problems(self.rules, self.detectors, self.failures)
        if problems:
            raise PydanticCustomError(
                "policy", "{text}", {"text": "; ".join(message for _, message in problems)}
            )
        return self

    @cached_property
    def redactor(self) -> Redaction:
        """What `guardrail.redact.redact` needs to know of this policy."""
        return self.redaction.build()

    @cached_property
    def _compiled(self) -> tuple[CompiledRule, ...]:
        return tuple(CompiledRule(rule) for rule in self.rules)

    def passes(self, detector: str, kind: str) -> Callable[[int, int], bool]:
        """Which findings of a detector and kind are let through whatever document they come from:
        a function of the length in canonical units and the number of words. What it lets through
        need not be described in full."""
        rules = () if kind in self.compared else self._compiled

        @lru_cache(maxsize=4096)
        def passes(matched: int, words: int) -> bool:
            finding = Finding(
                detector, kind, _NOWHERE, evidence=Evidence(matched=matched, words=words)
            )
            for rule in rules:
                if rule.may_match(finding):
                    if rule.shadow is not None or rule.action is not Action.ALLOW:
                        return False
                    if rule.matches_all_like(finding):
                        return True
            return False

        return passes

    @cached_property
    def compared(self) -> frozenset[str]:
        """The kinds of findings that rules ask for beside another finding."""
        return NO_KINDS.union(*(rule.overlaps for rule in self._compiled))

    def decide(
        self,
        findings: Sequence[Finding],
        failures: Sequence[Failure],
        beside: Sequence[Finding] = (),
    ) -> Decision:
        """The action for a text, from what was found in it and which detectors failed. `beside`:
        findings that are decided elsewhere, and that these may overlap."""
        if not findings and not failures:
            return _CLEAN
        action = would = Action.ALLOW
        for failure in failures:
            action = would = max(action, self.failures.get(failure.detector, self.failure))
        rules = self._compiled
        near_each = kinds_beside(findings, beside) if self.compared else None
        decided: list[Finding] = []
        covered: list[Finding] = []
        for place, finding in enumerate(findings):
            near = near_each[place] if near_each is not None else NO_KINDS
            result, would_result, name = judge(rules, finding, near)
            # Not `dataclasses.replace`, which takes three times as long.
            decided.append(
                Finding(
                    finding.detector,
                    finding.kind,
                    finding.span,
                    finding.score,
                    finding.evidence,
                    result,
                    name,
                )
            )
            action, would = max(action, result), max(would, would_result)
            if result >= Action.REDACT:
                covered.append(finding)
        spans, kinds = _covered(covered) if covered else ((), ())
        return Decision(action, tuple(decided), spans, kinds, would)

    def may_change(
        self,
        detector: CostlyDetector,
        later: frozenset[str],
        findings: Sequence[Finding],
        failures: Sequence[Failure],
        words: int,
    ) -> bool:
        """Whether findings of a detector that has not run could change what happens to a text.

        `findings` and `failures` are those of the detectors that ran, `later` the kinds that
        others may still find; the text has `words` words. True where unsure.
        """
        action = self.decide(findings, failures).action
        findings = [finding for finding in findings if finding.evidence.excuse is None]
        there = later.union(finding.kind for finding in findings)
        beside = any(
            compiled.overlaps & detector.kinds
            and any(compiled.matches(finding, there | detector.kinds) for finding in findings)
            for compiled in self._compiled
        )
        if beside:
            return True
        if action is Action.REFUSE:
            return False
        for rule, compiled in zip(self.rules, self._compiled, strict=True):
            if not compiled.awaits(detector, there, words):
                continue
            if rule.shadow or rule.action > action or rule.action is Action.REDACT:
                return True
            if rule.when.covers(Condition(detector=detector.name, kind=tuple(detector.kinds))):
                return False
        return action < UNMATCHED

    def may_act(self, finding: Finding) -> bool:
        """Whether this finding could be redacted or refused, at whatever length and score, or
        decide on another."""
        if finding.kind in self.compared:
            return True
        for rule in self._compiled:
            if rule.shadow is None and rule.could_match(finding):
                if rule.action >= Action.REDACT:
                    return True
                if rule.is_certain:
                    return False
        return False

    def may_act_on(self, detector: str) -> bool:
        """Whether a finding of this detector could be redacted or refused, or decide on another."""
        return bool(self.compared) or any(
            rule.shadow is None
            and rule.action >= Action.REDACT
            and (rule.when.detector is None or detector in rule.when.detector)
            for rule in self._compiled
        )

    def could_act(
        self, detector: str, units: int, words: int, finding: Finding | None = None
    ) -> bool:
        """Whether a match of up to so many units and words could be redacted or refused. Without a
        finding, of any kind and collection."""
        return any(
            rule.shadow is None
            and rule.action >= Action.REDACT
            and (rule.when.detector is None or detector in rule.when.detector)
            and (finding is None or rule.could_match(finding))
            and rule.reaches(units, words)
            for rule in self._compiled
        )

    def refuses_failure(self, detector: str) -> bool:
        """Whether a text is refused that this detector could not judge."""
        return self.failures.get(detector, self.failure) is Action.REFUSE


def _covered(findings: list[Finding]) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """The union of the findings' spans, and the kinds in each of its parts."""
    spans: list[Span] = []
    kinds: list[set[str]] = []
    for finding in sorted(findings, key=lambda f: (f.span.start, f.span.end)):
        span = finding.span
        if spans and span.start <= spans[-1].end:
            if span.end > spans[-1].end:
                spans[-1] = Span(spans[-1].start, span.end)
            kinds[-1].add(finding.kind)
        else:
            spans.append(span)
            kinds.append({finding.kind})
    return tuple(spans), tuple("+".join(sorted(group)) for group in kinds)
