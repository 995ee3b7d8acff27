"""Which reader a file gets, told by its name alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The formats that have a reader."""

    TEXT = "text"
    HTML = "HTML"
    JSON_LINES = "JSON Lines"
    JSON = "JSON"
    CSV = "CSV"
    PARQUET = "Parquet"
    MBOX = "mailbox"
    MAIL = "mail message"
    PDF = "PDF"
    DOCX = "DOCX"
    ZIP = "zip archive"
    TAR = "tar archive"


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file and the compression around it (`gz`, `zst`, `bz2` or `xz`)."""

    kind: Kind
    compression: str | None = None


# Every other suffix is read as text (prose, markup, source, logs) if its first bytes look like it.
KINDS = {
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".jsonl": Kind.JSON_LINES,
    ".ndjson": Kind.JSON_LINES,
    ".json": Kind.JSON,
    ".csv": Kind.CSV,
    ".tsv": Kind.CSV,
    ".tab": Kind.CSV,
    ".parquet": Kind.PARQUET,
    ".mbox": Kind.MBOX,
    ".eml": Kind.MAIL,
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".zip": Kind.ZIP,
    ".tar": Kind.TAR,
}

COMPRESSIONS = {".gz": "gz", ".zst": "zst", ".zstd": "zst", ".bz2": "bz2", ".xz": "xz"}

SHORTHANDS = {".tgz": "gz", ".tbz2": "bz2", ".tbz": "bz2", ".txz": "xz", ".tzst": "zst"}


def suffix(name: str) -> str:
    """The last suffix of a file name in lower case, with its dot, or an empty string."""
    base = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, last = base.rpartition(".")
    return f".{last.lower()}" if dot and stem else ""


def identify(name: str) -> Format:
    """The format that a file name tells; names that tell nothing are taken for text."""
    last = suffix(name)
    if last in SHORTHANDS:
        return Format(Kind.TAR, SHORTHANDS[last])
    compression = COMPRESSIONS.get(last)
    if compression is not None:
        last = suffix(name[: -len(last)])
    return Format(KINDS.get(last, Kind.TEXT), compression)
