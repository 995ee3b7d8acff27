"""Identifiers of a corpus: personal data and secrets found while building, kept as records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardrail import Action, Finding, Guardrail
from guardrail.classifiers.identifiers import identifiers
from guardrail.indexes.build import add, build
from guardrail.indexes.lifecycle import compact, forget, merge
from guardrail.indexes.records import Identifiers
from tests.indexes.builders import KEY

BADGE = re.compile(r"BX-\d{6}")


def badges(text: str) -> Iterator[tuple[str, str, int, int]]:
    for match in BADGE.finditer(text):
        yield "badge", match.group(), *match.span()


BADGES = [Identifiers(badges)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "one.txt").write_text("The holder of BX-410022 may enter, and BX-777123 may not.")
    (corpus / "two.txt").write_text("Ask the holder of BX-410022 about it.")
    build([str(corpus)], tmp_path / "index", KEY, records=BADGES, jobs=1)
    return tmp_path / "index"


def records(index: Path, text: str) -> list[Finding]:
    verdict = Guardrail.from_policy(indexes=[index], key=KEY).check(text)
    known = [one for one in verdict.findings if one.kind == "record"]
    assert all(one.action is Action.REDACT for one in known)
    return known


def found(index: Path, text: str) -> list[tuple[str, str | None, int | None]]:
    return [
        (text[one.span.start : one.span.end], one.evidence.document, one.evidence.copies)
        for one in records(index, text)
    ]


def test_a_value_of_the_corpus_is_told_from_one_that_looks_like_it(index: Path) -> None:
    assert found(index, "Is it BX-410022 or BX-999999?") == [("BX-410022", "one.txt", 2)]
    assert found(index, "Is it b x 4 1 0 0 2 2?") == [("b x 4 1 0 0 2 2", "one.txt", 2)]
    assert found(index, "Is it BX-4100223?") == []
    assert records(index, "BX-410022")[0].evidence.record == "badge"


def test_the_default_policy_treats_what_is_known_apart_from_what_looks_like_it(
    tmp_path: Path,
) -> None:
    """A number that may be a telephone's is let through, unless it stands in the corpus."""
    known, other = "tel 0151 234 5678", "tel 0151 234 5679"
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "one.txt").write_text(f"Reach him under {known[4:]}, mail ada@nordpost.se.")
    build([str(corpus)], tmp_path / "index", KEY, records=[Identifiers(identifiers)], jobs=1)
    rail = Guardrail.from_policy(indexes=[tmp_path / "index"], key=KEY)
    text = f"Is it {known[4:]} or {other[4:]}?"
    verdict = rail.check(text)
    rules = {
        (text[f.span.start : f.span.end], f.kind): (f.action, f.rule) for f in verdict.findings
    }
    assert rules[known[4:], "record"] == (Action.REDACT, "record")
    assert rules[other[4:], "phone_number"] == (Action.ALLOW, "contacts-unsure")
    assert known[4:] not in verdict.text
    assert other[4:] in verdict.text
    # Without the index both only look like telephone numbers.
    assert Guardrail.from_policy().check(text).text == text


def test_it_counts_while_one_of_its_documents_does(index: Path) -> None:
    forget(index, KEY, ["one.txt"])
    assert found(index, "BX-410022 and BX-777123") == [("BX-410022", "two.txt", 1)]
    compact(index, KEY)
    assert found(index, "BX-410022 and BX-777123") == [("BX-410022", "two.txt", 1)]
    forget(index, KEY, ["two.txt"])
    assert found(index, "BX-410022 and BX-777123") == []


def test_a_document_that_is_replaced_takes_its_values_along(index: Path, tmp_path: Path) -> None:
    again = tmp_path / "corpus" / "one.txt"
    again.write_text("The holder of BX-555555 may enter.")
    add([str(again)], index, KEY, records=BADGES, jobs=1)
    assert found(index, "BX-777123, BX-555555") == [("BX-555555", "one.txt", 1)]


def test_merging_keeps_them(index: Path, tmp_path: Path) -> None:
    other = tmp_path / "three.txt"
    other.write_text("BX-333333 is lost.")
    build([str(other)], tmp_path / "other", KEY, records=BADGES, jobs=1)
    merge([index, tmp_path / "other"], tmp_path / "merged", KEY)
    assert len(found(tmp_path / "merged", "BX-333333 BX-410022")) == 2


def test_nothing_of_a_value_is_readable_on_disk(index: Path) -> None:
    for file in index.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            assert b"BX-410022" not in held
            assert b"bx410022" not in held.lower()


def test_finders_of_one_function_have_one_name() -> None:
    assert repr(Identifiers(badges)) == repr(Identifiers(badges)) != repr(Identifiers(identifiers))
