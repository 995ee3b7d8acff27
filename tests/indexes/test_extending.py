"""Following copies across edits: what is found is there, and work is bounded."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from guardrail.indexes.chaining import Runs
from guardrail.indexes.documents import Document
from guardrail.indexes.extending import FURTHER, extend
from guardrail.indexes.grams import GramKey
from guardrail.indexes.query import Query, make_query
from guardrail.indexes.runs import Grid
from guardrail.indexes.segment import Segment
from guardrail.text import canonical_units
from tests.indexes.builders import KEY, make_segment

GRID = Grid(16, 12)
LETTERS = "abcdefghjkmnpqrstuvwxyz"


def words(dice: random.Random, count: int) -> list[str]:
    return ["".join(dice.choices(LETTERS, k=dice.randint(2, 9))) for _ in range(count)]


def ask(text: str) -> Query:
    return make_query(canonical_units(text)[0], GRID.gram, GramKey.derive(KEY))


def extended(segment: Segment, query: Query, runs: Runs) -> Runs:
    found: Runs = extend(
        runs,
        query.tags,
        query.units,
        segment._parameters,
        segment._tags,
        segment._starts,
        segment._facts,
    )
    return found


@pytest.fixture(scope="module")
def texts() -> list[list[str]]:
    dice = random.Random(3)
    return [words(dice, dice.randint(5, 120)) for _ in range(40)]


@pytest.fixture(scope="module")
def segment(texts: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> Segment:
    documents = [Document(str(number), " ".join(text)) for number, text in enumerate(texts)]
    return make_segment(tmp_path_factory.mktemp("extending"), documents, GRID)


def test_what_is_found_is_there(segment: Segment, texts: list[list[str]]) -> None:
    """Each run lies in the response and in its document, at whose ends too there is no more, and
    the units agree but for what tags of two bits cannot tell."""
    dice = random.Random(8)
    seen = 0
    for number, text in enumerate(texts):
        edited = [w if n % 4 or dice.random() < 0.2 else "0" * 5 for n, w in enumerate(text)]
        response = canonical_units(" ".join([*words(dice, 3), *edited, *words(dice, 3)]))[0]
        document = canonical_units(" ".join(text))[0]
        _, runs = segment.match(ask(bytes(response).decode("latin-1")), GRID.bound)
        for start, end, row, place, *_ in runs.tolist():
            assert 0 <= start < end <= len(response)
            if row != number:
                continue
            assert place >= 0
            assert place + end - start <= len(document)
            same = response[start:end] == document[place : place + end - start]
            assert same[6:-6].all()
            seen += 1
    assert seen > 100


def test_a_piece_shorter_than_a_gram_is_found_on_either_side(tmp_path: Path) -> None:
    dice = random.Random(4)
    text = words(dice, 40)
    segment = make_segment(tmp_path, [Document("d", " ".join(text))], GRID)
    anchor = "".join(text[15:22])
    for piece in ("".join(text[11:14]), "".join(text[23:26])):
        assert len(piece) < GRID.bound
    response = " ".join([*text[11:14], "00000", *text[15:22], "000", *text[23:26]])
    place = len("".join(text[:15]))
    start = canonical_units(response)[0].tobytes().find(canonical_units(anchor)[0].tobytes())
    run = np.array([[start, start + len(anchor), 0, place, 0, 0]], np.int64)
    starts = sorted(int(row[3]) for row in extended(segment, ask(response), run))
    expected = [len("".join(text[:11])), len("".join(text[:23]))]
    assert len(starts) == 2
    assert all(abs(a - b) <= 3 for a, b in zip(starts, expected, strict=True))


def test_work_is_bounded_whatever_the_runs(segment: Segment, texts: list[list[str]]) -> None:
    """Thousands of runs of one response: no more searches than its size allows."""
    query = ask(" ".join(texts[7]))
    units = query.units
    runs = np.zeros((5000, 6), np.int64)
    runs[:, 1] = 24
    runs[:, 2] = 7
    runs[:, 3] = np.arange(5000) % max(1, units - 24)
    runs = np.ascontiguousarray(runs[np.argsort(runs[:, 3], kind="stable")])
    assert len(extended(segment, query, runs)) <= 64 + units // 16
    assert FURTHER < 64


def test_nothing_is_asked_of_too_short_a_response(segment: Segment) -> None:
    for text in ("", "a", "abc", "abcd", "abcdefghij" * 2):
        matches, runs = segment.match(ask(text), GRID.bound)
        assert len(matches) == len(runs) == 0
