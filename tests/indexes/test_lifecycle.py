"""Build, add, forget, compact and merge in any order: the index answers as a naive search would."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from guardrail.errors import IndexMissingError, UsageError
from guardrail.indexes import build as building
from guardrail.indexes.build import add, build
from guardrail.indexes.documents import Document
from guardrail.indexes.index import Index
from guardrail.indexes.lifecycle import compact, forget, info, merge, verify
from guardrail.indexes.runs import Grid
from tests.indexes.builders import KEY
from tests.indexes.lives import (
    GRID,
    add_to_index,
    build_index,
    check_against_naive,
    holders,
    matches,
    named,
    options,
    write_corpus,
)

# A tiny alphabet gives runs by the hundred, words a few long ones; some texts are below the gram.
TEXTS = (
    st.text("ab", max_size=70)
    | st.lists(st.sampled_from(["alpha", "beta", "delta", "42", "x"]), max_size=12).map(" ".join)
    | st.sampled_from(["", "short", "exactly8", "a" * 64, "the very same passage in many places"])
)
# A label depends on its document, as a document that is replaced may change its labels.
DOCUMENTS = st.lists(
    st.builds(
        Document,
        id=st.sampled_from([f"d{number}" for number in range(12)]),
        text=TEXTS,
        collection=st.sampled_from(["mail", "law"]),
        labels=st.sampled_from([(), ("secret",), ("secret", "owner:legal")]),
    ),
    max_size=7,
    unique_by=lambda document: (document.collection, document.id),
)


class Life(RuleBasedStateMachine):
    """An index on disk beside a dictionary of the documents that live in it."""

    @initialize(documents=DOCUMENTS)
    def build(self, documents: list[Document]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "index"
        self.living = named(documents)
        self.buried: list[str] = []
        report = build_index(self.path, documents)
        assert report.documents == len(documents)

    @rule(documents=DOCUMENTS)
    def add(self, documents: list[Document]) -> None:
        fresh = named(documents)
        replaced = fresh.keys() & self.living.keys()
        self.buried += [self.living[name].text for name in replaced]
        report = add_to_index(self.path, documents)
        assert report.replaced == len(replaced)
        self.living |= fresh

    @rule(documents=DOCUMENTS)
    def replace(self, documents: list[Document]) -> None:
        self.buried += [document.text for document in self.living.values()]
        build_index(self.path, documents, replace_existing=True)
        self.living = named(documents)

    @precondition(lambda self: self.living)
    @rule(data=st.data(), collection=st.sampled_from([None, "mail", "law"]))
    def forget(self, data: st.DataObject, collection: str | None) -> None:
        known = sorted({identifier for _, identifier in self.living})
        ids = data.draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
        gone = [name for name in self.living if name[1] in ids and collection in (None, name[0])]
        report = forget(self.path, KEY, ids, collection=collection)
        assert report.forgotten == len(gone)
        assert set(report.missing) == set(ids) - {identifier for _, identifier in gone}
        self._bury(gone)

    @rule(collection=st.sampled_from(["mail", "law", "never seen"]))
    def forget_collection(self, collection: str) -> None:
        gone = [name for name in self.living if name[0] == collection]
        assert forget(self.path, KEY, collection=collection).forgotten == len(gone)
        self._bury(gone)

    def _bury(self, names: Sequence[tuple[str, str]]) -> None:
        self.buried += [self.living.pop(name).text for name in names]

    @rule()
    def compact(self) -> None:
        report = compact(self.path, KEY)
        assert report.documents == len(self.living)
        told = info(self.path, KEY)
        assert told["forgotten"] == 0
        assert told["segments"] == min(1, len(self.living))

    @rule(documents=DOCUMENTS)
    def merge_with_another(self, documents: list[Document]) -> None:
        others = [
            Document(document.id, document.text, "merged", document.labels)
            for document in documents
            if ("merged", document.id) not in self.living
        ]
        other = self.folder / "other"
        build_index(other, {document.id: document for document in others}.values())
        self._merge([self.path, other])
        self.living |= named({document.id: document for document in others}.values())
        shutil.rmtree(other)

    @rule()
    def merge_with_itself(self) -> None:
        if info(self.path, KEY)["segments"] < 20:
            self._merge([self.path, self.path])

    def _merge(self, parts: Sequence[Path]) -> None:
        merged = self.folder / "merged"
        merge(parts, merged, KEY)
        shutil.rmtree(self.path)
        merged.rename(self.path)

    @invariant()
    def the_naive_search_says_the_same(self) -> None:
        if not hasattr(self, "path"):
            return
        texts = [document.text for document in self.living.values()]
        dice = random.Random(len(texts) + len(self.buried))
        responses = [*self.buried[-2:], "a" * 40, " and ".join(texts[-3:] + self.buried[-1:])]
        if texts:
            text = dice.choice(texts)
            start = dice.randrange(len(text) + 1)
            responses += ["zq" + text[start : start + 30] + "qz", dice.choice(texts)]
        check_against_naive(self.path, self.living, responses)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


def test_any_order_of_changes() -> None:
    run_state_machine_as_test(Life, settings=settings(max_examples=10, stateful_step_count=8))


@pytest.mark.slow
def test_many_more_orders_of_changes() -> None:
    """The same as above; forty lives of thirty changes take minutes."""
    run_state_machine_as_test(Life, settings=settings(max_examples=40, stateful_step_count=30))


def sentences(count: int, seed: int = 0) -> list[str]:
    """Texts that share nothing of the bound's length but by rare chance."""
    dice = random.Random(seed)
    return ["".join(dice.choices("bcdfghjkmnpqrstvwxz", k=60)) for _ in range(count)]


def test_the_number_of_jobs_does_not_matter(tmp_path: Path) -> None:
    texts = sentences(60)
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    reports = []
    for jobs in (1, 2):
        path = tmp_path / f"jobs{jobs}"
        small = options(unit_bytes=1000)
        report = build_index(path, documents[:40], jobs=jobs, options=small)
        more = add_to_index(path, documents[30:], jobs=jobs, options=small)
        check_against_naive(path, named(documents), texts[::7])
        reports.append((report.documents, report.units, report.grams, more.grams, more.replaced))
    assert reports[0] == reports[1]
    assert reports[0][-1] == 10


def test_documents_over_many_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are full after a few documents, blocks of names and chunks of tags after more."""
    monkeypatch.setattr(building, "MAX_SEGMENT_ORDINALS", 1500)
    monkeypatch.setattr("guardrail.indexes.lifecycle.MAX_SEGMENT_ORDINALS", 3000)
    monkeypatch.setattr("guardrail.indexes.living._CHUNK_ORDINALS", 256)
    monkeypatch.setattr("guardrail.indexes.document_table.NAMES_BLOCK", 16)
    monkeypatch.setattr("guardrail.indexes.segment.NAMES_BLOCK", 16)
    texts = sentences(300)
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    documents[10:10] = [Document("empty", ""), Document("short", "tiny")]
    path = tmp_path / "index"
    build_index(path, documents, options=options(unit_bytes=2000))
    assert info(path, KEY)["segments"] > 2
    check_against_naive(path, named(documents), texts[::41])
    gone = [f"d{number}" for number in range(0, 300, 3)]
    assert forget(path, KEY, gone).forgotten == 100
    living = named(document for document in documents if document.id not in gone)
    check_against_naive(path, living, texts[::41])
    report = compact(path, KEY)
    assert (report.documents, report.erased) == (202, 100)
    assert 1 < report.segments_after < report.segments_before
    assert report.bytes_after < report.bytes_before
    check_against_naive(path, living, texts[::41])


def test_everything_forgotten(tmp_path: Path) -> None:
    path, texts = tmp_path / "index", sentences(5)
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    build_index(path, documents)
    assert forget(path, KEY, collection="default").forgotten == 5
    check_against_naive(path, {}, texts)
    compact(path, KEY)
    check_against_naive(path, {}, texts)
    assert [child.name for child in (path / "segments").iterdir()] == []
    compact(path, KEY)
    add_to_index(path, documents)
    check_against_naive(path, named(documents), texts)


def test_pieces_of_a_long_document_are_one_document(tmp_path: Path) -> None:
    path = tmp_path / "index"
    long, other = "".join(sentences(40)), sentences(1, seed=1)[0]
    pieces = options(piece_chars=200, piece_overlap=50)
    documents = [Document("long", long, "mail"), Document("other", other, "mail")]
    report = build_index(path, documents, options=pieces)
    assert report.documents == info(path, KEY)["documents"] == 2
    assert info(path, KEY)["collections"] == {"mail": 2}
    assert info(path)["parts"] > 2  # what it is made of, as far as that is no secret
    for start in range(0, len(long) - 40, 37):
        assert holders(path, [long[start : start + 40]]) == [{("mail", "long")}]
    replaced = add_to_index(path, [Document("long", other, "mail")], options=pieces)
    assert replaced.replaced == 1
    assert info(path, KEY)["forgotten"] == 1
    assert holders(path, [long]) == [set()]
    assert forget(path, KEY, ["long"]).forgotten == 1
    assert compact(path, KEY).documents == 1


def test_places_are_those_of_the_document(tmp_path: Path) -> None:
    path, text = tmp_path / "index", sentences(1)[0]
    build_index(path, [Document("before", sentences(1, seed=1)[0]), Document("it", text)])
    forget(path, KEY, ["before"])
    for _ in range(2):
        ((_, _, _, origin, place),) = matches(Index.open(path, KEY), text[20:50])
        assert (origin, place.document, place.start, place.end) == (20, "it", 20, 50)
        compact(path, KEY)


def test_phrases_live_on(tmp_path: Path) -> None:
    path, document = tmp_path / "index", Document("d", sentences(1)[0])
    build_index(path, [document], phrases=["Project Nightjar"])
    add_to_index(path, [document], phrases=["Operation Wren", "Project Nightjar"])
    assert info(path, KEY)["phrases"] == 2
    forget(path, KEY, ["d"])
    compact(path, KEY)
    assert info(path, KEY)["phrases"] == 2
    merge([path, path], tmp_path / "merged", KEY)
    assert info(tmp_path / "merged", KEY)["phrases"] == 2
    build_index(path, [document], phrases=["Another one"], replace_existing=True)
    assert info(path, KEY)["phrases"] == 1
    assert verify(path, KEY) == []


def test_what_nothing_names_any_more_is_removed(tmp_path: Path) -> None:
    path, document = tmp_path / "index", Document("d", sentences(1)[0])
    build_index(path, [document], phrases=["Project Nightjar"])
    add_to_index(path, [document], phrases=["Operation Wren"])
    forget(path, KEY, ["d"])
    compact(path, KEY)
    names = {str(child.relative_to(path)) for child in path.rglob("*")}
    assert {name for name in names if not name.startswith("phrases-")} == {
        "lock",
        "manifest.json",
        "segments",
    }
    assert len(names) == 4


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    path, document = tmp_path / "index", Document("d", sentences(1)[0])
    with pytest.raises(IndexMissingError, match="there is no index"):
        add([str(tmp_path)], path, KEY)
    assert not path.exists()
    build_index(path, [document])
    corpus = write_corpus(tmp_path / "c.jsonl", [document])
    with pytest.raises(UsageError, match="holds an index already"):
        build([corpus], path, KEY)
    with pytest.raises(UsageError, match="nothing to forget"):
        forget(path, KEY)
    with pytest.raises(UsageError, match="nothing to merge"):
        merge([], tmp_path / "merged", KEY)
    with pytest.raises(UsageError, match="holds an index already"):
        merge([path], path, KEY)
    build_index(tmp_path / "coarse", [document], grid=Grid(16, 12))
    with pytest.raises(UsageError, match="only indexes of one shape"):
        merge([path, tmp_path / "coarse"], tmp_path / "merged", KEY)
    check_against_naive(path, named([document]), [document.text])


@pytest.mark.parametrize("child", ["work", "segments", "notes.sealed"])
def test_a_folder_of_other_things_is_left_alone(tmp_path: Path, child: str) -> None:
    """A build empties `work` and `segments`: in a folder that is no index, they are someone's."""
    folder = tmp_path / "project"
    (folder / child).mkdir(parents=True)
    (folder / child / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty and holds no index; name a new folder"):
        build_index(folder, [Document("d", "text")])
    build_index(tmp_path / "index", [Document("d", "text")])
    with pytest.raises(UsageError, match="is not empty and holds no index"):
        merge([tmp_path / "index"], folder, KEY)
    assert (folder / child / "thesis.txt").read_text() == "years of work"


def test_short_documents_are_counted(tmp_path: Path) -> None:
    lengths = [0, 1, GRID.gram, GRID.bound - 1, GRID.bound, 60]
    text = sentences(1)[0]
    documents = [Document(str(length), text[:length]) for length in lengths]
    report = build_index(tmp_path / "index", documents)
    assert (report.documents, report.short) == (6, 4)
    check_against_naive(tmp_path / "index", named(documents), [text, text[:-1]])
