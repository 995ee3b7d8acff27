"""Mail: single messages and mailboxes, streamed message by message."""

from __future__ import annotations

import contextlib
import email
import email.message
import email.policy
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO, cast

from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import decode, decode_line, printable
from guardrail.indexes.readers.formats import Kind, identify
from guardrail.indexes.readers.markup import visible_text
from guardrail.indexes.readers.pieces import documents
from guardrail.indexes.readers.problems import explain
from guardrail.indexes.readers.records import MAX_ID_CHARS
from guardrail.indexes.readers.streams import Source, read_whole

Descend = Callable[[Source], Iterator[Document | Unreadable]]

# Addresses, times and subjects are private data too.
_HEADERS = frozenset({"from", "to", "cc", "bcc", "reply-to", "date", "subject"})

# Attachments in formats that hold text but no record fields; others with text are text/* parts.
_ATTACHED = frozenset({Kind.PDF, Kind.DOCX, Kind.HTML, Kind.ZIP, Kind.TAR})
_WITHOUT_TEXT = frozenset({"image", "audio", "video", "font"})
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature"})

# A line of the body may begin with "From " too; the separator holds a time of day.
_SEPARATOR = re.compile(rb"From .*\d:\d\d")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
_LINE_PART = 64 * 1024


def read_mail(source: Source, descend: Descend) -> Iterator[Document | Unreadable]:
    """One message, called after its file."""
    yield from _message(source, read_whole(source), source.name, source.name, descend)


def read_mailbox(source: Source, descend: Descend) -> Iterator[Document | Unreadable]:
    """The messages of a mailbox, called by their Message-ID or else `name#N` from 1."""
    limit = source.options.max_document_bytes
    for number, data in enumerate(_messages(source.stream, limit), start=1):
        place = f"{source.name}#{number}"
        if data is None:
            yield Unreadable(place, f"a message larger than {limit} bytes (max_document_bytes)")
        else:
            yield from _message(source, data, place, None, descend)


def _messages(stream: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """The bytes of each message without its separator line; None for one beyond the limit."""
    held: list[bytes] = []
    size = 0
    begun = False
    at_start, after_blank = True, True
    while line := stream.readline(_LINE_PART):
        if line.startswith(b"From ") and at_start and after_blank and _SEPARATOR.match(line):
            if begun:
                yield _unescaped(held) if size <= limit else None
            held, size, begun = [], 0, True
        elif begun or line.strip():
            begun = True
            size += len(line)
            if size <= limit:
                held.append(line)
            else:
                held.clear()
        after_blank = at_start and line in (b"\n", b"\r\n")
        at_start = line.endswith(b"\n")
    if begun:
        yield _unescaped(held) if size <= limit else None


def _unescaped(lines: list[bytes]) -> bytes:
    data = b"".join(lines)
    return _ESCAPED.sub(rb"\1", data) if b">From " in data else data


def _parsed(data: bytes) -> email.message.Message:
    """The message, as the standard library parses it.

    That goes line by line through bodies too, so the body of a message without parts is set by
    itself: measured on a whole mailbox, 13 MB/s against 7.
    """
    blank = _BLANK_LINE.search(data)
    if blank is not None:
        head = data[: blank.end()]
        message = email.message_from_bytes(head, policy=email.policy.default)
        simple = message.get_content_maintype() not in ("multipart", "message")
        if simple and not message.defects and not message.get_payload():
            message.set_payload(data[blank.end() :].decode("ascii", "surrogateescape"))
            return message
    return email.message_from_bytes(data, policy=email.policy.default)


def _message(
    source: Source, data: bytes, place: str, id: str | None, descend: Descend
) -> Iterator[Document | Unreadable]:
    try:
        message = _parsed(data)
        if id is None:
            id = _message_id(message) or place
        texts: list[str] = []
        attached: list[tuple[str, bytes]] = []
        problems: list[Unreadable] = []
        for part in message.walk():
            _add_part(part, place, texts, attached, problems)
    except Exception as error:
        yield Unreadable(place, explain(error, "reading a mail message"))
        return
    yield from documents(("\n".join(texts),), id, source.options)
    yield from problems
    for name, payload in attached:
        stream = cast(BinaryIO, io.BytesIO(payload))
        inner = replace(
            source, name=f"{place}!{name}", stream=stream, depth=source.depth + 1, start=0, end=None
        )
        yield from descend(inner)


def _add_part(
    part: email.message.Message,
    place: str,
    texts: list[str],
    attached: list[tuple[str, bytes]],
    problems: list[Unreadable],
) -> None:
    texts.extend(_headers(part))
    if part.is_multipart():
        if part.preamble and part.get_content_maintype() == "multipart":
            texts.append(str(part.preamble))
        return
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return
    content_type = part.get_content_type()
    name = printable(_file_name(part))
    kind = identify(name).kind if name else Kind.TEXT
    if content_type == "text/html":
        texts.append(visible_text(decode(payload, _charset(part))))
    elif part.get_content_maintype() in ("text", "message"):
        texts.append(decode(payload, _charset(part)))
    elif kind in _ATTACHED:
        attached.append((name, payload))
    elif part.get_content_maintype() not in _WITHOUT_TEXT and content_type not in _SIGNATURES:
        problems.append(
            Unreadable(
                f"{place}!{name or 'attachment'}", f"attachment of type {content_type} is not read"
            )
        )


def _headers(part: email.message.Message) -> Iterator[str]:
    for key, raw in part.raw_items():
        name = key.lower()
        if name not in _HEADERS:
            continue
        value = str(raw)
        if "=?" in value:
            # The strict parser is slow (4 MB/s of mail against 7 when it sees every header), so it
            # sees encoded words only; a header that it stumbles over still reads as written.
            with contextlib.suppress(Exception):
                value = str(part.policy.header_fetch_parse(key, value))
        written = value.encode("utf-8", "surrogateescape")
        yield f"{key}: {decode_line(b' '.join(written.split()))}"


def _message_id(message: email.message.Message) -> str:
    for key, value in message.raw_items():
        if key.lower() == "message-id":
            found = "".join(str(value).split())
            if 0 < len(found) <= MAX_ID_CHARS:
                return printable(found)
    return ""


def _file_name(part: email.message.Message) -> str:
    try:
        return part.get_filename() or ""
    except Exception:
        return ""


def _charset(part: email.message.Message) -> str | None:
    try:
        return part.get_content_charset()
    except Exception:
        return None
