"""SIGTERM while answers are on their way: what ends in time is passed on, filtered; what does not
is cut, and what of it waits to be judged stays behind. All of it is on record."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from guardrail.server.stores.audit_verify import verify
from tests.integrations.upstream import Upstream
from tests.server.conftest import CLEAN, KEY, PHRASE, SECRET
from tests.server.running import PATIENCE, eventually, running
from tests.server.scripts import chunk, events, send

PROSE = f"{CLEAN} " * 30  # more than waits for what it may be part of
BEGINNING = f"{PROSE}It is called {PHRASE[:-1]}"
END = chunk("", "stop") + b"data: [DONE]\n\n"


@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_while_answers_are_on_their_way(
    workers: int, strict_settings: dict[str, Any], fake: Upstream, tmp_path: Path
) -> None:
    stopping, over = threading.Event(), threading.Event()

    def script(handler: BaseHTTPRequestHandler) -> None:
        model = fake.requests[-1]["model"]
        asked.release()
        if model == "prompt":
            stopping.wait(PATIENCE)
            message = {"index": 0, "finish_reason": "stop", "message": {"content": SECRET}}
            send(handler, 200, {"id": "c", "choices": [message]})
        elif model == "ends":
            events(handler, chunk(f"{PROSE}{SECRET[:100]}"))
            stopping.wait(PATIENCE)
            handler.wfile.write(chunk(f"{SECRET[100:]} {CLEAN}") + END)
        elif model in ("goes on", "responses"):
            part = {"item_id": "m", "output_index": 0, "content_index": 0, "sequence_number": 0}
            delta = {"type": "response.output_text.delta", "delta": BEGINNING, **part}
            event = f"event: {delta['type']}\ndata: {json.dumps(delta)}\n\n".encode()
            events(handler, chunk(BEGINNING) if model == "goes on" else event)
            over.wait(PATIENCE)
        else:
            over.wait(PATIENCE)

    asked = threading.Semaphore(0)
    fake.script = script
    settings = {
        **strict_settings,
        "upstreams": {"fake": {"url": fake.url}},
        "bounds": {"drain_seconds": 3},
        "listen": {"workers": workers},
        "limits": {"alone": True},
    }
    answers: dict[str, Future[tuple[int, str]]] = {}
    with running(tmp_path, settings, KEY) as proxy, ThreadPoolExecutor(8) as pool:
        headers = proxy.headers(Scope.PROXY)

        def ask(model: str) -> tuple[int, str]:
            path = "responses" if model == "responses" else "chat/completions"
            body = {"model": model, "messages": [], "stream": model != "prompt"}
            with httpx.stream(
                "POST", f"{proxy.url}/v1/{path}", json=body, headers=headers, timeout=PATIENCE
            ) as answer:
                seen = b""
                for piece in answer.iter_raw():
                    seen += piece
                    if CLEAN[:40].encode() in seen:
                        began.add(model)
                return answer.status_code, seen.decode()

        began: set[str] = set()
        try:
            for model in ("prompt", "ends", "goes on", "responses", "silent"):
                answers[model] = pool.submit(ask, model)
                assert asked.acquire(timeout=PATIENCE)  # so that the last request is this one's
            eventually(lambda: began == {"ends", "goes on", "responses"})
            assert proxy.process is not None
            proxy.process.terminate()
            eventually(lambda: not proxy.answers())
            with pytest.raises(httpx.ConnectError):
                ask("too late")
            stopping.set()
            assert proxy.process.wait(PATIENCE) == 0
        finally:
            stopping.set()
            over.set()
        seen = {model: answer.result() for model, answer in answers.items()}
        trail = [(record.event, json.loads(record.body)) for record in proxy.records()]
        assert verify(proxy.log).valid

    for status, text in seen.values():
        assert "Copper" not in text
        assert "Thornbury" not in text
        assert status == (503 if text == seen["silent"][1] else 200)
    assert json.loads(seen["prompt"][1])["choices"][0]["message"]["content"] == "[REDACTED]."
    assert seen["ends"][1].endswith("data: [DONE]\n\n")
    assert "REDACTED" in seen["ends"][1]
    for model in ("goes on", "responses"):
        assert "[DONE]" not in seen[model][1]
        assert '"code": "unavailable"' in seen[model][1].strip().rpartition("\n\n")[2]
    assert json.loads(seen["silent"][1])["error"]["code"] == "unavailable"
    ends = {body["model"]: (body["ended"], body["action"]) for _, body in trail if "ended" in body}
    assert ends == {
        "prompt": ("complete", "redact"),
        "ends": ("complete", "redact"),
        "goes on": ("cut", "allow"),
        "responses": ("cut", "allow"),
        "silent": ("failed", "allow"),
    }
    requests = [body["request"] for event, body in trail if event.endswith(".request")]
    assert len(requests) == len(set(requests)) == 4  # one that is not streamed has one record
