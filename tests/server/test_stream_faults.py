"""Streams of which a detector or the model server does what it should not: they end, with an error
where something is missing, and nothing leaves that was not judged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from tests.integrations.upstream import Upstream
from tests.server import faulty
from tests.server.conftest import CLEAN, KEY, SECRET
from tests.server.running import PATIENCE, Running, running
from tests.server.scripts import chunk, events

PROSE = f"{CLEAN} " * 30  # more than waits for what it may be part of
END = chunk("", "stop") + b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def proxy(
    settings: dict[str, Any], fake: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    told = {
        **settings,
        "bounds": {"check_seconds": 2, "threads": 1},
        "upstreams": {"fake": {"url": fake.url, "read_seconds": 2, "answer_seconds": 2}},
    }
    with running(tmp_path_factory.mktemp("faulty"), told, KEY, faulty.COMMAND) as up:
        yield up


@pytest.fixture(scope="module")
def headers(proxy: Running) -> dict[str, str]:
    return proxy.headers(Scope.PROXY)


def ask(proxy: Running, headers: dict[str, str], stream: bool = True) -> httpx.Response:
    body = {"model": "m", "messages": [], "stream": stream}
    url = f"{proxy.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=PATIENCE)


def last_event(answer: httpx.Response) -> Any:
    return json.loads(answer.text.strip().rpartition("data: ")[2])


def last_record(proxy: Running) -> Any:
    return json.loads(proxy.records("chat")[-1].body)


def test_a_detector_that_hangs_ends_its_own_stream_only(
    proxy: Running, headers: dict[str, str], fake: Upstream
) -> None:
    def script(handler: BaseHTTPRequestHandler) -> None:
        events(handler, chunk(PROSE), chunk(f"{faulty.HANG}. {SECRET} {PROSE}"), END)

    for _ in range(2):  # more than there are threads
        fake.script = script
        answer = ask(proxy, headers)
        assert last_event(answer)["error"]["code"] == "unavailable"
        assert "Thornbury" not in answer.text
        assert faulty.HANG not in answer.text
        assert last_record(proxy)["ended"] == "cut"
        fake.script = lambda handler: events(handler, chunk(PROSE), END)
        assert ask(proxy, headers).text.endswith("data: [DONE]\n\n")


def test_a_detector_that_crashes_ends_its_stream_with_a_refusal(
    proxy: Running, headers: dict[str, str], fake: Upstream
) -> None:
    parts = chunk(PROSE), chunk(f"{faulty.CRASH}. {SECRET} {PROSE}"), END
    fake.script = lambda handler: events(handler, *parts)
    answer = ask(proxy, headers)
    assert '"finish_reason": "content_filter"' in answer.text
    assert "Thornbury" not in answer.text
    assert faulty.CRASH not in answer.text
    record = last_record(proxy)
    assert (record["action"], record["ended"]) == ("refuse", "complete")
    assert [failure["detector"] for failure in record["failures"]] == ["faulty"]


def drip(beginning: bytes, piece: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Says something, and then a little each moment, without end."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):  # it was hung up on
            handler.wfile.write(beginning)
            for _ in range(300):
                handler.wfile.write(piece)
                time.sleep(0.1)
        handler.close_connection = True

    return script


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n"
STREAM, WHOLE = HEAD % b"text/event-stream", HEAD % b"application/json"


@pytest.mark.parametrize(
    ("beginning", "piece", "stream"),
    [
        (STREAM + b"x: ", b"y", True),
        (STREAM + b"\r\n" + chunk(PROSE), b": still here\n\n", True),
        (STREAM + b"\r\n" + chunk(PROSE) + b"data: ", b"[", True),
        (STREAM + b"\r\n" + chunk(SECRET[:100]), chunk(""), True),
        (WHOLE + b"\r\n", b" ", False),
        (WHOLE.replace(b"200", b"400") + b"\r\n", b" ", False),
    ],
    ids=["headers", "comments", "event", "nothing", "body", "complaint"],
)
def test_a_model_server_that_drips_is_given_up(
    proxy: Running,
    headers: dict[str, str],
    fake: Upstream,
    beginning: bytes,
    piece: bytes,
    stream: bool,
) -> None:
    fake.script = drip(beginning, piece)
    answer = ask(proxy, headers, stream)
    assert "Thornbury" not in answer.text
    if chunk(PROSE) in beginning or SECRET[:100].encode() in beginning:
        error = last_event(answer)["error"]
        assert last_record(proxy)["ended"] == "cut"
    else:
        assert answer.status_code == 504
        error = answer.json()["error"]
    assert (error["code"], error["message"]) == (
        "upstream_error",
        "the model server took too long",
    )
