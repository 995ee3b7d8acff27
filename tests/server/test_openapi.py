"""The OpenAPI document says what the service does: random requests that fit it are answered as it
says, and never with an internal error."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from guardrail.server.identity import Scope
from tests.server.running import Running

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def document(server: Running) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(server.url + "/openapi.json", timeout=60).json()
    return told


def test_random_requests_are_answered_as_the_document_says(server: Running) -> None:
    schema = schemathesis.openapi.from_dict(document(server))
    schema.config.update(base_url=server.url)
    headers = server.headers(*Scope)
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
    assert len(operations) >= 8
    for operation in operations:

        @settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
        @given(case=operation.as_strategy())
        def fuzz(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS, timeout=60)

        fuzz()


def test_routes_that_need_a_key_say_so(server: Running) -> None:
    for path, operations in document(server)["paths"].items():
        for operation in operations.values():
            needs_key = path not in ("/livez", "/readyz", "/metrics")
            assert bool(operation.get("security")) == needs_key, path


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/check/", "/docs", "/v1/checks"])
def test_what_is_not_there_is_not_found(server: Running, path: str) -> None:
    answer = httpx.get(server.url + path, timeout=60)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_another_method_is_not_allowed(server: Running) -> None:
    answer = httpx.get(server.url + "/v1/check", timeout=60)
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
