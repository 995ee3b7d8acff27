"""Protected phrases against a naive search over canonical text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.errors import UsageError
from guardrail.indexes.phrases import PhraseSet, read_phrase_file
from guardrail.text import canonical_units, canonicalise


def find(phrases: list[str], text: str, *, whole_words: bool = False) -> list[str]:
    built = PhraseSet(((f"p{n}", p) for n, p in enumerate(phrases)), whole_words=whole_words)
    return [text[m.span.start : m.span.end] for m in built.find(canonicalise(text))]


def test_spacing_case_and_marks_do_not_hide_a_phrase() -> None:
    for text in (
        "PROJECT nightjar",
        "p r o j e c t night-jar",
        "Prоjеct*Nightjar*",
        "pr0ject n1ghtjar",
    ):
        assert len(find(["Project Nightjar"], f"see {text} now")) == 1


def test_spans_are_exact() -> None:
    assert find(["night jar"], "a Night-\nJar!") == ["Night-\nJar"]


def test_whole_words() -> None:
    assert find(["art"], "the start of art.", whole_words=True) == ["art"]
    assert len(find(["art"], "the start of art.")) == 2
    assert find(["art"], "art", whole_words=True) == ["art"]


def test_all_matches_but_those_inside_longer_ones() -> None:
    assert find(["blue whale", "whale song", "whale"], "a blue whale song, a whale") == [
        "blue whale",
        "whale song",
        "whale",
    ]


@given(
    st.lists(st.text("abc", min_size=3, max_size=5), min_size=1, max_size=8, unique=True),
    st.text("abc d", max_size=60),
)
def test_against_naive(phrases: list[str], text: str) -> None:
    units = canonical_units(text)[0].tobytes()
    spans = {
        (start, start + len(phrase))
        for phrase in phrases
        for start in range(len(units))
        if units.startswith(phrase.encode(), start)
    }
    inside = {s for s in spans if any(o != s and o[0] <= s[0] and s[1] <= o[1] for o in spans)}
    canonical = canonicalise(text)
    want = [
        text[int(canonical.offsets[start]) : int(canonical.offsets[end - 1]) + 1]
        for start, end in sorted(spans - inside)
    ]
    assert find(phrases, text) == want


def test_files_of_phrases(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("\ufeff# comment\n\n  Blue Whale \nzwei\n", encoding="utf-8")
    assert list(read_phrase_file(path)) == [("terms.txt:3", "Blue Whale"), ("terms.txt:4", "zwei")]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        list(read_phrase_file(path))
    with pytest.raises(UsageError, match="none"):
        list(read_phrase_file(tmp_path / "none.txt"))


@pytest.mark.parametrize("phrase", ["", "!!!", "ab", "\u200b\u200b\u200b"])
def test_a_phrase_with_too_little_in_it_is_refused_by_place_and_not_by_text(phrase: str) -> None:
    with pytest.raises(UsageError, match="at least 3") as caught:
        PhraseSet([("list.txt:4", phrase)], whole_words=False)
    assert "list.txt:4" in str(caught.value)


def test_a_hundred_thousand_phrases() -> None:
    built = PhraseSet(((str(n), f"phrase number {n:06}") for n in range(100_000)), whole_words=True)
    assert len(built) == 100_000
    matches = built.find(canonicalise("here is Phrase-Number 045678 and phrase number 99999"))
    assert [match.place for match in matches] == ["45678"]
