"""Records with named fields as documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import printable
from guardrail.indexes.readers.options import ReadOptions
from guardrail.indexes.readers.pieces import documents

# An id is stored once per document; beyond this it is content rather than a name.
MAX_ID_CHARS = 1024

_ABSENT = object()


class RecordReader:
    """Turns the records of one file into documents, by the field names of the options."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._only_field = options.text_fields[0] if len(options.text_fields) == 1 else None
        self._plain = options.collection_field is None and options.label_field is None

    def read(self, record: Any, place: str) -> Iterable[Document | Unreadable]:
        """The documents of one record; `place` is its id if it names none, and its source if it
        cannot be read."""
        options = self._options
        if type(record) is dict:
            text = None if self._only_field is None else record.get(self._only_field)
            if type(text) is not str:
                text, reason = self._joined(record)
                if text is None:
                    return (Unreadable(place, reason),)
            id = self._id(record, place)
            fields = self._fields(record) if options.record_fields else ()
            collection, labels = options.collection, options.labels
            if not self._plain:
                collection, labels = self._belonging(record)
            if len(text) <= options.piece_chars:
                return (Document(id, text, collection, labels, fields=fields),)
            pieces = documents((text,), id, options, collection, labels)
            return (replace(piece, fields=fields) for piece in pieces)
        if type(record) is str:
            return documents((record,), place, options)
        return (Unreadable(place, "not a record: neither an object with fields nor a string"),)

    def _joined(self, record: Mapping[str, Any]) -> tuple[str | None, str]:
        texts: list[str] = []
        missing, unusable = [], []
        for field in self._options.text_fields:
            value = lookup(record, field)
            if value is _ABSENT:
                missing.append(field)
            elif not _collect(value, texts):
                unusable.append(field)
        if texts or len(missing) + len(unusable) < len(self._options.text_fields):
            return "\n\n".join(texts), ""
        reasons = []
        if missing:
            reasons.append(f"no field {_quoted(missing)}")
        if unusable:
            reasons.append(f"no text in {_quoted(unusable)}")
        return None, "; ".join(reasons) + ": choose the fields that hold text with text_fields"

    def _fields(self, record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for field in self._options.record_fields:
            values: list[str] = []
            _collect(lookup(record, field), values)
            found += [(field, value) for value in values]
        return tuple(found)

    def _id(self, record: Mapping[str, Any], place: str) -> str:
        value = record.get(self._options.id_field, _ABSENT)
        if value is _ABSENT and "." in self._options.id_field:
            value = lookup(record, self._options.id_field)
        if type(value) is str:
            return printable(value) if 0 < len(value) <= MAX_ID_CHARS else place
        return str(value) if type(value) is int else place

    def _belonging(self, record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        options = self._options
        collection, labels = options.collection, list(options.labels)
        if options.collection_field is not None:
            value = lookup(record, options.collection_field)
            if isinstance(value, str) and value:
                collection = printable(value)
        if options.label_field is not None:
            value = lookup(record, options.label_field)
            for label in value if isinstance(value, list) else [value]:
                if isinstance(label, str) and label:
                    labels.append(printable(label))
        return collection, tuple(dict.fromkeys(labels))


def lookup(record: Any, field: str) -> Any:
    """The value of a field: a key of just this name, or a dotted path through objects and lists.

    A path through a list gives the list of what its elements hold; `_ABSENT` if none does.
    """
    if isinstance(record, list):
        found = [value for item in record if (value := lookup(item, field)) is not _ABSENT]
        return found or _ABSENT
    if not isinstance(record, dict):
        return _ABSENT
    if field in record:
        return record[field]
    # A key may hold dots itself, so every split of the path is tried, shortest first.
    position = field.find(".")
    while position != -1:
        if field[:position] in record:
            value = lookup(record[field[:position]], field[position + 1 :])
            if value is not _ABSENT:
                return value
        position = field.find(".", position + 1)
    return _ABSENT


def _collect(value: Any, texts: list[str]) -> bool:
    """Add the texts of a value; false if it is of a kind that holds none. Null is an empty text."""
    if isinstance(value, str):
        texts.append(value)
        return True
    if value is None:
        return True
    if isinstance(value, list):
        kept = [_collect(item, texts) for item in value]
        return any(kept) or not kept
    if isinstance(value, int | float) and not isinstance(value, bool):
        texts.append(str(value))
        return True
    return False


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
