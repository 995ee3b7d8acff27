"""Matching against the naive algorithm: every shared run of at least the bound is found."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.indexes.documents import Document
from guardrail.indexes.runs import Grid
from guardrail.text import canonical_units
from tests.indexes.builders import make_segment, search

# Two bits a unit let a match run on past its end by chance: by n units once in 4 ** n times.
CHANCE = 12


def naive_runs(response: bytes, document: bytes, least: int) -> list[tuple[int, int, int]]:
    """All maximal shared runs of at least `least`: start, end, and start in the document."""
    runs = []
    for diagonal in range(-len(response) + 1, len(document)):
        length = 0
        for place in range(max(0, -diagonal), min(len(response), len(document) - diagonal) + 1):
            inside = place < len(response) and place + diagonal < len(document)
            if inside and response[place] == document[place + diagonal]:
                length += 1
                continue
            if length >= least:
                runs.append((place - length, place, place - length + diagonal))
            length = 0
    return runs


def check_against_naive(
    documents: Sequence[Document], response: str, grid: Grid, flush_every: int = 0
) -> None:
    canonical = [canonical_units(document.text)[0].tobytes() for document in documents]
    units = canonical_units(response)[0].tobytes()
    with tempfile.TemporaryDirectory() as folder:
        segment = make_segment(Path(folder), documents, grid, flush_every=flush_every)
        found = search(segment, response).tolist()
    for document, text in zip(documents, canonical, strict=True):
        group = (document.collection, document.labels)
        for start, end, _ in naive_runs(units, text, grid.bound):
            covering = [
                match
                for match in found
                if match[0] <= start
                and match[1] >= end
                and segment.groups[int(segment.table["group"][match[2]])] == group
            ]
            assert covering, (start, end, found)
    for start, end, row, origin, copies in found:
        assert copies >= 1
        true = [
            run
            for run in naive_runs(units, canonical[row], grid.gram)
            if run[2] - run[0] == origin - start
        ]
        assert any(0 <= run[0] - start <= CHANCE and 0 <= end - run[1] <= CHANCE for run in true), (
            start,
            end,
            true,
        )


SMALL = st.text("ab", min_size=0, max_size=60)
WORDS = st.lists(
    st.sampled_from(["alpha", "beta", "gamma", "delta", "the", "of", "42", "x"]), max_size=25
).map(" ".join)
GRIDS = st.sampled_from([Grid(8, 1), Grid(8, 4), Grid(8, 8), Grid(9, 5), Grid(16, 12), Grid(8, 13)])


@settings(max_examples=150)
@given(st.lists(SMALL | WORDS, max_size=6), SMALL | WORDS, GRIDS, st.integers(0, 2))
def test_any_texts(texts: list[str], response: str, grid: Grid, flush_every: int) -> None:
    documents = [
        Document(f"doc{number}", text, collection=f"c{number % 2}")
        for number, text in enumerate(texts)
    ]
    check_against_naive(documents, response, grid, flush_every=flush_every)


@settings(max_examples=60)
@given(st.data())
def test_planted_runs(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32))
    dice = random.Random(seed)
    grid = data.draw(GRIDS)
    texts = ["".join(dice.choices("etaoinshrdlu", k=dice.randrange(200))) for _ in range(5)]
    pieces = []
    for _ in range(4):
        source = dice.choice(texts)
        start = dice.randrange(len(source) + 1)
        pieces += [source[start : start + dice.randrange(60)], "".join(dice.choices("qxz", k=9))]
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    check_against_naive(documents, "".join(pieces), grid)


@pytest.mark.parametrize("stride", [1, 4, 12])
def test_the_bound_holds_at_every_alignment(tmp_path: Path, stride: int) -> None:
    grid = Grid(16, stride)
    dice = random.Random(stride)
    text = "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=400))
    segment = make_segment(tmp_path, [Document("only", text)], grid)
    for start in range(len(text) - grid.bound + 1):
        matches = search(segment, "##" + text[start : start + grid.bound] + "##").tolist()
        assert [match[:2] for match in matches] == [[0, grid.bound]]
        assert matches[0][3] == start


def test_all_matches_are_listed_and_copies_counted(tmp_path: Path) -> None:
    one, other = "first secret passage of the corpus 0", "and quite another one that matters"
    documents = [Document(str(n), one) for n in range(5)] + [Document("z", other, "second")]
    segment = make_segment(tmp_path, documents, Grid(8, 4))
    matches = search(segment, f"{one} ... {other} ... {one}").tolist()
    assert len(matches) == 3
    assert sorted(match[4] for match in matches) == [1, 5, 5]


def test_groups_are_kept_apart(tmp_path: Path) -> None:
    """A passage that stands in an open and in a closed collection is reported for both."""
    text = "the same passage stands in both collections word for word"
    documents = [Document("a", text, "open"), Document("b", text, "closed", ("secret",))]
    segment = make_segment(tmp_path, documents, Grid(8, 4))
    rows = {int(match[2]) for match in search(segment, text)}
    assert {segment.place(row, 0, 10).collection for row in rows} == {"open", "closed"}


def test_postings_are_capped_by_group_and_the_first_stay(tmp_path: Path) -> None:
    text = "one passage that is repeated very often indeed"
    documents = [Document(f"open{n}", text, "open") for n in range(50)]
    documents += [Document("closed", text, "closed")]
    segment = make_segment(tmp_path, documents, Grid(8, 4), max_postings=3)
    assert segment.info.dropped_postings == 47 * segment.counts[0]
    found = {segment.document(int(row)).id for _, _, row, _, _ in search(segment, text)}
    assert found == {"open0", "closed"}


def test_a_record_of_a_form_is_found_though_the_form_is_everywhere(tmp_path: Path) -> None:
    """Grams of the form are capped; the record's own ones lead to it, and tags to its ends."""
    form = "Name of the patient: {} Date of birth: {} Diagnosis of record: {} End of the form."
    dice = random.Random(3)
    filled = [
        form.format(*("".join(dice.choices("abcdefghijklmno", k=12)) for _ in range(3)))
        for _ in range(300)
    ]
    documents = [Document(str(n), text) for n, text in enumerate(filled)]
    segment = make_segment(tmp_path, documents, Grid(16, 12), max_postings=4)
    for number in (0, 150, 299):
        matches = search(segment, f"Sure: {filled[number]}").tolist()
        units = len(canonical_units(filled[number])[0])
        best = max(matches, key=lambda match: match[1] - match[0])
        assert best[1] - best[0] >= units
        assert segment.document(best[2]).id == str(number)


def test_forgotten_documents_match_nothing(tmp_path: Path) -> None:
    documents = [
        Document("kept", "a passage that is kept in the index for good"),
        Document("gone", "a passage that is to be forgotten at once today"),
    ]
    segment = make_segment(tmp_path, documents, Grid(8, 4), dead=[1])
    assert len(search(segment, documents[1].text.removeprefix("a passage that is"))) == 0
    assert len(search(segment, documents[0].text)) == 1


def test_places_in_the_corpus_are_right_to_a_few_characters(tmp_path: Path) -> None:
    dice = random.Random(9)
    words = ["".join(dice.choices("abcdefghij", k=dice.randrange(2, 9))) for _ in range(2000)]
    text = "".join(word + dice.choice([" ", " ", ", ", ".\n\n"]) for word in words)
    segment = make_segment(tmp_path, [Document("d", text, offset=1_000_000)], Grid(16, 12))
    for _ in range(200):
        start = dice.randrange(len(text) - 300)
        end = start + dice.randrange(150, 300)
        (match,) = search(segment, text[start:end], least=64).tolist()
        place = segment.place(match[2], match[3], match[1] - match[0])
        assert abs(place.start - 1_000_000 - start) <= 12
        assert abs(place.end - 1_000_000 - end) <= 12


def test_many_documents_and_runs_find_their_own(tmp_path: Path) -> None:
    """Enough grams for several buckets' worth of collisions, over several runs."""
    dice = random.Random(1)
    texts = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=600)) for _ in range(400)]
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    segment = make_segment(tmp_path, documents, Grid(12, 6), flush_every=64)
    for number, text in enumerate(texts):
        start = dice.randrange(500)
        (match,) = search(segment, text[start : start + 60], least=30).tolist()
        assert segment.document(match[2]).id == str(number)
        assert (match[0], match[3]) == (0, start)
    clean = "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=20_000))
    assert len(search(segment, clean)) == 0


@pytest.mark.parametrize("dead", [[], [0]])
def test_a_walk_past_the_end_of_a_document_hides_nothing(tmp_path: Path, dead: list[int]) -> None:
    """Tags that agree past the end of one document, by chance or because the next begins alike,
    once hid the next one, which lies on the same diagonal."""
    dice = random.Random(7)
    for number in range(100):
        folder = tmp_path / str(number)
        folder.mkdir()
        second = "a" * 20 + "".join(dice.choices("bcdefghijklmnopqrstuvwxyz", k=60))
        documents = [Document("A", "a" * 43), Document("B", second)]
        segment = make_segment(folder, documents, Grid(8, 4), dead=dead)
        matches = search(segment, "a" * 4 + second).tolist()
        assert any(match[0] <= 4 and match[1] >= 84 for match in matches)


@pytest.mark.parametrize("text", ["", "short", "x" * 15, "x" * 16, "x" * 26, "x" * 27])
def test_texts_about_as_long_as_a_gram(tmp_path: Path, text: str) -> None:
    grid = Grid(16, 12)
    segment = make_segment(tmp_path, [Document("d", text), Document("e", "y" * 100)], grid)
    assert len(search(segment, text)) == (len(text) >= grid.bound)
    assert len(search(segment, "y" * 50)) == 1


def test_an_index_of_nothing_finds_nothing(tmp_path: Path) -> None:
    segment = make_segment(tmp_path, [Document("empty", "")], Grid(16, 12))
    assert len(search(segment, "anything at all, and long enough for grams")) == 0


def test_tags_pack_at_every_alignment(tmp_path: Path) -> None:
    """Documents of every length in a row, so that tags start at every bit of a word."""
    dice = random.Random(5)
    texts = ["".join(dice.choices("abcdefghij", k=size)) for size in range(8, 140)]
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    segment = make_segment(tmp_path, documents, Grid(8, 5))
    for number, text in enumerate(texts):
        for match in search(segment, text).tolist():
            if segment.document(match[2]).id == str(number):
                assert match[:2] == [0, len(text)]
                break
        else:
            assert len(text) < segment.grid.bound
    assert np.all(np.diff(segment.table["start"].astype(int)) >= 0)
