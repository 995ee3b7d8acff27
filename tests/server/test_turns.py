"""Streams take turns: however much of them waits to be filtered, all else goes on in between."""

from __future__ import annotations

import asyncio
import json
import logging
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from guardrail.integrations.sse import EventFilter
from guardrail.server.app import create_app
from guardrail.server.identity import ANY, Scope
from guardrail.server.opening import open_keys, open_stores
from guardrail.server.settings import Settings
from tests.integrations.upstream import upstream
from tests.server.conftest import CLEAN

STREAMS, PIECES = 12, 40


def test_a_loop_with_many_streams_looks_at_its_sockets(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without turns, each stream filtered all that had arrived of it before anything else was
    done, more arrived meanwhile, and with 500 of them connections and records were given up."""
    logging.getLogger("guardrail.server").setLevel(logging.DEBUG)
    fed_since, most = 0, 0
    feed = EventFilter.feed

    def counted(self: EventFilter, data: bytes) -> bytes:
        nonlocal fed_since, most
        fed_since += 1
        most = max(most, fed_since)
        return feed(self, data)

    monkeypatch.setattr(EventFilter, "feed", counted)

    async def tick() -> None:
        nonlocal fed_since
        while True:
            fed_since = 0
            await asyncio.sleep(0)

    async def ask(app: Any, state: Any, headers: list[Any]) -> str:
        body = {"model": "m", "messages": [], "stream": True}
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": headers,
        }
        scope |= {"query_string": b"", "state": dict(state), "scheme": "http", "root_path": ""}
        asked: list[Any] = [{"type": "http.request", "body": json.dumps(body).encode()}]
        sent = b""

        async def receive() -> Any:
            return asked.pop() if asked else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            nonlocal sent
            sent += message.get("body", b"")

        await app(scope, receive, send)
        events = [json.loads(line[6:]) for line in sent.decode().split("\n\n") if "{" in line]
        return "".join(event["choices"][0]["delta"]["content"] for event in events)

    async def run(given: Settings, secret: str) -> list[str]:
        app = create_app(given, open_stores)
        headers = [(b"authorization", f"Bearer {secret}".encode())]
        async with app.router.lifespan_context(app) as state:
            ticking = asyncio.create_task(tick())
            try:
                return await asyncio.gather(*(ask(app, state, headers) for _ in range(STREAMS)))
            finally:
                ticking.cancel()

    with upstream() as fake:
        fake.script = at_once
        database = {"database": f"sqlite:///{tmp_path}/guardrail.db"}
        given = Settings(**settings, stores=database, upstreams={"fake": {"url": fake.url}})
        with open_keys(given) as keys:
            key = keys.create("acme", [Scope.PROXY], [ANY], [ANY], actor="test")
        assert asyncio.run(run(given, key.secret)) == [f"{CLEAN} " * PIECES] * STREAMS
    # One piece in each turn of the loop, and what ends a stream.
    assert most <= 3


def at_once(handler: BaseHTTPRequestHandler) -> None:
    """A whole stream, in one piece."""

    def event(said: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": {"content": said}, "finish_reason": finish}
        return f"data: {json.dumps({'id': 'c', 'choices': [choice]})}\n\n".encode()

    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.end_headers()
    handler.wfile.write(event(f"{CLEAN} ") * PIECES + event("", "stop") + b"data: [DONE]\n\n")
