"""PDF and DOCX, each through a library that is an extra of this package."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Iterator
from typing import Any

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.pieces import documents
from guardrail.indexes.readers.problems import Rejected, explain
from guardrail.indexes.readers.streams import Source, read_whole

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_BREAKS = {
    f"{_WORD}tab": "\t",
    f"{_WORD}br": "\n",
    f"{_WORD}cr": "\n",
    f"{_WORD}noBreakHyphen": "-",
}
# Deleted text under revision control is still in the file, and still private.
_TEXTS = frozenset({f"{_WORD}t", f"{_WORD}delText"})
_PARTS = ("document", "header", "footer", "footnotes", "endnotes", "comments", "glossary")

# A DOCX file is a zip archive that its library unpacks whole: pictures may take this many times
# the bytes that one document may.
_UNPACKED = 4


def read_pdf(source: Source) -> Iterator[Document | Unreadable]:
    """The text layer of all pages; a page that fails is `name#page=N` from 1."""
    try:
        import pypdf
    except ImportError as error:
        raise Rejected("PDF needs `pip install 'corpus-guardrail[pdf]'`") from error
    # Its warnings quote what they stumble on.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)
    reader = pypdf.PdfReader(io.BytesIO(read_whole(source)))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Rejected("encrypted: remove the password first")
    problems: list[Unreadable] = []
    seen = False

    def pages() -> Iterator[str]:
        nonlocal seen
        for number in range(len(reader.pages)):
            try:
                text = reader.pages[number].extract_text()
            except Exception as error:
                place = f"{source.name}#page={number + 1}"
                problems.append(Unreadable(place, explain(error, "reading a page of PDF")))
                continue
            seen = seen or bool(text.strip())
            yield f"{text}\n"

    results = list(documents(pages(), source.name, source.options))
    if seen:
        yield from results
    elif not problems:
        yield Unreadable(source.name, "no text layer: a scanned PDF needs OCR first")
    yield from problems


def read_docx(source: Source) -> Iterator[Document | Unreadable]:
    """Body, tables, text boxes, headers, footers, notes and comments of a Word document."""
    try:
        import docx
    except ImportError as error:
        raise Rejected("DOCX needs `pip install 'corpus-guardrail[docx]'`") from error
    data = read_whole(source)
    limit = _UNPACKED * source.options.max_document_bytes
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > limit:
            raise Rejected(f"unpacks to more than {limit} bytes ({_UNPACKED} x max_document_bytes)")
    package = docx.Document(io.BytesIO(data)).part.package
    parts = sorted(package.iter_parts(), key=lambda part: _order(str(part.partname)))
    texts = (_part_text(part) for part in parts if _wanted(str(part.partname)))
    yield from documents((text for text in texts if text), source.name, source.options)


def _wanted(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    return folder.startswith("/word") and base.startswith(_PARTS) and base.endswith(".xml")


def _order(name: str) -> tuple[int, str]:
    base = name.rpartition("/")[2]
    ranks = [rank for rank, part in enumerate(_PARTS) if base.startswith(part)]
    return (ranks[0] if ranks else len(_PARTS), name)


def _part_text(part: Any) -> str:
    from docx.oxml import parse_xml

    texts: list[str] = []
    _add_texts(parse_xml(part.blob), texts)
    return "".join(texts)


def _add_texts(element: Any, texts: list[str]) -> None:
    if element.tag == _FALLBACK:
        # The same text box once more, for programs that cannot show the first.
        return
    if element.tag in _TEXTS:
        texts.append(element.text or "")
    elif element.tag in _BREAKS:
        texts.append(_BREAKS[element.tag])
    for child in element:
        _add_texts(child, texts)
    if element.tag == f"{_WORD}p":
        texts.append("\n")
