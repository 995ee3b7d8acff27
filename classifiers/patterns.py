"""Rules that find values by their form, and the engine that runs many of them over one text.

A rule is data: a regular expression, what has to be in a text before it is worth running, a check
such as a checksum, and words that stand near a real value. The engine answers as if it ran every
rule over the whole text; what makes it fast is that most rules are never run. One pass of an
automaton (Aho and Corasick 1975) finds which literals a text holds, one pass of a regular
expression finds its clusters of digits, and a rule that needs a missing literal, or more digits
than any cluster has, cannot match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from guardrail.classifiers.digit_clusters import Cluster, digit_clusters, windows
from guardrail.classifiers.hits import Hit, resolve
from guardrail.classifiers.literals import Found, Literals
from guardrail.classifiers.pattern_rule import (
    CompiledRule,
    PatternRule,
    Reached,
    is_word,
    unnamed,
)
from guardrail.classifiers.plain import plain
from guardrail.detector import SURE
from guardrail.errors import UsageError


class PatternEngine:
    """Runs a table of rules. Thread-safe; compiling takes milliseconds, so make one and share it.

    Raises UsageError for a table that cannot be run.
    """

    def __init__(self, rules: Sequence[PatternRule]) -> None:
        self.rules = tuple(rules)
        self._compiled = tuple(map(CompiledRule, self.rules))
        names = [rule.name for rule in self.rules]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(f"two rules are called {min(twice)!r}; give each its own name")
        self._always: list[CompiledRule] = []
        at_digits: list[CompiledRule] = []
        literals: dict[str, _Literal] = {}
        for rule in self._compiled:
            for literal in rule.needs:
                known = literals.setdefault(literal, _Literal(len(literal) - 1, [], [], []))
                if rule.needs is rule.rule.context:
                    known.words.append(rule)
                elif rule.rule.starts:
                    known.here.append((rule.pattern.match, rule.rule.back, rule))
                else:
                    known.anywhere.append(rule)
            if not rule.needs:
                (at_digits if rule.joins else self._always).append(rule)
        self._tiers = _tiers(at_digits)
        self._back = max((tier.back for tier in self._tiers), default=0)
        self._literals = Literals({word: _runs(known) for word, known in literals.items()})
        rows = tuple(literals.values())
        self._ending = [[rows[number] for number in some] for some in self._literals.ending]
        self._has_digits = any(rule.digits for rule in self._compiled)
        self.at_digits = [rule for rule in self.rules if rule.starts and not rule.needs]
        self.anywhere = [rule for rule in self.rules if not rule.starts]

    def scan(self, raw: str) -> list[Hit]:
        """The values in a text, in order of place, overlaps resolved (see `resolve`)."""
        text, offsets = plain(raw)
        hits: list[Hit] = []
        rules = dict.fromkeys(self._always)
        found = self._literals.find(text)
        self._at_literals(text, found, rules, hits)
        clusters = digit_clusters(text, found.digits) if self._has_digits else []
        self._at_digits(text, clusters, hits)
        most = max((cluster.digits for cluster in clusters), default=0)
        for rule in rules:
            if rule.digits > most or not rule.has_run(found):
                continue
            if rule.gate is not None and not rule.gate.search(text):
                continue
            if not rule.digits:
                rule.find(text, 0, len(text), hits)
            elif rule.starts:
                for cluster in clusters:
                    if cluster.digits >= rule.digits:
                        for start in cluster.runs:
                            rule.try_at(text, start, hits)
            else:
                for start, end in windows(clusters, rule.digits, rule.reach, len(text)):
                    rule.find(text, start, end, hits)
        if offsets is not None:
            hits = [hit._replace(start=offsets[hit.start], end=offsets[hit.end]) for hit in hits]
        return resolve(hits, len(raw))

    @cached_property
    def sure(self) -> PatternEngine:
        """The rules that may be certain."""
        return PatternEngine([r for r in self.rules if max(r.score, r.context_score) >= SURE])

    def scan_pieces(self, raw: str, first: int) -> list[Hit]:
        """The same of what stands before `first`; and behind that all values with a score of at
        least `SURE`, which nothing that scores less can take the place of."""
        sure = self.sure.scan(raw[first:])
        behind = [h._replace(start=h.start + first, end=h.end + first) for h in sure]
        return (self.scan(raw[:first]) if first else []) + behind

    def _at_literals(
        self,
        text: str,
        found: Found,
        rules: dict[CompiledRule, None],
        hits: list[Hit],
    ) -> None:
        """Run the rules that start with a literal, and add those to `rules` that may match because
        of one."""
        reached: dict[CompiledRule, Reached] = {}
        values: dict[CompiledRule, tuple[int, int]] = {}
        for last, state in found.literals:
            for back, anywhere, words, here in self._ending[state]:
                for rule in anywhere:
                    rules[rule] = None
                if words and is_word(text, last - back, last + 1):
                    for rule in words:
                        rules[rule] = None
                for match, before, rule in here:
                    if not rule.has_run(found):
                        continue
                    if before:
                        rule.try_at(text, last - back, hits)
                    elif rule.rule.endless:
                        rule.try_here(text, last - back, reached, hits)
                    elif (
                        (at := match(text, last - back)) is not None
                        # Two words before one value, as in `api_key`, give it once.
                        and (value := at.span(rule.group)) != values.get(rule)
                    ):
                        values[rule] = value
                        rule.take(text, at, hits)

    def literals(self, text: str) -> Iterator[tuple[int, list[PatternRule], list[PatternRule]]]:
        """Where literals stand in a plain text, with the rules that start there, and those that may
        match anywhere because of it."""
        for last, state in self._literals.find(text, going_on=True).literals:
            for back, anywhere, words, here in self._ending[state]:
                others = [rule.rule for rule in (*anywhere, *words)]
                yield last - back, [rule.rule for _, _, rule in here], others

    def _at_digits(self, text: str, clusters: Sequence[Cluster], hits: list[Hit]) -> None:
        """Run the rules that start at a run of digits, where any of them can: outside of a word."""
        for cluster in clusters:
            # Places that several runs share, and where no rule of a tier matches.
            failed: list[set[int]] = [set() for _ in self._tiers]
            for start in cluster.runs:
                places = [
                    place
                    for place in range(max(0, start - self._back), start + 1)
                    if (place == start or not text[place].isspace())
                    and not (place and ((char := text[place - 1]).isalnum() or char == "_"))
                ]
                if places:
                    self._at_run(text, start, places, cluster.digits, failed, hits)

    def _at_run(
        self,
        text: str,
        start: int,
        places: Sequence[int],
        digits: int,
        failed: Sequence[set[int]],
        hits: list[Hit],
    ) -> None:
        for tier, vain in zip(self._tiers, failed, strict=True):
            if tier.digits > digits:
                break
            for place in places:
                if place < start - tier.back or place in vain:
                    continue
                if tier.any(text, place) is None:
                    vain.add(place)
                    continue
                for rule in tier.rules:
                    if rule.digits <= digits:
                        rule.try_at(text, start, hits)
                break


class _Literal(NamedTuple):
    """What is to be done where a literal stands: `back` leads from its last character to its
    first; `anywhere`: rules to be run over the text; `words`: the same where it is a word;
    `here`: rules that start with it, or so many characters before."""

    back: int
    anywhere: list[CompiledRule]
    words: list[CompiledRule]
    here: list[tuple[Callable[[str, int], re.Match[str] | None], int, CompiledRule]]


def _runs(literal: _Literal) -> tuple[int, int]:
    """The least that rules of a literal ask for: of all runs, and of those with a digit."""
    rules = [*literal.anywhere, *literal.words, *(rule for _, _, rule in literal.here)]
    return (
        min(rule.rule.run for rule in rules),
        min(rule.rule.run * rule.rule.mixed for rule in rules),
    )


class _Tier(NamedTuple):
    """Rules for clusters of at least so many digits. `any` matches where one of them does."""

    digits: int
    back: int
    any: Callable[[str, int], re.Match[str] | None]
    rules: list[CompiledRule]


TIERS = (1, 4, 7, 10)
"""Most clusters have few digits, and most rules need many."""


def _tiers(rules: Sequence[CompiledRule]) -> list[_Tier]:
    tiers = []
    for least, end in zip(TIERS, (*TIERS[1:], 1000), strict=True):
        some = [rule for rule in rules if least <= rule.digits < end]
        if some:
            forms = "|".join(f"(?:{unnamed(rule.rule.pattern)})" for rule in some)
            back = max(rule.back for rule in some)
            tiers.append(_Tier(least, back, re.compile(forms).match, some))
    return tiers
