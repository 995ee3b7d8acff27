"""Literals against the naive search, and what rules say of runs against rules that say nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.classifiers.literals import Literals, lowered
from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.pii.rules import RULES, engine
from guardrail.classifiers.secrets import secret_pattern_rules, secrets_engine
from tests.cases import pii, secrets

WORDS = ("a", "ab", "bab", "né", "k", "1a", ".", "abab", "ß")


@settings(max_examples=200)
@given(st.text("aAbBéÉnN1.K\u212a kß ٣İ", max_size=40), st.sets(st.sampled_from(WORDS), min_size=1))
def test_literals_are_found_wherever_they_stand(text: str, words: set[str]) -> None:
    literals = Literals(dict.fromkeys(sorted(words), (0, 0)))
    known = sorted(words)
    found = literals.find(text)
    low = lowered(text)
    naive = [
        (place + len(word) - 1, word)
        for word in known
        for place in range(len(low))
        if low.startswith(word, place)
    ]
    said = [(last, known[n]) for last, state in found.literals for n in literals.ending[state]]
    assert sorted(said) == sorted(naive)
    assert said == sorted(said, key=lambda pair: (pair[0], -len(pair[1])))
    if text.isascii():
        assert found.digits == [list(match.span()) for match in re.finditer("[0-9]+", text)]
    else:
        assert found.digits is None


@settings(max_examples=100)
@given(st.text("aZ09-_.~:=+/ ,\né", max_size=60), st.integers(0, 8), st.integers(0, 8))
def test_a_literal_counts_where_there_are_runs_for_it(text: str, run: int, mixed: int) -> None:
    runs = re.findall(r"[^ ,\n]+", text)
    longest = max(map(len, runs), default=0)
    # A run up to its last character: what stands before a digit alone is no run with one.
    with_digit = max((len(part) for part in runs if re.search("[0-9]", part)), default=0)
    literals = Literals({"a": (run, mixed)})
    found = literals.find(text)
    assert (found.run, found.mixed) == (longest, with_digit)
    count = text.count("a") if run <= longest and mixed <= with_digit else 0
    assert len(found.literals) == count
    assert len(literals.find(text, going_on=True).literals) == text.count("a")


@pytest.fixture(scope="module", params=["personal data", "secrets"])
def engines(request: pytest.FixtureRequest) -> tuple[PatternEngine, PatternEngine, list[str]]:
    """An engine, the same without runs, and texts that its rules take."""
    if request.param == "secrets":
        rules, known = secret_pattern_rules(), secrets_engine()
        texts = [case.text for case in (*secrets.generated(8)[::3], *secrets.structures(8))]
    else:
        rules, known = list(RULES), engine()
        texts = [case.text for case in pii.CASES]
    return known, PatternEngine([replace(rule, run=0) for rule in rules]), texts


def test_no_value_is_lost_for_want_of_a_run(
    engines: tuple[PatternEngine, PatternEngine, list[str]],
) -> None:
    known, without, texts = engines
    assert any(rule.run for rule in known.rules)
    for text in texts:
        # Cut at every fourth place, too: the shortest value that a rule takes is among them.
        for end in {len(text), *range(len(text) // 2, len(text), max(4, len(text) // 24))}:
            assert known.scan(text[:end]) == without.scan(text[:end])
