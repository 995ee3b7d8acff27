"""The service's own protocol."""

from __future__ import annotations

import json
from typing import Any

import httpx

from guardrail.server.identity import Scope
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running


def post(server: Running, path: str, body: object, **fields: Any) -> httpx.Response:
    headers = server.headers(Scope.MODERATE, **fields)
    return httpx.post(server.url + path, json=body, headers=headers, timeout=60)


def test_a_clean_text_is_allowed_and_recorded(server: Running) -> None:
    answer = post(server, "/v1/check", {"text": CLEAN})
    assert answer.status_code == 200
    assert answer.json()["action"] == "allow"
    assert answer.json()["text"] == CLEAN
    assert answer.headers["x-request-id"] == answer.json()["id"]
    record = json.loads(server.records("check")[-1].body)
    assert record["request"] == answer.json()["id"]
    assert len(record["policy"]) == 16


def test_a_leak_is_redacted_and_names_its_document(server: Running) -> None:
    answer = post(server, "/v1/check", {"text": f"It says: {SECRET}"}).json()
    assert answer["action"] == "redact"
    assert "Thornbury" not in answer["text"]
    assert answer["findings"][0]["evidence"]["document"].endswith("note.txt")
    assert "Thornbury" not in repr(server.records())


def test_documents_of_other_collections_stay_unnamed(server: Running) -> None:
    answer = post(server, "/v1/check", {"text": SECRET}, collections=("mine",)).json()
    assert answer["action"] == "redact"
    assert "note.txt" not in str(answer["findings"])
    assert "default" not in str([finding["evidence"] for finding in answer["findings"]])


def test_a_batch_keeps_its_order(server: Running) -> None:
    checks = [{"text": CLEAN}, {"text": SECRET}, {"text": CLEAN}]
    answer = post(server, "/v1/check/batch", {"checks": checks}).json()
    assert [verdict["action"] for verdict in answer["verdicts"]] == ["allow", "redact", "allow"]


def test_without_a_key_nothing_is_judged(server: Running) -> None:
    answer = httpx.post(server.url + "/v1/check", json={"text": CLEAN}, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"


def test_health(server: Running) -> None:
    assert httpx.get(server.url + "/livez", timeout=60).status_code == 200
    assert httpx.get(server.url + "/readyz", timeout=60).json() == {
        "status": "ready",
        "failing": [],
    }
    assert (
        "http_server_request_duration_seconds"
        in httpx.get(server.url + "/metrics", timeout=60).text
    )
