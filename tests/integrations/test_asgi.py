"""The ASGI middleware around Starlette applications."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx")

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from guardrail import Guardrail
from guardrail.integrations.asgi import GuardrailMiddleware
from tests.integrations.conftest import CLEAN, SECRET

LEAK = f"{CLEAN} {SECRET} {CLEAN} {CLEAN} {CLEAN}"


def chunks(size: int = 5) -> Iterator[str]:
    return (LEAK[at : at + size] for at in range(0, len(LEAK), size))


async def json_answer(request: Any) -> Response:
    return JSONResponse({"answer": LEAK, "list": [1, {"x": LEAK}], "id": 3})


async def chat_answer(request: Any) -> Response:
    message = {"role": "assistant", "content": LEAK}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": []}}
    return JSONResponse({"id": "a", "object": "chat.completion", "choices": [choice]})


async def text_answer(request: Any) -> Response:
    async def body() -> AsyncIterator[bytes]:
        for byte in ("é" + LEAK).encode():
            yield bytes([byte])

    return StreamingResponse(body(), media_type="text/plain")


async def events(request: Any) -> Response:
    async def body() -> AsyncIterator[str]:
        for chunk in chunks():
            yield f"event: token\r\ndata: {json.dumps({'token': chunk, 'n': 1})}\r\n\r\n"
        yield ": keep alive\n\n"
        yield f"data: {json.dumps({'sources': [SECRET]})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


async def plain_events(request: Any) -> Response:
    async def body() -> AsyncIterator[str]:
        for chunk in chunks(1):
            yield f"data: {chunk}\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


async def picture(request: Any) -> Response:
    return Response(SECRET.encode(), media_type="image/png")


async def open_text(request: Any) -> Response:
    return PlainTextResponse(SECRET)


def client(rail: Guardrail, **options: Any) -> httpx.AsyncClient:
    handlers = [json_answer, chat_answer, text_answer, events, plain_events, picture]
    routes = [Route(f"/chat/{handler.__name__}", handler) for handler in handlers]
    app = Starlette(
        routes=[*routes, Route("/open", open_text)],
        middleware=[
            Middleware(GuardrailMiddleware, guardrail=rail, paths=["/chat"], **options),
            Middleware(GZipMiddleware, minimum_size=1),
        ],
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def get(rail: Guardrail, path: str) -> httpx.Response:
    import asyncio

    async def ask() -> httpx.Response:
        async with client(rail) as http:
            return await http.get(path)

    return asyncio.run(ask())


def data_of(response: httpx.Response) -> list[str]:
    return [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]


def test_json(rail: Guardrail, refusing: Guardrail) -> None:
    want = rail.check(LEAK).text
    response = get(rail, "/chat/json_answer")
    assert response.json() == {"answer": want, "list": [1, {"x": want}], "id": 3}
    assert int(response.headers["content-length"]) == len(response.content)
    refused = get(refusing, "/chat/json_answer").json()
    assert refused == {"answer": "Not this.", "list": [1, {"x": "Not this."}], "id": 3}


def test_chat_completions_keep_their_format(rail: Guardrail, refusing: Guardrail) -> None:
    (choice,) = get(rail, "/chat/chat_answer").json()["choices"]
    assert choice["message"]["content"] == rail.check(LEAK).text
    assert choice["logprobs"] is None
    (choice,) = get(refusing, "/chat/chat_answer").json()["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["refusal"] == "Not this."


def test_plain_text_streams(rail: Guardrail, refusing: Guardrail) -> None:
    assert get(rail, "/chat/text_answer").text == "é" + rail.check(LEAK).text
    assert get(refusing, "/chat/text_answer").text == f"é{CLEAN} Not this."


def test_events(rail: Guardrail, refusing: Guardrail) -> None:
    *tokens, done = data_of(get(rail, "/chat/events"))
    bodies = [json.loads(token) for token in tokens]
    assert "".join(body.get("token") or "" for body in bodies) == rail.check(LEAK).text
    assert [body["sources"] for body in bodies if body.get("sources")] == [["[REDACTED]."]]
    assert done == "[DONE]"
    bodies = [json.loads(token) for token in data_of(get(refusing, "/chat/events"))]
    assert "".join(body["token"] for body in bodies) == f"{CLEAN} Not this."
    assert "".join(data_of(get(rail, "/chat/plain_events"))) == rail.check(LEAK).text


def test_what_cannot_be_read_is_not_sent(rail: Guardrail) -> None:
    response = get(rail, "/chat/picture")
    assert response.status_code == 500
    assert b"Thornbury" not in response.content
    assert get(rail, "/open").text == SECRET
