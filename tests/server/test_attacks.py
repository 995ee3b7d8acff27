"""What somebody sends who wants more than was granted, as a caller or as a model server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from tests.integrations.upstream import Upstream
from tests.server.conftest import CLEAN, KEY, SECRET
from tests.server.running import Running, running

CHAT = "/v1/chat/completions"
ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "Tell me"}]}
# More than a server's answer may take of memory or of time.
MANY = 400_000


@pytest.fixture(scope="module")
def proxy(
    settings: dict[str, Any], fake: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    told = {
        **settings,
        "upstreams": {"fake": {"url": fake.url, "read_seconds": 20}},
        "bounds": {"body_bytes": 200_000},
    }
    with running(tmp_path_factory.mktemp("attacked"), told, KEY) as up:
        yield up


def ask(server: Running, body: Any = ASK, path: str = CHAT, **headers: str) -> httpx.Response:
    given = {**server.headers(Scope.PROXY, Scope.MODERATE), **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(server.url + path, content=content, headers=given, timeout=60)


# --- as a caller


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        b"content-length: 5\r\ncontent-length: 60\r\n",
        b"content-length: 5\r\ncontent-length: 5\r\n",
        b"content-length: 5, 60\r\n",
        b"content-length: +5\r\n",
        b"content-length: 0x5\r\n",
        b"content-length : 5\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding : chunked\r\n",
        b"transfer-encoding:\x0bchunked\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        b"x: y\rcontent-length: 5\r\n",
        b"x: y\r\n content-length: 5\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n",
    ],
)
def test_no_request_hides_in_the_body_of_another(server: Running, framing: bytes) -> None:
    """Where the length of a body can be read in two ways, nothing after it is a request."""
    hidden = b"0\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = server.raw(b"POST /v1/check HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n" + hidden)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1, answer


@pytest.mark.parametrize(
    "key",
    [
        b"\xff\xfe",
        "gr_ключ".encode(),
        b"gr_" + b"a" * 7000,
        b"\x00",
        b"gr_a\tb",
        b"' OR 1=1 --",
        b"gr_" + b"\xe9" * 300,
    ],
)
@pytest.mark.parametrize("header", [b"x-api-key: ", b"authorization: Bearer "])
def test_what_is_no_key_opens_nothing(server: Running, header: bytes, key: bytes) -> None:
    body = b'{"text": "a"}'
    head = b"POST /v1/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + header + key
    answer = server.raw(head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 ")), answer[:200]


@pytest.mark.parametrize("stream", [False, True])
def test_headers_go_through_in_neither_direction(
    proxy: Running, fake: Upstream, stream: bool
) -> None:
    def script(handler: BaseHTTPRequestHandler) -> None:
        message = {"index": 0, "finish_reason": "stop", "message": {"content": CLEAN}}
        data = json.dumps({"choices": [message]}).encode()
        handler.send_response(200)
        kind = "text/event-stream" if stream else "application/json"
        handler.send_header("content-type", f"{kind}; x={'y' * 50}")
        handler.send_header("set-cookie", "session=thornbury")
        handler.send_header("x-request-id", "req_thornbury")
        handler.send_header("x-thornbury", "thornbury")
        handler.end_headers()
        handler.wfile.write(b"data: [DONE]\n\n" if stream else data)
        handler.close_connection = True

    fake.script = script
    sent = {"x-evil": "1", "cookie": "a=b", "openai-organization": "evil", "x-forwarded-for": "::"}
    answer = ask(proxy, {**ASK, "model": "m\r\nx-evil: 1", "stream": stream}, **sent)
    assert answer.status_code == 200
    assert "thornbury" not in str(answer.headers).lower()
    assert "y" * 50 not in str(answer.headers)
    assert not {*sent, "x-request-id", "traceparent"} & set(fake.headers[-1])
    assert "evil" not in str(fake.headers[-1])
    assert fake.requests[-1]["model"] == "m\r\nx-evil: 1"  # in the body it is a name like any


@pytest.mark.parametrize("depth", [50, 150, 300, 1000, 20_000])
@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/check", "/v1/moderations"])
def test_deep_bodies_have_an_ordinary_answer(
    proxy: Running, fake: Upstream, path: str, depth: int
) -> None:
    fake.answers(CLEAN)
    deep = b"[" * depth + b"]" * depth
    body = json.dumps({**ASK, "input": "x", "text": "x"}).encode()
    answer = ask(proxy, body[:-1] + b', "metadata": ' + deep + b"}", path)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert set(answer.json()) == {"error"}


def test_a_batch_is_judged_one_by_one_or_not_at_all(proxy: Running) -> None:
    texts = [CLEAN, SECRET, CLEAN]
    answer = ask(proxy, {"checks": [{"text": text} for text in texts]}, "/v1/check/batch")
    actions = [verdict["action"] for verdict in answer.json()["verdicts"]]
    assert actions == ["allow", "redact", "allow"]
    assert "Thornbury" not in answer.text
    before = len(proxy.records("check"))
    poisons: list[Any] = [{"text": None}, {}, [], {"text": "x", "texts": ["y"]}, {"text": "\ud800"}]
    for poison in poisons:
        answer = ask(proxy, {"checks": [{"text": SECRET}, poison]}, "/v1/check/batch")
        assert answer.status_code == 400
        assert "Thornbury" not in answer.text
    assert len(proxy.records("check")) == before


def test_a_conversation_of_another_tenant_tells_nothing(server: Running) -> None:
    """The same name for a conversation makes it no common one, and a repeated request is a new
    one with records of its own."""
    body = {"text": f"{CLEAN} {SECRET}", "conversation": "shared"}
    answers = []
    for tenant in ("one", "one", "two"):
        headers = server.headers(Scope.MODERATE, tenant=tenant)
        answers.append(httpx.post(f"{server.url}/v1/check", json=body, headers=headers).json())
    ids = {answer.pop("id") for answer in answers}
    assert len(ids) == 3
    assert [answer["text"] for answer in answers] == [answers[0]["text"]] * 3
    records = [json.loads(record.body)["request"] for record in server.records("check")]
    assert sorted(ids) == sorted(one for one in records if one in ids)


def test_a_replayed_stream_is_judged_and_recorded_anew(proxy: Running, fake: Upstream) -> None:
    fake.answers(f"{CLEAN} {SECRET} {CLEAN}", size=9)
    headers = proxy.headers(Scope.PROXY)
    seen = []
    for _ in range(2):
        answer = ask(proxy, {**ASK, "stream": True}, **headers, **{"last-event-id": "3"})
        assert "Thornbury" not in answer.text
        assert "REDACTED" in answer.text
        seen.append((answer.headers["x-request-id"], answer.text))
    assert seen[0][1] == seen[1][1]
    for name, _ in seen:
        events = [r.event for r in proxy.records() if json.loads(r.body).get("request") == name]
        assert (events[0], events[-1]) == ("chat.request", "chat")
        assert set(events[1:-1]) <= {"chat.decision"}  # where it was not decided at the end only


# --- as a model server


def bomb(handler: BaseHTTPRequestHandler) -> None:
    data = gzip.compress(b"data: {}\n\n" * 3_000_000)
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
        b"content-length: %d\r\n\r\n" % len(data) + data
    )


def headers_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(MANY):
        handler.wfile.write(b"x-%d: %s\r\n" % (number, b"y" * 200))


def one_header_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
    for _ in range(MANY):
        handler.wfile.write(b"y" * 200)


def status_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 ")
    for _ in range(MANY):
        handler.wfile.write(b"y" * 200)


def two_lengths(handler: BaseHTTPRequestHandler) -> None:
    body = json.dumps({"choices": []}).encode()
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        b"transfer-encoding: chunked\r\n\r\n" % len(body) + body
    )


def chunk_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        b"fffffffffff\r\n"
    )
    for _ in range(MANY):
        handler.wfile.write(b"y" * 200)


def other_kind(handler: BaseHTTPRequestHandler) -> None:
    data = SECRET.encode()
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n" % len(data)
        + data
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "script",
    [
        bomb,
        headers_without_end,
        one_header_without_end,
        status_without_end,
        two_lengths,
        chunk_without_end,
        other_kind,
    ],
)
def test_of_a_hostile_answer_nothing_leaves(
    proxy: Running, fake: Upstream, script: Any, stream: bool
) -> None:
    def attack(handler: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):  # it was hung up on
            script(handler)
        handler.close_connection = True

    fake.script = attack
    answer = ask(proxy, {**ASK, "stream": stream})
    assert answer.status_code == 502, answer.text[:500]
    assert answer.json()["error"]["code"] == "upstream_error"
    assert len(answer.text) < 500
    fake.answers(CLEAN)
    assert ask(proxy).status_code == 200
