"""Compression, archives, mail, PDF and DOCX."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers import ReadOptions, plan, read, streams


def read_all(path: Path, **options: Any) -> list[Document | Unreadable]:
    chosen = ReadOptions(**options)
    return [result for unit in plan([str(path)], chosen) for result in read(unit, chosen)]


def contents(results: list[Document | Unreadable]) -> dict[str, str]:
    return {result.id: result.text for result in results if isinstance(result, Document)}


def problems(results: list[Document | Unreadable]) -> dict[str, str]:
    return {result.source: result.reason for result in results if isinstance(result, Unreadable)}


def zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    return bytes(zstandard.ZstdCompressor().compress(data))


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstd,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    compress = COMPRESSORS[suffix]
    text = "".join(f"line {n} é\n" for n in range(100_000))
    path = tmp_path / f"a.txt.{suffix}"
    path.write_bytes(compress(text[:500_000].encode()) + compress(text[500_000:].encode()))
    assert contents(read_all(path)) == {path.name: text}
    assert len(read_all(path, piece_chars=300_000, piece_overlap=10)) == -(-len(text) // 299_990)
    path = tmp_path / f"a.jsonl.{suffix}"
    path.write_bytes(compress(b'{"text": "x"}\n' * 1000))
    found = read_all(path, unit_bytes=10)
    assert len(found) == 1000
    assert contents(found)[f"a.jsonl.{suffix}@{14 * 999}"] == "x"
    path.write_bytes(b"")
    assert all(isinstance(result, Unreadable) for result in read_all(path))


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_truncated_files_give_what_can_be_read(tmp_path: Path, suffix: str) -> None:
    import random

    letters = random.Random(1).choices("abcdefghijklmnopqrstuvwxyz ", k=3_000_000)
    data = COMPRESSORS[suffix]("".join(letters).encode())
    path = tmp_path / f"a.txt.{suffix}"
    path.write_bytes(data[: len(data) // 2])
    document, problem = read_all(path)
    assert isinstance(document, Document)
    assert "".join(letters).startswith(document.text)
    assert len(document.text) > 500_000
    assert isinstance(problem, Unreadable)
    assert "cut short" in problem.reason


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_bombs_stop(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_EXPANSION", 1_000_000)
    data = COMPRESSORS[suffix](b"boom " * 1_000_000)
    (tmp_path / f"a.txt.{suffix}").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(f"in.txt.{suffix}", data)
    for name in (f"a.txt.{suffix}", "b.zip"):
        found = read_all(tmp_path / name)
        assert any("expands to more than" in reason for reason in problems(found).values())
        read_size = sum(len(text) for text in contents(found).values())
        assert read_size <= max(1_000_000, 250 * (tmp_path / name).stat().st_size)


def test_an_archive_shares_one_allowance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_EXPANSION", 1_000_000)
    monkeypatch.setattr(streams, "MAX_EXPANSION", 1)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(9):
            archive.writestr(f"{number}.txt", b"x" * 300_000)
    found = read_all(tmp_path / "a.zip")
    assert len(problems(found)) == 1
    assert len(found) <= 5


def test_zip(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep.txt", "deep")
        archive.writestr("again.zip", inner.getvalue())
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("é/a.txt", "text")
        archive.writestr("folder/", "")
        archive.writestr("__MACOSX/x", "no")
        archive.writestr("b/.hidden", "no")
        archive.writestr("b.jsonl.gz", gzip.compress(b'{"id": "r", "text": "record"}\n'))
        archive.writestr("c.csv", "text\ncell\n")
        archive.writestr("p.bin", b"\0\1\2")
        archive.writestr("in.zip", inner.getvalue())
    found = read_all(tmp_path / "a.zip")
    assert contents(found) == {
        "a.zip!é/a.txt": "text",
        "r": "record",
        "a.zip!c.csv#1": "cell",
        "a.zip!in.zip!deep.txt": "deep",
    }
    assert set(problems(found)) == {"a.zip!p.bin", "a.zip!in.zip!again.zip"}


def test_encrypted_and_damaged_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "private " * 9)
        archive.writestr("b.txt", "fine")
    data = bytearray(path.read_bytes())
    broken = data.replace(b"private", b"pri\xffate", 1)
    path.write_bytes(broken)
    found = read_all(path)
    assert contents(found)["a.zip!b.txt"] == "fine"
    assert "BadZipFile" in problems(found)["a.zip!a.txt"]
    # The flag for encryption, in the central directory's entry of the first member.
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    found = read_all(path)
    assert contents(found) == {"a.zip!b.txt": "fine"}
    assert "encrypted" in problems(found)["a.zip!a.txt"]
    path.write_bytes(data[: len(data) // 2])
    assert set(problems(read_all(path))) == {"a.zip"}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.zst", "a.tar.xz"])
def test_tar(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, data in {"a.txt": b"text", "./b.txt.gz": gzip.compress(b"b")}.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    data = buffer.getvalue()
    short = {"gz": gzip.compress, "tgz": gzip.compress, "zst": zstd, "xz": lzma.compress}
    data = short.get(name.rpartition(".")[2], bytes)(data)
    (tmp_path / name).write_bytes(data)
    found = read_all(tmp_path / name)
    assert contents(found) == {f"{name}!a.txt": "text", f"{name}!./b.txt.gz": "b"}
    assert not problems(found)
    for damaged in (data[: len(data) // 20], data[: len(data) // 9], data[:-9], data[:-1]):
        if name != "a.tar" or len(damaged) < len(data) - 9:
            (tmp_path / name).write_bytes(damaged)
            assert problems(read_all(tmp_path / name))
    (tmp_path / name).write_bytes(data + data)
    assert "after the end" in problems(read_all(tmp_path / name))[name]


def test_a_damaged_header_in_a_tar_is_told(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in ("a.txt", "b.txt"):
            info = tarfile.TarInfo(member)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"text"))
    data = bytearray(buffer.getvalue())
    data[1024 + 150] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    found = read_all(tmp_path / "a.tar")
    assert contents(found) == {"a.tar!a.txt": "text"}
    assert "damaged" in problems(found)["a.tar"]


def mail(number: int, id: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Zoë <zoe@example.com>"
    message["To"] = "b@example.com"
    message["Date"] = "Thu, 01 Jan 1970 00:00:00 +0000"
    message["Subject"] = f"Größe {number}"
    if id is not None:
        message["Message-ID"] = id
    message.set_content(f"body {number} é\nFrom the start of a line\n", cte="8bit")
    return message


def test_mail(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx")
    paper = docx.Document()
    paper.add_paragraph("clause")
    buffer = io.BytesIO()
    paper.save(buffer)
    message = mail(1, "<x@y>")
    message.add_alternative("<p>page &amp; <b>bold</b></p><style>no</style>", subtype="html")
    message.add_attachment("name,number\n", subtype="csv", filename="a.csv")
    message.add_attachment(b"\x89PNG\0", "image", "png", filename="p.png")
    message.add_attachment(b"\0\1", "application", "x-thing", filename="t.bin")
    message.add_attachment(
        buffer.getvalue(), "application", "octet-stream", filename="contract.docx"
    )
    message.add_attachment(mail(2))
    (tmp_path / "a.eml").write_bytes(bytes(message))
    found = read_all(tmp_path / "a.eml")
    text = contents(found)["a.eml"]
    for part in ["Zoë <zoe@example.com>", "Date: Thu, 01 Jan 1970", "Größe 1", "body 1 é"]:
        assert part in text
    for part in ["page & bold", "name,number", "Größe 2", "body 2 é"]:
        assert part in text
    assert "<p>" not in text
    assert "clause" in contents(found)["a.eml!contract.docx"]
    assert set(problems(found)) == {"a.eml!t.bin"}


def test_mail_with_odd_headers_and_charsets(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(
        b"From: \xff <a@@b\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nTo: =?bad?x?\r\n"
        b"Content-Type: text/plain; charset=no-such\r\n\r\ncaf\xe9\r\n"
    )
    text = contents(read_all(tmp_path / "a.eml"))["a.eml"]
    assert "Subject: café" in text
    assert text.endswith("café\r\n")
    (tmp_path / "b.eml").write_bytes(b"no headers at all, just text\n")
    assert "just text" in contents(read_all(tmp_path / "b.eml"))["b.eml"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_transfer_encodings(tmp_path: Path, end: str, encoding: str) -> None:
    message = EmailMessage()
    message["Subject"] = "é " * 50
    message.set_content("café\n\nsecond paragraph\n", cte=encoding)
    (tmp_path / "a.eml").write_bytes(bytes(message).replace(b"\n", end.encode()))
    text = contents(read_all(tmp_path / "a.eml"))["a.eml"]
    assert text.startswith(f"Subject: {'é ' * 49}é\ncafé")
    assert "second paragraph" in text


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_mailbox(tmp_path: Path, end: bytes) -> None:
    separator = b"From zoe@example.com Thu Jan  1 00:00:00 1970\n"
    messages = [mail(1, "<one@x>"), mail(2), mail(3, ""), mail(4)]
    box = b""
    for message in messages:
        body = bytes(message).replace(b"\nFrom ", b"\n>From ")
        box += separator + body + b"\nFrom here on, a line of the body\n\n"
    path = tmp_path / "a.mbox"
    path.write_bytes(box.replace(b"\n", end))
    found = read_all(path)
    assert list(contents(found)) == ["<one@x>", "a.mbox#2", "a.mbox#3", "a.mbox#4"]
    for number, text in enumerate(contents(found).values(), start=1):
        assert f"body {number} é" in text
        assert "\nFrom the start" in text
        assert "From here on" in text
    small = read_all(path, max_document_bytes=100)
    assert set(problems(small)) == {f"a.mbox#{n}" for n in range(1, 5)}


def test_a_long_line_in_a_mailbox_is_bounded(tmp_path: Path) -> None:
    separator = b"From zoe@example.com Thu Jan  1 00:00:00 1970\n"
    path = tmp_path / "a.mbox"
    path.write_bytes(separator + b"x" * 500_000 + b"\n\n" + separator + bytes(mail(1)))
    found = read_all(path, max_document_bytes=10_000)
    assert set(problems(found)) == {"a.mbox#1"}
    assert set(contents(found)) == {"a.mbox#2"}


def write_pdf(path: Path, text: str, password: str | None = None) -> None:
    pypdf = pytest.importorskip("pypdf")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    for line in text.split("\n"):
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 100 Td ({line}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    with path.open("wb") as out:
        writer.write(out)


def test_pdf(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    write_pdf(path, "first page\nsecond page")
    text = contents(read_all(path))["a.pdf"]
    assert "first page" in text
    assert "second page" in text
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    assert problems(read_all(path))
    write_pdf(path, "")
    assert "OCR" in problems(read_all(path))["a.pdf"]
    write_pdf(path, "secret", password="key")
    assert "encrypted" in problems(read_all(path))["a.pdf"]


def test_docx(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_paragraph("a paragraph")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    document.sections[0].header.paragraphs[0].text = "the header"
    path = tmp_path / "a.docx"
    document.save(str(path))
    text = contents(read_all(path))["a.docx"]
    assert text.startswith("a paragraph\nleft\nright\n")
    assert "the header" in text
    stored = path.stat().st_size
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/bomb.bin", b"x" * (8 * stored))
    assert "unpacks" in problems(read_all(path, max_document_bytes=2 * stored))["a.docx"]
    path.write_bytes(path.read_bytes()[:-100])
    assert problems(read_all(path))


@pytest.mark.parametrize(("name", "module"), [("a.pdf", "pypdf"), ("a.docx", "docx")])
def test_missing_extras_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"x")
    assert (
        f"pip install 'corpus-guardrail[{name[2:]}]'" in problems(read_all(tmp_path / name))[name]
    )


# fmt: off
SUFFIXES = [
    "txt", "html", "jsonl", "json", "csv", "tsv", "parquet", "mbox", "eml",
    "pdf", "docx", "zip", "tar", "tgz", "bin", "txt.gz", "jsonl.zst", "csv.bz2",
    "html.xz", "zip.gz", "tar.zst", "parquet.gz",
]
# fmt: on


def sound(tmp_path: Path, suffix: str) -> bytes:
    """A small sound file of the format, to be damaged."""
    record = json.dumps({"text": "some text"}).encode()
    kind, _, compression = suffix.partition(".")
    data = {"csv": b"text\nx\n", "tsv": b"text\tid\nx\t1\n", "html": b"<p>x"}.get(kind, record)
    if kind == "pdf":
        write_pdf(tmp_path / "s.pdf", "page")
        data = (tmp_path / "s.pdf").read_bytes()
    elif kind == "parquet":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "s.parquet")
        data = (tmp_path / "s.parquet").read_bytes()
    elif kind == "docx":
        buffer = io.BytesIO()
        pytest.importorskip("docx").Document().save(buffer)
        data = buffer.getvalue()
    elif kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.jsonl", record)
        data = buffer.getvalue()
    elif kind in ("tar", "tgz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz" if kind == "tgz" else "w") as tar:
            info = tarfile.TarInfo("a.txt")
            info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
        data = buffer.getvalue()
    return COMPRESSORS[compression](data) if compression else data


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_bytes_raise(tmp_path: Path, suffix: str) -> None:
    import random

    rng = random.Random(suffix)
    seed = sound(tmp_path, suffix)
    path = tmp_path / f"fuzz.{suffix}"
    for attempt in range(60):
        if attempt % 3 == 0:
            data = rng.randbytes(rng.randrange(400))
        elif attempt % 3 == 1:
            data = seed[: rng.randrange(len(seed) + 1)]
        else:
            damaged = bytearray(seed)
            for _ in range(rng.randrange(1, 8)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            data = bytes(damaged)
        path.write_bytes(data)
        for result in read_all(path):
            assert isinstance(result, Document | Unreadable)
