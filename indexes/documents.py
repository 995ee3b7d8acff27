"""What readers yield and builds consume."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """One document, or one piece of a document too long to hold at once.

    `id` is unique in a collection. `offset` is where `text` starts in the whole document, in code
    points; pieces of one document share the id and overlap, so that no short run falls between two.
    `labels` are free words such as a sensitivity or an owner (`confidential`, `owner:legal`).
    `fields` are names and values of the fields that were asked for as records.
    """

    id: str
    text: str
    collection: str = "default"
    labels: tuple[str, ...] = ()
    offset: int = 0
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document or source that could not be read: counted, named in reports, never silent."""

    source: str
    reason: str
