"""Server-sent events: parsing what arrives in pieces, and writing it again."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from guardrail.integrations.chat import BodyFilter, ChatStream, Json, Refused, ResponseStream
from guardrail.stream import StreamFilter

_LINE = re.compile(r"\r\n|\n|\r")
DONE = "[DONE]"
# An event longer than this is not filtered but ends the stream.
LONGEST_EVENT = 8 << 20


class EventTooLongError(Exception):
    """An event of a stream does not end."""


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

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._data: list[str] = []
        self._other: list[str] = []

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[Event]:
        """Raises EventTooLongError."""
        self._rest += self._decode(data, final)
        position = 0
        for match in _LINE.finditer(self._rest):
            if match.end() == len(self._rest) and match.group() == "\r" and not final:
                break
            event = self._line(self._rest[position : match.start()])
            position = match.end()
            if event is not None:
                yield event
        self._rest = self._rest[position:]
        if len(self._rest) + sum(map(len, self._data)) > LONGEST_EVENT:
            raise EventTooLongError
        if final and (event := self._line(self._rest) or self._line("")):
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
        self, bodies: BodyFilter, *, keys: Iterable[str] = (), wants_usage: bool = False
    ) -> None:
        self._bodies, self._keys = bodies, frozenset(keys)
        self._wants_usage = wants_usage
        self._parser = EventParser()
        self._format: ChatStream | ResponseStream | None = None
        self._streams: dict[str | None, tuple[StreamFilter, Event, Json]] = {}
        self._ended = False
        self.is_over = False

    def feed(self, data: bytes) -> bytes:
        """What to send in the place of these bytes; once `is_over`, nothing more."""
        return b"".join(event.encode() for event in self._feed(data, final=False))

    def flush(self) -> bytes:
        """What to send at the end."""
        events = [*self._feed(b"", final=True)]
        if not self.is_over:
            events += self._rest()
        return b"".join(event.encode() for event in events)

    def _feed(self, data: bytes, *, final: bool) -> Iterator[Event]:
        if self.is_over:
            return
        for event in self._parser.feed(data, final=final):
            yield from self._event(event)
            if self.is_over:
                return

    def _event(self, event: Event) -> Iterator[Event]:
        if event.data is None:
            yield event
            return
        if event.data.strip() == DONE:
            yield from self._rest()
            yield event
            return
        try:
            body = json.loads(event.data)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            yield from self._text(event)
        elif isinstance(body.get("choices"), list):
            yield from self._known(ChatStream, body, event)
        elif str(body.get("type", "")).startswith("response."):
            yield from self._known(ResponseStream, body, event)
        else:
            yield from self._fields(event, body)

    def _known(
        self, form: type[ChatStream] | type[ResponseStream], body: Json, event: Event
    ) -> Iterator[Event]:
        if self._format is None:
            self._format = form(self._bodies)
        for made in self._format.feed(body):
            yield _event(made, event)
        refused = self._format.is_over and not _is_end(body)
        if refused and not self._wants_usage:
            yield Event(DONE) if isinstance(self._format, ChatStream) else Event(None)
            self.is_over = True

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


def _event(body: Json, event: Event) -> Event:
    """An event with a body of one's own: responses name their type in the event as well."""
    other = tuple(
        f"event: {body['type']}" if line.startswith("event:") and "type" in body else line
        for line in event.other
    )
    return Event(json.dumps(body), other)


def _is_end(body: Json) -> bool:
    """Whether a chunk or event ends its answer by itself."""
    if "choices" in body:
        return any(choice.get("finish_reason") for choice in body["choices"]) or not body["choices"]
    return str(body.get("type")) in ("response.completed", "response.incomplete", "response.failed")
