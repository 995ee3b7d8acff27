"""Operators per kind: what they leave, what the key restores, and what surrounds them."""

from __future__ import annotations

import json

import pytest

from guardrail import Action, Guardrail, Span, new_key
from guardrail.errors import PolicyError, SecretKeyError, UsageError
from guardrail.keys import Key
from guardrail.policy_file import default_policy, parse_policy
from guardrail.redact import Part, redact, seams
from guardrail.redaction import DEFAULT_LABEL, Redaction

POLICY = """
version: 1
detectors: {pii: {type: pii}}
rules: [{name: all, action: redact}]
redaction:
  operators:
    email_address: {operator: pseudonym}
    credit_card: {operator: mask, chars_to_mask: 15}
    us_ssn: {operator: hash}
    phone_number: {operator: encrypt}
    iban_code: {operator: replace, new_value: "<IBAN>"}
"""
TEXT = (
    "Mail a.berg@nordpost.se, A.Berg@nordpost.se or o.h@nordpost.se; card 4111 1111 1111 1111; "
    "ssn 460-89-9847; call +46 8 123 456 78; IBAN DE89 3704 0044 0532 0130 00; 12 Baker Street"
)
PRIVATE = ("berg", "4111 1111", "9847", "456 78", "DE89", "Baker")


@pytest.fixture(scope="module")
def rail() -> Guardrail:
    return Guardrail.from_policy(parse_policy(POLICY), key=new_key())


def test_each_kind_has_its_operator(rail: Guardrail) -> None:
    verdict = rail.check(TEXT, conversation="one")
    assert verdict.action is Action.REDACT
    for private in PRIVATE:
        assert private.lower() not in verdict.text.lower()
    assert "card ***************1111;" in verdict.text
    assert "IBAN <IBAN>;" in verdict.text
    assert verdict.text.endswith(DEFAULT_LABEL)


@pytest.mark.parametrize("number", [1721, 2941])
def test_what_a_key_made_is_not_taken_for_personal_data(number: int) -> None:
    """With these keys a token ends with "zip", which makes of a masked number a postal code."""
    rail = Guardrail.from_policy(parse_policy(POLICY), key=Key(number.to_bytes(32, "big")))
    assert rail.check(TEXT, conversation="one").action is Action.REDACT
    sent = "".join(rail.stream([TEXT], conversation="one"))
    assert "[us_ssn:" in sent
    assert "12 Baker Street" not in sent


def test_a_token_does_not_hide_what_meets_around_it() -> None:
    parts = [Part("ab", False), Part("[kind:abcdefgh2345]", True), Part("cd", False)]
    (seam,) = seams(parts)
    assert seam.sealed
    assert seam.concerns(Span(1, 22))
    assert not seam.concerns(Span(1, 10))
    assert seam.holds(Span(3, 20))
    assert not seam.holds(Span(1, 20))
    (label,) = seams([Part("ab", False), Part(DEFAULT_LABEL, True)])
    assert label.concerns(Span(1, 3))
    assert not label.concerns(Span(3, 8))


def test_a_value_has_one_pseudonym_in_a_conversation(rail: Guardrail) -> None:
    def names(conversation: str | None) -> list[str]:
        text = rail.check(TEXT, conversation=conversation).text
        return [part.split("]")[0] for part in text.split("[email_address:")[1:]]

    first, second, third = names("one")
    assert first == second != third
    assert names("one") == [first, second, third]
    assert not {*names("two"), *names(None)} & {first, third}
    assert names(None) != names(None)


def test_the_key_restores_what_was_encrypted_and_nothing_else(rail: Guardrail) -> None:
    sent = rail.check(TEXT, conversation="one").text
    restored = rail.restore(sent)
    assert "call +46 8 123 456 78;" in restored
    assert "berg" not in restored
    assert "9847" not in restored
    other = Guardrail.from_policy(parse_policy(POLICY), key=new_key())
    with pytest.raises(SecretKeyError):
        other.restore(sent)
    with pytest.raises(UsageError, match="no redaction operators"):
        Guardrail.from_policy(default_policy()).restore(sent)


def test_json_stays_json(rail: Guardrail) -> None:
    verdict = rail.check(json.dumps({"a\n": TEXT + "\n", "n": 4111111111111111, "e": "é\u0000"}))
    value = json.loads(verdict.text)
    assert "card ***************1111;" in value["a\n"]
    assert value["n"] == "***************1"
    assert rail.restore(value["a\n"]).count("+46 8 123 456 78") == 1


@pytest.mark.parametrize("made", ["a\nb", "```", "~~~", "", " ", "a\u2028b"])
def test_what_an_operator_makes_cannot_break_its_surroundings(made: str) -> None:
    style = Redaction(operators={"x": lambda _: made})
    assert redact("one two three", [Span(4, 7)], style, ["x"]) == f"one {DEFAULT_LABEL} three"


def test_what_is_of_two_kinds_gets_the_label() -> None:
    style = Redaction(operators={"x": str.upper})
    assert redact("one two", [Span(4, 7)], style, ["x+y"]) == f"one {DEFAULT_LABEL}"
    assert redact("one two", [Span(0, 3), Span(4, 7)], style, ["x", "y"]) == f"ONE {DEFAULT_LABEL}"


@pytest.mark.parametrize(
    ("operator", "says"),
    [
        ("{operator: magic}", "allowed"),
        ("{operator: replace}", "new_value is needed"),
        ("{operator: mask, new_value: x}", "used by no other"),
        ("{operator: replace, new_value: '`'}", "code block"),
        ("{operator: mask, masking_chr: x}", "did you mean masking_char"),
    ],
)
def test_an_operator_that_cannot_be_used_is_refused(operator: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse_policy(f"version: 1\nrules: []\nredaction: {{operators: {{x: {operator}}}}}")
