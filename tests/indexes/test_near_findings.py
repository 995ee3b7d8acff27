"""What a chain weighs when it is judged: what it repeats counts once, links out of order cost."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail import Guardrail
from guardrail.findings import Action, Finding
from guardrail.indexes.build import build
from guardrail.indexes.chain_weight import SAME, repeated, weight_of
from tests.indexes.builders import KEY

TERM = "adaptive cruise control"
SAYINGS = ("systems vary", "may fail", "is optional", "was new", "needs radar")
GLOSSARY = [f"{TERM} {saying}" for saying in SAYINGS]
COPY = (
    "the second valve of the northern pump was opened by hand in the early morning of the third "
    "day and nobody in the control room had been told of it before the pressure began to fall"
)


@pytest.fixture(scope="module")
def guardrail(tmp_path_factory: pytest.TempPathFactory) -> Guardrail:
    folder = tmp_path_factory.mktemp("near")
    (folder / "glossary.txt").write_text(". ".join(GLOSSARY))
    (folder / "memo.txt").write_text(f"{COPY}. {'. '.join(GLOSSARY)}")
    index = folder / "index"
    build([str(folder / name) for name in ("glossary.txt", "memo.txt")], index, KEY, jobs=1)
    return Guardrail.from_policy(indexes=[index], key=KEY)


def near(guardrail: Guardrail, text: str) -> list[Finding]:
    return [f for f in guardrail.check(text).findings if f.kind == "near-verbatim"]


def test_a_term_that_comes_again_and_again_is_no_copy(guardrail: Guardrail) -> None:
    text = "".join(f"Point {n}: {TERM} has a side of its own, say {n * 37}. " for n in range(1, 8))
    assert near(guardrail, text) == []


def test_a_copy_with_terms_around_it_is_found(guardrail: Guardrail) -> None:
    """What could make a chain lighter if all of it were counted: runs of the same document that say
    again what others said."""
    words = COPY.split()
    copy = " ".join("quux" if n % 6 == 3 else word for n, word in enumerate(words))
    alone = near(guardrail, copy)
    assert alone
    assert all(finding.action is Action.REDACT for finding in alone)
    for before, after in ((3, 0), (0, 3), (4, 4)):
        text = " and ".join([TERM] * before + [copy] + [TERM] * after)
        found = [f for f in near(guardrail, text) if f.action is Action.REDACT]
        for word in ("valve", "hand", "morning"):
            place = text.index(word)
            assert any(finding.span.start <= place < finding.span.end for finding in found)


@given(st.integers(0, 10**6))
def test_units_count_once(seed: int) -> None:
    """Against the definition: a unit is new in the first stretch of SAME units that holds it, the
    longest run first."""
    dice = random.Random(seed)
    units = np.array(dice.choices((1, 2), k=80), np.uint8)
    rows = np.repeat(np.zeros((1, 6), np.int64), dice.randint(1, 4), axis=0)
    for row in rows:
        row[0] = dice.randrange(60)
        row[1] = row[0] + dice.randint(12, 20)
    known: set[bytes] = set()
    told: set[int] = set()
    owner: dict[int, int] = {}
    for number in sorted(range(len(rows)), key=lambda n: int(rows[n, 0] - rows[n, 1])):
        start, end = rows[number, :2].tolist()
        for place in range(start, end):
            owner.setdefault(place, number)
        for place in range(start, end - SAME + 1):
            stretch = units[place : place + SAME].tobytes()
            if stretch not in known:
                told.update(range(place, place + SAME))
            known.add(stretch)
    expected = [0] * len(rows)
    for place, number in owner.items():
        expected[number] += place not in told
    assert repeated(units, rows).tolist() == expected


def test_what_stands_around_a_heavy_part_takes_nothing_from_it() -> None:
    rows = np.zeros((3, 6), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 3] = (0, 30, 70), (20, 60, 95), (0, 30, 70)
    rows[:, 5] = (80, 190, 280)  # 20, 47 and 70 units
    assert weight_of(rows, np.array([0, 0, 0])) == 70
    assert weight_of(rows, np.array([20, 0, 0])) == 50
    assert weight_of(rows, np.array([20, 0, 25])) == 27
