"""Plain text, source and HTML: decoding, pieces and visible text."""

from __future__ import annotations

import html.parser
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.errors import UsageError
from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers import ReadOptions, plan, read
from guardrail.indexes.readers.markup import visible_text


def read_all(path: Path, **options: Any) -> list[Document | Unreadable]:
    chosen = ReadOptions(**options)
    return [result for unit in plan([str(path)], chosen) for result in read(unit, chosen)]


def only_text(path: Path, **options: Any) -> str:
    (found,) = read_all(path, **options)
    assert isinstance(found, Document), found
    assert found.id == path.name
    return found.text


@pytest.mark.parametrize("name", ["a.txt", "a.py", "a.md", "a.tex", "Makefile", "a.strange"])
@pytest.mark.parametrize("text", ["", "one\r\ntwo\r", "Ünïcode 漢字 \U0001f600", "tab\tform\f"])
def test_text_is_kept_as_it_is(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert only_text(tmp_path / name) == text


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-be"]
)
def test_marks_are_honoured(tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff"
    (tmp_path / "a.txt").write_bytes((mark + "é 漢 \U0001f600").encode(encoding))
    assert only_text(tmp_path / "a.txt") == "é 漢 \U0001f600"


def test_stray_bytes_leave_the_rest_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("caf\xe9 \x80 \x81".encode("latin-1") + " 漢字".encode())
    assert only_text(path) == "café € \x81 漢字"
    # A character cut by the end of a block is no stray byte.
    path.write_bytes(b"x" * (256 * 1024 - 1) + "漢".encode() + b"\xe6")
    assert only_text(path).endswith("x漢æ")


@pytest.mark.parametrize("data", [b"text\0text", bytes(range(256)) * 9, b"\x01\x02\x03" * 100])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.html", "a.json", "a.unknown"])
def test_binary_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (found,) = read_all(tmp_path / name)
    assert isinstance(found, Unreadable)
    assert found.source == name
    assert "binary" in found.reason


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(2, 20), st.data())
def test_pieces_overlap_and_give_the_text_back(
    tmp_path_factory: pytest.TempPathFactory, text: str, longest: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, longest - 1))
    path = tmp_path_factory.mktemp("pieces") / "a.txt"
    # A mark of its own, so that a text that begins with one is not taken for it.
    path.write_bytes(text.encode("utf-8-sig"))
    pieces = read_all(path, piece_chars=longest, piece_overlap=overlap)
    rebuilt = ""
    for number, piece in enumerate(pieces):
        assert isinstance(piece, Document)
        assert piece.id == "a.txt"
        assert len(piece.text) <= longest
        assert len(rebuilt) - piece.offset == (overlap if number else 0)
        assert text[piece.offset : piece.offset + len(piece.text)] == piece.text
        rebuilt = rebuilt[: piece.offset] + piece.text
    assert rebuilt == text


def test_long_text_streams_in_pieces(tmp_path: Path) -> None:
    text = "".join(f"line {n} é\n" for n in range(200_000))
    (tmp_path / "a.log").write_text(text)
    pieces = read_all(tmp_path / "a.log", piece_chars=300_000, piece_overlap=1000)
    assert len(pieces) == 1 + -(-(len(text) - 300_000) // 299_000)
    for piece in pieces:
        assert isinstance(piece, Document)
        assert text.startswith(piece.text, piece.offset)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text_fields": "text"},
        {"text_fields": ()},
        {"labels": "secret"},
        {"collection": ""},
        {"piece_chars": 10, "piece_overlap": 10},
        {"unit_bytes": 0},
    ],
)
def test_options_that_cannot_be_used(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ReadOptions(**wrong)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>a</p><p>b</p>", "a\nb"),
        ("un<b>brok</b>en &amp; caf&eacute; &#233;", "unbroken & café é"),
        ("<head><title>T</title><style>p{}</style></head><body>x", "x"),
        ("<title>T</title>x<SCRIPT>if (a<b) '</div>'</SCRIPT >y", "x\ny"),
        ("<!-- gone --><!DOCTYPE html><?php gone ?>x<!---->y<!-->z", "xyz"),
        ("<a title=\"x > y\" data-x='>'>b</a>", "b"),
        ("<a title=it's>don't</a>", "don't"),
        ("a < b, a <3 and a<>b", "a < b, a <3 and a<>b"),
        ("<td>1</td><td>2</td><br/>3", "1\n2\n3"),
        ("<![CDATA[kept]]>", "kept]]>"),
        ("text <!-- never closed <b>bold</b>", "text never closed bold"),
        ("<script>never closed", "never closed"),
        ("before <a href='", "before <a href='"),
        ('<a href="unclosed>text</a> on', "text on"),
        ("&lt;b&gt; &nosuch; &", "<b> &nosuch; &"),
        ("", ""),
    ],
)
def test_visible_text(markup: str, text: str) -> None:
    assert visible_text(markup) == text


class Reference(html.parser.HTMLParser):
    """The standard library's view of well-formed markup, as the spec."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.texts.append(data)


TREES = st.recursive(
    st.one_of(
        st.text("ab &<>\"'=é", max_size=6).map(html.escape),
        st.sampled_from(["<br>", "<!-- c > -->", '<img alt="a>b">', "<script>a<b</script>"]),
    ),
    lambda inner: st.builds(
        lambda name, parts: f'<{name} class="x>" id=y>{"".join(parts)}</{name}>',
        st.sampled_from(["p", "b", "div", "td", "A"]),
        st.lists(inner, max_size=4),
    ),
    max_leaves=10,
)


@given(TREES)
def test_visible_text_agrees_with_the_standard_parser(markup: str) -> None:
    reference = Reference()
    reference.feed(markup)
    reference.close()
    assert "".join(visible_text(markup).split()) == "".join("".join(reference.texts).split())


@pytest.mark.timed
@pytest.mark.parametrize(
    "part",
    [
        "<a",
        "<!--",
        '<a ="',
        '<a =">"',
        "<a ='\"",
        "</",
        "<?",
        "<![",
        "<script>",
        "<title>",
        "<",
        "&#x",
        "<a b=",
        "<p>",
        "<![CDATA[",
        "</script",
        "\n ",
        "<a =\"'>'\"",
        " <p> \n",
    ],
)
def test_markup_that_would_take_quadratic_time(part: str) -> None:
    started = time.process_time()
    visible_text(part * (1_000_000 // len(part)))
    assert time.process_time() - started < 10


@given(st.text("<>/!-?'\"= abscriptle[]&#;\n", max_size=60))
def test_no_markup_raises(markup: str) -> None:
    visible_text(markup)


def test_html_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_bytes('<meta charset="koi8-r"><p>привет'.encode("koi8-r"))
    assert only_text(path) == "привет"
    path.write_bytes('<meta charset="koi8-r"><p>привет'.encode())
    assert only_text(path) == "привет"
    path.write_bytes(b'<meta charset="rot13"><p>caf\xe9')
    assert only_text(path) == "café"
    path.write_bytes('<meta charset="iso-2022-jp"><p>漢字'.encode("iso-2022-jp"))
    assert only_text(path) == "漢字"
    (found,) = read_all(path, max_document_bytes=10)
    assert isinstance(found, Unreadable)
