"""Formats of records: JSON Lines, JSON, CSV and Parquet."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers import ReadOptions, Unit, plan, read


def read_all(path: Path, **options: Any) -> list[Document | Unreadable]:
    chosen = ReadOptions(**options)
    return [result for unit in plan([str(path)], chosen) for result in read(unit, chosen)]


def texts(results: list[Document | Unreadable]) -> list[tuple[str, str]]:
    assert all(isinstance(result, Document) for result in results), results
    return [(result.id, result.text) for result in results if isinstance(result, Document)]


def write_lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def test_json_lines_takes_ids_and_counts_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    data = '\n{"id": "x", "text": "é"}\r\n  \n{"id": 7, "text": ""}\n{"text": "z"}'.encode()
    path.write_bytes(data)
    place = f"a.jsonl@{data.rindex(b'{')}"
    assert texts(read_all(path)) == [("x", "é"), ("7", ""), (place, "z")]


@pytest.mark.parametrize(
    ("record", "id", "text"),
    [
        ({"text": "\ud800 alone"}, "a.jsonl@0", "\ud800 alone"),
        ({"id": True, "text": "a"}, "a.jsonl@0", "a"),
        ({"id": "", "text": "a"}, "a.jsonl@0", "a"),
        ({"id": "x" * 2000, "text": "a"}, "a.jsonl@0", "a"),
        ({"id": "\ud800", "text": "a"}, "\\ud800", "a"),
        ({"id": 10**30, "text": "a"}, str(10**30), "a"),
        ({"text": None}, "a.jsonl@0", ""),
        ({"text": ["a", "b"]}, "a.jsonl@0", "a\n\nb"),
        ({"text": 4111111111111111}, "a.jsonl@0", "4111111111111111"),
        ("a bare string", "a.jsonl@0", "a bare string"),
    ],
)
def test_values_of_a_record(tmp_path: Path, record: Any, id: str, text: str) -> None:
    assert texts(read_all(write_lines(tmp_path / "a.jsonl", [record]))) == [(id, text)]


def test_numbers_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": 1.10}\n{"text": ' + "9" * 5000 + "}\n")
    assert [text for _, text in texts(read_all(path))] == ["1.10", "9" * 5000]


def test_several_fields_and_dotted_paths(tmp_path: Path) -> None:
    record = {
        "meta": {"key": "K"},
        "messages": [{"role": "user", "content": "one"}, {"role": "x"}, {"content": "two"}],
        "a.b": "dotted key",
    }
    path = write_lines(tmp_path / "a.jsonl", [record])
    found = read_all(path, text_fields=("messages.content", "a.b", "absent"), id_field="meta.key")
    assert texts(found) == [("K", "one\n\ntwo\n\ndotted key")]


def test_collection_and_labels_of_a_record(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"text": "a", "c": "mail", "l": "secret"},
        {"text": "b", "c": 3, "l": ["base", "x", 5]},
        {"text": "c"},
    ]
    path = write_lines(tmp_path / "a.jsonl", records)
    found = read_all(path, labels=("base",), collection_field="c", label_field="l")
    assert [(d.collection, d.labels) for d in found if isinstance(d, Document)] == [
        ("mail", ("base", "secret")),
        ("default", ("base", "x")),
        ("default", ("base",)),
    ]


def test_missing_and_unusable_fields_are_named_but_nothing_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "private"}\n{"text": {"x": "private"}}\n[1]\n{"text": private}\n')
    found = read_all(path, text_fields=("text", "title"))
    assert all(isinstance(result, Unreadable) for result in found)
    reasons = [result.reason for result in found if isinstance(result, Unreadable)]
    assert "'text', 'title'" in reasons[0]
    assert "text_fields" in reasons[0]
    assert "no text in 'text'" in reasons[1]
    assert not any("private" in reason for reason in reasons)
    assert [result.source for result in found if isinstance(result, Unreadable)][1] == "a.jsonl@20"


LINES = st.lists(
    st.one_of(
        st.builds(
            lambda text: json.dumps({"text": text}, ensure_ascii=False),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        ),
        st.sampled_from(["", "  ", "{", '{"id": 1, "text": "x"}', '{"t": 1}', "\r"]),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(LINES, st.booleans(), st.booleans())
def test_ranges_split_anywhere_give_the_same_documents(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ended: bool, mark: bool
) -> None:
    path = tmp_path_factory.mktemp("ranges") / "a.jsonl"
    data = "\n".join(lines).encode() + (b"\n" if ended else b"")
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + data)
    options = ReadOptions()
    whole = plan([str(path)], options)[0]
    expected = list(read(whole, options))
    size = path.stat().st_size
    for cut in range(1, size):
        parts = [Unit(whole.members, 0, cut), Unit(whole.members, cut, size)]
        assert [result for part in parts for result in read(part, options)] == expected
    for unit_bytes in (1, 2, 7):
        small = ReadOptions(unit_bytes=unit_bytes)
        units = plan([str(path)], small)
        assert [result for unit in units for result in read(unit, small)] == expected


def test_lines_across_blocks_and_ranges(tmp_path: Path) -> None:
    records = [{"id": str(n), "text": "x" * (n * 50_000)} for n in range(30)]
    path = write_lines(tmp_path / "a.jsonl", records)
    expected = [(record["id"], record["text"]) for record in records]
    assert texts(read_all(path)) == expected
    assert texts(read_all(path, unit_bytes=70_000)) == expected
    assert len(plan([str(path)], ReadOptions(unit_bytes=1_000_000))) > 10


def test_a_huge_line_is_skipped_and_named(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "a.jsonl", [{"text": "a"}, {"text": "x" * 900_000}, {"text": "b"}]
    )
    before, huge, after = read_all(path, max_document_bytes=1000)
    assert isinstance(before, Document)
    assert isinstance(huge, Unreadable)
    assert isinstance(after, Document)
    assert huge.source == "a.jsonl@14"
    assert "max_document_bytes" in huge.reason


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_json_lines_with_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "é"}\n{"text": "漢字"}\n', encoding=encoding)
    assert [text for _, text in texts(read_all(path, unit_bytes=10))] == ["é", "漢字"]


def test_a_stray_byte_loses_no_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "caf\xe9 \xc3\xa9"}\n')
    assert [text for _, text in texts(read_all(path))] == ["café é"]


def test_deep_nesting_is_unreadable(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.json"):
        path = tmp_path / name
        path.write_text("[" * 200_000 + "\n")
        (found,) = read_all(path)
        assert isinstance(found, Unreadable)
        assert "nested too deeply" in found.reason


def test_a_range_of_a_changed_file_says_so(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "b"}])
    options = ReadOptions(unit_bytes=10)
    units = plan([str(path)], options)
    path.write_text('{"text": "longer than before"}\n' * 3)
    first = next(iter(read(units[0], options)))
    assert isinstance(first, Unreadable)
    assert "changed" in first.reason


def test_json_arrays_records_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"id": "x", "text": "a"}, {"text": "b"}, {"no": 1}, "bare"]')
    *documents, bare = (result for result in read_all(path) if isinstance(result, Document))
    assert [(d.id, d.text) for d in documents] == [("x", "a"), ("a.json#2", "b")]
    assert bare.text == "bare"
    path.write_text('{"data": [{"t": "a"}, {"t": "b"}]}')
    assert texts(read_all(path, text_fields=("data.t",))) == [("a.json", "a\n\nb")]
    path.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert [text for _, text in texts(read_all(path))] == ["a", "b"]


def test_json_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"text": "x" * 2000}))
    (found,) = read_all(path, max_document_bytes=1000)
    assert isinstance(found, Unreadable)
    assert "1000" in found.reason


@pytest.mark.parametrize(
    ("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.csv", "|"), ("a.tsv", "\t")]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(tmp_path: Path, name: str, delimiter: str, end: str) -> None:
    rows = [["id", "other", "text"], ["k", "", 'a "quoted" word'], ["", "", "b"], ["z"], [], ["3"]]
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows]
    path = tmp_path / name
    path.write_bytes(end.join(delimiter.join(row) for row in quoted).encode("utf-8-sig"))
    found = read_all(path)
    assert texts(found[:2]) == [("k", 'a "quoted" word'), (f"{name}#2", "b")]
    assert [result.source for result in found[2:] if isinstance(result, Unreadable)] == [
        f"{name}#3",
        f"{name}#4",
    ]


def test_csv_cells_over_lines_and_long_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,id\n"one\r\ntwo",1\n' + b"x" * 300_000 + b",2\n")
    found = read_all(path, piece_chars=200_000, piece_overlap=10)
    assert [(d.id, d.offset, len(d.text)) for d in found if isinstance(d, Document)] == [
        ("1", 0, 8),
        ("2", 0, 200_000),
        ("2", 199_990, 100_010),
    ]


def test_csv_with_an_open_quote_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text\nfirst\n"open\n' + "private line\n" * 100_000)
    first, second = read_all(path, max_document_bytes=1000)
    assert isinstance(first, Document)
    assert isinstance(second, Unreadable)
    assert "never closed" in second.reason


def test_csv_without_the_column_does_not_quote_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("private,header\n1,2\n")
    (found,) = read_all(path)
    assert isinstance(found, Unreadable)
    assert "'text'" in found.reason
    assert "private" not in found.reason


@pytest.fixture
def parquet_file(tmp_path: Path) -> Path:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table(
        {
            "id": [f"r{n}" for n in range(1000)],
            "text": [None if n == 5 else f"text {n}" for n in range(1000)],
            "doc": [{"body": f"body {n}", "n": n} for n in range(1000)],
            "n": list(range(1000)),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=300)
    return path


def test_parquet(parquet_file: Path) -> None:
    found = texts(read_all(parquet_file))
    assert found == [(f"r{n}", "" if n == 5 else f"text {n}") for n in range(1000)]
    inner = texts(read_all(parquet_file, text_fields=("doc.body", "text"), id_field="none"))
    assert inner[6] == ("a.parquet#7", "body 6\n\ntext 6")
    assert texts(read_all(parquet_file, id_field="n"))[9] == ("9", "text 9")


def test_parquet_compressed_again(parquet_file: Path) -> None:
    path = parquet_file.with_name("b.parquet.gz")
    path.write_bytes(gzip.compress(parquet_file.read_bytes()))
    assert len(texts(read_all(path))) == 1000


def test_damaged_parquet(parquet_file: Path) -> None:
    data = parquet_file.read_bytes()
    for damaged in (b"", data[:100], data[: len(data) // 2], data[:-3], data[4:]):
        parquet_file.write_bytes(damaged)
        assert any(isinstance(result, Unreadable) for result in read_all(parquet_file))


def test_parquet_without_the_column(parquet_file: Path) -> None:
    (found,) = read_all(parquet_file, text_fields=("body",))
    assert isinstance(found, Unreadable)
    assert "'body'" in found.reason


def test_parquet_text_that_is_not_utf8(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    column = pa.array([b"caf\xe9", b"ok"], pa.binary())
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": column}), path)
    assert [text for _, text in texts(read_all(path))] == ["café", "ok"]
    pq.write_table(pa.table({"text": column.view(pa.string())}), path)
    assert [text for _, text in texts(read_all(path))] == ["café", "ok"]
