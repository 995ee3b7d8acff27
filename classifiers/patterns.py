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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import ahocorasick

from guardrail.errors import UsageError

CONTEXT_BEFORE = 60
CONTEXT_AFTER = 30
"""How far from a value, in code points, its context words may stand."""

DIGIT_GAP = 3
"""Digits parted by at most so many other characters are one cluster."""


@dataclass(frozen=True, slots=True)
class PatternRule:
    """One form of a value.

    `kind` is what findings are called; `name` tells rules of one kind apart and is unique in a
    table. `pattern` is a regular expression over the plain text (see `plain`); the group `value`,
    where there is one, is what is found, otherwise all that matched. It must take time linear in
    the text: bounded or possessive repetition.

    What has to be in the text, or else the rule is not run:
    `needs`: lower-case literals; every match, or what its pattern looks at around it, holds one of
    them in some case. `digits`: every match holds at least so many digits (0 to 9 of any script),
    parted by no more than `DIGIT_GAP` other characters each, and no more than `reach` characters
    lie before the first of these or after the last.

    `starts`: every match starts with one of `needs`, or where there are none with the first of a
    run of digits, or at most `back` characters before it; the rule is tried there only.

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
    digits: int = 0
    reach: int = 24
    starts: bool = False
    back: int = 0
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
        self._compiled = tuple(_Compiled(rule) for rule in self.rules)
        names = [rule.name for rule in self.rules]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(f"two rules are called {min(twice)!r}; give each its own name")
        self._always: list[int] = []
        literals: dict[str, tuple[list[int], list[int]]] = {}
        for number, rule in enumerate(self._compiled):
            at_literal = rule.rule.starts and bool(rule.rule.needs)
            if not rule.needs:
                self._always.append(number)
            for literal in rule.needs:
                literals.setdefault(literal, ([], []))[at_literal].append(number)
        self._automaton = ahocorasick.Automaton()
        for literal, (anywhere, here) in literals.items():
            tried = tuple((number, self.rules[number].back) for number in here)
            self._automaton.add_word(literal, (len(literal) - 1, tuple(anywhere), tried))
        if literals:
            self._automaton.make_automaton()
        self._has_literals = bool(literals)

    def scan(self, raw: str) -> list[Hit]:
        """The values in a text, in order of place, overlaps resolved (see `resolve`)."""
        text, offsets = plain(raw)
        hits: list[Hit] = []
        clusters: list[Cluster] | None = None
        most = 0
        for number in self._worth_running(text, hits):
            rule = self._compiled[number]
            if rule.digits:
                if clusters is None:
                    clusters = digit_clusters(text)
                    most = max((cluster.digits for cluster in clusters), default=0)
                if rule.digits > most:
                    continue
                if rule.starts:
                    for cluster in clusters:
                        if cluster.digits >= rule.digits:
                            for start in cluster.runs:
                                rule.try_at(text, start, rule.back, hits)
                else:
                    for start, end in _windows(clusters, rule.digits, rule.reach, len(text)):
                        rule.find(text, start, end, hits)
            else:
                rule.find(text, 0, len(text), hits)
        if offsets is not None:
            hits = [hit._replace(start=offsets[hit.start], end=offsets[hit.end]) for hit in hits]
        return resolve(hits, len(raw))

    def _worth_running(self, text: str, hits: list[Hit]) -> list[int]:
        """The rules to run over all of a text. Those that start with a literal are run here."""
        if not self._has_literals:
            return self._always
        found: set[int] = set()
        seen: set[tuple[int, ...]] = set()
        lowered = text.lower()
        if len(lowered) != len(text):  # a few capitals become two characters
            lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
        for last, (back, anywhere, here) in self._automaton.iter(lowered):
            if anywhere and anywhere not in seen:
                seen.add(anywhere)
                found.update(anywhere)
            for number, before in here:
                self._compiled[number].try_at(text, last - back, before, hits)
        return self._always + sorted(found) if found else self._always


class _Compiled:
    __slots__ = (
        "back",
        "check",
        "context",
        "digits",
        "group",
        "needs",
        "pattern",
        "reach",
        "rule",
        "starts",
    )

    def __init__(self, rule: PatternRule) -> None:
        try:
            self.pattern = re.compile(rule.pattern)
        except re.error as error:
            raise UsageError(f"the pattern of rule {rule.name!r} cannot be used: {error}") from None
        if not rule.score and not rule.context:
            raise UsageError(
                f"rule {rule.name!r} never finds anything: it needs a score or context"
            )
        self.rule = rule
        self.group = "value" if "value" in self.pattern.groupindex else 0
        self.check, self.digits, self.reach = rule.check, rule.digits, rule.reach
        self.starts, self.back = rule.starts and not rule.needs, rule.back
        self.context = context_pattern(rule.context) if rule.context else None
        # A value that counts in context only cannot be where no context word is.
        self.needs = rule.needs or (rule.context if not rule.score else ())

    def find(self, text: str, start: int, end: int, hits: list[Hit]) -> None:
        for match in self.pattern.finditer(text, start, end):
            self.take(text, match, hits)

    def try_at(self, text: str, start: int, back: int, hits: list[Hit]) -> None:
        """Add what matches at a place, or at most `back` characters before it."""
        match = self.pattern.match
        for place in range(max(0, start - back), start + 1):
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

_RUN = re.compile(r"\d+")


class Cluster(NamedTuple):
    """Digits near each other: where the first stands and the last ends, how many they are, and
    where each run of them starts."""

    start: int
    end: int
    digits: int
    runs: tuple[int, ...]


def digit_clusters(text: str) -> list[Cluster]:
    """The clusters of digits in a text, in order."""
    clusters: list[Cluster] = []
    runs: list[int] = []
    digits, end = 0, -DIGIT_GAP - 1
    for match in _RUN.finditer(text):
        start, after = match.span()
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


# --- plain text -------------------------------------------------------------------------------

# Characters that look like, or are shown as, those that rules are written with, and characters
# that are not shown at all. Written as a disguise, or by a program that sets type.
_PLAIN = {
    **{chr(point): "-" for point in (0x2010, 0x2011, 0x2012, 0x2013, 0x2212, 0xFE63, 0xFF0D)},
    **{chr(point): " " for point in (0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)},
    **{chr(point): chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F) if point != 0xFF0D},
    **{chr(point): "" for point in (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F))},
    **{chr(point): "" for point in (*range(0x2060, 0x2065), 0xFEFF, *range(0xFE00, 0xFE10))},
    "\u2024": ".",
    "\ufe52": ".",
    "\uff61": ".",
    "\u3002": ".",
    "\ufe6b": "@",
}
_ODD = re.compile(f"[{''.join(map(re.escape, _PLAIN))}]")
_UNSEEN = re.compile(f"[{''.join(re.escape(char) for char, plain in _PLAIN.items() if not plain)}]")


def plain(raw: str) -> tuple[str, list[int] | None]:
    """The text that rules are run over: dashes, blanks, full-width letters and signs as ASCII has
    them, and invisible characters gone.

    Also the offset in `raw` of each of its code points and of its end, or None where they are the
    same. Digits of other scripts stay: `\\d` and `int` take them.
    """
    if raw.isascii() or not _ODD.search(raw):
        return raw, None
    if not _UNSEEN.search(raw):
        return _ODD.sub(lambda match: _PLAIN[match.group()], raw), None
    parts: list[str] = []
    offsets: list[int] = []
    for offset, char in enumerate(raw):
        char = _PLAIN.get(char, char)
        if char:
            parts.append(char)
            offsets.append(offset)
    offsets.append(len(raw))
    return "".join(parts), offsets
