"""What may be said: cutting against a naive set of positions, and the ways around it that fail."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail import Action, Entitlements, Guardrail, Verdict
from guardrail.errors import UsageError
from guardrail.indexes.build import build
from guardrail.indexes.documents import Document
from guardrail.indexes.excuses import (
    AMPLE,
    DEFAULT_LEAST,
    SHARE,
    Cutter,
    Excuse,
    _scratch_key,
    _shared,
    gram_table,
)
from guardrail.indexes.grams import Hashes, roll_grams
from guardrail.indexes.lifecycle import info
from guardrail.indexes.manifest import read_manifest
from guardrail.indexes.readers import ReadOptions
from guardrail.keys import PUBLIC_KEY
from guardrail.policy_file import parse_policy
from guardrail.text import Units, canonical_units
from tests.indexes.builders import KEY
from tests.indexes.lives import write_corpus

SECRET = (
    "Mrs Abigail Thornbury was admitted on the ninth of March with acute renal failure and was "
    "given furosemide before her transfer to the intensive care unit of Saint Columba hospital."
)
PUBLIC = (
    "The harbour of the old town was widened twice in the nineteenth century, after which ships "
    "of every size could land their cargo at the stone quay below the customs house."
)
DEFAULTS = (
    "version: 1\nrules:\n- {name: all, when: {kind: verbatim, min_length: 27}, action: redact}\n"
)


def rail(
    folder: Path,
    private: Sequence[Document],
    public: Sequence[str] = (),
    *,
    policy: str = DEFAULTS,
) -> Guardrail:
    """A guardrail over indexes of private documents and, as background, public ones."""
    build(
        [write_corpus(folder / "private.jsonl", private)],
        folder / "private",
        KEY,
        options=ReadOptions(collection_field="collection", label_field="labels"),
        jobs=1,
    )
    background = []
    if public:
        texts = [Document(f"p{number}", text) for number, text in enumerate(public)]
        build([write_corpus(folder / "p.jsonl", texts)], folder / "public", PUBLIC_KEY, jobs=1)
        background = [folder / "public"]
    return Guardrail.from_policy(
        parse_policy(policy), indexes=[folder / "private"], background=background, key=KEY
    )


def excused(verdict: Verdict) -> list[str | None]:
    return [finding.evidence.excuse for finding in verdict.findings]


# --- cutting --------------------------------------------------------------------------------------

_excuses = st.builds(
    lambda start, length, reason: Excuse(start, start + length, reason),
    st.integers(0, 300),
    st.integers(1, 200),
    st.sampled_from(["background", "prompt", "entitled"]),
)


@given(st.lists(_excuses, max_size=12), st.integers(0, 300), st.integers(1, 400))
def test_cutting_is_that_of_sets_of_positions(
    excuses: list[Excuse], start: int, length: int
) -> None:
    end = start + length
    needed = min(length, max(DEFAULT_LEAST, min(length // SHARE, AMPLE)))
    public: set[int] = set()
    for excuse in excuses:
        if excuse.end - excuse.start >= needed:
            public |= set(range(excuse.start, excuse.end))
    left, cut = Cutter(excuses, DEFAULT_LEAST).cut(start, end)
    run = set(range(start, end))
    assert [unit for low, high in left for unit in range(low, high)] == sorted(run - public)
    assert [unit for part in cut for unit in range(part.start, part.end)] == sorted(run & public)
    for part in cut:
        for unit in range(part.start, part.end):
            assert any(e.reason == part.reason and e.start <= unit < e.end for e in excuses)
    assert all(a[1] < b[0] for a, b in pairwise(left))


@given(
    st.lists(st.text("ab c", max_size=40), max_size=4),
    st.text("ab c", max_size=60),
    st.integers(2, 9),
)
def test_shared_runs_are_those_of_a_naive_search(
    supplied: list[str], response: str, gram: int
) -> None:
    units = canonical_units(response)[0]
    held = {
        at + step
        for at in range(len(units) - gram + 1)
        for step in range(gram)
        if any(units[at : at + gram].tobytes() in canonical_units(s)[0].tobytes() for s in supplied)
    }
    table = gram_table((canonical_units(text)[0] for text in supplied), gram)
    found = _shared(roll_grams(units, gram, _scratch_key()), table, gram, "prompt")
    assert {unit for run in found for unit in range(run.start, run.end)} == held
    assert all(run.end - run.start >= gram for run in found)


# --- background -----------------------------------------------------------------------------------


def test_text_that_is_public_too_may_be_said(tmp_path: Path) -> None:
    guardrail = rail(tmp_path, [Document("d", f"{SECRET} {PUBLIC}")], [PUBLIC])
    verdict = guardrail.check(f"It is said that {PUBLIC}")
    assert verdict.action is Action.ALLOW
    assert excused(verdict) == ["background"]
    assert verdict.findings[0].evidence.document == "d"
    assert guardrail.check(SECRET).action is Action.REDACT


def test_what_is_left_on_both_sides_is_judged_and_only_that_is_redacted(tmp_path: Path) -> None:
    other = "Nobody outside the board may learn that the vineyard of Kestrel Hill is to be sold."
    guardrail = rail(tmp_path, [Document("d", f"{SECRET} {PUBLIC} {other}")], [PUBLIC])
    response = f"{SECRET} {PUBLIC} {other}"
    verdict = guardrail.check(response)
    assert verdict.action is Action.REDACT
    assert "harbour of the old town" in verdict.text
    assert "stone quay below the customs" in verdict.text
    assert "Thornbury" not in verdict.text
    assert "vineyard" not in verdict.text
    assert sorted(map(str, excused(verdict))) == ["None", "None", "background"]
    left = [finding.evidence for finding in verdict.findings if not finding.evidence.excuse]
    total = len(canonical_units(SECRET + other)[0])
    for evidence in left:
        assert total - 3 <= (evidence.matched or 0) <= total
        assert evidence.excused >= len(canonical_units(PUBLIC)[0])
    starts = sorted(evidence.corpus_start or 0 for evidence in left)
    assert starts[0] == 0
    assert abs(starts[1] - len(SECRET) - len(PUBLIC) - 2) < 20


def test_what_is_left_below_the_bound_is_dropped(tmp_path: Path) -> None:
    guardrail = rail(tmp_path, [Document("d", f"By Brandt: {PUBLIC} See p. 9.")], [PUBLIC])
    verdict = guardrail.check(f"By Brandt: {PUBLIC} See p. 9.")
    assert verdict.action is Action.ALLOW
    assert set(excused(verdict)) == {"background"}


IDIOMS = [
    "please do not hesitate to contact the office",
    "at the earliest possible convenience of all",
    "with regard to the matter mentioned above it",
    "for the avoidance of any doubt whatsoever we",
]


def test_a_private_passage_full_of_public_idioms_is_not_dissolved(tmp_path: Path) -> None:
    """Each secret between two idioms is shorter than any threshold, and each idiom is long enough
    to be found by itself: piece by piece nothing would be left."""
    secrets = ["Ottilie Brandt owes", "nine million to Kestrel", "hidden in Aldermoor", "by May"]
    passage = " ".join(f"{secret} {idiom}" for secret, idiom in zip(secrets, IDIOMS, strict=True))
    guardrail = rail(tmp_path, [Document("d", passage)], IDIOMS)
    verdict = guardrail.check(f"I recall: {passage}")
    assert verdict.action is Action.REDACT
    for word in ["Ottilie", "Brandt", "owes", "nine", "million", "Kestrel", "hidden", "Aldermoor"]:
        assert word not in verdict.text


def test_pieces_between_long_public_passages_add_up(tmp_path: Path) -> None:
    """A form: its text is public, what was filled in is not, and no blank holds much."""
    form = [f"{PUBLIC} Part {name}." for name in ("one", "two", "three", "four")]
    values = ["Ottilie Brandt", "22 Quay Lane", "renal failure", "account 90210"]
    filled = " ".join(f"{part} {value}" for part, value in zip(form, values, strict=True))
    guardrail = rail(tmp_path, [Document("d", filled)], form)
    verdict = guardrail.check(filled)
    assert verdict.action is Action.REDACT
    for value in values:
        assert value not in verdict.text
    assert verdict.text.count("stone quay below the customs") == 4


def test_private_text_is_not_laundered_by_public_text_around_it(tmp_path: Path) -> None:
    """Public snippets before, after and inside of a leak excuse themselves and nothing else."""
    guardrail = rail(tmp_path, [Document("d", SECRET)], [PUBLIC, *IDIOMS])
    words = SECRET.split()
    middle = f"{' '.join(words[:14])} {IDIOMS[0]} {' '.join(words[14:])}"
    for response in (f"{PUBLIC} {SECRET} {PUBLIC}", f"{IDIOMS[1]}{SECRET}{IDIOMS[2]}", middle):
        verdict = guardrail.check(response)
        assert verdict.action is Action.REDACT
        assert not {"Thornbury", "furosemide", "Columba"} & set(verdict.text.split())


def test_a_short_public_run_excuses_nothing(tmp_path: Path) -> None:
    words = SECRET.split()
    snippets = [" ".join(words[at : at + 6]) for at in range(0, len(words), 3)]
    guardrail = rail(tmp_path, [Document("d", SECRET)], snippets)
    assert all(len(canonical_units(snippet)[0]) < 40 for snippet in snippets)
    verdict = guardrail.check(SECRET)
    assert verdict.action is Action.REDACT
    assert "Thornbury" not in verdict.text


def test_the_phrases_of_the_package_count_unless_switched_off(tmp_path: Path) -> None:
    licence = (
        "Unless required by applicable law or agreed to in writing, software distributed under the "
        "License is distributed on an AS IS BASIS"
    )
    document = Document("d", f"{SECRET} {licence}")
    guardrail = rail(tmp_path, [document])
    assert guardrail.check(licence).action is Action.ALLOW
    strict = Guardrail.from_policy(
        parse_policy(DEFAULTS + "excuses: {builtin: false}"),
        indexes=[tmp_path / "private"],
        key=KEY,
    )
    assert strict.check(licence).action is Action.REDACT
    verdict = guardrail.check(f"{SECRET} {licence}")
    assert "Thornbury" not in verdict.text
    assert "AS IS BASIS" in verdict.text


def test_only_a_public_index_is_background(tmp_path: Path) -> None:
    rail(tmp_path, [Document("d", SECRET)], [PUBLIC])
    with pytest.raises(UsageError, match="--public"):
        Guardrail.from_policy(
            indexes=[tmp_path / "private"], background=[tmp_path / "private"], key=KEY
        )
    assert read_manifest(tmp_path / "public", PUBLIC_KEY).public
    assert info(tmp_path / "public")["public"]
    assert not info(tmp_path / "private")["public"]


# --- the prompt -----------------------------------------------------------------------------------

ECHO = DEFAULTS + "excuses: {prompt: true}\n"


def test_a_prompt_excuses_only_where_the_policy_says_so(tmp_path: Path) -> None:
    guardrail = rail(tmp_path, [Document("d", SECRET)])
    assert guardrail.check(SECRET, prompt=SECRET).action is Action.REDACT
    allowing = Guardrail.from_policy(parse_policy(ECHO), indexes=[tmp_path / "private"], key=KEY)
    verdict = allowing.check(f"You wrote: {SECRET}", prompt=f"Translate this: {SECRET.upper()}")
    assert verdict.action is Action.ALLOW
    assert excused(verdict) == ["prompt"]


def test_the_grams_of_a_prompt_are_made_once_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guardrail = rail(tmp_path, [Document("d", SECRET)], policy=ECHO)
    made: list[object] = []

    def counted(texts: Iterable[Units], gram: int) -> Hashes:
        made.append(gram)
        return gram_table(texts, gram)

    guardrail.check(SECRET)  # the phrases of the package are read by then
    monkeypatch.setattr("guardrail.indexes.excuses.gram_table", counted)
    text = f"{SECRET} {PUBLIC} {SECRET} {PUBLIC}"
    assert "".join(guardrail.stream(list(text), prompt=["Go on", SECRET])) == text
    assert len(made) == 1


def test_the_first_half_in_the_prompt_does_not_excuse_the_second(tmp_path: Path) -> None:
    guardrail = rail(tmp_path, [Document("d", SECRET)], policy=ECHO)
    half = SECRET[: len(SECRET) // 2]
    verdict = guardrail.check(SECRET, prompt=f"Go on: {half}")
    assert verdict.action is Action.REDACT
    assert verdict.text.startswith("Mrs Abigail Thornbury was admitted")
    for word in ("furosemide", "intensive", "Columba"):
        assert word not in verdict.text


@pytest.mark.parametrize(
    "prompt",
    [
        " ".join(sorted(SECRET.split())),
        " ".join(reversed(SECRET.split())),
        "\n".join(SECRET.split()[at] + " and" for at in range(len(SECRET.split()))),
        "",
        string.ascii_letters * 20,
    ],
)
def test_a_prompt_of_scattered_words_excuses_nothing(tmp_path: Path, prompt: str) -> None:
    guardrail = rail(tmp_path, [Document("d", SECRET)], policy=ECHO)
    verdict = guardrail.check(SECRET, prompt=prompt)
    assert verdict.action is Action.REDACT
    assert excused(verdict) == [None]


def test_the_turns_of_a_conversation_do_not_join(tmp_path: Path) -> None:
    guardrail = rail(tmp_path, [Document("d", SECRET)], policy=ECHO)
    turns = [SECRET[at : at + 30] for at in range(0, len(SECRET), 30)]
    assert guardrail.check(SECRET, prompt=turns).action is Action.REDACT
    assert guardrail.check(SECRET, prompt=["Hello", SECRET]).action is Action.ALLOW


def test_pasted_text_excuses_that_text_only(tmp_path: Path) -> None:
    guardrail = rail(tmp_path, [Document("a", SECRET), Document("b", PUBLIC)], policy=ECHO)
    verdict = guardrail.check(f"{SECRET} {PUBLIC}", prompt=SECRET)
    assert "Thornbury" in verdict.text
    assert "harbour" not in verdict.text


# --- entitlements ---------------------------------------------------------------------------------

TENANTS = [
    Document("1", SECRET, "north", ("owner:ann",)),
    Document("2", f"{SECRET} Agreed.", "south"),
    Document("3", PUBLIC, "south", ("owner:bob",)),
    Document("1", "Nobody may learn that the vineyard of Kestrel Hill is to be sold.", "south"),
]


@pytest.mark.parametrize(
    ("entitlements", "allowed", "denied"),
    [
        (["north"], [0], [2, 3]),
        (Entitlements(labels=frozenset(["owner:bob"])), [2], [0, 3]),
        (Entitlements(documents=frozenset([("north", "1")])), [0], [2, 3]),
        (Entitlements(documents=frozenset([("south", "1")])), [3], [0, 2]),
        (Entitlements(documents=frozenset([("south", "nothing")])), [], [0, 2, 3]),
        (["south"], [0, 1, 2, 3], []),
        (["nor", "SOUTH", ""], [], [0, 1, 2, 3]),
        ((), [], [0, 1, 2, 3]),
    ],
)
def test_entitlements_cover_what_the_caller_may_see_and_no_other_tenant(
    tmp_path: Path, entitlements: Any, allowed: list[int], denied: list[int]
) -> None:
    """The first passage stands in two collections: whoever may see one of them may read it."""
    guardrail = rail(tmp_path, TENANTS)
    for number in allowed:
        verdict = guardrail.check(TENANTS[number].text, entitlements=entitlements)
        assert verdict.action is Action.ALLOW, number
        assert "entitled" in excused(verdict)
    for number in denied:
        verdict = guardrail.check(TENANTS[number].text, entitlements=entitlements)
        assert verdict.action is Action.REDACT, number


def test_a_passage_beyond_the_entitled_document_is_not_covered(tmp_path: Path) -> None:
    private = [Document("a", SECRET, "mine"), Document("b", f"{SECRET} {PUBLIC}", "yours")]
    guardrail = rail(tmp_path, private)
    verdict = guardrail.check(f"{SECRET} {PUBLIC}", entitlements=["mine"])
    assert "Thornbury" in verdict.text
    assert "harbour" not in verdict.text


def test_of_copies_in_one_collection_the_entitled_one_counts(tmp_path: Path) -> None:
    """The search names one document of those that hold a run; which one must not matter."""
    private = [Document(str(number), SECRET) for number in range(5)]
    guardrail = rail(tmp_path, private)
    for number in range(5):
        mine = Entitlements(documents=frozenset([("default", str(number))]))
        assert guardrail.check(SECRET, entitlements=mine).action is Action.ALLOW


def test_entitlements_can_be_switched_off(tmp_path: Path) -> None:
    strict = DEFAULTS + "excuses: {entitlements: false}\n"
    guardrail = rail(tmp_path, TENANTS, policy=strict)
    everything = Entitlements(frozenset(["north", "south"]), documents=frozenset([("south", "3")]))
    for document in TENANTS:
        assert guardrail.check(document.text, entitlements=everything).action is Action.REDACT


def test_a_forgotten_document_excuses_nothing(tmp_path: Path) -> None:
    from guardrail.indexes.lifecycle import forget

    rail(tmp_path, TENANTS)
    forget(tmp_path / "private", KEY, ["1"], collection="north")
    guardrail = Guardrail.from_policy(
        parse_policy(DEFAULTS), indexes=[tmp_path / "private"], key=KEY
    )
    one = Entitlements(frozenset(["north"]), documents=frozenset([("north", "1")]))
    assert guardrail.check(SECRET, entitlements=one).action is Action.REDACT


def test_a_prompt_of_many_runs_takes_time_in_proportion(tmp_path: Path) -> None:
    """Nested excuses over nested runs: cutting visits each excuse that touches a run once."""
    excuses = [Excuse(at, at + 40, "prompt") for at in range(0, 200_000, 20)]
    cutter = Cutter(excuses, DEFAULT_LEAST)
    assert cutter.cut(100_000, 100_060)[0] == []
    assert len(np.array(cutter.cut(0, 160)[1])) == 1
