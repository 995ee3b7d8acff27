"""Passages in more documents than one gram is searched for: none of the living may be hidden by
others, in whatever order documents come and go."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.errors import IndexDamagedError
from guardrail.indexes.documents import Document
from guardrail.indexes.index import Index
from guardrail.indexes.lifecycle import compact, forget, info, merge, verify
from tests.indexes.builders import KEY, make_segment, search
from tests.indexes.lives import (
    GRID,
    add_to_index,
    build_index,
    check_against_naive,
    holders,
    named,
)

LETTERS = "bcdfghjkmnpqrstvwxz"


def passage(seed: int, length: int = 60) -> str:
    return "".join(random.Random(seed).choices(LETTERS, k=length))


def equal_documents(count: int, text: str, first: int = 0) -> list[Document]:
    return [Document(f"d{number:03d}", text) for number in range(first, first + count)]


def test_the_last_of_many_equal_documents_is_found(tmp_path: Path) -> None:
    path, text = tmp_path / "index", passage(1)
    documents = equal_documents(100, text)
    report = build_index(path, documents, max_postings=64)
    assert report.dropped_postings > 0
    living = named(documents)
    for count in (64, 30, 5):
        gone = list(living)[:count]
        assert forget(path, KEY, [identifier for _, identifier in gone]).forgotten == count
        for name in gone:
            del living[name]
        check_against_naive(path, living, [text, "xx" + text[10:40] + "xx"])
    assert holders(path, [text]) == [{("default", "d099")}]


def test_what_is_replaced_makes_room(tmp_path: Path) -> None:
    path, text = tmp_path / "index", passage(2)
    documents = equal_documents(12, text)
    build_index(path, documents, max_postings=4)
    fresh = [Document(one.id, passage(100 + number)) for number, one in enumerate(documents[:9])]
    assert add_to_index(path, fresh).replaced == 9
    living = named(documents) | named(fresh)
    check_against_naive(path, living, [text, *(one.text for one in fresh)])
    assert len(holders(path, [text])[0]) == 1


def test_forgetting_what_hides_nothing_writes_no_segment(tmp_path: Path) -> None:
    path, text = tmp_path / "index", passage(3)
    other = Document("other", passage(4))
    documents = [*equal_documents(12, text), other]
    build_index(path, documents, max_postings=4)
    before = Index.open(path, KEY).manifest.segments
    forget(path, KEY, ["other"])
    # The last of equal documents holds no place that is searched.
    forget(path, KEY, ["d011"])
    assert Index.open(path, KEY).manifest.segments == before
    assert info(path, KEY)["forgotten"] == 2
    forget(path, KEY, ["d000"])
    assert Index.open(path, KEY).manifest.segments != before
    assert info(path, KEY)["forgotten"] == 0
    assert verify(path, KEY) == []


def test_damage_does_not_pass_for_sound(tmp_path: Path) -> None:
    path = tmp_path / "index"
    build_index(path, equal_documents(12, passage(5)), max_postings=4)
    segment = next((path / "segments").iterdir())
    for name in ("overflow", "tags"):
        sound = (segment / name).read_bytes()
        (segment / name).write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
        with pytest.raises(IndexDamagedError):
            forget(path, KEY, ["d000"])
        (segment / name).write_bytes(sound)
    assert forget(path, KEY, ["d000"]).forgotten == 1


@pytest.mark.parametrize("alike", [40, 400])
def test_equal_documents_do_not_crowd_out_others(tmp_path: Path, alike: int) -> None:
    """A gram in many documents, and a few in which other text stands around it."""
    shared = passage(6, 16)
    common = passage(7, 40) + shared + passage(8, 40)
    few = [passage(20 + n, 40) + shared + passage(40 + n, 40) for n in range(3)]
    documents = [
        *(Document(f"a{number}", common) for number in range(alike)),
        *(Document(f"z{number}", text) for number, text in enumerate(few)),
    ]
    segment = make_segment(tmp_path, documents, GRID, max_postings=4)
    for text in few:
        for start in range(37, 49):
            # The only grams in it that the grid stores are those that all documents share.
            response = text[start : start + GRID.bound]
            found = search(segment, "##" + response + "##").tolist()
            assert any(end - start >= GRID.bound for start, end, *_ in found), start


DOCUMENTS = st.lists(
    st.builds(
        lambda identifier, base, cut, tail, collection: Document(
            identifier, passage(base, 48)[cut:] + passage(200 + tail, 8), collection
        ),
        identifier=st.integers(0, 39).map(lambda number: f"d{number:02d}"),
        base=st.integers(0, 1),
        cut=st.sampled_from([0, 0, 0, 0, 4, 20]),
        tail=st.sampled_from([0, 0, 1]),
        collection=st.sampled_from(["mail", "mail", "law"]),
    ),
    min_size=10,
    max_size=30,
    unique_by=lambda document: (document.collection, document.id),
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["forget", "forget", "add", "compact", "merge"]), st.integers(0)),
    max_size=5,
)


@settings(max_examples=12)
@given(DOCUMENTS, DOCUMENTS, CHANGES)
def test_any_order_of_changes(
    documents: Sequence[Document],
    others: Sequence[Document],
    changes: Sequence[tuple[str, int]],
) -> None:
    """Equal and nearly equal documents, each place of them in fewer different surroundings than
    places are searched: the naive search is the specification."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        build_index(path, documents, max_postings=8)
        living = named(documents)
        for what, seed in changes:
            dice = random.Random(seed)
            if what == "forget" and living:
                gone = dice.sample(sorted(living), dice.randrange(1, len(living) + 1))
                for collection in ("mail", "law"):
                    ids = [identifier for name, identifier in gone if name == collection]
                    if ids:
                        forget(path, KEY, ids, collection=collection)
                for name in gone:
                    del living[name]
            elif what == "add":
                fresh = dice.sample(others, len(others) // 2)
                add_to_index(path, fresh)
                living |= named(fresh)
            elif what == "compact":
                compact(path, KEY)
            elif what == "merge":
                merge([path, path], path.with_name("merged"), KEY)
                shutil.rmtree(path)
                path.with_name("merged").rename(path)
            texts = sorted({document.text for document in living.values()})
            check_against_naive(path, living, [*texts[:3], *(text[5:30] for text in texts[:6])])
