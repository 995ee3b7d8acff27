"""The pattern engine against the naive way: every rule over the whole text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.classifiers.hits import Hit, resolve
from guardrail.classifiers.pattern_rule import PatternRule, context_pattern
from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.pii.rules import RULES, engine
from guardrail.classifiers.plain import plain
from guardrail.errors import UsageError
from tests.cases.pii import CASES


def naive(raw: str) -> list[Hit]:
    """What the rules say, each tried at every place, without any look at what they need."""
    text, offsets = plain(raw)
    places = offsets or list(range(len(text) + 1))
    hits = []
    for rule, compiled in zip(RULES, engine()._compiled, strict=True):
        group = "value" if "value" in compiled.pattern.groupindex else 0
        for place in range(len(text)):
            match = compiled.pattern.match(text, place)
            if match is None:
                continue
            start, end = match.span(group)
            score = rule.score
            if rule.context:
                words = context_pattern(rule.context)
                if words.search(text, max(0, start - 60), start) or words.search(
                    text, end, end + 30
                ):
                    score = max(score, rule.context_score)
            if score and (rule.check is None or rule.check(text[start:end])):
                hits.append(Hit(places[start], places[end], score, rule.kind, rule.name))
    return resolve(hits, len(raw))


# Pieces of the table of cases, so that texts come close to what rules take.
PIECES = [case.text for case in CASES] + [
    " ",
    "\n",
    ", ",
    "0",
    "12",
    "SSN ",
    "\u200b",
    "İ",
    "-",
    "٣٤",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join))
def test_what_is_skipped_could_not_have_matched(text: str) -> None:
    skipped = {(h.start, h.end, h.kind) for h in naive(text)} - {
        (h.start, h.end, h.kind) for h in engine().scan(text)
    }
    # A search goes on behind a match, the naive way inside it: shorter hits within one may differ.
    found = engine().scan(text)
    for start, end, kind in skipped:
        assert any(h.start < end and start < h.end for h in found), (start, end, kind)


def test_the_better_of_two_that_overlap_stays() -> None:
    long, short = Hit(0, 9, 0.5, "a", "a"), Hit(2, 5, 0.9, "b", "b")
    crossing, same = Hit(4, 7, 0.8, "c", "c"), Hit(2, 5, 0.4, "d", "d")
    assert resolve([long, short, crossing, same], 10) == [long, short]


def test_a_table_that_cannot_be_run_is_refused() -> None:
    rule = PatternRule("one", "kind", "x", 0.5)
    with pytest.raises(UsageError, match="two rules are called 'one'"):
        PatternEngine([rule, rule])
    with pytest.raises(UsageError, match="rule 'one' cannot be used"):
        PatternEngine([PatternRule("one", "kind", "(", 0.5)])
    with pytest.raises(UsageError, match="never finds anything"):
        PatternEngine([PatternRule("one", "kind", "x", 0)])


@pytest.mark.timed
@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "a", "A ", "Aa ", "12 Aa ", "a.", "a@", "a@a.", "::", "0:", "-", "apt 1 ", "4111 ",
     "rue Aa ", "Suite 1\n", "name: ", "Dr. A", "dot ", "(212) ", "+1 ", "x1", "1HGCM8263", "SSN "],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    def seconds(size: int) -> float:
        text = (piece * size)[:size]
        began = time.process_time()
        engine().scan(text)
        return time.process_time() - began

    seconds(2000)
    small, large = min(seconds(4000) for _ in range(3)), min(seconds(32000) for _ in range(2))
    assert large < 8 * small * 4 + 0.05
