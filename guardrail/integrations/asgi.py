"""Pure ASGI middleware for Starlette, FastAPI and their like: what the application answers is
filtered on its way out.

    app.add_middleware(GuardrailMiddleware, guardrail=guardrail, paths=("/chat",))

JSON has its strings filtered, server-sent events and plain text are filtered as streams, and what
is in the format of OpenAI's chat completions or responses keeps it. Anything else that a filtered
path answers is not sent: a status 500 in its place says so.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from guardrail.assembly import Guardrail
from guardrail.integrations.bodies import BodyFilter, Json, Refused
from guardrail.integrations.sse import EventFilter, EventTooLongError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

TEXT_KEYS = ("content", "text", "delta", "token", "answer", "message", "response", "output")
LONGEST_BODY = 16 << 20


class GuardrailMiddleware:
    """Filters what an ASGI application answers."""

    def __init__(
        self,
        app: App,
        guardrail: Guardrail,
        *,
        paths: Iterable[str] = ("/",),
        text_keys: Iterable[str] = TEXT_KEYS,
        refusal_as_content: bool = False,
    ) -> None:
        """`paths`: beginnings of the paths that are filtered. `text_keys`: the keys of JSON in
        server-sent events that carry pieces of one text; other strings are filtered one by one."""
        self.app, self.guardrail = app, guardrail
        self.paths, self.text_keys = tuple(paths), tuple(text_keys)
        self.refusal_as_content = refusal_as_content

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self.paths):
            await self.app(scope, receive, send)
            return
        # What is compressed could not be read.
        headers = [pair for pair in scope["headers"] if pair[0].lower() != b"accept-encoding"]
        bodies = BodyFilter(self.guardrail, refusal_as_content=self.refusal_as_content)
        filtered = _Answer(bodies, self.text_keys, send)
        await self.app({**scope, "headers": headers}, receive, filtered.send)


class _Answer:
    """One answer on its way out."""

    def __init__(self, bodies: BodyFilter, keys: tuple[str, ...], send: Send) -> None:
        self._bodies, self._keys, self._send = bodies, keys, send
        self._start: Message = {}
        self._body = b""
        self._is_over = False
        self._feed: Callable[[bytes, bool], bytes] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            if not self._is_over:
                await self._go_on(message.get("body", b""), message.get("more_body", False))
        elif message["type"] not in ("http.response.pathsend", "http.response.zerocopysend"):
            await self._send(message)
        else:
            await self._fail()

    async def _begin(self, message: Message) -> None:
        headers = {name.lower(): value for name, value in message.get("headers", ())}
        kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"content-length"]
        self._start = {**message, "headers": kept}
        kind = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")[0]
        encoded = headers.get(b"content-encoding", b"identity") != b"identity"
        if encoded:
            await self._fail()
        elif kind == "text/event-stream":
            events = EventFilter(self._bodies, keys=self._keys)
            self._feed = lambda data, more: self._events(events, data, more)
        elif kind.startswith("text/") or not kind:
            self._feed = self._text()
        elif kind != "application/json" and not kind.endswith("+json"):
            await self._fail()
        if self._feed is not None and not self._is_over:
            await self._send(self._start)

    async def _go_on(self, data: bytes, more: bool) -> None:
        if self._feed is None:
            self._body += data
            if len(self._body) > LONGEST_BODY:
                await self._fail()
            elif not more:
                await self._whole()
            return
        try:
            out = self._feed(data, more)
        except EventTooLongError:
            out, self._is_over = b"", True
        more = more and not self._is_over
        if out or not more:
            await self._send({"type": "http.response.body", "body": out, "more_body": more})
        self._is_over |= not more

    def _events(self, events: EventFilter, data: bytes, more: bool) -> bytes:
        out = events.feed(data)
        if not more and not events.is_over:
            out += events.flush()
        self._is_over = events.is_over
        return out

    def _text(self) -> Callable[[bytes, bool], bytes]:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        stream = self._bodies.open_stream(announce=True)

        def feed(data: bytes, more: bool) -> bytes:
            out = stream.feed(decode(data, not more))
            if not more:
                out += stream.flush()
            self._is_over = stream.refused
            return out.encode("utf-8", "replace")

        return feed

    async def _whole(self) -> None:
        if not self._body:
            made = b""
        else:
            try:
                made = json.dumps(self._filtered(json.loads(self._body))).encode()
            except (ValueError, Refused, AttributeError):
                await self._fail()
                return
        self._is_over = True
        self._start["headers"] = [
            *self._start["headers"],
            (b"content-length", str(len(made)).encode()),
        ]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": made})

    def _filtered(self, value: Any) -> Any:
        if isinstance(value, dict) and (
            isinstance(value.get("choices"), list) or value.get("object") == "response"
        ):
            return self._bodies.body(value)
        return self._values(value)

    def _values(self, value: Any) -> Any:
        """The value with each string that is refused replaced by the refusal."""
        if isinstance(value, list):
            return [self._values(item) for item in value]
        if isinstance(value, dict):
            made: Json = {}
            for key, item in value.items():
                made[self._values(key)] = self._values(item)
            return made
        try:
            return self._bodies.values(value)
        except Refused:
            return self._bodies.refusal

    async def _fail(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        body = b'{"error":"the answer cannot be filtered"}'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await self._send({"type": "http.response.start", "status": 500, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
