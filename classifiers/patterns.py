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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from guardrail.classifiers.literals import Found, Literals
from guardrail.classifiers.plain import plain
from guardrail.detector import SURE
from guardrail.errors import UsageError

CONTEXT_BEFORE = 60
CONTEXT_AFTER = 30
"""How far from a value, in code points, its context words may stand."""

DIGIT_GAP = 3
"""Digits parted by at most so many other characters are one cluster."""


@dataclass(frozen=True, slots=True, eq=False)  # hashed thousands of times a second, in streams
class PatternRule:
    """One form of a value.

    `kind` is what findings are called; `name` tells rules of one kind apart and is unique in a
    table. `pattern` is a regular expression over the plain text (see `plain`); the group `value`,
    where there is one, is what is found, otherwise all that matched. It must take time linear in
    the text: bounded or possessive repetition.

    What has to be in the text, or else the rule is not run:
    `needs`: lower-case literals; every match, or what its pattern looks at around it, holds one of
    them in some case. `gate`: a regular expression that is found wherever the pattern matches, and
    more quickly, as one that starts with a fixed character. `digits`: every match holds at least
    so many digits (0 to 9 of any script), parted by no more than `DIGIT_GAP` other characters each,
    and no more than `reach` characters lie before the first of these or after the last.

    `starts`: every match starts with one of `needs`, or where there are none with the first of a
    run of digits, or at most `back` characters before it, but never with a blank; the rule is tried
    there only.

    `blanks`: no match holds more blanks than so many before the first of `needs` ends, or at all
    where there are none (None: any number).

    `run`: every match holds so many characters in a row of letters, digits and `+/=._~:-`, with a
    digit among them if `mixed`.

    `check` gets the value and says whether it can be one: a checksum, a range, a list.
    `score` (0 to 1) holds for a value without context; at 0 there is no finding without.
    `context_score` holds where one of the words in `context` stands near, as a word of its own
    (a plural s counts as the same word); words are lower case.
    """

    name: str
    kind: str
    pattern: str
    score: float
    needs: tuple[str, ...] = ()
    gate: str = ""
    digits: int = 0
    reach: int = 24
    starts: bool = False
    back: int = 0
    blanks: int | None = None
    run: int = 0
    mixed: bool = False
    check: Callable[[str], bool] | None = None
    context: tuple[str, ...] = ()
    context_score: float = 0.0


class Hit(NamedTuple):
    """A value that a rule found: code points `start` to `end` (half-open) of the raw text."""

    start: int
    end: int
    score: float
    kind: str
    rule: str


class PatternEngine:
    """Runs a table of rules. Thread-safe; compiling takes milliseconds, so make one and share it.

    Raises UsageError for a table that cannot be run.
    """

    def __init__(self, rules: Sequence[PatternRule]) -> None:
        self.rules = tuple(rules)
        self._compiled = tuple(map(_Compiled, self.rules))
        names = [rule.name for rule in self.rules]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(f"two rules are called {min(twice)!r}; give each its own name")
        self._always: list[_Compiled] = []
        at_digits: list[_Compiled] = []
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
                for start, end in _windows(clusters, rule.digits, rule.reach, len(text)):
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
        rules: dict[_Compiled, None],
        hits: list[Hit],
    ) -> None:
        """Run the rules that start with a literal, and add those to `rules` that may match because
        of one."""
        for last, state in found.literals:
            for back, anywhere, words, here in self._ending[state]:
                for rule in anywhere:
                    rules[rule] = None
                if words and _is_word(text, last - back, last + 1):
                    for rule in words:
                        rules[rule] = None
                for match, before, rule in here:
                    if not rule.has_run(found):
                        continue
                    if before:
                        rule.try_at(text, last - back, hits)
                    elif (at := match(text, last - back)) is not None:
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
            for start in cluster.runs:
                places = [
                    place
                    for place in range(max(0, start - self._back), start + 1)
                    if (place == start or not text[place].isspace())
                    and not (place and ((char := text[place - 1]).isalnum() or char == "_"))
                ]
                if places:
                    self._at_run(text, start, places, cluster.digits, hits)

    def _at_run(
        self, text: str, start: int, places: Sequence[int], digits: int, hits: list[Hit]
    ) -> None:
        for tier in self._tiers:
            if tier.digits > digits:
                break
            for place in places:
                if place >= start - tier.back and tier.any(text, place) is not None:
                    for rule in tier.rules:
                        if rule.digits <= digits:
                            rule.try_at(text, start, hits)
                    break


class _Literal(NamedTuple):
    """What is to be done where a literal stands: `back` leads from its last character to its
    first; `anywhere`: rules to be run over the text; `words`: the same where it is a word;
    `here`: rules that start with it, or so many characters before."""

    back: int
    anywhere: list[_Compiled]
    words: list[_Compiled]
    here: list[tuple[Callable[[str, int], re.Match[str] | None], int, _Compiled]]


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
    rules: list[_Compiled]


TIERS = (1, 4, 7, 10)
"""Most clusters have few digits, and most rules need many."""


def _tiers(rules: Sequence[_Compiled]) -> list[_Tier]:
    tiers = []
    for least, end in zip(TIERS, (*TIERS[1:], 1000), strict=True):
        some = [rule for rule in rules if least <= rule.digits < end]
        if some:
            forms = "|".join(f"(?:{unnamed(rule.rule.pattern)})" for rule in some)
            back = max(rule.back for rule in some)
            tiers.append(_Tier(least, back, re.compile(forms).match, some))
    return tiers


def unnamed(pattern: str) -> str:
    """The pattern of a rule without the name of its value."""
    return pattern.replace("(?P<value>", "(?:")


def _is_letter(char: str) -> bool:
    return char.isalnum() and not char.isdecimal()


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether a word, or its plural, begins and ends here; see `context_pattern`."""
    if start and _is_letter(text[start - 1]):
        return False
    if end < len(text) and _is_letter(text[end]):
        return text[end] in "sS" and not (end + 1 < len(text) and _is_letter(text[end + 1]))
    return True


class _Compiled:
    __slots__ = (
        "back",
        "check",
        "context",
        "digits",
        "gate",
        "group",
        "joins",
        "mixed",
        "needs",
        "pattern",
        "reach",
        "rule",
        "run",
        "starts",
    )

    def __init__(self, rule: PatternRule) -> None:
        try:
            self.pattern = re.compile(rule.pattern)
            self.gate = re.compile(rule.gate) if rule.gate else None
        except re.error as error:
            raise UsageError(f"the pattern of rule {rule.name!r} cannot be used: {error}") from None
        if not rule.score and not rule.context:
            raise UsageError(
                f"rule {rule.name!r} never finds anything: it needs a score or context"
            )
        self.rule = rule
        self.group = "value" if "value" in self.pattern.groupindex else 0
        self.check, self.digits, self.reach = rule.check, rule.digits, rule.reach
        self.starts, self.back = rule.starts, rule.back
        self.run, self.mixed = rule.run, rule.mixed
        self.context = context_pattern(rule.context) if rule.context else None
        # A value that counts in context only cannot be where no context word is.
        self.needs = rule.needs or (rule.context if not rule.score else ())
        # Whether it can be tried together with others: it begins at the end of a word or outside
        # of one, and refers to no group of its own.
        self.joins = (
            rule.starts
            and rule.digits > 0
            and rule.pattern.startswith(r"(?<![\w")
            and self.pattern.groups == bool(self.group)
        )

    def has_run(self, found: Found) -> bool:
        """Whether there are runs in a text of the length that a match holds."""
        return self.run <= (found.mixed if self.mixed else found.run)

    def find(self, text: str, start: int, end: int, hits: list[Hit]) -> None:
        for match in self.pattern.finditer(text, start, end):
            self.take(text, match, hits)

    def try_at(self, text: str, start: int, hits: list[Hit]) -> None:
        """Add what matches at a place, or at most `back` characters before it."""
        match = self.pattern.match
        for place in range(max(0, start - self.back), start + 1):
            if (found := match(text, place)) is not None:
                self.take(text, found, hits)
                return

    def take(self, text: str, match: re.Match[str], hits: list[Hit]) -> None:
        """Add what a match found, if it stands up to the check."""
        rule = self.rule
        first, last = match.span(self.group)
        score = rule.score
        if self.context is not None and (
            self.context.search(text, max(0, first - CONTEXT_BEFORE), first)
            or self.context.search(text, last, last + CONTEXT_AFTER)
        ):
            score = max(score, rule.context_score)
        if score and (self.check is None or self.check(text[first:last])):
            hits.append(Hit(first, last, score, rule.kind, rule.name))


def context_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Any of these words, as a word of its own or in the plural, in any case."""
    some = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W\d_])(?:{some})s?(?![^\W\d_])", re.IGNORECASE)


def resolve(hits: Iterable[Hit], length: int) -> list[Hit]:
    """Hits in a text of `length` code points in order of place, without those that a better one
    overlaps.

    The higher score is better, then the longer hit, then the first. A hit that holds better ones
    whole, as an address holds its postal code, stays beside them.
    """
    ranked = sorted(set(hits), key=lambda h: (-h.score, h.start - h.end, h.start, h.rule))
    if len(ranked) < 2:
        return ranked
    kept: dict[tuple[int, int], Hit] = {}
    # Whether a hit that is kept holds both the character at this place and the one before.
    inside = bytearray(length + 1)
    for hit in ranked:
        start, end = hit.start, hit.end
        if not (inside[start] or inside[end] or (start, end) in kept):
            kept[start, end] = hit
            inside[start + 1 : end] = b"\1" * (end - start - 1)
    return sorted(kept.values())


# --- digits -----------------------------------------------------------------------------------

# Not `\d+`: only what begins with one of some characters is searched for quickly.
_RUN, _ASCII_RUN = re.compile(r"\d\d*"), re.compile(r"[0-9][0-9]*")


class Cluster(NamedTuple):
    """Digits near each other: where the first stands and the last ends, how many they are, and
    where each run of them starts."""

    start: int
    end: int
    digits: int
    runs: tuple[int, ...]


def digit_clusters(text: str, known: Sequence[Sequence[int]] | None = None) -> list[Cluster]:
    """The clusters of digits in a text, in order; `known`: where its runs start and end."""
    clusters: list[Cluster] = []
    runs: list[int] = []
    digits, end = 0, -DIGIT_GAP - 1
    if known is None:
        form = _ASCII_RUN if text.isascii() else _RUN
        known = [match.span() for match in form.finditer(text)]
    for start, after in known:
        if start - end > DIGIT_GAP and runs:
            clusters.append(Cluster(runs[0], end, digits, tuple(runs)))
            runs, digits = [], 0
        runs.append(start)
        digits += after - start
        end = after
    if runs:
        clusters.append(Cluster(runs[0], end, digits, tuple(runs)))
    return clusters


def _windows(
    clusters: Sequence[Cluster], digits: int, reach: int, length: int
) -> Iterable[tuple[int, int]]:
    """Where a match with so many digits can lie, and a character more to look at on each side."""
    first = last = -1
    for start, end, count, _ in clusters:
        if count < digits:
            continue
        if start - reach <= last:
            last = end + reach + 1
            continue
        if last >= 0:
            yield first, min(last, length)
        first, last = max(0, start - reach), end + reach + 1
    if last >= 0:
        yield first, min(last, length)
