"""Findings that confirm each other, in a check and in a stream however it is cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from guardrail import Action, Context, Evidence, Finding, Policy, Span, StreamFilter
from guardrail.filter import Filter
from guardrail.policy_file import parse_policy
from guardrail.text import CanonicalText

TEXT = "Well. The red fox ran over the low wall. It saw a red hen and a dog there. So the fox left."
RULES = {
    "confirmed": "- {name: a, when: {kind: animal, overlaps: clause}, action: redact}\n"
    "  - {name: b, action: allow}",
    "confirming": "- {name: a, when: {kind: clause, overlaps: animal}, action: redact}\n"
    "  - {name: b, action: allow}",
    "spared": "- {name: a, when: {kind: animal, overlaps: clause}, action: allow}\n"
    "  - {name: b, when: {kind: animal}, action: redact}\n"
    "  - {name: c, action: flag}",
}


class Words:
    """Finds what an expression matches."""

    def __init__(self, kind: str, expression: str, window: int | None, excuse: str | None = None):
        self.name = kind
        self.window = window
        self._expression, self._excuse = re.compile(expression), excuse

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        evidence = Evidence(matched=3, words=1, excuse=self._excuse)
        return [
            Finding(self.name, self.name, Span(*match.span()), evidence=evidence)
            for match in self._expression.finditer(text.raw)
        ]


class Clauses(Words):
    """A costly detector of whole sentences that name a colour."""

    def __init__(self) -> None:
        super().__init__("clause", r"[^. ][^.]*\bred [^.]*\.", None)
        self.kinds = frozenset({"clause"})


def policy(rules: str) -> Policy:
    return parse_policy(f"version: 1\nrules:\n  {rules}\nredaction: {{text: '<{{kind}}>'}}\n")


def made(rules: str, excuse: str | None = None) -> Filter:
    return Filter(policy(rules), [Words("animal", r"\b(fox|hen|dog)\b", 20, excuse), Clauses()])


CHECKED = {
    "confirmed": TEXT.replace("fox ran", "<animal> ran")
    .replace("hen", "<animal>")
    .replace("dog", "<animal>"),
    "confirming": "Well. <clause> So the fox left.",
    "spared": TEXT.replace("fox left", "<animal> left"),
}


@pytest.mark.parametrize("name", RULES)
def test_findings_of_other_kinds_confirm_each_other(name: str) -> None:
    assert made(RULES[name]).check(TEXT).text == CHECKED[name]


def test_what_may_be_said_confirms_nothing() -> None:
    assert made(RULES["confirming"], "public").check(TEXT).action is Action.ALLOW


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_streams_say_the_same_however_they_are_cut(name: str, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(TEXT)]
    stream = StreamFilter(made(RULES[name]))
    out = "".join(stream.feed(TEXT[a:b]) for a, b in pairwise(places))
    assert out + stream.flush() == CHECKED[name]


@pytest.mark.parametrize("name", RULES)
def test_streams_say_the_same_sign_by_sign(name: str) -> None:
    stream = StreamFilter(made(RULES[name]))
    assert "".join(map(stream.feed, TEXT)) + stream.flush() == CHECKED[name]


@pytest.mark.parametrize("overlaps", ["left", "right"])
@settings(max_examples=300, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(text=st.text("ABCDx", max_size=40), size=st.integers(1, 5))
@example("xAxxCxxBxxDxxxxxxxxxxxxxxxx", 1)
@example("xCxxAxxDxxBxxxxxxxxxxxxxxxx", 1)
def test_streams_wait_for_what_overlaps(overlaps: str, text: str, size: int) -> None:
    kind = {"left": "right", "right": "left"}[overlaps]
    rules = f"- {{name: a, when: {{kind: {kind}, overlaps: {overlaps}}}, action: redact}}\n"
    filter_ = Filter(
        policy(rules + "  - {name: b, action: allow}"),
        [Words("left", "A[^B]{0,6}B", 8), Words("right", "C[^D]{0,9}D", 11)],
    )
    stream = StreamFilter(filter_, pace="token")
    out = "".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size))
    assert out + stream.flush() == filter_.check(text).text


def test_runs_that_need_not_be_reported_are_where_they_confirm() -> None:
    allow = "- {name: b, when: {kind: animal}, action: allow}"
    assert policy(allow).passes("animal", "animal")(3, 1)
    confirm = "- {name: a, when: {kind: clause, overlaps: animal}, action: redact}\n  " + allow
    assert not policy(confirm).passes("animal", "animal")(3, 1)
