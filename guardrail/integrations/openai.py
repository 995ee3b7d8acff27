"""A client of OpenAI's API whose answers are filtered.

    from openai import OpenAI
    from guardrail.integrations.openai import guarded

    client = guarded(OpenAI(), guardrail)

The client stays what it was: the filter sits below it, where answers come from the network. So all
of its ways to an answer are filtered: `create`, `parse`, `stream`, raw responses, synchronous or
not, chat completions, legacy completions and responses. Other endpoints pass as they are.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from guardrail.assembly import Guardrail
from guardrail.errors import GuardrailError
from guardrail.integrations.bodies import BodyFilter, Json, Refused
from guardrail.integrations.sse import EventFilter, EventTooLongError

ENDPOINTS = ("/chat/completions", "/completions", "/responses")

Client = TypeVar("Client", OpenAI, AsyncOpenAI)


class AnswerError(GuardrailError):
    """An answer that cannot be filtered, because it is not in a format that is known."""


def guarded(
    client: Client,
    guardrail: Guardrail,
    *,
    ask_logprobs: bool = False,
    refusal_as_content: bool = False,
    transport: Any = None,
) -> Client:
    """A client like the given one, whose answers are filtered.

    `ask_logprobs`: ask for log-probabilities in chat completions that are not streamed, for
    detectors that use them; they are taken out of every answer in any case.
    `refusal_as_content`: put refusals where the answer would be. `transport`: the transport of
    httpx2 to send requests with, where it is not the default one.
    """
    options = _Options(guardrail, ask_logprobs, refusal_as_content)
    made: Any
    if isinstance(client, AsyncOpenAI):
        inner = transport or httpx2.AsyncHTTPTransport()
        made = DefaultAsyncHttpxClient(transport=_AsyncTransport(inner, options))
    else:
        inner = transport or httpx2.HTTPTransport()
        made = DefaultHttpxClient(transport=_Transport(inner, options))
    copy: Callable[..., Client] = client.copy
    return copy(http_client=made)


class _Options:
    def __init__(self, guardrail: Guardrail, ask_logprobs: bool, refusal_as_content: bool) -> None:
        self._guardrail = guardrail
        self._ask, self._as_content = ask_logprobs, refusal_as_content

    def prepared(self, request: httpx2.Request, content: bytes) -> tuple[httpx2.Request, Json]:
        """The request to send, and its body."""
        body = _parsed(content)
        chat = request.url.path.endswith("/chat/completions")
        if self._ask and chat and not body.get("stream"):
            body = {**body, "logprobs": True}
            content = json.dumps(body).encode()
        headers = request.headers.copy()
        headers["accept-encoding"] = "identity"
        headers.pop("content-length", None)
        made = httpx2.Request(
            request.method,
            request.url,
            headers=headers,
            content=content,
            extensions=request.extensions,
        )
        return made, body

    def events(self, body: Json) -> EventFilter:
        wants = bool((body.get("stream_options") or {}).get("include_usage"))
        return EventFilter(self._bodies(body), wants_usage=wants)

    def answer(self, content: bytes, body: Json) -> bytes:
        try:
            return json.dumps(self._bodies(body).body(json.loads(content))).encode()
        except (ValueError, Refused, AttributeError):
            raise AnswerError(
                "the answer is not JSON of a chat completion or a response, so it cannot be "
                "filtered; use the client without the guardrail for other kinds"
            ) from None

    def _bodies(self, body: Json) -> BodyFilter:
        return BodyFilter(self._guardrail, body, refusal_as_content=self._as_content)


class _Transport(httpx2.BaseTransport):
    def __init__(self, inner: httpx2.BaseTransport, options: _Options) -> None:
        self._inner, self._options = inner, options

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if not _is_filtered(request):
            return self._inner.handle_request(request)
        made, body = self._options.prepared(request, request.read())
        response = self._inner.handle_request(made)
        if response.status_code >= 400:
            return response
        if _is_stream(response):
            stream = _Stream(response, self._options.events(body))
            return _response(response, stream=stream)
        content = self._options.answer(response.read(), body)
        response.close()
        return _response(response, content=content)

    def close(self) -> None:
        self._inner.close()


class _AsyncTransport(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport, options: _Options) -> None:
        self._inner, self._options = inner, options

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not _is_filtered(request):
            return await self._inner.handle_async_request(request)
        made, body = self._options.prepared(request, await request.aread())
        response = await self._inner.handle_async_request(made)
        if response.status_code >= 400:
            return response
        if _is_stream(response):
            stream = _AsyncStream(response, self._options.events(body))
            return _response(response, stream=stream)
        content = self._options.answer(await response.aread(), body)
        await response.aclose()
        return _response(response, content=content)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Stream(httpx2.SyncByteStream):
    def __init__(self, response: httpx2.Response, events: EventFilter) -> None:
        self._response, self._events = response, events

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self._response.iter_bytes():
                if out := self._events.feed(data):
                    yield out
                if self._events.is_over:
                    return
            if out := self._events.flush():
                yield out
        except EventTooLongError:
            raise AnswerError("an event of the answer does not end") from None

    def close(self) -> None:
        self._response.close()


class _AsyncStream(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response, events: EventFilter) -> None:
        self._response, self._events = response, events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.aiter_bytes():
                if out := self._events.feed(data):
                    yield out
                if self._events.is_over:
                    return
            if out := self._events.flush():
                yield out
        except EventTooLongError:
            raise AnswerError("an event of the answer does not end") from None

    async def aclose(self) -> None:
        await self._response.aclose()


def _is_filtered(request: httpx2.Request) -> bool:
    return request.url.path.endswith(ENDPOINTS) or "/responses/" in request.url.path


def _is_stream(response: httpx2.Response) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/event-stream")


def _parsed(content: bytes) -> Json:
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _response(response: httpx2.Response, **body: Any) -> httpx2.Response:
    headers = response.headers.copy()
    for name in ("content-length", "content-encoding", "transfer-encoding"):
        headers.pop(name, None)
    return httpx2.Response(
        response.status_code, headers=headers, extensions=response.extensions, **body
    )
