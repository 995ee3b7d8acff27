"""One request on its way to a model server, and the answer on its way back.

What leaves has been filtered, and is on record before it leaves. Of a stream there is a record of
the request before its first byte leaves, one each time that the decision on it gets stronger, and
one of the whole before it ends. Where a record cannot be written, nothing more leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import ClientResponse

from guardrail.errors import GuardrailError
from guardrail.filter import reason
from guardrail.findings import Action
from guardrail.integrations.bodies import BodyFilter, Json, Refused, prompt_of
from guardrail.integrations.events import ChatStream, ResponseStream
from guardrail.integrations.sse import EventFilter, MalformedEventError, StreamError
from guardrail.server.audit_record import AuditRecord, decision, opening
from guardrail.server.errors import (
    OverloadedError,
    UnavailableError,
    UpstreamError,
    openai_shape,
    told,
)
from guardrail.server.identity import Identity
from guardrail.server.outputs import vectors
from guardrail.server.service import QUICK_CHARS, Service

T = TypeVar("T")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Errors of the model server that are about the request, and so for the caller to read.
PASSED_ON = frozenset((400, 404, 409, 413, 415, 422, 429))
FAILURES = frozenset((500, 503, 504))
# Characters of a token where the server does not count them.
TOKEN_CHARS = 4
LONGEST_MESSAGE = 1000
_log = logging.getLogger("guardrail.server")
_WORD = re.compile(r"[\w.\[\]-]{1,100}")


@dataclass(frozen=True, slots=True)
class Interface:
    """One of OpenAI's interfaces: its name in records, its path, and the form of its streams; None
    where it answers with numbers."""

    event: str
    path: str
    form: type[ChatStream] | type[ResponseStream] | None


class Exchange:
    """A response for Starlette: it asks the model server when it is sent."""

    def __init__(
        self, service: Service, caller: Identity, interface: Interface, body: Json, request: str
    ) -> None:
        """`body`: what to send, with a `model` that the caller may use; `request`: its id."""
        self._service, self._caller, self._interface = service, caller, interface
        self._body, self._request = body, request
        self._model: str = body["model"]
        self._upstream = service.upstreams.serving(self._model)
        self._in_force = service.guard.now
        self._bodies = BodyFilter(
            self._in_force.rail,
            body,
            identity=caller.key_id,
            entitlements=caller.entitlements,
            refusal_as_content=service.settings.outputs.refusal_as_content,
        )
        self._prompt_chars = sum(map(len, prompt_of(body)))
        self._began = time.time_ns()
        self._is_streamed = False
        self._is_recorded = False
        self._decided = Action.FLAG
        self._events = EventFilter(
            self._bodies,
            wants_usage=_wants_usage(body),
            strict=interface.form,
            longest=service.settings.bounds.body_bytes,
        )

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        answer = asyncio.ensure_future(self._answer(send))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
        except asyncio.CancelledError:
            # The service is stopping, and has waited for its requests to end. What waits to be
            # judged stays here.
            answer.cancel()
            await asyncio.wait({answer})
            error = UnavailableError("the service is stopping")
            if not self._is_streamed:
                raise error from None
            if not self._events.is_done:
                await self._break_off(error, send)
        finally:
            how = "gone" if gone.done() else "failed"
            for task in (answer, gone):
                task.cancel()
            await asyncio.wait({answer, gone})
            if not self._is_recorded:
                # Nothing waits for this record any more.
                with contextlib.suppress(GuardrailError):
                    await self._record_end(how)

    async def _answer(self, send: Send) -> None:
        try:
            record = asyncio.ensure_future(self._record_opening())
            try:
                async with self._upstream.ask(self._interface.path, self._body) as response:
                    await self._check_status(response)
                    await record
                    if _is_events(response):
                        await self._stream(response, send)
                    else:
                        await self._whole(response, send)
            finally:
                await asyncio.wait({record})
                record.exception()  # was raised above, or comes after another error
        except (GuardrailError, StreamError) as error:
            if isinstance(error, StreamError):
                error = UpstreamError("the model server's answer broke off")
            if not self._is_streamed:
                raise error from None
            await self._break_off(error, send)

    async def _whole(self, response: ClientResponse, send: Send) -> None:
        """Pass on an answer that comes as one body."""
        data = await self._read(response)

        def filtered(deadline: float) -> bytes:
            self._bodies.deadline = deadline
            body = json.loads(data)
            made = self._bodies.body(body) if self._interface.form else vectors(body)
            return json.dumps(made, allow_nan=False).encode()

        try:
            made = await self._run(len(data), filtered)
        except (ValueError, TypeError, RecursionError, AttributeError, Refused):
            raise UpstreamError("the model server's answer cannot be filtered") from None
        await self._record_end("complete")
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(made))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": made})

    async def _stream(self, response: ClientResponse, send: Send) -> None:
        """Pass on an answer that comes as events."""
        self._is_streamed = True
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        events = self._events
        async for data in response.content.iter_any():
            for at in range(0, len(data), QUICK_CHARS):
                part = data[at : at + QUICK_CHARS]
                await self._let_go(await self._run(len(part), self._fed(part)), send)
            if events.is_over:
                break
        await self._let_go(await self._run(0, lambda _: events.flush()), send)
        await send({"type": "http.response.body", "body": b""})

    def _fed(self, data: bytes) -> Callable[[float], bytes]:
        def feed(_: float) -> bytes:
            try:
                return self._events.feed(data)
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                raise MalformedEventError from None  # a list where a text belongs, and the like

        return feed

    async def _let_go(self, out: bytes, send: Send) -> None:
        """Send a part of a stream, once what was decided is on record."""
        if self._events.is_done:
            if not self._is_recorded:
                await self._record_end("complete")
        elif (action := self._bodies.action) > self._decided:
            self._decided = action
            await self._service.record(self._decision(f"{self._interface.event}.decision"))
        if out:
            await send({"type": "http.response.body", "body": out, "more_body": True})

    async def _break_off(self, error: Exception, send: Send) -> None:
        """End a stream with an error."""
        _log.warning("broken off", extra={"request": self._request, "reason": reason(error)})
        if not self._is_recorded:
            with contextlib.suppress(GuardrailError):
                await self._record_end("cut")
        said = openai_shape(told(error, self._request))["error"]
        out = self._events.break_off(said)
        await send({"type": "http.response.body", "body": out})

    async def _run(self, size: int, work: Callable[[float], T]) -> T:
        """What `work` on so many bytes returns: here where that is quick, else in a thread. An
        answer that has been asked for waits for its turn."""
        seconds = self._service.settings.bounds.check_seconds
        give_up = time.monotonic() + seconds
        if self._in_force.is_quick and size <= QUICK_CHARS:
            async with self._service.turn:
                await asyncio.sleep(0)  # see `Service`
                return work(give_up)
        while True:
            try:
                with self._service.metrics.waiting.track_inprogress():
                    return await self._service.pool.run(work)
            except OverloadedError:
                if time.monotonic() > give_up:
                    raise
            await asyncio.sleep(0.02)

    async def _read(self, response: ClientResponse) -> bytes:
        """The body of a response. Raises UpstreamError where it is too large."""
        parts, size = [], 0
        async for data in response.content.iter_any():
            parts.append(data)
            size += len(data)
            if size > self._service.settings.bounds.body_bytes:
                raise UpstreamError("the model server's answer is too large")
        return b"".join(parts)

    async def _check_status(self, response: ClientResponse) -> None:
        """Raise UpstreamError where the response is none that can be filtered."""
        status = response.status
        if response.headers.get("content-encoding", "identity") != "identity":
            raise UpstreamError("the model server's answer is compressed")
        if status in PASSED_ON:
            raise await self._complaint(response)
        if status in (401, 403):
            raise UpstreamError("the model server does not take this service's key")
        if status != 200:
            raise UpstreamError("the model server failed", status if status in FAILURES else 502)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted = {"application/json"} | ({"text/event-stream"} if self._wants_stream else set())
        if kind not in wanted:
            raise UpstreamError("the model server's answer cannot be filtered")

    @property
    def _wants_stream(self) -> bool:
        return bool(self._body.get("stream")) and self._interface.form is not None

    async def _complaint(self, response: ClientResponse) -> UpstreamError:
        """What the model server has to say about a request, as far as it may be said."""
        data = await self._read(response)
        message, code, param = "the model server refuses the request", "upstream_refused", None

        def filtered(deadline: float) -> list[Any]:
            self._bodies.deadline = deadline
            error = json.loads(data)["error"]
            said: list[Any] = self._bodies.values(
                [error.get(name) for name in ("message", "code", "param")]
            )
            return said

        unclear = (ValueError, KeyError, TypeError, AttributeError, RecursionError, Refused)
        with contextlib.suppress(*unclear):
            given, given_code, given_param = await self._run(len(data), filtered)
            if isinstance(given, str) and not self._upstream.holds_secret(
                f"{given} {given_code} {given_param}"
            ):
                message = given[:LONGEST_MESSAGE]
                code, param = _word(given_code) or code, _word(given_param)
        wait = response.headers.get("retry-after", "")
        retry_after = min(int(wait), 3600) if re.fullmatch("[0-9]{1,6}", wait) else None
        return UpstreamError(message, response.status, code, param, retry_after)

    async def _record_opening(self) -> None:
        """Put the request on record, while the model server thinks about it. An answer that does
        not come in pieces has its one record when it is decided on."""
        if self._wants_stream:
            # The request goes out first: the thread that writes records takes the interpreter.
            await asyncio.sleep(0)
            await self._service.record(
                opening(
                    f"{self._interface.event}.request",
                    self._caller,
                    request=self._request,
                    model=self._model,
                    prompt_chars=self._prompt_chars,
                    upstream=self._upstream.name,
                )
            )

    async def _record_end(self, how: str) -> None:
        """Put the decision on the whole on record, and count its tokens. Raises StoreError or
        LimitsUnavailableError."""
        self._is_recorded = True
        verdict, chars = self._bodies.verdict, self._bodies.chars
        self._service.metrics.verdict(verdict, chars)
        self._service.tracing.check(verdict, chars, self._began, time.time_ns())
        await self._service.record(self._decision(self._interface.event, ended=how))
        await self._service.stores.limiter.charge(self._caller, self._tokens(chars))

    def _decision(self, event: str, **details: str) -> AuditRecord:
        return decision(
            event,
            self._caller,
            self._bodies.verdict,
            request=self._request,
            policy=self._in_force.digest,
            model=self._model,
            prompt_chars=self._prompt_chars,
            response_chars=self._bodies.chars,
            upstream=self._upstream.name,
            **details,
        )

    def _tokens(self, chars: int) -> int:
        """The tokens of the answer, as the server counts them or else by its length."""
        for name in ("completion_tokens", "output_tokens"):
            count = self._bodies.usage.get(name)
            if isinstance(count, int) and count >= 0:
                return count
        return math.ceil(chars / TOKEN_CHARS)


def _wants_usage(body: Json) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def _is_events(response: ClientResponse) -> bool:
    return str(response.headers.get("content-type", "")).lower().startswith("text/event-stream")


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
