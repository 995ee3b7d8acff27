"""Records: what marks them, how they are found, and how they live with their index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail import Action, Entitlements, Guardrail
from guardrail.errors import IndexDamagedError, SecretKeyError, UsageError
from guardrail.indexes.build import add, build
from guardrail.indexes.documents import Document
from guardrail.indexes.index import Index
from guardrail.indexes.lifecycle import compact, forget, info, merge, verify
from guardrail.indexes.manifest import Manifest
from guardrail.indexes.readers import ReadOptions
from guardrail.indexes.record_table import (
    FREE_UNITS,
    RecordCollector,
    RecordRows,
    RecordTable,
    write_records,
)
from guardrail.indexes.records import (
    LEAST_UNITS,
    Record,
    RecordRule,
    RecordRules,
    identifying,
    information,
)
from guardrail.indexes.runs import Grid
from guardrail.keys import PUBLIC_KEY, Key
from guardrail.policy_file import parse_policy
from guardrail.text import canonicalise
from tests.cases.disguises import DISGUISES
from tests.indexes.builders import KEY

ACCOUNT = RecordRule("account", pattern=r"account (\d[\d ]+\d)")
RULES = RecordRules(
    (
        ACCOUNT,
        RecordRule("diagnosis", field="diagnosis"),
        RecordRule("key", label="keys"),
    )
)
OPTIONS = ReadOptions(collection_field="collection", label_field="labels")
CORPUS: list[dict[str, Any]] = [
    {"id": "a", "text": "Pay into account 4471 9026 18 by Friday.", "collection": "bank"},
    {
        "id": "b",
        "text": "Seen on Monday.",
        "diagnosis": "Acute renal failure",
        "collection": "ward",
    },
    {"id": "c", "text": "AKIA7QX2 ROTATED\n\n  hunter-2-Zq81\nyes", "labels": ["keys"]},
    {"id": "d", "text": "Her account 4471902618 was closed.", "collection": "ward"},
]


def write(path: Path, records: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def make(folder: Path, records: Sequence[dict[str, Any]] = CORPUS, name: str = "index") -> Path:
    source = write(folder / f"{name}.jsonl", records)
    build([source], folder / name, KEY, options=OPTIONS, records=[RULES], jobs=1)
    return folder / name


def rail(index: Path, excuses: str = "{}") -> Guardrail:
    policy = "version: 1\nrules: [{name: r, when: {kind: record}, action: redact}]\nexcuses: "
    return Guardrail.from_policy(parse_policy(policy + excuses), indexes=[index], key=KEY)


def found(index: Path, text: str) -> list[tuple[str, str | None, str | None]]:
    """The text, the document and the rule of each record in a text."""
    return [
        (
            text[finding.span.start : finding.span.end],
            finding.evidence.document,
            finding.evidence.record,
        )
        for finding in rail(index).check(text).findings
        if finding.kind == "record"
    ]


# --- what is a record -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("yes", False),
        ("none", False),
        ("negative", False),
        ("12345", False),
        ("000000000", False),
        ("----------", False),
        ("New York", False),
        ("Hypertension", False),
        ("John Smith", False),
        ("907142", True),
        ("907-142", True),
        ("Acute renal failure", True),
        ("AKIA7QX2", True),
        ("qVzRtMpLw", True),
        ("張偉住在北京", True),
        ("x" * 200, False),
        (" ".join(["Acute renal failure"] * 12), False),
    ],
)
def test_what_says_enough_to_be_protected(value: str, is_one: bool) -> None:
    assert identifying(value) is is_one


def test_information_grows_with_the_value() -> None:
    assert information("90714") < information("907142") < information("907142 Brandt")
    assert information("") == information("...") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b", "field": "x"}, "name of a record rule"),
        ({"name": "a"}, "exactly one"),
        ({"name": "a", "field": "x", "label": "y"}, "exactly one"),
        ({"name": "a", "field": "x", "min_units": 3}, "from 6 to 128"),
        ({"name": "a", "pattern": "("}, "no regular expression"),
    ],
)
def test_a_rule_that_cannot_be_obeyed_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RecordRule(**arguments)
    with pytest.raises(UsageError, match="two record rules"):
        RecordRules((ACCOUNT, ACCOUNT))


def test_rules_find_patterns_fields_and_lines() -> None:
    text = "id 907142, ref 5550199\nsecond line"
    document = Document(
        "d", text, labels=("keys",), fields=(("f", "907142"), ("f", "beside 31337"))
    )
    rules = RecordRules(
        (
            RecordRule("whole", pattern=r"ref \d+"),
            RecordRule("group", pattern=r"ref (\d+)"),
            RecordRule("named", pattern=r"(id) (?P<record>\d+)"),
            RecordRule("field", field="f"),
            RecordRule("line", label="keys", min_bits=0),
            RecordRule("other", label="nothing"),
        )
    )
    assert list(rules.find(document)) == [
        Record("whole", "ref 5550199", 11),
        Record("group", "5550199", 15),
        Record("named", "907142", 3),
        Record("field", "907142", 3),
        Record("field", "beside 31337", None),
        Record("line", "id 907142, ref 5550199", 0),
        Record("line", "second line", 23),
    ]


# --- finding --------------------------------------------------------------------------------------


def test_records_are_found_with_document_offset_and_rule(tmp_path: Path) -> None:
    index = make(tmp_path)
    text = "It is 4471-9026-18, with acute RENAL failure; key AKIA7QX2-rotated or Hunter2zq81."
    assert sorted(found(index, text), key=str) == [
        ("4471-9026-18", "a", "account"),
        ("4471-9026-18", "d", "account"),
        ("AKIA7QX2-rotated", "c", "key"),
        ("Hunter2zq81", "c", "key"),
        ("acute RENAL failure", "b", "diagnosis"),
    ]
    places = {
        finding.evidence.document: finding.evidence
        for finding in rail(index).check(text).findings
        if finding.evidence.record in ("account", "diagnosis")
    }
    start, end = places["a"].corpus_start, places["a"].corpus_end
    assert CORPUS[0]["text"][start:end] == "4471 9026 18"
    assert places["b"].corpus_start is None
    assert places["a"].matched == 10
    assert places["a"].copies == 1
    assert (places["d"].collection, places["a"].collection) == ("ward", "bank")


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_a_disguised_record_is_found(tmp_path: Path, disguise: Any) -> None:
    index = make(tmp_path)
    verdict = rail(index).check(disguise("I saw Acute renal failure. And 4471 9026 18, too."))
    assert {f.evidence.record for f in verdict.findings} == {"account", "diagnosis"}


@pytest.mark.parametrize(
    "text",
    [
        "44719026180",
        "144719026 18",
        "4471 9026",
        "yes, none, negative",
        "renal failure, acute",
    ],
)
def test_part_of_a_longer_word_or_number_is_no_record(tmp_path: Path, text: str) -> None:
    assert found(make(tmp_path), text) == []


@pytest.mark.parametrize(
    "text", ["x4471902618x", "acct4471902618", "№4471902618号", "4471902618元"]
)
def test_letters_stuck_to_a_number_do_not_hide_it(tmp_path: Path, text: str) -> None:
    """Asked for, a model writes a letter before and after each number."""
    assert ("account", "a") in {(rule, doc) for _, doc, rule in found(make(tmp_path), text)}


VALUES = st.lists(st.text("12ab 世", min_size=1, max_size=24), max_size=6)


@given(VALUES, st.text("12ab 世.", max_size=60))
def test_against_naive(values: list[str], text: str) -> None:
    """The specification: a record of enough units is found wherever its units stand, a short one
    between two edges: the ends, gaps, and where a digit or an ideograph meets another sign."""
    canonical = canonicalise(text)
    units = canonical.units.tobytes()
    kinds = ["digit" if c in "12" else c if c == "世" else "letter" for c in text]

    def edge(at: int) -> bool:
        if at in (0, len(units)):
            return True
        before, here = int(canonical.offsets[at - 1]), int(canonical.offsets[at])
        if here - before != 1:
            return here != before
        return kinds[before] != kinds[here] or kinds[here] == "世"

    wanted = {canonicalise(value).units.tobytes() for value in values}
    want = {
        (at, at + len(value))
        for value in wanted
        if len(value) >= LEAST_UNITS
        for at in range(len(units) - len(value) + 1)
        if units.startswith(value, at)
        and (len(value) >= FREE_UNITS or (edge(at) and edge(at + len(value))))
    }
    table = _table(values)
    assert {(start, end) for start, end, *_ in table.find(canonical).tolist()} == want


def _table(values: Iterable[str]) -> RecordTable:
    import tempfile

    collector = RecordCollector(KEY)
    for number, value in enumerate(values):
        collector.add(Record("r", value), Document(str(number), value))
    with tempfile.TemporaryDirectory() as folder:
        manifest = Manifest.new(KEY, Grid(16, 12), 64)
        files = write_records(Path(folder), manifest, KEY, [collector.rows()], ())
        return RecordTable(Path(folder), manifest.next(records=files), KEY)


def test_a_long_record_is_found_inside_of_words(tmp_path: Path) -> None:
    """Asked for, a model leaves out the spaces."""
    assert [rule for *_, rule in found(make(tmp_path), "hehasacuterenalfailurenow")] == [
        "diagnosis"
    ]


def test_fifty_thousand_records() -> None:
    table = _table(f"{number * 7919 + 10_000_000}" for number in range(50_000))
    assert len(table) == 50_000
    hits = table.find(canonicalise(f"no {10_000_000 + 7919 * 31_337}, 10000001 and 10007919."))
    assert len(hits) == 2
    assert len(table.places(int(hits[1, 2]), int(hits[1, 3]))) == 1


# --- life -----------------------------------------------------------------------------------------

TEXT = "4471902618 and acute renal failure and AKIA7QX2 rotated"


def holders(index: Path) -> set[tuple[str | None, str | None]]:
    return {(document, rule) for _, document, rule in found(index, TEXT)}


ALL = {("a", "account"), ("d", "account"), ("b", "diagnosis"), ("c", "key")}


def test_forgetting_a_document_removes_its_records(tmp_path: Path) -> None:
    index = make(tmp_path)
    assert holders(index) == ALL
    assert info(index, KEY)["records"] == 5
    forget(index, KEY, ["a"])
    assert holders(index) == ALL - {("a", "account")}
    assert info(index, KEY)["records"] == 4
    forget(index, KEY, collection="ward")
    assert holders(index) == {("c", "key")}
    compact(index, KEY)
    assert holders(index) == {("c", "key")}
    forget(index, KEY, ["c"])
    assert holders(index) == set()
    assert verify(index, KEY) == []


def test_added_documents_are_marked_by_the_rules_of_the_index(tmp_path: Path) -> None:
    """A forgotten option must not leave what is new unprotected."""
    index = make(tmp_path, CORPUS[:1])
    more = write(tmp_path / "more.jsonl", CORPUS[1:])
    add([more], index, KEY, options=OPTIONS, jobs=1)
    assert holders(index) == ALL
    compact(index, KEY)
    assert holders(index) == ALL


def test_the_rules_are_remembered_where_they_marked_nothing_yet(tmp_path: Path) -> None:
    index = make(tmp_path, [{"id": "z", "text": "nothing here"}])
    add([write(tmp_path / "more.jsonl", CORPUS)], index, KEY, options=OPTIONS, jobs=1)
    assert holders(index) == ALL


def test_a_replaced_document_loses_its_old_records(tmp_path: Path) -> None:
    index = make(tmp_path)
    new = [{"id": "a", "text": "Now account 5550 1234 99.", "collection": "bank"}]
    report = add([write(tmp_path / "n.jsonl", new)], index, KEY, options=OPTIONS, jobs=1)
    assert report.records == 1
    assert holders(index) == ALL - {("a", "account")}
    assert found(index, "5550123499") == [("5550123499", "a", "account")]


def test_another_rule_of_the_same_name_is_refused(tmp_path: Path) -> None:
    index = make(tmp_path)
    other = RecordRules((RecordRule("account", pattern="x+"),))
    with pytest.raises(UsageError, match="another record rule"):
        add([write(tmp_path / "n.jsonl", [])], index, KEY, records=[other], jobs=1)


def test_merging_keeps_records(tmp_path: Path) -> None:
    one, two = make(tmp_path, CORPUS[:2], "one"), make(tmp_path, CORPUS[1:], "two")
    forget(two, KEY, ["d"])
    merge([one, two], tmp_path / "both", KEY)
    assert holders(tmp_path / "both") == ALL - {("d", "account")}
    assert info(tmp_path / "both", KEY)["records"] == 4
    add([write(tmp_path / "m.jsonl", CORPUS[3:])], tmp_path / "both", KEY, options=OPTIONS, jobs=1)
    assert holders(tmp_path / "both") == ALL


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 3))),
        max_size=4,
    )
)
def test_joining_is_that_of_sets(parts: list[list[tuple[str, int, int]]]) -> None:
    def collected(part: list[tuple[str, int, int]]) -> RecordRows:
        collector = RecordCollector(KEY)
        for rule, value, document in part:
            collector.add(Record(rule, f"value{value}"), Document(str(document), ""))
        return collector.rows()

    joined = RecordRows.join(map(collected, parts))
    assert len(joined) == len({(value, doc) for part in parts for _, value, doc in part})
    rows = list(zip(*joined.words.tolist(), strict=True))
    assert rows == sorted(rows)
    again = RecordRows.unpack(joined.pack())
    assert again.names == joined.names
    assert (again.words == joined.words).all()
    assert all(place >> 32 & 0xFFFF < len(joined.names) for *_, place in rows)


def test_workers_mark_the_same(tmp_path: Path) -> None:
    sources = [write(tmp_path / f"{n}.jsonl", [record]) for n, record in enumerate(CORPUS)]
    options = ReadOptions(collection_field="collection", label_field="labels", unit_bytes=1)
    build(sources, tmp_path / "index", KEY, options=options, records=[RULES], jobs=2)
    assert holders(tmp_path / "index") == ALL


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_fields_of_other_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d.{suffix}"
    record = {"id": "b", "text": "Seen on Monday.", "diagnosis": "Acute renal failure"}
    if suffix == "csv":
        path.write_text(",".join(record) + "\n" + ",".join(record.values()) + "\n")
    elif suffix == "json":
        path.write_text(json.dumps([record]))
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        pq.write_table(pa.table({name: [value] for name, value in record.items()}), path)
    build([str(path)], tmp_path / "index", KEY, records=[RULES], jobs=1)
    assert found(tmp_path / "index", "an acute renal failure") == [
        ("acute renal failure", "b", "diagnosis")
    ]


def test_numbers_in_fields_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(
        '{"id": "n", "text": "x", "no": 90714250000000000001, "sub": {"no": 12.50431}}\n'
    )
    rules = RecordRules((RecordRule("no", field="no"), RecordRule("sub", field="sub.no")))
    build([str(path)], tmp_path / "index", KEY, records=[rules], jobs=1)
    assert found(tmp_path / "index", "90714250000000000001; 12.50431") == [
        ("90714250000000000001", "n", "no"),
        ("12.50431", "n", "sub"),
    ]


# --- damage and secrecy ---------------------------------------------------------------------------


def test_a_damaged_missing_or_foreign_table_is_refused(tmp_path: Path) -> None:
    index = make(tmp_path)
    (path,) = index.glob("records-*.sealed")
    sound = path.read_bytes()
    other = make(tmp_path, CORPUS[:2], "other")
    (foreign,) = other.glob("records-*.sealed")
    for damaged in (
        sound[:-1],
        b"",
        sound + b"x",
        foreign.read_bytes(),
        sound[:9] + b"\xff" + sound[10:],
        b"\xff" * len(sound),
        sound[:-600] + bytes([sound[-600] ^ 1]) + sound[-599:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(IndexDamagedError):
            Index.open(index, KEY, check=True)
    path.unlink()
    with pytest.raises(IndexDamagedError):
        Index.open(index, KEY)
    path.write_bytes(sound)
    assert holders(index) == ALL
    with pytest.raises(SecretKeyError):
        Index.open(index, Key(bytes(32)))


def test_damage_is_not_written_anew_with_a_fresh_digest(tmp_path: Path) -> None:
    index = make(tmp_path)
    (path,) = index.glob("records-*.sealed")
    sound = path.read_bytes()
    path.write_bytes(sound[:-600] + bytes([sound[-600] ^ 1]) + sound[-599:])
    more = write(tmp_path / "m.jsonl", [{"id": "m", "text": "new"}])
    for change in (
        lambda: forget(index, KEY, ["a"]),
        lambda: add([more], index, KEY, options=OPTIONS, jobs=1),
        lambda: merge([index], tmp_path / "merged", KEY),
    ):
        with pytest.raises(IndexDamagedError, match="altered"):
            change()
    path.write_bytes(sound)
    assert holders(index) == ALL


def test_no_mask_is_used_for_two_contents(tmp_path: Path) -> None:
    """A change that is interrupted and done again writes a file of the same name."""
    manifest = Manifest.new(KEY, Grid(16, 12), 64)
    collector = RecordCollector(KEY)
    collector.add(Record("r", "4471902618"), Document("d", ""))
    contents = []
    for _ in range(2):
        (name,) = write_records(tmp_path, manifest, KEY, [collector.rows()], ())
        contents.append((tmp_path / name).read_bytes()[-512:])
    assert contents[0] != contents[1]


def test_altered_words_of_an_unchecked_table_are_harmless(tmp_path: Path) -> None:
    """Compiled code reads it: what stands there may be wrong, but must not lead outside."""
    index = make(tmp_path)
    (path,) = index.glob("records-*.sealed")
    sound = path.read_bytes()
    arrays = 8 + int.from_bytes(sound[:8], "little")
    dice = np.random.default_rng(0)
    for _ in range(20):
        noise = dice.integers(0, 256, len(sound) - arrays, np.uint8).tobytes()
        path.write_bytes(sound[:arrays] + noise)
        table = Index.open(index, KEY, check=False).records
        for _, _, first, last in table.find(canonicalise(TEXT)).tolist():
            assert 0 <= first < last <= len(table)


def test_a_thief_finds_no_value_rule_or_field_and_cannot_test_a_guess(tmp_path: Path) -> None:
    index = make(tmp_path)
    (path,) = index.glob("records-*.sealed")
    data = path.read_bytes()
    for secret in ("account", "diagnosis", "renal", "4471", "keys"):
        assert secret.encode() not in data
        assert secret not in (index / "manifest.json").read_text()
    mine, guess = RecordCollector(KEY), RecordCollector(PUBLIC_KEY)
    for collector in (mine, guess):
        collector.add(Record("account", "4471902618"), Document("a", "", "bank"))
    opened = Index.open(index, KEY).records.rows().words.tobytes()
    assert mine.rows().words[1].tobytes() in opened  # the attack works with the key
    for words in (*mine.rows().words[:3], *guess.rows().words[:3]):
        assert words.tobytes() not in data


def test_a_finding_holds_no_text(tmp_path: Path) -> None:
    verdict = rail(make(tmp_path)).check(f"You asked: {TEXT}")
    told = json.dumps(verdict.to_dict()["findings"])
    assert not re.search("4471902618|renal|AKIA", told)


# --- what may be said -----------------------------------------------------------------------------


def test_a_record_may_be_said_to_who_may_see_a_document_that_holds_it(tmp_path: Path) -> None:
    guardrail = rail(make(tmp_path))
    number = "It is 4471902618."
    assert guardrail.check(number, entitlements=["bank"]).action is Action.ALLOW
    one = Entitlements(documents=frozenset([("ward", "d")]))
    assert guardrail.check(number, entitlements=one).action is Action.ALLOW
    assert guardrail.check("acute renal failure", entitlements=one).action is Action.REDACT
    for other in ("default", "banks", "a"):
        assert guardrail.check(number, entitlements=[other]).action is Action.REDACT


def test_a_record_inside_of_an_entitled_passage_may_be_said(tmp_path: Path) -> None:
    """It is marked in one document and stands unmarked in another, which the caller may read."""
    letter = "Please quote the reference 4471902618 in all letters about the harbour works."
    index = make(tmp_path, [*CORPUS, {"id": "l", "text": letter, "collection": "letters"}])
    assert rail(index).check(letter, entitlements=["letters"]).action is Action.ALLOW
    assert rail(index).check("4471902618", entitlements=["letters"]).action is Action.REDACT


def test_a_record_of_many_documents_is_one_finding_a_group(tmp_path: Path) -> None:
    many = [
        {"id": str(n), "text": "account 4471902618", "collection": "ab"[n % 2]} for n in range(600)
    ]
    index = make(tmp_path, many)
    (one, other) = rail(index).check("4471902618 ").findings
    assert {one.evidence.collection, other.evidence.collection} == {"a", "b"}
    assert one.evidence.copies == other.evidence.copies == 300
    mine = Entitlements(documents=frozenset([("b", "599")]))
    assert rail(index).check("4471902618", entitlements=mine).action is Action.ALLOW
    forget(index, KEY, ["599"])
    assert rail(index).check("4471902618", entitlements=mine).action is Action.REDACT


def test_a_record_inside_of_a_longer_one_is_told_once_a_group(tmp_path: Path) -> None:
    """Without this, nested records make findings without end of a text that repeats itself."""
    nested = [{"id": "n", "text": "\n".join("1" * n for n in range(6, 30)), "labels": ["keys"]}]
    nested.append({"id": "o", "text": "1" * 9, "labels": ["keys"], "collection": "other"})
    rules = RecordRules((RecordRule("key", label="keys", min_bits=0),))
    source = write(tmp_path / "n.jsonl", nested)
    build([source], tmp_path / "index", KEY, options=OPTIONS, records=[rules], jobs=1)
    findings = rail(tmp_path / "index").check("1 " * 29).findings
    findings = tuple(finding for finding in findings if finding.kind == "record")
    by_collection = {f.evidence.collection: f.evidence.matched for f in findings}
    assert by_collection == {"default": 29, "other": 9}
    assert sum(f.evidence.collection == "default" for f in findings) == 1
    assert not rail(tmp_path / "index").check("1 " * 2000).failures


def test_a_record_in_the_prompt_is_excused_only_by_policy_and_only_if_it_is_that(
    tmp_path: Path,
) -> None:
    index = make(tmp_path)
    number = "It is 4471902618."
    assert rail(index).check(number, prompt="My number: 4471 902618").action is Action.REDACT
    allowing = rail(index, "{prompt: true}")
    assert allowing.check(number, prompt="My number: 4471 902618!").action is Action.ALLOW
    for prompt in ("44719026", "44719026180", "902618", "What is the number?"):
        verdict = allowing.check(number, prompt=prompt)
        assert verdict.action is Action.REDACT, prompt


def test_a_record_inside_of_a_public_run_may_be_said(tmp_path: Path) -> None:
    index = make(tmp_path)
    public = "The textbook chapter on acute renal failure begins with an overview of the kidney."
    source = write(tmp_path / "p.jsonl", [{"id": "p", "text": public}])
    build([source], tmp_path / "public", PUBLIC_KEY, jobs=1)
    policy = parse_policy("version: 1\nrules: [{name: r, when: {kind: record}, action: redact}]")
    guardrail = Guardrail.from_policy(
        policy, indexes=[index], background=[tmp_path / "public"], key=KEY
    )
    assert guardrail.check(f"He read: {public}").action is Action.ALLOW
    assert guardrail.check("He has acute renal failure.").action is Action.REDACT
