"""Names by the words around them, and what is made of the names that were found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.classifiers.hits import Hit
from guardrail.classifiers.pii.cues import CUES, cue_engine
from guardrail.classifiers.pii.entities import refine
from guardrail.classifiers.pii.pool import MODEL
from guardrail.classifiers.pii.prose import prose

CUED = [
    ("speaker", "Oyelaran Adé said no.", "Oyelaran Adé"),
    ("kin", "I wrote to my sister Ngozi about it.", "Ngozi"),
    ("whose", "That was Ngozi’s brother.", "Ngozi"),
    ("lives", "Since then Mihaela lives alone.", "Mihaela"),
    ("stays", "He was born in Acquaviva delle Fonti.", "Acquaviva delle Fonti"),
    ("goes", "They moved back to Suurküla.", "Suurküla"),
    ("company", "sold by Kettle and Brask Holdings.", "Kettle and Brask Holdings"),
    ("employer", "She works for Brightloom now.", "Brightloom"),
    ("people", "two cambodians", "cambodians"),
]


@pytest.mark.parametrize(("rule", "text", "value"), CUED)
def test_a_cue_finds_the_name_beside_it(rule: str, text: str, value: str) -> None:
    found = [(hit.rule, text[hit.start : hit.end]) for hit in cue_engine().scan(text)]
    assert (rule, value) in found


def test_every_cue_has_a_case() -> None:
    assert {rule.name for rule in CUES} == {rule for rule, _, _ in CUED}


@pytest.mark.parametrize(
    "text",
    ["He said no. You asked why.", "However, you lived in it.", "and the group moved to tears"],
)
def test_pronouns_and_plain_words_are_no_names(text: str) -> None:
    assert refine(text, [], [], cue_engine().scan(prose(text))) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ANNA NOWAK\nTEL 5", "Anna Nowak,TEL 5"),
        ("> Ada Byron\n> Box 4", "  Ada Byron,  Box 4"),
        ("ada of ely", "Ada Of Ely"),
        ("One.\nTwo\n\nThree", "One.\nTwo\n\nThree"),
        ("| Ada | b |", "  Ada | b |"),
    ],
)
def test_prose(text: str, expected: str) -> None:
    assert prose(text) == expected


@given(st.text())
def test_prose_keeps_places(text: str) -> None:
    assert len(prose(text)) == len(text)


def refined(text: str, *values: tuple[str, str]) -> list[tuple[str, str]]:
    """What a model that names these values finds in the end."""
    found = [
        Hit(text.index(value), text.index(value) + len(value), 0.6, kind, MODEL)
        for value, kind in values
    ]
    return [(text[hit.start : hit.end], hit.kind) for hit in refine(text, found, [])]


def test_names_in_a_row_are_of_one_kind() -> None:
    text = "There were Efua, Mary, Jo and Sam."
    assert refined(text, ("Mary", "person"), ("Jo", "person")) == [
        (name, "person") for name in ("Efua", "Mary", "Jo", "Sam")
    ]
    assert refined("Efua and Sam", ("Efua", "date_time")) == []


def test_an_address_goes_on_below_its_street() -> None:
    text = "> 704 Long Street 3\n> Kotka\n> Finland 48100\n> and so on"
    street = Hit(6, 19, 0.8, "street_address", "street")
    found = [text[hit.start : hit.end] for hit in refine(text, [], [street])]
    assert found == ["704", "Kotka", "Finland 48100"]


def test_a_number_goes_with_the_place_before_it_and_a_price_does_not() -> None:
    place = ("Bjert", "location")
    assert refined("in Bjert 6091.", place) == [place, ("6091", "location")]
    assert refined("in Bjert 6091 people live", place) == [place]
    assert refined("in Bjert 6091 €", place) == [place]


def test_long_lists_take_time_in_proportion() -> None:
    # 20,000 names without an `and`: each start would otherwise read to the end.
    text = ", ".join(["Ada"] * 20_000)
    assert refined(text, ("Ada", "person"))
