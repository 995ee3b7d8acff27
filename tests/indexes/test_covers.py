"""Runs that others cover are left out: against all runs there are, and against what a policy makes
of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail import Entitlements, Guardrail
from guardrail.indexes import detectors
from guardrail.indexes.build import build
from guardrail.indexes.covers import (
    COPIES,
    CUT,
    CUT_UP,
    END,
    FIRST,
    GROUP,
    LAST,
    OPEN,
    START,
    WORDS,
    Shared,
    needed,
    union,
)
from guardrail.indexes.readers import ReadOptions
from guardrail.policy_file import parse_policy
from guardrail.text import CanonicalText, canonicalise
from tests.indexes.builders import KEY

# Periods of 1, 2, 7 and 31 units; the last is long enough to be excused in part.
PERIODS = ("0", "ab ", "one,six\n", "the ferry to Norderney leaves at noon. ")


def naive(runs: Shared) -> Shared:
    """What stood here before: only runs inside of another one of their group are left out."""
    order = np.lexsort((-runs[:, END], runs[:, START]))
    last: dict[int, int] = {}
    kept: list[int] = []
    for place in order.tolist():
        group = int(runs[place, GROUP])
        if runs[place, END] > last.get(group, -1):
            last[group] = int(runs[place, END])
            kept.append(place)
    return runs[kept]


def shared(text: CanonicalText, ranges: list[tuple[int, int, int, int]]) -> Shared:
    runs = np.zeros((len(ranges), CUT + 1), np.int64)
    runs[:, [START, END, GROUP, CUT]] = ranges
    runs[:, FIRST : WORDS + 1] = text.spans(runs[:, : END + 1])
    runs[:, COPIES] = 1
    return runs


def letters(runs: Shared, units: int, words: int) -> set[int]:
    """The code points of all runs of at least so many units and words."""
    long = runs[(runs[:, END] - runs[:, START] >= units) & (runs[:, WORDS] >= words)]
    return {place for run in long.tolist() for place in range(run[FIRST], run[LAST])}


@given(st.randoms(use_true_random=False), st.integers(1, 40), st.integers(5, 25))
def test_what_is_long_enough_covers_the_same_text(
    dice: random.Random, count: int, length: int
) -> None:
    text = canonicalise("".join(dice.choices("abcd .,", k=90)) + "end")
    total = len(text)
    ranges = []
    for _ in range(count):
        start = dice.randrange(total)
        end = min(total, start + max(1, length + dice.randrange(-2, 3)))
        ranges.append((start, end, dice.randrange(2), dice.choice([0, 0, 0, 1, CUT_UP, OPEN])))
    runs = shared(text, ranges)
    left = needed(runs)
    for group in range(2):
        every, kept = (part[part[:, GROUP] == group] for part in (naive(runs), left))
        for units in range(length + 4):
            for words in range(int(runs[:, WORDS].max()) + 1):
                assert letters(every, units, words) == letters(kept, units, words)
        # What excuses cut, and what goes on, stands for itself.
        for state in (CUT_UP, OPEN):
            alone = every[every[:, CUT] == state][:, [START, END]].tolist()
            assert [run[:2] for run in kept.tolist() if run[CUT] == state] == alone


def test_of_one_length_every_unit_is_in_two_at_most() -> None:
    starts = np.arange(0, 2000, 2)
    left = union(np.stack((starts, starts + 100), axis=1))
    assert len(left) <= 2 * 2000 / 100 + 2
    assert left[0].tolist() == [0, 100]
    assert left[-1].tolist() == [1998, 2098]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("covers")
    dice = random.Random(5)
    for collection in ("first", "second"):
        (folder / collection).mkdir()
        for number, period in enumerate(PERIODS):
            text = period * dice.randrange(200 // len(period), 900 // len(period))
            (folder / collection / f"{number}.txt").write_text(f"Begins {number}. {text} Ends.")
        options = ReadOptions(collection=collection)
        build(
            [str(folder / collection)], folder / f"{collection}.index", KEY, options=options, jobs=1
        )
    return folder


POLICY = """
version: 1
excuses: {{prompt: {prompt}}}
rules:
- name: refused
  when: {{kind: verbatim, min_length: {refused}, collection: second}}
  action: refuse
- name: long
  when: {{kind: verbatim, any: [{{min_length: {units}}}, {{min_words: {words}}}]}}
  action: redact
- {{name: first, when: {{kind: verbatim, collection: first, min_length: {first}}}, action: redact}}
- {{name: rest, when: {{}}, action: allow}}
"""


def text_of(dice: random.Random) -> str:
    pieces = []
    for _ in range(dice.randrange(1, 5)):
        period = dice.choice(PERIODS)
        first = dice.randrange(len(period))
        pieces.append((period * 90)[first : first + dice.randrange(1200)])
        pieces.append(dice.choice(["", " and then ", "x", PERIODS[3][4:]]))
    return "".join(pieces)


def check(rail: Guardrail, text: str, prompt: str, entitled: Entitlements) -> tuple[str, str]:
    verdict = rail.check(text, prompt=prompt, entitlements=entitled)
    return str(verdict.action), verdict.text


def stream(rail: Guardrail, text: str, prompt: str, entitled: Entitlements) -> tuple[str, str]:
    opened = rail.open_stream(prompt=prompt, entitlements=entitled)
    out = [opened.feed(text[at : at + 97]) for at in range(0, len(text), 97)]
    out.append(opened.flush())
    return str(opened.verdict.action), "".join(out)


@pytest.mark.parametrize("judge", [check, stream])
def test_no_verdict_changes(
    judge: Callable[[Guardrail, str, str, Entitlements], tuple[str, str]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dice = random.Random(11)
    actions = set()
    for _ in range(40 if judge is check else 12):
        units = dice.choice([30, 120, 300, 500])
        policy = POLICY.format(
            prompt=dice.choice(["true", "false"]),
            refused=dice.choice([100, 400, 2000]),
            units=units,
            words=dice.choice([3, 12, 60, 150]),
            first=max(27, units - dice.choice([3, 90])),
        )
        indexes = [folder / "first.index", folder / "second.index"]
        rail = Guardrail.from_policy(parse_policy(policy), indexes=indexes, key=KEY)
        text = text_of(dice)
        prompt = dice.choice(["", text_of(dice)[:200], PERIODS[3], PERIODS[0] * 40])
        entitled = Entitlements(
            collections=frozenset(dice.choice([(), (), ("first",)])),
            documents=frozenset(dice.choice([(), (("second", f"{dice.randrange(4)}.txt"),)])),
        )
        seen = judge(rail, text, prompt, entitled)
        with monkeypatch.context() as patch:
            patch.setattr(detectors, "needed", naive)
            assert judge(rail, text, prompt, entitled) == seen
        actions.add(seen[0])
    assert actions >= {"allow", "redact", "refuse"}
