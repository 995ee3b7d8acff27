"""Server-sent events: parsing what arrives in pieces, and writing it again."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from guardrail.integrations.bodies import TOKENS, BodyFilter, Json, Refused
from guardrail.integrations.events import LAST_EVENTS, ChatStream, ResponseStream
from guardrail.stream import StreamFilter

_LINE = re.compile(r"\r\n|\n|\r")
DONE = "[DONE]"
# An event longer than this is not filtered but ends the stream.
LONGEST_EVENT = 8 << 20


class StreamError(Exception):
    """A stream that cannot be filtered any further. It carries no text."""


class EventTooLongError(StreamError):
    """An event of a stream does not end."""


class MalformedEventError(StreamError):
    """An event is not in the format that the stream has to have."""


class CutShortError(StreamError):
    """The stream ended before the answer did, or told an error in its midst."""


class Event(NamedTuple):
    """One event: its data, and its other lines (`event`, `id`, `retry`) as they stand."""

    data: str | None
    other: tuple[str, ...] = ()

    def encode(self) -> bytes:
        lines = [*self.other]
        if self.data is not None:
            lines += [f"data: {line}" for line in self.data.split("\n")]
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


class EventParser:
    """Bytes in, events out. Comments, which keep a connection alive, are dropped."""

    def __init__(self, longest: int = LONGEST_EVENT) -> None:
        """`longest`: code points of one event."""
        self._longest = longest
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        # The line that has not ended, in pieces; joined when its end is there.
        self._pieces: list[str] = []
        self._size = 0
        self._data: list[str] = []
        self._other: list[str] = []

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[Event]:
        """Raises EventTooLongError."""
        new = self._decode(data, final)
        self._pieces.append(new)
        self._size += len(new)
        if self._size > self._longest:
            raise EventTooLongError
        if not final and not _LINE.search(new) and self._pieces[-2:][0][-1:] != "\r":
            return
        text = "".join(self._pieces)
        position = 0
        for match in _LINE.finditer(text):
            if match.end() == len(text) and match.group() == "\r" and not final:
                break
            event = self._line(text[position : match.start()])
            position = match.end()
            if event is not None:
                yield event
        self._pieces = [text[position:]]
        self._size = len(self._pieces[0]) + sum(map(len, self._data))
        if final and (event := self._line(self._pieces[0]) or self._line("")):
            yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            if not self._data and not self._other:
                return None
            event = Event("\n".join(self._data) if self._data else None, tuple(self._other))
            self._data, self._other = [], []
            return event
        field, _, value = line.partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        elif field in ("event", "id", "retry"):
            self._other.append(line)
        return None


class EventFilter:
    """Filters a stream of events: OpenAI's by their format, others by the text that they carry.

    In other events, `data` that is a JSON object has its strings under `keys` filtered as streams,
    one for each key, and all others one by one; other `data` is text, one stream.
    """

    def __init__(
        self,
        bodies: BodyFilter,
        *,
        keys: Iterable[str] = (),
        wants_usage: bool = False,
        strict: type[ChatStream] | type[ResponseStream] | None = None,
        longest: int = LONGEST_EVENT,
    ) -> None:
        """`strict`: take nothing but this format, and that to its end. `longest`: code points of
        one event."""
        self._bodies, self._keys = bodies, frozenset(keys)
        self._wants_usage, self._strict = wants_usage, strict
        self._parser = EventParser(longest)
        self._format: ChatStream | ResponseStream | None = None
        self._streams: dict[str | None, tuple[StreamFilter, Event, Json]] = {}
        self._ended = False
        self.is_over = False
        # Whether the answer has come to its end, by which no text waits any more.
        self.is_done = False

    def feed(self, data: bytes) -> bytes:
        """What to send in the place of these bytes; once `is_over`, nothing more. Raises
        StreamError."""
        return b"".join(event.encode() for event in self._feed(data, final=False))

    def flush(self) -> bytes:
        """What to send at the end. Raises StreamError."""
        events = [*self._feed(b"", final=True)]
        if not self.is_over:
            is_whole = self.is_done or (self._format is not None and self._format.is_over)
            if self._strict is not None and not is_whole:
                raise CutShortError
            events += self._rest()
        self.is_done = True
        return b"".join(event.encode() for event in events)

    def _feed(self, data: bytes, *, final: bool) -> Iterator[Event]:
        if self.is_over:
            return
        for event, body in _joined(self._parser.feed(data, final=final)):
            yield from self._event(event, body)
            if self.is_over:
                self.is_done = True
                return

    def _event(self, event: Event, body: Any) -> Iterator[Event]:
        if event.data is None:
            if self._strict is None:
                yield event
            return
        if event.data.strip() == DONE:
            yield from self._rest()
            yield event if self._strict is None else Event(DONE)
            self.is_done = True
            return
        form = _form(body)
        if self._strict is not None and form is not self._strict:
            tells = isinstance(body, dict) and (body.get("error") or body.get("type") == "error")
            raise CutShortError if tells else MalformedEventError
        if form is not None and isinstance(self._format, form | None):
            yield from self._known(form, body, event)
        elif isinstance(body, dict):
            yield from self._fields(event, body)
        else:
            yield from self._text(event)

    def _known(
        self, form: type[ChatStream] | type[ResponseStream], body: Json, event: Event
    ) -> Iterator[Event]:
        if self._format is None:
            self._format = form(self._bodies)
        for made in self._format.feed(body):
            yield _event(made, event, bare=self._strict is not None)
        self.is_done |= form is ResponseStream and self._format.is_over
        refused = self._format.is_over and not _is_end(body)
        if refused and not self._wants_usage:
            yield Event(DONE) if isinstance(self._format, ChatStream) else Event(None)
            self.is_over = True

    def break_off(self, error: Json) -> bytes:
        """What to send in the place of all that is missing: an error, as OpenAI's formats have it
        in the midst of a stream. What waited is dropped."""
        self.is_over = self.is_done = True
        if self._strict is ResponseStream:
            number = self._format.number if isinstance(self._format, ResponseStream) else 0
            told = {"type": "error", **error, "sequence_number": number}
            return Event(json.dumps(told), ("event: error",)).encode()
        return Event(json.dumps({"error": error})).encode()

    def _rest(self) -> Iterator[Event]:
        if self._ended:
            return
        self._ended = True
        if self._format is not None:
            for body in self._format.flush():
                yield Event(json.dumps(body))
        for key, (stream, event, body) in self._streams.items():
            if out := stream.flush():
                yield event._replace(data=out if key is None else json.dumps({**body, key: out}))

    def _text(self, event: Event) -> Iterator[Event]:
        stream = self._stream(None, event, {})
        if out := stream.feed(event.data or ""):
            yield event._replace(data=out)
        self.is_over = stream.refused

    def _fields(self, event: Event, body: Json) -> Iterator[Event]:
        made: Json = {}
        for key, value in body.items():
            if key in self._keys and isinstance(value, str):
                stream = self._stream(key, event, body)
                made[key] = stream.feed(value)
                self.is_over |= stream.refused
            else:
                try:
                    made[key] = self._bodies.values(value)
                except Refused:
                    made[key] = self._bodies.refusal if isinstance(value, str) else None
                    self.is_over = True
        yield event._replace(data=json.dumps(made))

    def _stream(self, key: str | None, event: Event, body: Json) -> StreamFilter:
        if key not in self._streams:
            stream = self._bodies.open_stream(announce=True)
            kept = {name: None for name in body if name != key}
            self._streams[key] = stream, event, kept
        return self._streams[key][0]


def _joined(events: Iterable[Event]) -> Iterator[tuple[Event, Any]]:
    """Each event with its body as JSON, None where it has none. What a chunk of a chat adds to the
    content of the one before is said with that one: text is filtered in as few pieces as it
    arrived in, however many events a server made of it."""
    last: tuple[Event, Any] | None = None
    for event in events:
        try:
            body = json.loads(event.data or "")
        except (ValueError, RecursionError):
            body = None
        if last is not None and event.other == last[0].other and _adds(body, last[1]):
            last[1]["choices"][0]["delta"]["content"] += body["choices"][0]["delta"]["content"]
            continue
        if last is not None:
            yield last
        last = event, body
    if last is not None:
        yield last


def _adds(body: Any, before: Any) -> bool:
    """Whether a chunk says no more than one piece of content, after a chunk that is like it."""
    said, said_before = _only_content(body), _only_content(before)
    return said is not None and said == said_before


def _only_content(body: Any) -> Json | None:
    """What a chunk says besides the content of its one choice; None where it is no such chunk, or
    says something else."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    delta = choices[0].get("delta")
    if not isinstance(delta, dict) or not isinstance(delta.get("content"), str):
        return None
    if any(value is not None for key, value in delta.items() if key != "content"):
        return None
    around = {key: value for key, value in body.items() if key not in ("choices", "obfuscation")}
    beside = {k: v for k, v in choices[0].items() if k != "delta" and k not in TOKENS}
    return around | {"choices": beside} if beside.get("finish_reason") is None else None


def _form(body: Any) -> type[ChatStream] | type[ResponseStream] | None:
    """The format that an event is in, of those of OpenAI."""
    if not isinstance(body, dict):
        return None
    if str(body.get("type", "")).startswith("response."):
        return ResponseStream
    return ChatStream if isinstance(body.get("choices"), list) else None


def _event(body: Json, event: Event, *, bare: bool) -> Event:
    """An event with a body of one's own: responses name their type in the event as well. `bare`:
    without the other lines of the event."""
    other = tuple(
        f"event: {body['type']}" if line.startswith("event:") and "type" in body else line
        for line in event.other
        if not bare or (line.startswith("event:") and "type" in body)
    )
    return Event(json.dumps(body, allow_nan=not bare), other)


def _is_end(body: Json) -> bool:
    """Whether a chunk or event ends its answer by itself."""
    if _form(body) is ResponseStream:
        return body["type"] in LAST_EVENTS
    given = [choice for choice in body["choices"] if isinstance(choice, dict)]
    return not given or any(choice.get("finish_reason") for choice in given)
