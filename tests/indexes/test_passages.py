"""Passages: signatures against datasketch and sets of words, the search against every window, the
life of an index that holds them, and its files in the hands of a thief or damaged."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail import Action, Guardrail
from guardrail.detector import EMPTY_CONTEXT
from guardrail.errors import GuardrailError, UsageError
from guardrail.findings import Finding
from guardrail.indexes import lifecycle
from guardrail.indexes.build import DEFAULT_GRID
from guardrail.indexes.documents import Document
from guardrail.indexes.index import Index
from guardrail.indexes.passage_detector import LEAST_EQUAL, LEAST_SHARED, PassageDetector
from guardrail.indexes.passages import BANDS, FILES, MOST_IN_BAND, ROWS, Passages, document_windows
from guardrail.indexes.segment import Segment
from guardrail.indexes.signatures import (
    HOP_WORDS,
    LEAST_WORD,
    MOST_WORD,
    PERMUTATIONS,
    STEP_WORDS,
    WINDOW_WORDS,
    SignatureKey,
    long_words,
    signatures,
    window_minima,
)
from guardrail.indexes.watched import LOOK_EVERY_SECONDS, WatchedIndex
from guardrail.keys import new_key
from guardrail.text import canonicalise
from tests.cases.disguises import DISGUISES
from tests.indexes.builders import KEY, make_segment
from tests.indexes.lives import add_to_index, build_index, command, write_corpus

GRID = replace(DEFAULT_GRID, passages=True)
SECRET = SignatureKey.derive(KEY)
VOCABULARY = [
    "".join(random.Random(number).choices("abcdfghkmpqrw", k=7)) for number in range(4000)
]


def prose(seed: object, words: int = 60) -> str:
    """A text of its own: long words with short ones between."""
    dice = random.Random(f"prose {seed}")
    return " ".join(f"{dice.choice(VOCABULARY)} of the" for _ in range(words // 3 + 1))


def shuffled(text: str, seed: int = 0) -> str:
    words = text.split()
    random.Random(seed).shuffle(words)
    return " ".join(words)


def found(index: Path, response: str) -> list[Finding]:
    detector = PassageDetector("passages", [WatchedIndex(index, KEY)])
    return list(detector.scan(canonicalise(response), EMPTY_CONTEXT))


def named(index: Path, response: str) -> set[str | None]:
    return {finding.evidence.document for finding in found(index, response)}


# --- signatures ----------------------------------------------------------------------------------


def windows_of(count: int, step: int) -> list[tuple[int, int]]:
    """The naive specification: start and end of each window of a text of so many long words."""
    steps, blocks = WINDOW_WORDS // step, -(-count // step)
    starts = range(max(1, blocks - steps + 1)) if blocks else range(0)
    return [(start * step, min(count, (start + steps) * step)) for start in starts]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=90), st.sampled_from([STEP_WORDS, HOP_WORDS]))
@settings(max_examples=40, deadline=None)
def test_minima_are_those_of_datasketch(values: list[int], step: int) -> None:
    datasketch = pytest.importorskip("datasketch", minversion="2.0", reason="needs the extra bench")
    hashes = np.array(values, np.uint32)
    minima = window_minima(hashes, step, SECRET)
    expected = []
    for start, end in windows_of(len(values), step):
        sketch = datasketch.MinHash(
            num_perm=PERMUTATIONS,
            hashfunc=lambda data: int.from_bytes(data, "little"),
            permutations=SECRET.permutations,
            hashvalues=np.full(PERMUTATIONS, 2**32 - 1, np.uint32),
            scheme="affine32",
        )
        sketch.update_batch([value.to_bytes(4, "little") for value in values[start:end]])
        expected.append(sketch.hashvalues)
    assert (minima >> np.uint64(32)).tolist() == [list(map(int, row)) for row in expected]


def test_bands_are_those_that_datasketch_chooses() -> None:
    datasketch = pytest.importorskip("datasketch", reason="needs the extra bench")
    chosen = datasketch.MinHashLSH(threshold=0.3, num_perm=PERMUTATIONS)
    assert (chosen.b, chosen.r) == (BANDS, ROWS)


@given(st.lists(st.text(alphabet="abcdé e-'1東", max_size=50), max_size=20))
@settings(max_examples=100, deadline=None)
def test_long_words_are_runs_between_white_space(parts: list[str]) -> None:
    text = canonicalise(" \u00a0\n".join(parts))
    words = long_words(text, SECRET)
    expected = [
        units.tobytes()
        for part in text.raw.split()
        if LEAST_WORD <= len(units := canonicalise(part).units) <= MOST_WORD
    ]
    ranges = zip(words.firsts.tolist(), words.ends.tolist(), strict=True)
    assert [text.units[first:end].tobytes() for first, end in ranges] == expected
    assert len(set(words.hashes.tolist())) == len(set(expected))


def test_equal_bytes_estimate_the_similarity_of_the_sets_of_words() -> None:
    dice = random.Random(2)
    errors = []
    for _ in range(300):
        ours, theirs = (set(dice.sample(range(40), 24)) for _ in range(2))
        marks = [
            signatures(window_minima(np.array(sorted(one), np.uint32), STEP_WORDS, SECRET))[0]
            for one in (ours, theirs)
        ]
        equal = float((marks[0] == marks[1]).mean())
        estimate = (equal - 1 / 256) / (1 - 1 / 256)
        errors.append(estimate - len(ours & theirs) / len(ours | theirs))
    # The standard error of 64 permutations is 0.06 here, and of the mean of 300 a seventeenth.
    assert abs(float(np.mean(errors))) < 0.015
    assert float(np.std(errors)) < 0.08


# --- the search ----------------------------------------------------------------------------------


def brute_force(texts: Sequence[str], response: str, least: int) -> set[tuple[int, int, int]]:
    """Every pair of windows that agrees in a band and in so many bytes: row, first unit, bytes."""
    words = long_words(canonicalise(response), SECRET)
    asked = signatures(window_minima(words.hashes, HOP_WORDS, SECRET))
    pairs = set()
    for row, text in enumerate(texts):
        windows = document_windows(canonicalise(text), row, SECRET)
        for start, mark in zip(windows.starts.tolist(), windows.signatures, strict=True):
            for other in asked:
                equal = mark == other
                bands = equal[: BANDS * ROWS].reshape(BANDS, ROWS)
                if bands.all(axis=1).any() and equal.sum() >= least:
                    pairs.add((row, start, int(equal.sum())))
    return pairs


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_the_search_finds_what_comparing_all_windows_finds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    # Up to 7 documents of 2 windows at most can agree in a band, fewer than are kept.
    lengths = data.draw(st.lists(st.integers(9, 100), min_size=1, max_size=7))
    vocabulary = VOCABULARY[: data.draw(st.sampled_from([12, 40, 400]))]
    dice = random.Random(data.draw(st.integers(0, 99)))
    texts = [" ".join(dice.choices(vocabulary, k=min(length, 30))) for length in lengths]
    response = " ".join([*dice.choices(vocabulary, k=20), shuffled(texts[0], 1)])
    least = data.draw(st.sampled_from([1, LEAST_EQUAL]))
    assert 2 * len(texts) < MOST_IN_BAND
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    segment = make_segment(tmp_path_factory.mktemp("segment"), documents, GRID, flush_every=3)
    assert segment.passages is not None
    minima = window_minima(long_words(canonicalise(response), SECRET).hashes, HOP_WORDS, SECRET)
    hits = segment.passages.find(minima, least)
    assert {(hit.row, hit.start, hit.equal) for hit in hits} == brute_force(texts, response, least)


def test_boilerplate_does_not_make_a_search_long(tmp_path: Path) -> None:
    documents = [Document(str(number), prose("boilerplate")) for number in range(2000)]
    segment = make_segment(tmp_path, documents, GRID)
    assert segment.passages is not None
    words = long_words(canonicalise(prose("boilerplate")), SECRET)
    minima = window_minima(words.hashes, HOP_WORDS, SECRET)
    hits = segment.passages.find(minima, LEAST_EQUAL)
    assert hits
    assert len(hits) <= MOST_IN_BAND * len(minima)


# --- findings ------------------------------------------------------------------------------------

DOCUMENTS = [
    Document(f"d{number}", prose(number, 150), f"c{number % 2}", ("secret",) * (number % 3 == 0))
    for number in range(30)
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("passages") / "index"
    build_index(path, DOCUMENTS, grid=GRID)
    return path


def test_words_in_another_order_are_found_and_redacted(index: Path) -> None:
    before, after = prose("before", 90), prose("after", 90)
    response = f"{before}\n\n{shuffled(DOCUMENTS[3].text)}\n\n{after}"
    guardrail = Guardrail.from_policy(indexes=[index], key=KEY)
    verdict = guardrail.check(response)
    assert verdict.action is Action.REDACT
    assert {finding.kind for finding in verdict.findings} == {"passage"}
    (finding,) = verdict.findings
    assert finding.evidence.document == "d3"
    assert finding.evidence.labels == ("secret",)
    assert 0.5 < finding.score <= 1
    # The ends are known as well as signatures are: to a few words.
    assert abs(finding.span.start - len(before)) < 60
    assert abs(finding.span.end - (len(response) - len(after))) < 60
    assert guardrail.check(f"{before} {after}").action is Action.ALLOW


@pytest.mark.parametrize("name", ["upper case", "full width", "wrapped", "Cyrillic", "zero width"])
def test_disguises_that_leave_words_apart_hide_nothing(index: Path, name: str) -> None:
    assert named(index, DISGUISES[name](shuffled(DOCUMENTS[5].text))) == {"d5"}


def test_a_few_words_repeated_are_no_passage(tmp_path: Path) -> None:
    # Similarity 1, by two words only.
    text = " ".join(VOCABULARY[:2] * 40)
    build_index(tmp_path / "index", [Document("table", text)], grid=GRID)
    assert LEAST_SHARED > 2
    assert found(tmp_path / "index", text) == []


def test_places_lie_within_the_document(index: Path) -> None:
    for document in DOCUMENTS[::7]:
        for finding in found(index, shuffled(document.text, 3)):
            start, end = finding.evidence.corpus_start, finding.evidence.corpus_end
            assert start is not None
            assert end is not None
            assert 0 <= start < end <= len(document.text)


def test_texts_of_any_length_and_kind_are_searched(index: Path) -> None:
    words = VOCABULARY[:3]
    for text in ("", "x", words[0], " ".join(words), "東京" * 500, "a" * 5000, "\0 " * 9):
        assert found(index, text) == []


@pytest.mark.parametrize("hops", [1, 3, 7])
def test_long_responses_are_searched_in_parts(
    index: Path, monkeypatch: pytest.MonkeyPatch, hops: int
) -> None:
    response = " ".join(shuffled(document.text) for document in DOCUMENTS[:12:4])
    whole = found(index, response)
    assert len(whole) >= 3
    monkeypatch.setattr("guardrail.indexes.passage_detector.CHUNK_WORDS", hops * HOP_WORDS)
    assert found(index, response) == whole


# --- life ----------------------------------------------------------------------------------------


def test_forgotten_passages_are_not_found_and_are_erased(tmp_path: Path) -> None:
    path = tmp_path / "index"
    build_index(path, DOCUMENTS[:20], grid=GRID)
    add_to_index(path, DOCUMENTS[20:])
    assert named(path, shuffled(DOCUMENTS[25].text)) == {"d25"}
    lifecycle.forget(path, KEY, ["d25", "d2"])
    assert named(path, shuffled(DOCUMENTS[25].text)) == set()
    lifecycle.compact(path, KEY)
    assert lifecycle.verify(path, KEY) == []
    (segment,) = Index.open(path, KEY).segments
    assert segment.passages is not None
    # What is on disk after erasing is what building without the forgotten writes.
    alive = [document for document in DOCUMENTS if document.id not in ("d25", "d2")]
    build_index(tmp_path / "other", alive, grid=GRID)
    (fresh,) = Index.open(tmp_path / "other", KEY).segments
    assert fresh.passages is not None
    assert _contents(segment.passages) == _contents(fresh.passages)
    for document in DOCUMENTS:
        wanted = {document.id} - {"d25", "d2"}
        assert named(path, shuffled(document.text)) == wanted


def _contents(passages: Passages) -> list[tuple[int, int, bytes]]:
    return [
        (row, start, mark.tobytes())
        for part in passages.windows()
        for row, start, mark in zip(part.rows, part.starts, part.signatures, strict=True)
    ]


def test_copies_past_the_cap_come_back_when_the_first_are_erased(tmp_path: Path) -> None:
    path = tmp_path / "index"
    copies = [Document(f"copy {number}", prose("copy")) for number in range(3 * MOST_IN_BAND)]
    build_index(path, copies, grid=GRID)
    response = shuffled(prose("copy"))
    assert len(named(path, response)) == 1
    lifecycle.forget(path, KEY, [document.id for document in copies[: 2 * MOST_IN_BAND]])
    lifecycle.compact(path, KEY)
    assert named(path, response) <= {document.id for document in copies[2 * MOST_IN_BAND :]}
    assert named(path, response)


def test_merging_keeps_passages_and_refuses_to_mix(tmp_path: Path) -> None:
    first, second, plain = (tmp_path / name for name in ("first", "second", "plain"))
    build_index(first, DOCUMENTS[:10], grid=GRID)
    build_index(second, DOCUMENTS[10:20], grid=GRID)
    build_index(plain, DOCUMENTS[20:], grid=DEFAULT_GRID)
    lifecycle.merge([first, second], tmp_path / "both", KEY)
    for document in (DOCUMENTS[0], DOCUMENTS[15]):
        assert named(tmp_path / "both", shuffled(document.text)) == {document.id}
    with pytest.raises(UsageError, match="no passages"):
        lifecycle.merge([first, plain], tmp_path / "mixed", KEY)


def test_an_index_without_passages_has_no_such_detector(tmp_path: Path) -> None:
    build_index(tmp_path / "index", DOCUMENTS[:3], grid=DEFAULT_GRID)
    guardrail = Guardrail.from_policy(indexes=[tmp_path / "index"], key=KEY)
    assert "passages" not in guardrail.check("a").coverage
    (info,) = Index.open(tmp_path / "index", KEY).manifest.segments
    assert not FILES & info.files.keys()
    assert lifecycle.info(tmp_path / "index", KEY)["passages"] is False


def test_an_index_without_passages_does_not_pass_for_one_that_was_searched(tmp_path: Path) -> None:
    path = tmp_path / "index"
    build_index(path, DOCUMENTS[:3], grid=GRID)
    guardrail = Guardrail.from_policy(indexes=[path], key=KEY)
    build_index(path, DOCUMENTS[:3], grid=DEFAULT_GRID, replace_existing=True)
    with pytest.raises(UsageError, match="holds no passages"):
        PassageDetector("passages", [WatchedIndex(path, KEY)])
    time.sleep(1.1 * LOOK_EVERY_SECONDS)
    verdict = guardrail.check("anything")
    assert verdict.action is Action.REFUSE
    assert [failure.detector for failure in verdict.failures] == ["passages"]


def test_the_command_builds_them(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", DOCUMENTS[:3])
    environment = {"GUARDRAIL_KEY": KEY.serialise()}
    out = tmp_path / "index"
    done = command("index", "build", corpus, "--out", out, "--passages", environment=environment)
    assert done.returncode == 0, done.stderr
    done = command("check", shuffled(DOCUMENTS[1].text), "--index", out, environment=environment)
    assert done.returncode == 11, done.stderr


# --- attacks -------------------------------------------------------------------------------------


def test_a_thief_cannot_tell_which_passages_are_held(tmp_path: Path) -> None:
    """The thief has the files and the program, and searches under a key of the thief's own."""
    index_key, other = new_key(), new_key()
    segment = make_segment(tmp_path, DOCUMENTS, GRID, key=index_key)
    told = {}
    for name, key in (("owner", index_key), ("thief", other)):
        secret = SignatureKey.derive(key)
        passages = Passages(segment.info.id, key, segment._map)
        texts = [canonicalise(document.text) for document in DOCUMENTS]
        asked = [window_minima(long_words(t, secret).hashes, HOP_WORDS, secret) for t in texts]
        told[name] = sum(bool(passages.find(minima, LEAST_EQUAL)) for minima in asked)
    assert told == {"owner": len(DOCUMENTS), "thief": 0}


def test_equal_passages_do_not_look_equal_on_disk(tmp_path: Path) -> None:
    documents = [Document(str(number), prose("same")) for number in range(8)]
    segment = make_segment(tmp_path, documents, GRID)
    for name in ("passages", "bands"):
        words = np.frombuffer((segment.folder / name).read_bytes(), np.uint64)
        assert len(words) > 8
        assert len(np.unique(words)) == len(words)


@pytest.mark.parametrize("name", sorted(FILES))
def test_damage_is_noticed_and_harms_no_search(index: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "index"
    shutil.copytree(index, path)
    (file,) = path.glob(f"segments/*/{name}")
    content = bytearray(file.read_bytes())
    dice = random.Random(name)
    for _ in range(20):
        damaged = bytearray(content)
        for _ in range(200):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        file.write_bytes(damaged)
        with pytest.raises(GuardrailError, match=name):
            Index.open(path, KEY, check=True)
        # Unchecked, as a large index is at first: no crash, and nothing outside the arrays.
        opened: Segment = Index.open(path, KEY, check=False).segments[0]
        assert opened.passages is not None
        words = long_words(canonicalise(DOCUMENTS[4].text), SECRET)
        opened.passages.find(window_minima(words.hashes, HOP_WORDS, SECRET), 1)
        detector = PassageDetector("passages", [WatchedIndex(path, KEY, check=False)])
        detector.scan(canonicalise(shuffled(DOCUMENTS[4].text)), EMPTY_CONTEXT)
    file.write_bytes(content[:-8])
    with pytest.raises(GuardrailError, match=name):
        Index.open(path, KEY, check=False)
