"""Explanations: how the rules of a policy came to what they decided about a finding.

They repeat no text: of the response and of the corpus they name places, lengths and names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from guardrail.findings import Finding
from guardrail.policy import Policy
from guardrail.rule_matching import kinds_beside, split_rule
from guardrail.rules import Condition, Rule

_EXCUSES = {
    "background": "it is public: the background holds it",
    "prompt": "the user supplied it",
    "entitled": "the caller may see a document that holds it",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field of a rule: what it asks for, what the finding has (None: nothing)."""

    field: str
    wanted: Any
    had: Any
    holds: bool

    def __str__(self) -> str:
        had = "nothing" if self.had in (None, ()) else _plain(self.had)
        return f"{self.field} {_plain(self.wanted)} {'holds' if self.holds else 'fails'}: {had}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule tried on a finding. It matches where all `fields` hold and, if there are any
    `alternatives`, all fields of at least one of them."""

    rule: str
    action: str
    shadow: bool
    fields: tuple[Comparison, ...]
    alternatives: tuple[tuple[Comparison, ...], ...]

    @property
    def matches(self) -> bool:
        return all(field.holds for field in self.fields) and (
            not self.alternatives
            or any(all(field.holds for field in fields) for fields in self.alternatives)
        )

    def __str__(self) -> str:
        parts = list(map(str, self.fields))
        if self.alternatives:
            ways = (" and ".join(map(str, fields)) for fields in self.alternatives)
            parts.append(f"any of ({'; '.join(ways)})")
        shadow = " (shadow, only recorded)" if self.shadow else ""
        verb = "matches" if self.matches else "does not match"
        return f"rule {self.rule}{shadow} {verb}: {', '.join(parts) or 'it asks for nothing'}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a finding has its action. `trials` are the rules in their order, up to the one that
    decided; none for a finding that is excused."""

    why: str
    decided_by: str | None
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON-ready values."""
        return {
            "why": self.why,
            "decided_by": self.decided_by,
            "rules": [
                {
                    "rule": trial.rule,
                    "action": trial.action,
                    "shadow": trial.shadow,
                    "matches": trial.matches,
                    "fields": list(map(_comparison, trial.fields)),
                    "any": [list(map(_comparison, fields)) for fields in trial.alternatives],
                }
                for trial in self.trials
            ],
        }


def explain(policy: Policy, finding: Finding, findings: Sequence[Finding] = ()) -> Explanation:
    """Why a policy decided as it did about a finding of one of its verdicts, beside the other
    `findings` of that verdict."""
    if finding.evidence.excuse is not None:
        return Explanation(f"allowed: {_EXCUSES[finding.evidence.excuse]}", None, ())
    (near,) = kinds_beside([finding], findings)
    trials = []
    for rule in policy.rules:
        trials.append(_trial(rule, finding, near))
        if trials[-1].matches and not rule.shadow:
            break
    decided, _, _ = split_rule(finding.rule)
    if decided is None:
        return Explanation(f"{finding.action}: no rule matches", None, tuple(trials))
    return Explanation(
        f"{finding.action}: rule {decided} is the first that matches", decided, tuple(trials)
    )


def _trial(rule: Rule, finding: Finding, near: frozenset[str]) -> Trial:
    return Trial(
        rule.name,
        str(rule.action),
        rule.shadow,
        tuple(_compare(rule.when, finding, near)),
        tuple(tuple(_compare(condition, finding, near)) for condition in rule.when.any or ()),
    )


def _compare(condition: Condition, finding: Finding, near: frozenset[str]) -> Iterator[Comparison]:
    evidence = finding.evidence
    had: Any
    for name, had in (
        ("detector", finding.detector),
        ("kind", finding.kind),
        ("collection", evidence.collection),
        ("label", evidence.labels),
        ("overlaps", tuple(sorted(near))),
    ):
        wanted = getattr(condition, name)
        if wanted is not None:
            given = set(had) if isinstance(had, tuple) else {had}
            yield Comparison(name, wanted, had, not given.isdisjoint(wanted))
    for what, had in (
        ("length", evidence.matched),
        ("words", evidence.words),
        ("score", finding.score),
    ):
        least, most = getattr(condition, f"min_{what}"), getattr(condition, f"max_{what}")
        if least is not None:
            yield Comparison(f"min_{what}", least, had, had is not None and had >= least)
        if most is not None:
            yield Comparison(f"max_{what}", most, had, had is not None and had <= most)
    wanted, had = condition.in_prompt, evidence.in_prompt
    if wanted is not None:
        yield Comparison("in_prompt", wanted, had, had == wanted)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _comparison(comparison: Comparison) -> dict[str, Any]:
    def value(of: Any) -> Any:
        return list(of) if isinstance(of, tuple) else of

    return {
        "field": comparison.field,
        "wanted": value(comparison.wanted),
        "had": value(comparison.had),
        "holds": comparison.holds,
    }
