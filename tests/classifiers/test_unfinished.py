"""Values that may not have ended against the naive way: every rule at every place near the end."""

from __future__ import annotations

import importlib
import random
import re
from typing import Any

import pytest

from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.pii.rules import engine
from guardrail.classifiers.plain import plain
from guardrail.classifiers.secrets import secrets_engine
from guardrail.classifiers.unfinished import NEAR, _form, _is_open, unfinished
from tests.cases.pii import CASES
from tests.cases.secrets import TEMPLATES, fill

KINDS = frozenset({"email_address", "phone_number", "street_address", "credit_card", "us_ssn"})
CLEAN = "Here is a recipe for 4 pancakes, see page 12: mix flour, milk and 2 eggs on 3 May. "


def naive(engine: PatternEngine, raw: str, kinds: frozenset[str] | None) -> int:
    """Where the first value begins that may go on, or the end."""
    text, offsets = plain(raw)
    content = len(text.rstrip())
    lowered = text.lower()
    first = len(text)
    for rule in engine.rules:
        if kinds is not None and rule.kind not in kinds:
            continue
        for place in range(max(0, len(text) - NEAR), first):
            if rule.starts and not begins(rule, lowered, place):
                continue
            match = _form(rule.pattern).match(text, place, partial=True)
            if match is not None and _is_open(rule, match, content):
                first = place
                break
    return first if offsets is None else offsets[first]


def begins(rule: PatternRule, lowered: str, place: int) -> bool:
    """Whether one of the literals of a rule stands here, or a run of digits begins."""
    for at in range(place, min(place + rule.back + 1, len(lowered))):
        if rule.needs:
            if lowered.startswith(rule.needs, at):
                return True
        elif lowered[at].isdecimal() and not (at and lowered[at - 1].isdecimal()):
            return True
    return False


@pytest.mark.parametrize("kinds", [None, KINDS], ids=["all kinds", "some kinds"])
def test_nothing_that_may_go_on_is_missed_in_personal_data(kinds: frozenset[str] | None) -> None:
    rng = random.Random(3)
    for case in CASES[::6]:
        text = CLEAN + case.text
        raw = text[: rng.randint(len(CLEAN) + 1, len(text))]
        opened = [hit.start for hit in unfinished(engine(), raw, engine().scan(raw), kinds)]
        assert min(opened, default=len(raw)) <= naive(engine(), raw, kinds), raw


def test_nothing_that_may_go_on_is_missed_in_secrets() -> None:
    rng = random.Random(3)
    for _, template in TEMPLATES[::12]:
        text = f"{CLEAN}The key: {fill(template, rng)}."
        raw = text[: rng.randint(len(CLEAN) + 1, len(text))]
        opened = [hit.start for hit in unfinished(secrets_engine(), raw, [])]
        assert min(opened, default=len(raw)) <= naive(secrets_engine(), raw, None), raw


parser, codes = importlib.import_module("re._parser"), importlib.import_module("re._constants")


def may_hold_a_blank(tokens: Any) -> bool:
    """Whether what a parsed pattern matches, but for what it looks at, may hold a blank."""
    for code, value in tokens:
        if code in (codes.NOT_LITERAL, codes.ANY):
            return True
        if code is codes.LITERAL and chr(value).isspace():
            return True
        if code is codes.IN:
            negated = value[0][0] is codes.NEGATE
            inside = any(holds_a_blank(*item) for item in value[negated:])
            if inside is not negated:
                return True
        inner: list[Any] = []
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            inner = [value[2]]
        elif code is codes.SUBPATTERN:
            inner = [value[3]]
        elif code is codes.BRANCH:
            inner = value[1]
        elif code is codes.ATOMIC_GROUP:
            inner = [value]
        if any(map(may_hold_a_blank, inner)):
            return True
    return False


def holds_a_blank(code: Any, value: Any) -> bool:
    if code is codes.CATEGORY:
        return value in (codes.CATEGORY_SPACE, codes.CATEGORY_NOT_WORD, codes.CATEGORY_NOT_DIGIT)
    if code is codes.RANGE:
        return bool(value[0] <= 32 <= value[1])
    return chr(value).isspace()


@pytest.mark.parametrize("rules", [engine().rules, secrets_engine().rules], ids=["pii", "secrets"])
def test_what_rules_say_of_where_they_begin(rules: tuple[PatternRule, ...]) -> None:
    """What begins at digits begins outside of a word; what is said to be one word is one."""
    assert any(rule.blanks == 0 for rule in rules)
    for rule in rules:
        if rule.blanks == 0:
            assert not may_hold_a_blank(parser.parse(rule.pattern)), rule.name
        if rule.starts and not rule.needs:
            assert rule.pattern.startswith(r"(?<![\w"), rule.name
            assert re.compile(rule.pattern)
