"""What every request passes first and every response last: an id, bounds on the body and on the
time it takes to arrive, one line in the log, numbers, and an answer where something was raised."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from guardrail.server.errors import InvalidRequestError, OverloadedError, Shapes
from guardrail.server.logs import error_place
from guardrail.server.metrics import Metrics
from guardrail.server.settings import Bounds
from guardrail.server.tracing import Tracing

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_log = logging.getLogger("guardrail.server")


class Boundary:
    """ASGI middleware, the outermost. The body is read here, whole, so that all that can be wrong
    with it is said before anything else happens."""

    def __init__(
        self, app: App, bounds: Bounds, metrics: Metrics, tracing: Tracing, shapes: Shapes
    ) -> None:
        self.app, self.bounds, self.metrics, self.shapes = app, bounds, metrics, shapes
        self.tracing = tracing
        self.held = 0
        self.open: set[_Exchange] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":

            async def receive_when_idle() -> Message:
                """The end of the application waits for that of its requests: one that was given up
                still has its record to write."""
                message = await receive()
                while message["type"] == "lifespan.shutdown" and self.open:
                    await asyncio.sleep(0.01)
                return message

            await self.app(scope, receive_when_idle, send)
        elif scope["type"] == "http":
            exchange = _Exchange(self, scope, receive, send)
            with self.tracing.request(scope, exchange.id) as span:
                await exchange.run()
                if span is not None:
                    exchange.describe(span)


class _Exchange:
    """One request and its response."""

    def __init__(self, boundary: Boundary, scope: Scope, receive: Receive, send: Send) -> None:
        self._boundary, self._scope = boundary, scope
        self._receive, self._send = receive, send
        self._began = time.perf_counter()
        self._body: bytes | None = None
        self._size = 0
        self._status = 0
        self.id = "req_" + secrets.token_hex(12)

    async def run(self) -> None:
        boundary, scope = self._boundary, self._scope
        scope.setdefault("state", {})["request_id"] = self.id
        boundary.metrics.active.inc()
        boundary.open.add(self)
        try:
            if await self._read():
                await boundary.app(scope, self._replay, self._pass_on)
        except Exception as error:
            if not isinstance(error, (InvalidRequestError, OverloadedError)):
                _log.error("unforeseen", extra={"request": self.id, **error_place(error)})
            if not self._status:  # else what has begun breaks off
                response = boundary.shapes.response(error, scope["path"], self.id)
                await response(scope, self._receive, self._pass_on)
        finally:
            boundary.held -= self._size
            boundary.open.discard(self)
            boundary.metrics.active.dec()
            self._tell()

    async def _read(self) -> bool:
        """Read the body; False where the client went away meanwhile."""
        bounds = self._boundary.bounds
        self._refuse_declared(self._scope["headers"])
        parts = []
        try:
            async with asyncio.timeout(bounds.body_seconds):
                while True:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        return False
                    parts.append(part := message.get("body", b""))
                    self._hold(len(part))
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise InvalidRequestError(
                f"the body took longer than {bounds.body_seconds} seconds", 408, "too_slow"
            ) from None
        self._body = b"".join(parts)
        return True

    def _refuse_declared(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Refuse what the headers say already, before anything is read."""
        for name, value in headers:
            if name == b"content-length":
                if len(value) > 18 or int(value) > self._boundary.bounds.body_bytes:
                    raise self._too_large()
            elif name == b"content-encoding" and value.lower() != b"identity":
                raise InvalidRequestError(
                    "the body is encoded; send it as it is", 415, "unsupported_encoding"
                )

    def _hold(self, size: int) -> None:
        bounds = self._boundary.bounds
        self._size += size
        self._boundary.held += size
        if self._size > bounds.body_bytes:
            raise self._too_large()
        if self._boundary.held > bounds.held_bytes:
            raise OverloadedError("too many bytes are being held; try again in a moment")

    def _too_large(self) -> InvalidRequestError:
        most = self._boundary.bounds.body_bytes
        return InvalidRequestError(f"the body is larger than {most} bytes", 413, "too_large")

    async def _replay(self) -> Message:
        """The body, once; then what follows it, which is the end of the connection."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            if self._status in (408, 413, 415):
                # What is left of the body will not be read.
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    @property
    def _route(self) -> str:
        return getattr(self._scope.get("route"), "path", "none")

    def describe(self, span: Any) -> None:
        """Give a span what is known at the end."""
        span.update_name(f"{self._scope['method']} {self._route}")
        span.set_attributes({"http.route": self._route, "http.response.status_code": self._status})

    def _tell(self) -> None:
        scope, route = self._scope, self._route
        seconds = time.perf_counter() - self._began
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._boundary.metrics.requests.labels(method, route, self._status).observe(seconds)
        caller = scope["state"].get("caller")
        _log.info(
            "request",
            extra={
                "request": self.id,
                "method": method,
                "route": route,
                "status": self._status,
                "seconds": round(seconds, 6),
                "key": caller.key_id if caller is not None else None,
            },
        )
