"""Passages: signatures against datasketch and sets of words, the search against every window, the
life of an index that holds them, and its files in the hands of a thief or damaged."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail import Action, Guardrail
from guardrail.detector import EMPTY_CONTEXT, Context, Entitlements
from guardrail.errors import GuardrailError, UsageError
from guardrail.findings import Finding
from guardrail.indexes import lifecycle
from guardrail.indexes.bands import BANDS, MOST_IN_BAND, ROWS, number_bits
from guardrail.indexes.build import DEFAULT_GRID
from guardrail.indexes.documents import Document
from guardrail.indexes.excuses import Excuses
from guardrail.indexes.index import Index
from guardrail.indexes.passage_detector import LEAST_SHARED, PassageDetector
from guardrail.indexes.passage_search import MOST_HITS
from guardrail.indexes.passages import FILES, Passages
from guardrail.indexes.segment import Segment
from guardrail.indexes.signatures import (
    BLOCK_WORDS,
    HOP_WORDS,
    LEAST_WORD,
    MOST_WORD,
    NO_MINIMUM,
    PERMUTATIONS,
    USUAL,
    WINDOW_WORDS,
    SignatureKey,
    WordHashes,
    block_minima,
    long_words,
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


@cache
def datasketch_values(word: int) -> list[int]:
    """The hash values of datasketch's MinHash of a word, with our permutations."""
    datasketch = pytest.importorskip("datasketch", minversion="2.0", reason="needs the extra bench")
    sketch = datasketch.MinHash(
        num_perm=PERMUTATIONS,
        hashfunc=lambda data: int.from_bytes(data, "little"),
        permutations=SECRET.permutations,
        hashvalues=np.full(PERMUTATIONS, NO_MINIMUM, np.uint32),
        scheme="affine32",
    )
    if word:
        sketch.update(word.to_bytes(4, "little"))
    return [int(value) for value in sketch.hashvalues]


def datasketch_minima(words: Sequence[int]) -> tuple[list[int], list[int]]:
    """The least of each hash value of some words, and the least without the word it comes from."""
    values = [datasketch_values(word) for word in {0, *words}]
    columns = [sorted(set(column)) for column in zip(*values, strict=True)]
    none = int(NO_MINIMUM)
    return [column[0] for column in columns], [[*column, none][1] for column in columns]


@given(
    st.lists(st.integers(0, 2**16 - 1), max_size=40) | st.lists(st.integers(0, 9), max_size=40),
    st.sampled_from([BLOCK_WORDS, HOP_WORDS]),
)
@settings(max_examples=60, deadline=None)
def test_minima_are_those_of_datasketch(values: list[int], size: int) -> None:
    least, second = block_minima(np.array(values, np.uint16), size, *SECRET.permutations)
    blocks = [values[at : at + size] for at in range(0, len(values), size)]
    told = list(zip(least.tolist(), second.tolist(), strict=True))
    assert told == [datasketch_minima(block) for block in blocks]


def test_bands_are_those_that_datasketch_chooses() -> None:
    datasketch = pytest.importorskip("datasketch", reason="needs the extra bench")
    chosen = datasketch.MinHashLSH(threshold=0.35, num_perm=PERMUTATIONS)
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
    # Equal words have equal hashes. Others may have as well: these have 16 bits.
    assert len(set(zip(expected, words.hashes.tolist(), strict=True))) == len(set(expected))
    assert 0 not in words.hashes


def test_names_of_calendars_are_no_words() -> None:
    assert not len(long_words(canonicalise(USUAL), SECRET).hashes)
    assert len(long_words(canonicalise(f"{USUAL.upper()} {VOCABULARY[0]}"), SECRET).hashes) == 1


# --- the search ----------------------------------------------------------------------------------


def windows_of(words: WordHashes, step: int) -> list[tuple[int, WordHashes]]:
    """The naive specification: first word and words of each window, one every `step`."""
    starts = [at for at in range(0, len(words), step) if at + WINDOW_WORDS <= len(words) + step - 1]
    return [(at, words[at : at + WINDOW_WORDS]) for at in starts or [0][: len(words)]]


def probes(words: Sequence[int]) -> list[list[int]]:
    """The minima, and these with the second least in the place of each number of a row."""
    low, high = datasketch_minima(words)
    changed = [
        [high[n] if n % ROWS == turn else low[n] for n in range(ROWS * BANDS)]
        for turn in range(ROWS)
    ]
    return [low[: ROWS * BANDS], *changed]


def brute_force(texts: Sequence[str], response: str, least: int) -> set[tuple[int, ...]]:
    """Every pair of windows that agrees in a band of datasketch's values and shares so many words:
    row, first unit, shared words, words of either, first and last shared word."""
    asked = long_words(canonicalise(response), SECRET).hashes
    windows = [(at, words, probes(words.tolist())) for at, words in windows_of(asked, HOP_WORDS)]
    pairs: set[tuple[int, ...]] = set()
    for row, text in enumerate(texts):
        held = long_words(canonicalise(text), SECRET)
        for start, theirs in windows_of(held.hashes, BLOCK_WORDS):
            mark = datasketch_minima(theirs.tolist())[0]
            for at, ours, tried in windows:
                both = set(ours.tolist()) & set(theirs.tolist())
                agree = any(
                    one[band : band + ROWS] == mark[band : band + ROWS]
                    for one in tried
                    for band in range(0, BANDS * ROWS, ROWS)
                )
                if agree and len(both) >= least:
                    places = [at + n for n, word in enumerate(ours.tolist()) if word in both]
                    either = len(set(ours.tolist()) | set(theirs.tolist()))
                    first = int(held.firsts[start])
                    pairs.add((row, first, len(both), either, places[0], places[-1]))
    return pairs


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_the_search_finds_what_datasketch_and_comparing_all_windows_find(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    # Up to 3 documents of 2 windows at most can agree in a band, fewer than are kept.
    lengths = data.draw(st.lists(st.integers(9, 30), min_size=1, max_size=3))
    vocabulary = VOCABULARY[: data.draw(st.sampled_from([12, 40, 400]))]
    dice = random.Random(data.draw(st.integers(0, 99)))
    texts = [" ".join(dice.choices(vocabulary, k=length)) for length in lengths]
    response = " ".join([*dice.choices(vocabulary, k=20), shuffled(texts[0], 1)])
    least = data.draw(st.sampled_from([1, LEAST_SHARED]))
    assert 2 * len(texts) <= MOST_IN_BAND
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    segment = make_segment(tmp_path_factory.mktemp("segment"), documents, GRID, flush_every=2)
    assert segment.passages is not None
    hits = segment.passages.find(long_words(canonicalise(response), SECRET).hashes, least)
    told = {(hit.row, hit.start, hit.shared, hit.either, hit.first, hit.last) for hit in hits}
    assert len(told) == len(hits)
    assert told == brute_force(texts, response, least)


def test_a_large_index_is_written_band_by_band(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [Document(str(number), prose(number, 150)) for number in range(40)]
    (tmp_path / "small").mkdir()
    (tmp_path / "large").mkdir()
    small = make_segment(tmp_path / "small", documents, GRID)
    monkeypatch.setattr("guardrail.indexes.bands._SORTED_AT_ONCE", 1)
    monkeypatch.setattr("guardrail.indexes.passages._CHUNK", 7)
    large = make_segment(tmp_path / "large", documents, GRID)
    for name in FILES:
        assert (small.folder / name).read_bytes() == (large.folder / name).read_bytes()


def test_boilerplate_does_not_make_a_search_long(tmp_path: Path) -> None:
    documents = [Document(str(number), prose("boilerplate")) for number in range(2000)]
    segment = make_segment(tmp_path, documents, GRID)
    assert segment.passages is not None
    words = long_words(canonicalise(prose("boilerplate")), SECRET).hashes
    hits = segment.passages.find(words, LEAST_SHARED)
    assert hits
    assert len(hits) <= MOST_HITS * len(windows_of(words, HOP_WORDS))


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
    leaked = shuffled(" ".join(DOCUMENTS[3].text.split()[:72]))
    response = f"{before}\n\n{leaked}\n\n{after}"
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
    # Similarity 1, by a few words only.
    text = " ".join(VOCABULARY[: LEAST_SHARED - 1] * 40)
    build_index(tmp_path / "index", [Document("table", text)], grid=GRID)
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


def test_what_the_user_wrote_is_no_leak(index: Path) -> None:
    detector = PassageDetector("p", [WatchedIndex(index, KEY)], Excuses(prompt=True))
    first, second = (shuffled(" ".join(DOCUMENTS[n].text.split()[:72])) for n in (3, 4))
    response = f"{first}\n\n{second}"
    text = canonicalise(response)
    assert {hit.evidence.document for hit in detector.scan(text, EMPTY_CONTEXT)} == {"d3", "d4"}
    assert not detector.scan(text, Context(prompt=(f"Is this good? {response.upper()}",)))
    # Half of it is no excuse for the other half.
    (left,) = detector.scan(text, Context(prompt=(first,)))
    assert left.evidence.document == "d4"
    # Nor are its words, one by one.
    words = "; ".join(sorted(set(response.split())))
    assert detector.scan(text, Context(prompt=(words,)))


@pytest.mark.parametrize(
    "entitled",
    [
        Entitlements(collections=frozenset({"c1"})),
        Entitlements(labels=frozenset({"secret"})),
        Entitlements(documents=frozenset({("c1", "d3")})),
    ],
)
def test_who_may_see_a_document_may_read_it_in_any_order(
    index: Path, entitled: Entitlements
) -> None:
    guardrail = Guardrail.from_policy(indexes=[index], key=KEY)
    both = f"{shuffled(DOCUMENTS[3].text)} {prose('between')} {shuffled(DOCUMENTS[4].text)}"
    verdict = guardrail.check(both, entitlements=entitled)
    assert verdict.action is Action.REDACT
    assert {finding.evidence.document for finding in verdict.findings} == {"d4"}


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
        (row, start, words.tobytes())
        for part in passages.blocks()
        for row, start, words in zip(part.rows, part.starts, part.words, strict=True)
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
        asked = [long_words(text, secret).hashes for text in texts]
        told[name] = sum(bool(passages.find(words, LEAST_SHARED)) for words in asked)
    assert told == {"owner": len(DOCUMENTS), "thief": 0}


def test_equal_passages_do_not_look_equal_on_disk(tmp_path: Path) -> None:
    documents = [Document(str(number), prose("same")) for number in range(8)]
    segment = make_segment(tmp_path, documents, GRID)
    words = np.frombuffer((segment.folder / "passages").read_bytes(), np.uint64)
    assert len(words) > 8
    assert len(np.unique(words)) == len(words)
    # Entries that agree lie together. Whose they are is masked: in order, bands would be alike.
    assert segment.passages is not None
    bits = number_bits(len(segment.passages))
    entries = np.frombuffer((segment.folder / "bands").read_bytes(), np.uint32).reshape(BANDS, -1)
    numbers = [tuple(band[band != 0] & ((1 << bits) - 1)) for band in entries]
    assert len(set(numbers)) == BANDS


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
        opened.passages.find(long_words(canonicalise(DOCUMENTS[4].text), SECRET).hashes, 1)
        detector = PassageDetector("passages", [WatchedIndex(path, KEY, check=False)])
        detector.scan(canonicalise(shuffled(DOCUMENTS[4].text)), EMPTY_CONTEXT)
    file.write_bytes(content[:-8])
    with pytest.raises(GuardrailError, match=name):
        Index.open(path, KEY, check=False)
