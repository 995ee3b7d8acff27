"""One form of a value: a regular expression, and what a text holds wherever it can match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from guardrail.classifiers.hits import Hit
from guardrail.classifiers.literals import Found
from guardrail.errors import UsageError

CONTEXT_BEFORE = 60
CONTEXT_AFTER = 30
"""How far from a value, in code points, its context words may stand."""
ENDLESS = 256
"""Of a value without a bound, in code points, what tells whether it is one."""


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

    `endless`: a match goes on as long as its characters do, and `check` looks at no more of it than
    the first `ENDLESS` characters.

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
    endless: bool = False
    check: Callable[[str], bool] | None = None
    context: tuple[str, ...] = ()
    context_score: float = 0.0


Reached = tuple[int, bool]
"""Where the last match of a rule ended, and whether it was one of a value."""


class CompiledRule:
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

    def try_here(
        self, text: str, start: int, reached: dict[CompiledRule, Reached], hits: list[Hit]
    ) -> None:
        """Add what an `endless` rule matches at a place. `reached` tells of its last match: what
        lies in that is not gone through to its end from each place that it may begin at."""
        match = self.pattern.match
        end, taken = reached.get(self, (0, False))
        if start < end:
            near = None if taken else match(text, start, start + 2 * ENDLESS)
            if near is None or not self.stands(near):
                return
        if (found := match(text, start)) is not None:
            count = len(hits)
            self.take(text, found, hits)
            reached[self] = found.end(), len(hits) > count

    def stands(self, match: re.Match[str]) -> bool:
        """Whether a value stands up to the check."""
        return self.check is None or self.check(match[self.group])

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
        if score and self.stands(match):
            hits.append(Hit(first, last, score, rule.kind, rule.name))


def unnamed(pattern: str) -> str:
    """The pattern of a rule without the name of its value."""
    return pattern.replace("(?P<value>", "(?:")


def context_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Any of these words, as a word of its own or in the plural, in any case."""
    some = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W\d_])(?:{some})s?(?![^\W\d_])", re.IGNORECASE)


def _is_letter(char: str) -> bool:
    return char.isalnum() and not char.isdecimal()


def is_word(text: str, start: int, end: int) -> bool:
    """Whether a word, or its plural, begins and ends here; see `context_pattern`."""
    if start and _is_letter(text[start - 1]):
        return False
    if end < len(text) and _is_letter(text[end]):
        return text[end] in "sS" and not (end + 1 < len(text) and _is_letter(text[end + 1]))
    return True
