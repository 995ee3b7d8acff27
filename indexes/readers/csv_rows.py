"""CSV and TSV with a header row, streamed row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import BLOCK, STRAY_BYTES, check_is_text, mark
from guardrail.indexes.readers.options import ReadOptions
from guardrail.indexes.readers.problems import Rejected
from guardrail.indexes.readers.records import RecordReader
from guardrail.indexes.readers.streams import Source

_DELIMITERS = ",;\t|"


def read_csv(source: Source) -> Iterator[Document | Unreadable]:
    """One record a row, called `name#ROW` from 1 unless it names itself.

    The delimiter is the tab for `.tsv`, and otherwise the one of comma, semicolon, tab and bar
    that makes the header hold the wanted columns. Raises `Rejected` when none does.
    """
    options = source.options
    # The limit is the process's, so it is only ever raised; `_lines` holds our own.
    if csv.field_size_limit() < options.max_document_bytes:
        csv.field_size_limit(options.max_document_bytes)
    lines = _Lines(_text(source), options.max_document_bytes)
    header_line = lines.header()
    if header_line is None:
        return
    delimiter, names = _header(header_line, options)
    wanted = _wanted(names, options)
    records = RecordReader(options)
    number = 0
    for row in csv.reader(lines, delimiter=delimiter):
        lines.row_done()
        if not row:
            continue
        number += 1
        record: dict[str, Any] = {}
        for position, name in wanted:
            if position < len(row):
                cell = row[position]
                record[name] = f"{record[name]}\n{cell}" if name in record else cell
        yield from records.read(record, f"{source.name}#{number}")


def _text(source: Source) -> io.TextIOWrapper:
    stream = source.stream
    head = stream.read(BLOCK)
    check_is_text(head)
    encoding, length = mark(head)
    joined = io.BufferedReader(_Joined(head[length:], stream), 256 * 1024)
    # newline="" keeps line breaks inside quoted cells as they are.
    return io.TextIOWrapper(joined, encoding=encoding, errors=STRAY_BYTES, newline="")


class _Joined(io.RawIOBase):
    """What was read of a stream, and then the rest of it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = memoryview(head)
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data: bytes | memoryview = self._head[: len(view)] or self._stream.read(len(view))
        self._head = self._head[len(view) :]
        view[: len(data)] = data
        return len(data)


class _Lines:
    """Lines for the parser, refusing a row that grows beyond the limit.

    A quote that is never closed makes one cell of the rest of the file.
    """

    def __init__(self, text: io.TextIOWrapper, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._held = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._limit + 1)
        if not line:
            raise StopIteration
        self._held += len(line)
        if self._held > self._limit:
            raise Rejected(
                f"a row larger than {self._limit} characters (max_document_bytes), as after a "
                "quote that is never closed; the rest of the file was not read"
            )
        return line

    def row_done(self) -> None:
        self._held = 0

    def header(self) -> str | None:
        """The first line that is not blank; a header does not break cells over lines."""
        for line in self:
            self.row_done()
            if line.strip():
                return line
        return None


def _header(line: str, options: ReadOptions) -> tuple[str, list[str]]:
    for delimiter in _DELIMITERS:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
        if any(field in names for field in options.text_fields):
            return delimiter, names
    # The header itself is not quoted: of a file without one it is the first record.
    wanted = ", ".join(f"'{field}'" for field in options.text_fields)
    raise Rejected(f"no column {wanted} in the first row: name the columns with text_fields")


def _wanted(names: list[str], options: ReadOptions) -> list[tuple[int, str]]:
    fields = {*options.text_fields, options.id_field, options.collection_field, options.label_field}
    return [(position, name) for position, name in enumerate(names) if name in fields]
