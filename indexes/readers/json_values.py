"""JSON files: an array of records, one record, or JSON Lines under the wrong suffix."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import check_is_text, decode
from guardrail.indexes.readers.json_lines import DECODER, read_json_lines
from guardrail.indexes.readers.records import RecordReader
from guardrail.indexes.readers.streams import Source, read_whole


def read_json(source: Source) -> Iterator[Document | Unreadable]:
    """The records of an array, called `name#N` from 1 unless they name themselves, or the only
    record, called after the file."""
    data = read_whole(source)
    check_is_text(data)
    text = decode(data)
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        # A second value after the first: records one a line, as many tools write them to `.json`.
        if error.msg != "Extra data":
            raise
        yield from read_json_lines(replace(source, stream=io.BytesIO(data), end=None, start=0))
        return
    del data, text
    records = RecordReader(source.options)
    if not isinstance(value, list):
        yield from records.read(value, source.name)
        return
    for number, record in enumerate(value, start=1):
        yield from records.read(record, f"{source.name}#{number}")
