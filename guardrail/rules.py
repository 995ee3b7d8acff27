"""Rules of a policy and their conditions, as they are written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from guardrail.policy_fields import Count, Name, PolicyPart, RuleAction, Score, Words


class Condition(PolicyPart):
    """What a finding must be like. All fields that are given must hold; none given: all match.

    A finding that lacks what a field asks for (a length, words, a collection) does not match.
    """

    detector: Words | None = Field(default=None, description="Names of detectors; any of them.")
    kind: Words | None = Field(
        default=None, description="Kinds, such as verbatim or phrase; any of them."
    )
    collection: Words | None = Field(
        default=None, description="Collections of the corpus; any of them."
    )
    label: Words | None = Field(
        default=None, description="Sensitivity labels; matches if the finding has any of them."
    )
    overlaps: Words | None = Field(
        default=None, description="Other kinds; a finding of any of them overlaps this one."
    )
    min_length: Count | None = Field(
        default=None, description="Shortest match, in canonical units."
    )
    max_length: Count | None = Field(default=None, description="Longest match, in canonical units.")
    min_words: Count | None = Field(
        default=None, description="Fewest words of the response covered."
    )
    max_words: Count | None = Field(default=None, description="Most words of the response covered.")
    min_score: Score | None = Field(default=None, description="Lowest score, 0 to 1.")
    max_score: Score | None = Field(default=None, description="Highest score, 0 to 1.")
    in_prompt: bool | None = Field(
        default=None, strict=True, description="Whether the value stands in the prompt as well."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Condition:
        for what in ("length", "words", "score"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                raise PydanticCustomError(
                    "order",
                    "{text}",
                    {"text": f"min_{what} {low} is greater than max_{what} {high}: never matches"},
                )
        return self

    def covers(self, other: Condition) -> bool:
        """Whether this surely matches all that the other matches (False where unsure)."""
        for what in ("detector", "kind", "collection", "label", "overlaps"):
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours is not None and (theirs is None or not set(theirs) <= set(ours)):
                return False
        for what in ("length", "words", "score"):
            ours, theirs = getattr(self, f"min_{what}"), getattr(other, f"min_{what}")
            if ours is not None and (theirs is None or theirs < ours):
                return False
            ours, theirs = getattr(self, f"max_{what}"), getattr(other, f"max_{what}")
            if ours is not None and (theirs is None or theirs > ours):
                return False
        return self.in_prompt is None or self.in_prompt == other.in_prompt


class When(Condition):
    """What a finding must be like for a rule to match it: all fields, and one of `any`."""

    any: tuple[Condition, ...] | None = Field(
        default=None,
        min_length=1,
        description="Alternatives: at least one of these must match as well.",
    )

    @field_validator("any")
    @classmethod
    def _no_empty_alternative(
        cls, value: tuple[Condition, ...] | None
    ) -> tuple[Condition, ...] | None:
        if any(not alternative.model_fields_set for alternative in value or ()):
            raise PydanticCustomError(
                "empty", "an alternative without conditions always matches: remove it or `any`"
            )
        return value

    def covers(self, other: Condition) -> bool:
        if not super().covers(other):
            return False
        if self.any is None:
            return True
        # Each alternative of the other, or what all of them share, has to fit into one of ours.
        theirs = other.any if isinstance(other, When) and other.any is not None else (other,)
        return all(
            any(ours.covers(alternative) or ours.covers(other) for ours in self.any)
            for alternative in theirs
        )


class Rule(PolicyPart):
    """One rule. The first rule that matches a finding decides what happens to it."""

    name: Name = Field(description="A unique name, reported with each finding it decides.")
    when: When = Field(
        default_factory=When, description="What a finding must be like; empty: any finding."
    )
    action: RuleAction = Field(description="What happens to the finding.")
    shadow: bool = Field(
        default=False, strict=True, description="Only record that the rule would have decided."
    )


def rule_problems(
    rules: Sequence[Rule | None], detectors: Collection[str], failures: Iterable[str]
) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong between parts that are each right: (place, message) pairs.

    A rule that is None is wrong by itself and is passed over. Without detectors, names of
    detectors are not looked at: the program adds detectors of its own then.
    """
    problems: list[tuple[tuple[str | int, ...], str]] = []
    seen: set[str] = set()
    deciding: list[Rule] = []
    for number, rule in enumerate(rules):
        if rule is None:
            continue
        if rule.name in seen:
            problems.append((("rules", number, "name"), f"a second rule is named {rule.name!r}"))
        seen.add(rule.name)
        earlier = next((r for r in deciding if r.when.covers(rule.when)), None)
        if earlier is not None:
            problems.append(
                (
                    ("rules", number),
                    f"rule {rule.name!r} is never reached: all that it could match is decided by "
                    f"rule {earlier.name!r} above; move it up or remove it",
                )
            )
        if not rule.shadow:
            deciding.append(rule)
        if detectors:
            alternatives = [
                ("when",),
                *(("when", "any", n) for n in range(len(rule.when.any or ()))),
            ]
            for where, when in zip(alternatives, [rule.when, *(rule.when.any or ())], strict=True):
                problems += [
                    (("rules", number, *where, "detector"), _undefined(name, detectors))
                    for name in when.detector or ()
                    if name not in detectors
                ]
    if detectors:
        problems += [
            (("failures", name), _undefined(name, detectors))
            for name in failures
            if name not in detectors
        ]
    return problems


def _undefined(name: str, detectors: Collection[str]) -> str:
    return f"detector {name[:40]!r} is not defined; defined: {', '.join(sorted(detectors))}"
