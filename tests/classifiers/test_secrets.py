"""Secrets: the table of cases, what is not flagged, spans, hostile texts."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail import Guardrail
from guardrail.classifiers.secret_rules import KEYED_FORMATS, TOKEN_FORMATS
from guardrail.classifiers.secret_values import checksum, has_checksum, is_placeholder
from guardrail.classifiers.secrets import SecretsDetector, secrets_engine
from guardrail.detector import EMPTY_CONTEXT
from guardrail.findings import Action, Finding
from guardrail.text import canonicalise
from tests.cases.secrets import CLEAN, TEMPLATES, Case, fill, generated, structures


def find(text: str) -> list[Finding]:
    return list(SecretsDetector("secrets").scan(canonicalise(text), EMPTY_CONTEXT))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_keys_in_published_formats_are_found_by_service(seed: int) -> None:
    missed = [case for case in generated(seed) if not covered(case)]
    # A key drawn at random may look like a word or a blank; one in a hundred is let through.
    assert len(missed) <= len(generated(seed)) // 100, missed
    assert len({kind for kind, _ in TEMPLATES}) >= 100


def covered(case: Case) -> bool:
    start = case.text.index(case.value)
    end = start + len(case.value)
    return any(
        found.kind == case.kind and found.span.start < end and found.span.end > start
        for found in find(case.text)
    )


@pytest.mark.parametrize("case", structures(5), ids=lambda case: case.text[:40])
def test_structures_are_found(case: Case) -> None:
    assert covered(case), find(case.text)


@pytest.mark.parametrize("case", structures(6), ids=lambda case: case.text[:40])
def test_nothing_of_a_secret_is_left(case: Case) -> None:
    verdict = Guardrail.from_policy().check(f"As asked.\n{case.text}\nThat is all.")
    if case.kind == "high-entropy":
        assert verdict.action is Action.FLAG
    else:
        assert verdict.action is Action.REDACT
        assert case.value not in verdict.text
        assert verdict.text.startswith("As asked.\n")
        assert verdict.text.endswith("\nThat is all.")


@pytest.mark.parametrize("text", CLEAN)
def test_examples_code_and_prose_are_not_flagged(text: str) -> None:
    assert find(text) == []
    assert find(f"Some words before it.\n{text}\nSome words after it.") == []


def test_what_looks_random_is_nothing_in_prose() -> None:
    rng = random.Random(4)
    for _ in range(50):
        assert find(f"The answer {fill('<A40>', rng)} came as a surprise.") == []


def test_a_checksum_tells_a_token_from_a_likely_one() -> None:
    token = fill("ghp_<A30><CRC>", random.Random(3))
    assert has_checksum(token)
    assert not has_checksum(token[:-1] + ("a" if token[-1] != "a" else "b"))
    assert checksum("") == "000000"
    certain, likely = find(token)[0], find(token[:-6] + "AbCdEf")[0]
    assert certain.score == 1.0 > likely.score
    assert certain.kind == likely.kind == "github-token"


def test_every_row_of_the_tables_is_lower_case_where_it_has_to_be() -> None:
    for row in TOKEN_FORMATS:
        assert row.needs
        assert all(need == need.lower() for need in row.needs), row
    for keyed in KEYED_FORMATS:
        assert all(word == word.lower() for word in keyed.words), keyed


def test_a_gate_is_open_wherever_its_rule_matches() -> None:
    texts = [case.text for case in (*generated(8), *structures(8))]
    gated = [rule for rule in secrets_engine().rules if rule.gate]
    for rule in gated:
        matching = [text for text in texts if re.search(rule.pattern, text)]
        assert matching, rule.name
        assert all(re.search(rule.gate, text) for text in matching), rule.name


def test_a_secret_disguised_with_invisible_characters_is_found() -> None:
    token = fill("sk_live_<A24>", random.Random(9))
    hidden = "\u200b".join(token)
    (found,) = find(f"use {hidden} now")
    assert (found.span.start, found.span.end) == (4, 4 + len(hidden))


def test_the_end_of_a_password_is_not_left() -> None:
    """A password was once cut at `&` and `;`, which end a value only where another follows."""
    for text, value in (
        ("The root password is Tr0ub4dor&3, again.", "Tr0ub4dor&3"),
        ("jdbc:x://h/d?user=u&password=Tr0ub;4dor&ssl=true", "Tr0ub;4dor"),
        ("Uid=u;Pwd=Tr0ub&4dor;Encrypt=yes", "Tr0ub&4dor"),
    ):
        (found,) = find(text)
        assert value in text[found.span.start : found.span.end]
        assert "=" not in text[found.span.start : found.span.end]


def test_a_token_behind_blanks_without_end_is_found() -> None:
    """What an example goes on with may be none: it is looked at from each place that it may begin
    at, but not to its end from each."""
    token = fill("xoxb-<D12>-<D12>-<A24>", random.Random(9))
    blanked = "xoxb-1-xxxxxxxxxx-" * 200
    (found,) = find(blanked + token)
    assert (found.span.start, found.span.end) == (len(blanked), len(blanked + token))
    (found,) = find(f"{token}-" * 200)
    assert (found.span.start, found.span.end) == (0, 200 * (len(token) + 1))


@pytest.mark.parametrize("value", ["xxxxxxxx", "<key>", "${KEY}", "{{ key }}", "%(key)s", "aaaa"])
def test_placeholders(value: str) -> None:
    assert is_placeholder(value)


HOSTILE = {
    "names": "password " * 5000,
    "assignments": "password = " * 4000,
    "quotes": "password='" * 4000,
    "urls": "a://b:" * 6000,
    "headers": "-----BEGIN PRIVATE KEY-----\n" * 1500,
    "json web tokens": "eyJhbGciOi" * 4000,
    "one long word": "key" + "a1B" * 15000,
    "dots": "eyeyeyeyey." * 4000,
    "curl": "curl " * 8000,
    "secret manifests": "kind: Secret\n" * 3000,
    "services": "heroku datadog aws " * 2000,
    "spaces": "secret" + " " * 40000,
    "tokens in one run": "xoxb-1-" * 6000,
    "names in one run": "api_key=" * 5000,
}


@pytest.mark.timed
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_take_linear_time(name: str) -> None:
    """About 40 KB of each: a slow rule takes minutes, a sound one well under a second."""
    began = time.process_time()
    find(HOSTILE[name])
    assert time.process_time() - began < 4


@given(st.text(max_size=300))
def test_any_text_is_judged_and_spans_lie_in_it(text: str) -> None:
    for found in find("token=" + text):
        assert 0 <= found.span.start < found.span.end <= len(text) + 6
