"""Requests that take too much, and detectors that take too long: each costs itself only."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from tests.server import faulty
from tests.server.conftest import CLEAN, KEY, SECRET
from tests.server.running import Running, running

BOUNDS = {
    "body_bytes": 100_000,
    "header_bytes": 8_000,
    "header_seconds": 2,
    "body_seconds": 2,
    "check_seconds": 3,
    "threads": 2,
    "queue": 4,
    "text_chars": 50_000,
    "batch_texts": 20,
}


@pytest.fixture(scope="module")
def tight(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tight")
    with running(folder, {**settings, "bounds": BOUNDS}, KEY, faulty.COMMAND) as up:
        yield up


@pytest.fixture(scope="module")
def headers(tight: Running) -> dict[str, str]:
    return tight.headers(Scope.MODERATE)


def check(server: Running, headers: dict[str, str], text: str) -> httpx.Response:
    return httpx.post(server.url + "/v1/check", json={"text": text}, headers=headers, timeout=60)


def test_a_detector_that_hangs_costs_its_own_request_only(
    tight: Running, headers: dict[str, str]
) -> None:
    for _ in range(3):  # more than there are threads
        answer = check(tight, headers, f"{faulty.HANG}. {SECRET}")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "unavailable"
        assert "Thornbury" not in answer.text
        assert check(tight, headers, CLEAN).json()["action"] == "allow"
    assert httpx.get(tight.url + "/livez", timeout=60).status_code == 200


def test_a_detector_that_crashes_refuses_and_tells_nothing(
    tight: Running, headers: dict[str, str]
) -> None:
    answer = check(tight, headers, f"{faulty.CRASH}. {SECRET}").json()
    assert answer["action"] == "refuse"
    assert answer["failures"] == [{"detector": "faulty", "reason": "RuntimeError", "covered": 0.0}]
    assert "Thornbury" not in json.dumps(answer)
    assert "Thornbury" not in tight.logged()
    record = tight.records("check")[-1]
    assert json.loads(record.body)["failures"] == [{"detector": "faulty", "covered": 0.0}]


def test_one_text_of_a_batch_that_cannot_be_judged(tight: Running, headers: dict[str, str]) -> None:
    def batch(*texts: str) -> httpx.Response:
        body = {"checks": [{"text": text} for text in texts]}
        return httpx.post(f"{tight.url}/v1/check/batch", json=body, headers=headers, timeout=60)

    answer = batch(CLEAN, f"{faulty.CRASH}. {SECRET}", CLEAN)
    actions = [verdict["action"] for verdict in answer.json()["verdicts"]]
    assert actions == ["allow", "refuse", "allow"]
    assert "Thornbury" not in answer.text
    answer = batch(CLEAN, f"{faulty.HANG}. {SECRET}")
    assert (answer.status_code, set(answer.json())) == (503, {"error"})


def test_overload_is_answered_at_once_and_passes(tight: Running, headers: dict[str, str]) -> None:
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: check(tight, headers, faulty.DAWDLE), range(24)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) >= 10
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert "overloaded" in {answer.json()["error"]["code"] for answer in refused}
    assert all(a.json()["action"] == "allow" for a in answers if a.status_code == 200)
    assert check(tight, headers, CLEAN).json()["action"] == "allow"


def test_a_body_that_says_that_it_is_too_large_is_not_read(
    tight: Running, headers: dict[str, str]
) -> None:
    head = f"POST /v1/check HTTP/1.1\r\nhost: x\r\nauthorization: {headers['authorization']}\r\n"
    answer = tight.raw(f"{head}content-length: {100 << 20}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"too_large" in answer
    answer = tight.raw(f"{head}content-length: {'9' * 40}\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))


def test_a_body_of_a_hundred_megabytes_in_chunks_is_cut_off(
    tight: Running, headers: dict[str, str]
) -> None:
    assert tight.process is not None
    before = resident(tight.process.pid)
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1600):
            sent += 1 << 16
            yield b"x" * (1 << 16)

    try:
        answer = httpx.post(tight.url + "/v1/check", content=chunks(), headers=headers, timeout=60)
        assert answer.status_code == 413
    except httpx.HTTPError:
        pass  # the connection was closed while more was being sent
    assert sent < 64 << 20
    assert resident(tight.process.pid) - before < 50 << 20


def resident(pid: int) -> int:
    """The memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST /v1/check HTTP/1.1\r\nhost: x\r\nx-slow: ", b"\r\n"],
    ids=["nothing", "half of the headers", "an empty line"],
)
def test_headers_that_never_end_are_given_up(tight: Running, beginning: bytes) -> None:
    answer = tight.raw(beginning)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_never_ends_is_given_up(tight: Running, headers: dict[str, str]) -> None:
    head = f"POST /v1/check HTTP/1.1\r\nhost: x\r\nauthorization: {headers['authorization']}\r\n"
    answer = tight.raw(f'{head}content-length: 1000\r\n\r\n{{"text": "'.encode())
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in answer


def test_slow_clients_do_not_keep_others_waiting(tight: Running, headers: dict[str, str]) -> None:
    slow = [socket.create_connection(("127.0.0.1", tight.port)) for _ in range(200)]
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.2):
            for connection in slow:
                try:
                    connection.send(b"x")
                except OSError:
                    return

    for connection in slow:
        connection.send(b"GET /livez HTTP/1.1\r\nx: ")
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        assert check(tight, headers, CLEAN).json()["action"] == "allow"
    finally:
        stop.set()
        thread.join()
        for connection in slow:
            connection.close()


def hung_up(connection: socket.socket) -> bool:
    """Whether the other side closes a connection from which nothing is read."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            connection.sendall(b"x")
        except (ConnectionResetError, BrokenPipeError):
            return True
        time.sleep(0.5)
    return False


def test_answers_that_nobody_reads_are_given_up(tight: Running) -> None:
    """Each waits in the memory of the server, and its connection would stay for good."""
    with socket.create_connection(("127.0.0.1", tight.port), timeout=60) as connection:
        request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
        connection.sendall(request * 2000)  # 50 MB of answers: more than sockets hold
        assert hung_up(connection)
    assert tight.answers()


def test_headers_without_end_are_refused(tight: Running) -> None:
    answer = tight.raw(b"GET /livez HTTP/1.1\r\nx: " + b"y" * 20_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_second_request_has_its_own_time(tight: Running) -> None:
    """The time for headers counts from their first byte, not from the connection's beginning."""
    with socket.create_connection(("127.0.0.1", tight.port), timeout=30) as connection:
        for _ in range(4):
            connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = b""
            while b"}" not in answer:
                answer += connection.recv(65536)
            assert b"200 OK" in answer
            time.sleep(0.8)


def test_texts_have_a_bound(tight: Running, headers: dict[str, str]) -> None:
    answer = check(tight, headers, "a " * 30_000)
    assert answer.status_code == 413
    assert "allowed: up to 50000" in answer.json()["error"]["message"]
    batch = {"checks": [{"text": "a"}] * 21}
    answer = httpx.post(tight.url + "/v1/check/batch", json=batch, headers=headers, timeout=60)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"text": null}',
        b'{"text": 1}',
        b'{"text": ["a"]}',
        b'{"text": "a", "promt": "b"}',
        b'{"text": "\xff\xfe"}',
        b'{"text": "\\ud800"}',
        b'{"text": "a", "prompt": {"a": 1}}',
        b'{"text": NaN}',
        b"[" * 50_000,
        b'{"text":' * 10_000,
        b'{"text": "a"} {"text": "b"}',
        "\ufeff{}".encode("utf-16"),
        b"\x00" * 1000,
    ],
)
def test_what_is_no_check_is_refused(tight: Running, headers: dict[str, str], body: bytes) -> None:
    answer = httpx.post(tight.url + "/v1/check", content=body, headers=headers, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET\r\n\r\n",
        b"POST /v1/check HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/check HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/check HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na",
        b"POST /v1/check HTTP/1.1\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        b"GET /%00/../..//etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"BREW /v1/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(tight: Running, data: bytes) -> None:
    answer = tight.raw(data)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert b"Traceback" not in answer
    assert tight.answers()
