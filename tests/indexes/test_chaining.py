"""Chains: the naive definition as the spec, edited and spliced passages, and text that repeats."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from faker import Faker
from hypothesis import given
from hypothesis import strategies as st

from guardrail.indexes.chaining import DRIFT, GAP, JUMP, Runs, chain, chains
from guardrail.indexes.documents import Document
from guardrail.indexes.grams import GramKey
from guardrail.indexes.query import make_query
from guardrail.indexes.runs import Grid
from guardrail.indexes.segment import Segment
from guardrail.text import canonical_units
from tests.indexes.builders import KEY, make_segment

GRID = Grid(16, 12)
DEFAULT = 58  # the least weight that the default policy acts on
Run = tuple[int, int, int, int]  # start, end, row, place


def linked(before: Run, after: Run) -> float | None:
    """What the link costs, in units; None where there can be none."""
    skipped = after[3] - before[3] - (before[1] - before[0])
    ahead = after[0] - before[1]
    if before[2] != after[2] or skipped > GAP:
        return None
    ordered = before[0] < after[0] and ahead <= GAP and abs(ahead - skipped) <= DRIFT
    return max(0, skipped, ahead) / 4 if ordered else max(0, skipped) / 4 + JUMP


def heaviest(runs: list[Run]) -> float:
    """The weight of the best chain, a single run included, by trying every one. Runs of the test do
    not overlap in the response, so that nothing counts twice there."""
    best = 0.0
    for size in range(1, len(runs) + 1):
        for members in combinations(runs, size):
            weight = float(members[0][1] - members[0][0])
            for before, after in pairwise(members):
                cost = linked(before, after)
                overlap = max(0, before[3] + before[1] - before[0] - after[3])
                new = after[1] - after[0] - overlap
                if cost is None or new < GRID.gram // 2:
                    break
                weight += new - cost
            else:
                best = max(best, weight)
    return best


@st.composite
def runs_in_order(draw: st.DrawFn) -> list[Run]:
    pieces, at = [], 0
    for _ in range(draw(st.integers(2, 7))):
        at += draw(st.integers(0, 300))
        length = draw(st.integers(16, 60))
        pieces.append((at, at + length))
        at += length
    runs = [
        (start, end, draw(st.integers(0, 1)), draw(st.integers(0, 600)))
        for start, end in draw(st.permutations(pieces))
    ]
    return sorted(runs, key=lambda run: (run[2], run[3]))


def table(runs: list[Run]) -> Runs:
    rows = np.zeros((len(runs), 6), np.int64)
    rows[:, :4] = runs
    return rows


@given(runs_in_order())
def test_the_best_chain_is_found(runs: list[Run]) -> None:
    """Never heavier than the naive best, and as heavy where runs do not overlap in the corpus."""
    rows = table(runs)
    chain(rows, GRID.gram)
    found = rows[:, 5].max() / 4
    best = heaviest(runs)
    assert found <= best
    clear = all(a[2] != b[2] or b[3] >= a[3] + a[1] - a[0] for a, b in combinations(runs, 2))
    if clear:
        assert found == best
    for members in chains(rows, 1):
        assert members == sorted(members)
        assert len({int(rows[member, 2]) for member in members}) == 1


# --- end to end ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def passages() -> list[str]:
    fake = Faker()
    fake.seed_instance(5)
    return [" ".join(fake.words(60)) for _ in range(80)]


@pytest.fixture(scope="module")
def segment(passages: list[str], tmp_path_factory: pytest.TempPathFactory) -> Segment:
    documents = [Document(f"d{number}", text) for number, text in enumerate(passages)]
    return make_segment(tmp_path_factory.mktemp("chains"), documents, GRID)


def weight(segment: Segment, response: str) -> float:
    """The weight of the heaviest chain or the length of the longest run."""
    key = GramKey.derive(KEY)
    query = make_query(canonical_units(response)[0], GRID.gram, key)
    matches, runs = segment.match(query, GRID.bound)
    longest = max((int(row[1] - row[0]) for row in matches), default=0)
    chained = runs[runs[:, 4] >= 0]
    return max(longest, float(chained[:, 5].max()) / 4 if len(chained) else 0)


def replaced(words: list[str], every: int, dice: random.Random) -> list[str]:
    return [f"q{dice.randrange(10**6)}x" if dice.random() < 1 / every else w for w in words]


def every_nth_replaced(words: list[str], every: int, dice: random.Random) -> list[str]:
    first = dice.randrange(every)
    return [f"q{n}x" if n % every == first else word for n, word in enumerate(words)]


def every_nth_dropped(words: list[str], every: int, dice: random.Random) -> list[str]:
    first = dice.randrange(every)
    return [word for n, word in enumerate(words) if n % every != first]


def dropped(words: list[str], every: int, dice: random.Random) -> list[str]:
    return [word for word in words if dice.random() >= 1 / every]


def inserted(words: list[str], every: int, dice: random.Random) -> list[str]:
    return [
        part
        for word in words
        for part in ([word, f"q{dice.randrange(10**6)}x"] if dice.random() < 1 / every else [word])
    ]


def interleaved(words: list[str], every: int, dice: random.Random) -> list[str]:
    return [
        part
        for start in range(0, len(words), every)
        for part in [
            *words[start : start + every],
            *(f"k{dice.randrange(10**6)}z" for _ in "12345"),
        ]
    ]


def shuffled(words: list[str], every: int, dice: random.Random) -> list[str]:
    pieces = [words[start : start + every] for start in range(0, len(words), every)]
    dice.shuffle(pieces)
    return [word for piece in pieces for word in piece]


@pytest.mark.parametrize(
    ("edit", "every", "least"),
    [
        (replaced, 12, 1.0),
        (replaced, 6, 0.95),
        (replaced, 4, 0.97),
        (every_nth_replaced, 4, 0.9),
        (every_nth_dropped, 4, 0.85),
        (dropped, 6, 0.97),
        (dropped, 4, 0.95),
        (inserted, 4, 0.97),
        (interleaved, 8, 0.97),
        (interleaved, 6, 0.97),
        (interleaved, 5, 0.95),
        (shuffled, 8, 0.97),
    ],
)
def test_edited_passages_are_found(
    segment: Segment, passages: list[str], edit: object, every: int, least: float
) -> None:
    """At the default policy's weight, in passages of 60 words."""
    assert callable(edit)
    dice = random.Random(every)
    found = [
        weight(segment, " ".join(edit(text.split(), every, dice))) >= DEFAULT for text in passages
    ]
    assert sum(found) / len(found) >= least


def test_other_text_is_not(segment: Segment) -> None:
    fake = Faker()
    fake.seed_instance(77)
    assert max(weight(segment, " ".join(fake.words(300))) for _ in range(60)) < DEFAULT


def test_a_forgotten_document_has_no_chains(tmp_path: Path, passages: list[str]) -> None:
    text = " ".join(replaced(passages[3].split(), 8, random.Random(1)))
    documents = [Document(str(number), body) for number, body in enumerate(passages)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert weight(make_segment(tmp_path / "a", documents, GRID), text) >= DEFAULT
    assert weight(make_segment(tmp_path / "b", documents, GRID, dead=[3]), text) < DEFAULT


def test_one_passage_said_many_times_is_not_a_chain(segment: Segment, passages: list[str]) -> None:
    """Four words, a hundred times: the same units of the corpus do not count twice."""
    piece = " ".join(passages[9].split()[:4])
    assert weight(segment, " and ".join([piece] * 100)) < DEFAULT


def test_a_text_that_repeats_itself_stays_linear(tmp_path: Path) -> None:
    """Each unit of the response has as many candidates as a gram has postings: what is chained of
    them does not grow with the repetition."""
    documents = [Document(str(n), "the same words over and over again " * 40) for n in range(40)]
    segment = make_segment(tmp_path, documents, GRID)
    key = GramKey.derive(KEY)

    def chained(times: int) -> int:
        text = "the same words over and over again " * times
        query = make_query(canonical_units(text)[0], GRID.gram, key)
        return len(segment.match(query, GRID.bound)[1])

    assert chained(4000) <= max(1000, 2 * chained(40))
