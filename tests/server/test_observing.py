"""What the service tells about itself: numbers, log lines and traces, none with text in it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from guardrail.server.identity import Scope
from tests.server.conftest import KEY, SECRET
from tests.server.running import PATIENCE, Running, running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []
    handler = type("Handler", (Collector,), {"bodies": bodies})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_traces_are_sent_and_hold_no_text(
    settings: dict[str, Any], tmp_path: Path, collector: tuple[str, list[bytes]]
) -> None:
    endpoint, bodies = collector
    with running(tmp_path, {**settings, "observe": {"otlp_endpoint": endpoint}}, KEY) as server:
        headers = server.headers(Scope.MODERATE)
        headers["traceparent"] = f"00-{TRACE}-00f067aa0ba902b7-01"
        answer = httpx.post(
            server.url + "/v1/check", json={"text": SECRET}, headers=headers, timeout=60
        )
        assert answer.status_code == 200
        server.stop()
    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.trace_id.hex() == TRACE
    ]
    by_name = {span.name: span for span in spans}
    assert set(by_name) == {"POST /v1/check", "guardrail.check"}
    check = by_name["guardrail.check"]
    assert check.parent_span_id == by_name["POST /v1/check"].span_id
    told = {one.key: one.value for one in check.attributes}
    assert told["guardrail.action"].string_value == "redact"
    assert told["guardrail.characters"].int_value == len(SECRET)
    assert not any(b"Thornbury" in body for body in bodies)


def test_numbers_have_conventional_names(server: Running) -> None:
    headers = server.headers(Scope.MODERATE)
    httpx.post(server.url + "/v1/check", json={"text": SECRET}, headers=headers, timeout=60)
    httpx.get(server.url + "/Thornbury", timeout=60)
    text = httpx.get(server.url + "/metrics", timeout=60).text
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    route = 'http_request_method="POST",http_response_status_code="200",http_route="/v1/check"'
    assert float(told[f"http_server_request_duration_seconds_count{{{route}}}"]) >= 1
    assert float(told['guardrail_checks_total{action="redact"}']) >= 1
    assert float(told["guardrail_checked_characters_total"]) >= len(SECRET)
    assert "process_resident_memory_bytes" in told
    assert "Thornbury" not in text


def logged(server: Running, request: str) -> dict[str, Any]:
    """The line of a request, which is written when the answer is out."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lines = [json.loads(line) for line in server.logged().splitlines(True) if line[-1] == "\n"]
        found = [line for line in lines if line.get("request") == request]
        if found:
            [line] = found
            return dict(line)
        time.sleep(0.05)
    raise AssertionError("the log has no such line")


def test_each_request_is_a_line_of_json(server: Running) -> None:
    headers = server.headers(Scope.MODERATE)
    sent = httpx.post(
        server.url + "/v1/check?x=Thornbury", json={"text": SECRET}, headers=headers, timeout=60
    )
    line = logged(server, sent.json()["id"])
    assert {name: line[name] for name in ("event", "level", "method", "route", "status")} == {
        "event": "request",
        "level": "info",
        "method": "POST",
        "route": "/v1/check",
        "status": 200,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert "Thornbury" not in server.logged()
