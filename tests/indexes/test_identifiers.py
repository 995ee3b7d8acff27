"""Identifiers of a corpus: found while building, stored sealed, found in responses, forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardrail import Action, Guardrail
from guardrail.errors import IndexDamagedError
from guardrail.indexes.build import add, build
from guardrail.indexes.identifiers import DOCUMENTS_LISTED, Identifiers
from guardrail.indexes.index import Index
from guardrail.indexes.lifecycle import compact, forget, merge
from tests.indexes.builders import KEY

BADGE = re.compile(r"BX-\d{6}")


def badges(text: str) -> Iterator[tuple[str, str, int, int]]:
    for match in BADGE.finditer(text):
        yield "badge", match.group(), *match.span()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "one.txt").write_text("The holder of BX-410022 may enter, and BX-777123 may not.")
    (corpus / "two.txt").write_text("Ask the holder of BX-410022 about it.")
    build([str(corpus)], tmp_path / "index", KEY, identify=badges, jobs=1)
    return tmp_path / "index"


def found(index: Path, text: str) -> list[tuple[str, str | None, int | None]]:
    verdict = Guardrail.from_policy(indexes=[index], key=KEY).check(text)
    known = [one for one in verdict.findings if one.kind == "known-identifier"]
    assert all(one.action is Action.REDACT for one in known)
    return [
        (text[one.span.start : one.span.end], one.evidence.document, one.evidence.copies)
        for one in known
    ]


def test_a_value_of_the_corpus_is_told_from_one_that_looks_like_it(index: Path) -> None:
    assert found(index, "Is it BX-410022 or BX-999999?") == [("BX-410022", "one.txt", 2)]
    assert found(index, "Is it b x 4 1 0 0 2 2?") == [("b x 4 1 0 0 2 2", "one.txt", 2)]
    assert found(index, "Is it BX-4100223?") == []


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
    add([str(again)], index, KEY, identify=badges, jobs=1)
    assert found(index, "BX-777123, BX-555555") == [("BX-555555", "one.txt", 1)]


def test_merging_keeps_them(index: Path, tmp_path: Path) -> None:
    other = tmp_path / "three.txt"
    other.write_text("BX-333333 is lost.")
    build([str(other)], tmp_path / "other", KEY, identify=badges, jobs=1)
    merge([index, tmp_path / "other"], tmp_path / "merged", KEY)
    assert len(found(tmp_path / "merged", "BX-333333 BX-410022")) == 2


def test_nothing_of_a_value_is_readable_on_disk(index: Path) -> None:
    assert Index.open(index, KEY).identifiers
    for file in index.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            assert b"BX-410022" not in held
            assert b"bx410022" not in held.lower()


def test_short_values_are_left_out_and_documents_are_capped() -> None:
    some = Identifiers()
    some.add("badge", "B-1", [("default", "x")])
    for number in range(40):
        some.add("badge", "BX-410022", [("default", str(number))])
    (one,) = some.all()
    assert one.value == "BX-410022"
    assert len(one.documents) == DOCUMENTS_LISTED


def test_a_damaged_or_missing_file_is_refused(index: Path) -> None:
    (file,) = index.glob("identifiers-*")
    held = file.read_bytes()
    file.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(IndexDamagedError):
        Index.open(index, KEY)
    file.unlink()
    with pytest.raises(IndexDamagedError):
        Index.open(index, KEY, check=False)
