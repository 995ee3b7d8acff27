"""Hostile responses: huge, repetitive, pathological. Work stays in proportion to the text."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guardrail import Action, Guardrail
from guardrail.indexes.build import build
from guardrail.keys import Key
from guardrail.text import canonicalise

PASSAGE = "the boiler in the cellar of the house at Elm Street must be inspected every second year "


@pytest.fixture(scope="module")
def rail(tmp_path_factory: pytest.TempPathFactory) -> Guardrail:
    """An index in which one passage stands in hundreds of documents, in various company."""
    folder = tmp_path_factory.mktemp("hostile")
    for number in range(300):
        (folder / f"{number:03}.txt").write_text(f"{number} begins. {PASSAGE * 3} ends {number}.")
    (folder / "repetition.txt").write_text("ab" * 5000)
    key = Key(bytes(range(32)))
    build([str(folder)], folder / "index", key, jobs=1)
    return Guardrail.from_policy(indexes=[folder / "index"], key=key)


def seconds(rail: Guardrail, text: str) -> float:
    began = time.process_time()
    rail.check(text)
    return time.process_time() - began


HOSTILE: dict[str, Callable[[int], str]] = {
    "a million repetitions of one gram": lambda n: "a" * n,
    "the repetition that stands in the corpus": lambda n: "ab" * (n // 2),
    "a passage of hundreds of documents, over and over": lambda n: (PASSAGE * (n // 80))[:n],
    "the passage, cut to fall under the bound": lambda n: ((PASSAGE[:26] + "#q#x") * (n // 29))[:n],
    "combining marks without end": lambda n: "a" + "\u0301" * n,
    "nothing but zero width": lambda n: "\u200b" * n,
    "nothing but emoji": lambda n: "🙂" * n,
    "the longest expansion": lambda n: "\ufdfa" * n,
    "lone surrogates": lambda n: "\ud800" * n,
    "right to left overrides": lambda n: "\u202e\u202d" * (n // 2),
    "ideographs": lambda n: "漢字" * (n // 2),
    "one endless line of words": lambda n: "word " * (n // 5),
    "nulls": lambda n: "\0" * n,
    "open brackets": lambda n: "[" * n,
    "backticks": lambda n: "`" * n,
}


@pytest.mark.timed
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_the_text_and_not_faster(
    rail: Guardrail, make: Callable[[int], str]
) -> None:
    """Quadratic work would take 64 times as long for 8 times the text."""
    small, big = make(50_000), make(400_000)
    seconds(rail, small)
    base = max(seconds(rail, small), 0.004)
    assert seconds(rail, big) < 24 * base


@pytest.mark.parametrize(
    ("unit", "most"), [("ab", 16), ("ab ", 16), (PASSAGE, 400)], ids=["ab", "words", "passage"]
)
def test_a_repetition_of_the_corpus_is_told_a_few_times(
    rail: Guardrail, unit: str, most: int
) -> None:
    """A run begins at every period: each lies in two others, but for one in so many units as the
    document has."""
    verdict = rail.check(unit * (40_000 // len(unit)))
    assert verdict.action is Action.REDACT
    assert verdict.text.strip() == "[REDACTED]"
    assert 1 <= len(verdict.findings) <= most


def test_ten_megabytes_with_leaks_throughout(rail: Guardrail) -> None:
    filler = "and so it goes on with words of no account, " * 20
    text = "".join(f"Item {number}: {PASSAGE}\n{filler}" for number in range(10_500))
    assert len(text) > 10_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict = rail.check(text)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert verdict.action is Action.REDACT
    assert "boiler" not in verdict.text
    assert len(verdict.findings) >= 10_500
    assert grown < 1_500_000 if sys.platform == "linux" else True  # KiB


def test_a_leak_at_the_end_of_ten_megabytes(rail: Guardrail) -> None:
    text = "harmless words of no account 0123 " * 300_000 + PASSAGE
    verdict = rail.check(text)
    assert verdict.text.endswith("[REDACTED] ")
    assert len(verdict.findings) == 1


def test_canonical_text_of_every_hostile_text_has_offsets_in_order() -> None:
    for make in HOSTILE.values():
        text = make(1000)
        canonical = canonicalise(text)
        assert len(canonical.units) == len(canonical.offsets)
        if len(canonical):
            assert int(canonical.offsets[-1]) < len(text)


def test_phrases_that_match_everywhere(tmp_path: Path) -> None:
    source = tmp_path / "doc.txt"
    source.write_text("a document that is long enough to be in an index of its own")
    key = Key(bytes(range(32)))
    phrases = ["aaaaaaaaaa", "aaaaaaaaab", "abababab"]
    build([str(source)], tmp_path / "index", key, phrases=phrases, jobs=1)
    rail = Guardrail.from_policy(indexes=[tmp_path / "index"], key=key)
    assert rail.check("a" * 100_000).findings == ()  # one word, and a phrase is whole words
    for text in ("ab " * 100_000, "a " * 100_000):
        verdict = rail.check(text)
        assert verdict.text.strip() == "[REDACTED]"
        assert len(verdict.findings) < 50_000
