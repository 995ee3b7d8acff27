"""CSV and TSV with a header row, streamed row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import BLOCK, STRAY_BYTES, check_is_text, mark
from guardrail.indexes.readers.options import ReadOptions
from guardrail.indexes.readers.problems import Rejected
from guardrail.indexes.readers.records import RecordReader
from guardrail.indexes.readers.streams import Source

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_DELIMITERS = ",;\t|"


def read_csv(source: Source) -> Iterator[Document | Unreadable]:
    """One record a row, called `name#ROW` from 1 unless it names itself.

    The delimiter is the tab for `.tsv`, and otherwise the one of comma, semicolon, tab and bar
    that makes the header hold the wanted columns. The header itself stands on one line. Raises
    `Rejected` when no delimiter does, and in a row that exceeds `max_document_bytes` by a block.
    """
    options = source.options
    stream = _Joined(source.stream, options.max_document_bytes)
    text = _text(stream)
    header_line = next((line for line in text if line.strip()), None)
    if header_line is None:
        return
    delimiter, names = _header(header_line, options)
    wanted = _wanted(names, options)
    records = RecordReader(options)
    number = 0
    for row in csv.reader(text, delimiter=delimiter):
        stream.waiting = 0
        if not row:
            continue
        number += 1
        record: dict[str, Any] = {}
        for position, name in wanted:
            if position < len(row):
                cell = row[position]
                record[name] = f"{record[name]}\n{cell}" if name in record else cell
        yield from records.read(record, f"{source.name}#{number}")


def _text(stream: _Joined) -> io.TextIOWrapper:
    check_is_text(stream.head)
    encoding, length = mark(stream.head)
    stream.head = stream.head[length:]
    # The limit is the process's, so it is only ever raised; the stream holds our own.
    enough = stream.limit + 2 * BLOCK
    if csv.field_size_limit() < enough:
        csv.field_size_limit(enough)
    # newline="" keeps line breaks inside quoted cells as they are.
    buffered = io.BufferedReader(stream, BLOCK)
    return io.TextIOWrapper(buffered, encoding=encoding, errors=STRAY_BYTES, newline="")


class _Joined(io.RawIOBase):
    """A stream with its first block put back, which refuses to go on in an endless row.

    A quote that is never closed makes one cell of the rest of the file. `waiting` is the number of
    bytes read since a row was last completed, which the caller tells by setting it to 0.
    """

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self.head = stream.read(BLOCK)
        self.limit = limit
        self.waiting = 0
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        # The buffer above reads ahead by a block.
        if self.waiting > self.limit + BLOCK:
            raise Rejected(
                f"a row larger than {self.limit} bytes (max_document_bytes), as after a quote "
                "that is never closed; the rest of the file was not read"
            )
        view = memoryview(buffer).cast("B")
        data, self.head = self.head[: len(view)], self.head[len(view) :]
        data = data or self._stream.read(len(view))
        view[: len(data)] = data
        self.waiting += len(data)
        return len(data)


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
    fields.update(options.record_fields)
    return [(position, name) for position, name in enumerate(names) if name in fields]
