"""Parquet: row groups streamed in small batches, and only the columns that are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import decode_line
from guardrail.indexes.readers.options import MIB
from guardrail.indexes.readers.problems import Rejected, explain
from guardrail.indexes.readers.records import RecordReader
from guardrail.indexes.readers.streams import Source, rewindable

_BATCH_ROWS = 256
_BATCH_BYTES = 16 * MIB


def read_parquet(source: Source) -> Iterator[Document | Unreadable]:
    """One record a row, called `name#ROW` from 1 unless it names itself.

    Inside an archive or compressed again, a file is bounded by `max_document_bytes`: Parquet
    cannot be read without seeking.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise Rejected("Parquet needs `pip install 'corpus-guardrail[parquet]'`") from error
    options = source.options
    file = pq.ParquetFile(rewindable(source), pre_buffer=False)
    try:
        names = file.schema_arrow.names
        columns = _columns(names, options.text_fields)
        if not columns:
            wanted = ", ".join(f"'{field}'" for field in options.text_fields)
            raise Rejected(f"no column {wanted}: name the columns with text_fields")
        others = (
            options.id_field,
            options.collection_field,
            options.label_field,
            *options.record_fields,
        )
        columns += _columns(names, [field for field in others if field is not None])
        columns = list(dict.fromkeys(columns))
        records = RecordReader(options)
        number = 0
        for group in range(file.num_row_groups):
            batches = file.iter_batches(
                _batch_rows(file.metadata.row_group(group), columns),
                row_groups=[group],
                columns=columns,
                use_threads=False,
            )
            for batch in batches:
                arrays = [(field, batch.column(field)) for field in batch.schema.names]
                for row in range(batch.num_rows):
                    number += 1
                    place = f"{source.name}#{number}"
                    try:
                        record = {field: _value(array[row]) for field, array in arrays}
                        results = records.read(record, place)
                    except Exception as error:
                        yield Unreadable(place, explain(error, "reading a row of Parquet"))
                        continue
                    yield from results
    finally:
        file.close()


def _columns(names: list[str], fields: tuple[str, ...] | list[str]) -> list[str]:
    """The top-level columns that hold the fields; a dotted field is found in its struct."""
    found = []
    for field in fields:
        parts = field.split(".")
        for length in range(len(parts), 0, -1):
            name = ".".join(parts[:length])
            if name in names:
                found.append(name)
                break
    return found


def _batch_rows(group: Any, columns: list[str]) -> int:
    size = 0
    for position in range(group.num_columns):
        column = group.column(position)
        path = column.path_in_schema
        if any(path == name or path.startswith(f"{name}.") for name in columns):
            size += column.total_uncompressed_size
    per_row = max(1, size // max(1, group.num_rows))
    return int(min(_BATCH_ROWS, max(1, _BATCH_BYTES // per_row)))


def _value(scalar: Any) -> Any:
    try:
        value = scalar.as_py()
    except UnicodeDecodeError:
        value = scalar.as_buffer().to_pybytes()
    return decode_line(value) if isinstance(value, bytes) else value
