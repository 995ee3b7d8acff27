"""Rules made ready to be matched with findings, and the first that matches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from guardrail.detector import CostlyDetector
from guardrail.findings import Action, Evidence, Finding, Span, merge_spans
from guardrail.rules import Condition, Rule

UNMATCHED = Action.FLAG
"""What happens to a finding that no rule matches."""

SHADOW = "shadow:"

NO_KINDS: frozenset[str] = frozenset()


class CompiledRule:
    """A rule as plain sets and numbers."""

    __slots__ = ("action", "any", "name", "overlaps", "shadow", "when")

    def __init__(self, rule: Rule) -> None:
        self.name = rule.name
        self.action = rule.action
        self.shadow = f"{SHADOW}{rule.name}={rule.action}" if rule.shadow else None
        self.when = _CompiledCondition(rule.when)
        self.any = tuple(_CompiledCondition(condition) for condition in rule.when.any or ())
        # The kinds of other findings that this rule asks for.
        self.overlaps = NO_KINDS.union(*(c.overlaps or () for c in (self.when, *self.any)))

    def matches(self, finding: Finding, near: frozenset[str]) -> bool:
        """`near`: the kinds of other findings that overlap this one."""
        if not self.when.matches(finding, near):
            return False
        return not self.any or any(condition.matches(finding, near) for condition in self.any)

    def awaits(self, detector: CostlyDetector, there: frozenset[str], words: int) -> bool:
        """Whether it could match some finding of a detector, beside findings of these kinds, in a
        text of so many words."""
        if not self.when.awaits(detector, there, words):
            return False
        return not self.any or any(c.awaits(detector, there, words) for c in self.any)

    def may_match(self, finding: Finding) -> bool:
        """Whether it might match if score, collection, labels, prompt and what is beside it were
        others."""
        return self.when.fits(finding) and (
            not self.any or any(condition.fits(finding) for condition in self.any)
        )

    def matches_all_like(self, finding: Finding) -> bool:
        """Whether it matches whatever score, collection, labels, prompt and findings beside it
        are."""
        return self.when.covers(finding) and (
            not self.any or any(condition.covers(finding) for condition in self.any)
        )

    def could_match(self, finding: Finding) -> bool:
        """Whether it would match at some length, number of words, score and prompt, beside some
        other finding."""
        return self.when.could_match(finding) and (
            not self.any or any(condition.could_match(finding) for condition in self.any)
        )

    def reaches(self, units: int, words: int) -> bool:
        """Whether a match of up to so many units and words could be long enough."""
        return self.when.reaches(units, words) and (
            not self.any or any(condition.reaches(units, words) for condition in self.any)
        )

    @property
    def is_certain(self) -> bool:
        """Whether it matches what it could match."""
        when = self.when
        asked = when.length, when.score, when.words, when.in_prompt, when.overlaps
        return not self.any and asked == (None,) * 5


class _CompiledCondition:
    __slots__ = (
        "collection",
        "detector",
        "in_prompt",
        "kind",
        "label",
        "length",
        "overlaps",
        "score",
        "words",
    )

    def __init__(self, condition: Condition) -> None:
        self.detector = _set(condition.detector)
        self.kind = _set(condition.kind)
        self.collection = _set(condition.collection)
        self.label = _set(condition.label)
        self.overlaps = _set(condition.overlaps)
        self.in_prompt = condition.in_prompt
        self.length = _range(condition.min_length, condition.max_length)
        self.words = _range(condition.min_words, condition.max_words)
        self.score = _range(condition.min_score, condition.max_score)

    def matches(self, finding: Finding, near: frozenset[str]) -> bool:
        if not self.fits(finding):
            return False
        if self.score is not None and not self.score[0] <= finding.score <= self.score[1]:
            return False
        evidence = finding.evidence
        if self.in_prompt is not None and evidence.in_prompt != self.in_prompt:
            return False
        if self.overlaps is not None and self.overlaps.isdisjoint(near):
            return False
        return self._has_source(evidence)

    def reaches(self, units: int, words: int) -> bool:
        """Whether so many units and words are enough."""
        return (self.length is None or units >= self.length[0]) and (
            self.words is None or words >= self.words[0]
        )

    def could_match(self, finding: Finding) -> bool:
        """`matches` without lengths, words, scores, prompt and other findings."""
        if self.detector is not None and finding.detector not in self.detector:
            return False
        if self.kind is not None and finding.kind not in self.kind:
            return False
        return self._has_source(finding.evidence)

    def _has_source(self, evidence: Evidence) -> bool:
        if self.collection is not None and evidence.collection not in self.collection:
            return False
        return self.label is None or not self.label.isdisjoint(evidence.labels)

    def fits(self, finding: Finding) -> bool:
        """Whether detector, kind, length and words match."""
        if self.detector is not None and finding.detector not in self.detector:
            return False
        if self.kind is not None and finding.kind not in self.kind:
            return False
        evidence = finding.evidence
        if self.length is not None and not _within(evidence.matched, self.length):
            return False
        return self.words is None or _within(evidence.words, self.words)

    def covers(self, finding: Finding) -> bool:
        """Whether those match and nothing else is asked for."""
        others = self.score, self.collection, self.label, self.in_prompt, self.overlaps
        return others == (None,) * 5 and self.fits(finding)

    def awaits(self, detector: CostlyDetector, there: frozenset[str], words: int) -> bool:
        return (
            (self.detector is None or detector.name in self.detector)
            and (self.kind is None or not self.kind.isdisjoint(detector.kinds))
            and (self.overlaps is None or not self.overlaps.isdisjoint(there))
            and (self.words is None or self.words[0] <= words)
        )


def kinds_beside(findings: Sequence[Finding], beside: Sequence[Finding]) -> list[frozenset[str]]:
    """For each of `findings` the other kinds of which some finding of both overlaps it. What may be
    said (public text and the like) confirms nothing."""
    by_kind: dict[str, list[Span]] = {}
    for finding in (*findings, *beside):
        if finding.evidence.excuse is not None:
            continue
        by_kind.setdefault(finding.kind, []).append(finding.span)
    merged = {kind: merge_spans(spans) for kind, spans in by_kind.items()}
    ends = {kind: [span.end for span in spans] for kind, spans in merged.items()}

    def near(finding: Finding, kind: str) -> bool:
        # The first span that ends after the finding begins is the only one to look at.
        place = bisect_right(ends[kind], finding.span.start)
        spans = merged[kind]
        return place < len(spans) and spans[place].start < finding.span.end

    return [
        frozenset(kind for kind in merged if kind != finding.kind and near(finding, kind))
        for finding in findings
    ]


def _set(words: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)


def _range(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    return (0 if low is None else low, float("inf") if high is None else high)


def _within(value: int | None, limits: tuple[float, float]) -> bool:
    return value is not None and limits[0] <= value <= limits[1]


def judge(
    rules: tuple[CompiledRule, ...], finding: Finding, near: frozenset[str]
) -> tuple[Action, Action, str | None]:
    """The action, the action if shadow rules were in force, and the text for `Finding.rule`."""
    if finding.evidence.excuse is not None:
        return Action.ALLOW, Action.ALLOW, None
    shadow: CompiledRule | None = None
    for rule in rules:
        if (rule.shadow is None or shadow is None) and rule.matches(finding, near):
            if rule.shadow is None:
                if shadow is None:
                    return rule.action, rule.action, rule.name
                return rule.action, shadow.action, f"{rule.name} {shadow.shadow}"
            shadow = rule
    if shadow is None:
        return UNMATCHED, UNMATCHED, None
    return UNMATCHED, shadow.action, shadow.shadow


def split_rule(rule: str | None) -> tuple[str | None, str | None, Action | None]:
    """The parts of `Finding.rule`: the rule that decided, the shadow rule, the shadow's action.

    A rule that decided stands first, by its name; a shadow rule that would have decided follows
    as `shadow:NAME=ACTION`. Either may be missing.
    """
    decided, shadow, action = None, None, None
    for word in (rule or "").split():
        if word.startswith(SHADOW):
            shadow, _, name = word.removeprefix(SHADOW).partition("=")
            action = Action[name.upper()]
        else:
            decided = word
    return decided, shadow, action
