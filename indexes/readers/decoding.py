"""Bytes to text: byte order marks, then UTF-8, and never a document lost over a stray byte.

A byte that is not UTF-8 is read as Windows-1252 (Latin-1 where that defines nothing), by itself:
the text around it stays UTF-8. So old Western files read correctly, and one damaged byte does not
turn a whole file into gibberish. Other legacy encodings need a byte order mark or, in HTML and
mail, a declaration; without one their letters come out wrong.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from guardrail.indexes.readers.problems import Rejected

BLOCK = 256 * 1024
STRAY_BYTES = "guardrail-stray-bytes"

# The UTF-32 mark begins with the UTF-16 one, so it is tried first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFFED = 64 * 1024
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b"))
# Without this list a declaration could name any codec, `zip` and EBCDIC included.
_DECLARABLE = re.compile(
    r"iso-?8859|iso-2022|windows-|cp125|cp86|cp93|cp949|koi8|shift|sjis|euc|gb|big5|latin|mac|ks_c"
    r"|hz|tis-620|viscii",
    re.IGNORECASE,
)
# Encodings whose letters are written in ASCII bytes.
_SEVEN_BIT = re.compile(r"iso-2022|hz", re.IGNORECASE)


def _stray_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding.startswith("utf-8"):
        stray = error.object[error.start : error.end]
        return "".join(_WESTERN[byte] for byte in stray), error.end
    return "\ufffd", error.end


_WESTERN = [
    bytes([byte]).decode("cp1252", "ignore") or bytes([byte]).decode("latin-1")
    for byte in range(256)
]
codecs.register_error(STRAY_BYTES, _stray_bytes)


def mark(head: bytes) -> tuple[str, int]:
    """The encoding that the first bytes announce, and the length of the mark (0: none, UTF-8)."""
    for prefix, encoding in _MARKS:
        if head.startswith(prefix):
            return encoding, len(prefix)
    return "utf-8", 0


def check_is_text(head: bytes) -> None:
    """Raise `Rejected` when the first bytes of a file cannot be text.

    Binary means a NUL byte (in a file that announces no wider encoding), or more than one control
    character in twenty, within the first 64 KiB.
    """
    encoding, length = mark(head)
    sample = head[length:_SNIFFED]
    if encoding != "utf-8" or not sample:
        return
    if b"\0" in sample:
        raise Rejected("binary: holds NUL bytes, so it is no text")
    if len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) // 20:
        raise Rejected("binary: too many control characters for a text")


def decode(data: bytes, declared: str | None = None) -> str:
    """A whole text. `declared` is the encoding that the document names for itself, if any.

    A byte order mark wins over a declaration, and so does non-ASCII text that is sound UTF-8:
    declarations are wrong more often than chance makes UTF-8.
    """
    encoding, length = mark(data)
    if length:
        return data[length:].decode(encoding, STRAY_BYTES)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    candidates = _DECLARABLE if text is None else _SEVEN_BIT
    if declared is not None and (text is None or text.isascii()) and candidates.match(declared):
        with contextlib.suppress(LookupError, UnicodeError):
            return data.decode(declared, "replace" if text is None else "strict")
    return text if text is not None else data.decode("utf-8", STRAY_BYTES)


def decode_line(line: bytes) -> str:
    """One line or cell of text without a mark of its own."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("utf-8", STRAY_BYTES)


def decode_blocks(stream: BinaryIO, head: bytes | None = None) -> Iterator[str]:
    """The text of a stream, block by block. Raises `Rejected` first if it is binary.

    `head` is what was read of the stream before.
    """
    block = stream.read(BLOCK) if head is None else head
    check_is_text(block)
    encoding, length = mark(block)
    decoder = codecs.getincrementaldecoder(encoding)(STRAY_BYTES)
    block = block[length:]
    while block:
        yield decoder.decode(block)
        block = stream.read(BLOCK)
    yield decoder.decode(b"", final=True)


def printable(name: str) -> str:
    r"""A name that can be written anywhere: bytes that are not UTF-8 appear as `\xNN`."""
    if name.isascii():
        return name
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "backslashreplace")
        with contextlib.suppress(UnicodeEncodeError):
            raw = name.encode("utf-8", "surrogateescape")
        return raw.decode("utf-8", "backslashreplace")
    return name
