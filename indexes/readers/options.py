"""What a caller may choose about reading a corpus."""

from __future__ import annotations

from dataclasses import dataclass

from guardrail.errors import UsageError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How records become documents, and how much of anything is held in memory.

    `text_fields` applies to JSON Lines, JSON, CSV and Parquet: names of fields or columns, a dot
    reaching into an object (`message.body`) and through a list into each element; the texts of
    several fields are joined by an empty line. `id_field`, `collection_field` and `label_field`
    are found in the same way; a label field holds a string or a list of strings. The values of
    `record_fields` are handed over beside the text.

    `max_document_bytes` bounds what must be parsed whole: a JSON, HTML, mail, PDF or DOCX file, one
    line of JSON Lines, one row of CSV, one message of a mailbox. Something larger is `Unreadable`.
    Texts longer than `piece_chars` code points become several documents with the same id, each
    overlapping the one before by `piece_overlap` code points. `unit_bytes` is about how many bytes
    of files one unit of work holds.

    Raises `UsageError` for values that cannot be used together.
    """

    text_fields: tuple[str, ...] = ("text",)
    id_field: str = "id"
    collection: str = "default"
    labels: tuple[str, ...] = ()
    collection_field: str | None = None
    label_field: str | None = None
    record_fields: tuple[str, ...] = ()
    max_document_bytes: int = 64 * MIB
    piece_chars: int = 4_000_000
    piece_overlap: int = 16_384
    unit_bytes: int = 16 * MIB

    def __post_init__(self) -> None:
        for name in ("text_fields", "labels", "record_fields"):
            value = getattr(self, name)
            # A bare string is a sequence of one-letter names: a mistake that would find nothing.
            if isinstance(value, str) or not all(isinstance(item, str) for item in value):
                raise UsageError(f"{name} is {value!r}; give a tuple of strings, such as ('text',)")
            object.__setattr__(self, name, tuple(value))
        if not self.text_fields or not all(self.text_fields):
            raise UsageError("text_fields names no field; give at least one, such as ('text',)")
        if not self.collection:
            raise UsageError("collection is empty; give a name, such as 'default'")
        for name in ("max_document_bytes", "piece_chars", "unit_bytes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.piece_overlap < self.piece_chars:
            raise UsageError(
                f"piece_overlap is {self.piece_overlap}; it must be at least 0 and "
                f"less than piece_chars ({self.piece_chars})"
            )
