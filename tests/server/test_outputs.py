"""What an answer may carry, where the settings open it, and on every route."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import product
from json import dumps
from pathlib import Path
from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from tests.integrations.upstream import Upstream
from tests.server.conftest import CLEAN, KEY, PHRASE
from tests.server.running import Running, running
from tests.server.scripts import chunk, events, send

PATHS = ("chat/completions", "completions", "responses")
ASK: dict[str, Any] = {"model": "m", "messages": [], "input": "Tell me", "prompt": "Tell me"}
LOGPROB = -0.123456


def serving(fake: Upstream, settings: dict[str, Any], folder: Any, outputs: dict[str, Any]) -> Any:
    more = {"upstreams": {"fake": {"url": fake.url}}, "outputs": outputs}
    return running(folder, {**settings, **more}, KEY)


@pytest.fixture(scope="module")
def opened(
    strict_settings: dict[str, Any], fake: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    outputs: dict[str, Any] = {"max_n": 4, "logit_bias": True, "echo": True, "embeddings": True}
    outputs |= {"logprobs": "refuse", "refusal_as_content": True}
    often = {"limits": {"sensitive": {"requests": {"amount": 100}}}}
    folder = tmp_path_factory.mktemp("opened")
    with serving(fake, {**strict_settings, **often}, folder, outputs) as up:
        yield up


def post(server: Running, path: str, **more: Any) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/{path}",
        json={**ASK, **more},
        headers=server.headers(Scope.PROXY),
        timeout=60,
    )


def test_embeddings_are_numbers_and_nothing_else(opened: Running, fake: Upstream) -> None:
    def script(handler: BaseHTTPRequestHandler) -> None:
        one = {"object": "embedding", "index": 0, "embedding": [0.5, -1], "note": PHRASE}
        send(handler, 200, {"data": [one], "model": "m", "usage": {"total_tokens": 2}, "x": PHRASE})

    fake.script = script
    answer = post(opened, "embeddings")
    assert answer.json()["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5, -1]}]
    assert answer.json()["usage"] == {"total_tokens": 2}
    assert PHRASE not in answer.text
    for wrong in ([PHRASE], f"{PHRASE}!", {"a": PHRASE}):
        data = [{"index": 0, "embedding": wrong}]
        fake.script = partial(send, status=200, body={"data": data, "model": "m"})
        answer = post(opened, "embeddings")
        assert answer.status_code == 502
        assert PHRASE not in answer.text


def test_embeddings_are_few_a_minute(
    strict_settings: dict[str, Any], fake: Upstream, tmp_path: Path
) -> None:
    data = [{"index": 0, "embedding": [0.5]}]
    fake.script = partial(send, status=200, body={"data": data, "model": "m"})
    with serving(fake, strict_settings, tmp_path, {"embeddings": True}) as up:
        key = up.headers(Scope.PROXY)

        def ask() -> int:
            return httpx.post(
                f"{up.url}/v1/embeddings", json=ASK, headers=key, timeout=60
            ).status_code

        statuses = [ask() for _ in range(8)]
        assert statuses[0] == 200
        assert set(statuses[1:]) <= {200, 429}
        assert statuses.count(200) <= 5


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        *product(PATHS, [{"logprobs": True}, {"logprobs": 1}, {"top_logprobs": 3}]),
        ("responses", {"include": ["message.output_text.logprobs"]}),
    ],
)
def test_log_probabilities_are_refused(opened: Running, path: str, asked: dict[str, Any]) -> None:
    answer = post(opened, path, **asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_allowed")


@pytest.mark.parametrize(
    ("path", "asked"),
    list(product(PATHS, [{"logit_bias": {"1": 5}}, {"echo": True}, {"n": 4}, {"best_of": 4}])),
)
def test_what_is_opened_goes_to_the_model(
    opened: Running, fake: Upstream, path: str, asked: dict[str, Any]
) -> None:
    fake.answers(CLEAN)
    post(opened, path, **asked)
    assert fake.requests[-1].items() >= asked.items()


@pytest.mark.parametrize(
    ("path", "asked"),
    list(product(PATHS, [{"n": 5}, {"best_of": 5}, {"n": True}, {"best_of": 1.5}])),
)
def test_caps_hold_on_every_route(
    opened: Running, fake: Upstream, path: str, asked: dict[str, Any]
) -> None:
    before = len(fake.requests)
    assert post(opened, path, **asked).status_code == 400
    assert len(fake.requests) == before


def test_refusals_stand_where_the_answer_would(opened: Running, fake: Upstream) -> None:
    fake.answers(f"It is called {PHRASE}. ")
    chat = post(opened, "chat/completions").json()["choices"][0]
    assert (chat["message"]["content"], chat["message"]["refusal"]) == ("Not this.", None)
    [item] = post(opened, "responses").json()["output"]
    assert item["content"][0]["text"] == "Not this."
    for path in ("chat/completions", "responses"):
        said = post(opened, path, stream=True).text
        assert "Not this." in said
        assert '"refusal": "Not' not in said
        assert "Copper" not in said


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_log_probabilities_leave_on_no_route(
    fake: Upstream,
    path: str,
    stream: bool,
    closed: Running,
) -> None:
    token: Any = {
        "token": "x",
        "logprob": LOGPROB,
        "bytes": [1],
        "top_logprobs": [{"logprob": LOGPROB}],
    }

    def script(handler: BaseHTTPRequestHandler) -> None:
        probs = {"content": [token], "refusal": [token]}
        old = {"tokens": ["x"], "token_logprobs": [LOGPROB], "top_logprobs": [{"x": LOGPROB}]}
        part: dict[str, Any] = {
            "type": "output_text",
            "text": CLEAN,
            "annotations": [],
            "logprobs": [token],
        }
        item = {"id": "m", "type": "message", "role": "assistant", "content": [part]}
        body: dict[str, Any] = {"id": "r", "status": "completed", "output": [item]}
        if path == "responses":
            told: list[Any] = [
                {"type": "response.output_text.delta", "delta": CLEAN, "logprobs": [token]}
            ]
            told += [{"type": "response.output_text.done", "text": CLEAN, "logprobs": [token]}]
            told += [{"type": "response.completed", "response": body}]
            parts = [f"data: {dumps(event)}\n\n".encode() for event in told]
        else:
            said: dict[str, Any] = {"text": CLEAN} if path == "completions" else {}
            said["logprobs"] = old if path == "completions" else probs
            parts = [chunk(CLEAN, **said), chunk("", "stop", **said), b"data: [DONE]\n\n"]
            choice = {"index": 0, "message": {"content": CLEAN}, "finish_reason": "stop", **said}
            body = {"id": "c", "choices": [choice], "prompt_logprobs": [{"1": LOGPROB}]}
        events(handler, *parts) if stream else send(handler, 200, body)

    fake.script = script
    answer = post(closed, path, stream=stream, logprobs=1)
    assert answer.status_code == 200
    assert CLEAN[:20] in answer.text
    assert str(LOGPROB) not in answer.text


@pytest.fixture(scope="module")
def closed(
    strict_settings: dict[str, Any], fake: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with serving(fake, strict_settings, tmp_path_factory.mktemp("closed"), {"max_n": 2}) as up:
        yield up
