"""Every route times every scope; and what tenants see of one another, which is nothing."""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from guardrail.server.app import ROUTERS
from guardrail.server.identity import Limits, Rate, Scope
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running

# Who may call what; None: anyone, without a key.
ROUTES: dict[tuple[str, str], Scope | None] = {
    ("POST", "/v1/check"): Scope.MODERATE,
    ("POST", "/v1/check/batch"): Scope.MODERATE,
    ("POST", "/v1/moderations"): Scope.MODERATE,
    ("POST", "/beta/litellm_basic_guardrail_api"): Scope.MODERATE,
    ("POST", "/analyze"): Scope.MODERATE,
    ("POST", "/anonymize"): Scope.MODERATE,
    ("POST", "/guardrail/{identifier}/version/{version}/apply"): Scope.MODERATE,
    ("POST", "/contentsafety/text:detectProtectedMaterial"): Scope.MODERATE,
    ("POST", "/contentsafety/text:detectProtectedMaterialForCode"): Scope.MODERATE,
    ("POST", "/v1/chat/completions"): Scope.PROXY,
    ("POST", "/v1/completions"): Scope.PROXY,
    ("POST", "/v1/responses"): Scope.PROXY,
    ("POST", "/v1/embeddings"): Scope.PROXY,
    ("GET", "/v1/admin/state"): Scope.ADMIN,
    ("POST", "/v1/admin/reload"): Scope.ADMIN,
    ("GET", "/console"): None,
    ("GET", "/console/console.css"): None,
    ("GET", "/console/console.js"): None,
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
}


def test_the_table_has_every_route() -> None:
    found = {
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert found == set(ROUTES)


def call(server: Running, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    filled = path.replace("{", "").replace("}", "")
    body: dict[str, Any] = {} if method == "GET" else {"json": {}}
    return httpx.request(method, server.url + filled, headers=headers, timeout=60, **body)


@pytest.fixture(scope="module")
def keys(server: Running) -> dict[Scope, dict[str, str]]:
    return {scope: server.headers(scope) for scope in Scope}


@pytest.mark.parametrize(("route", "scope"), list(product(ROUTES, Scope)))
def test_a_scope_opens_its_routes_and_no_other(
    server: Running,
    keys: dict[Scope, dict[str, str]],
    route: tuple[str, str],
    scope: Scope,
) -> None:
    answer = call(server, *route, keys[scope])
    if ROUTES[route] in (scope, None):
        assert answer.status_code not in (401, 403, 404, 405), answer.text
        assert answer.status_code < 500
    else:
        assert answer.status_code == 403
        assert str(ROUTES[route]) in answer.text


@pytest.mark.parametrize("route", [route for route, scope in ROUTES.items() if scope is not None])
def test_without_a_valid_key_nothing_opens(server: Running, route: tuple[str, str]) -> None:
    issued = server.keys.create("acme", list(Scope), ["*"], ["*"], actor="test")
    good = {"authorization": f"Bearer {issued.secret}"}
    assert call(server, *route, good).status_code != 401
    server.keys.revoke(issued.key.identity.key_id, actor="test")
    bad: list[dict[str, str]] = [
        {},
        good,  # revoked: from the next request on
        {"authorization": issued.secret},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {issued.secret[:-1]}"},
        {"authorization": f"Bearer {'a' * 5000}"},
        {"authorization": "Basic YTpi"},
        {"x-api-key": "None"},
    ]
    for headers in bad:
        answer = call(server, *route, headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"


def test_two_keys_at_once_open_nothing(server: Running) -> None:
    headers = {
        "authorization": f"Bearer {server.key(Scope.MODERATE)}",
        "x-api-key": server.key(Scope.ADMIN),
    }
    assert call(server, "POST", "/v1/check", headers).status_code == 401
    for name in ("authorization", "x-api-key"):
        scheme = "Bearer " if name == "authorization" else ""
        twice = [(name, scheme + server.key(scope)) for scope in (Scope.MODERATE, Scope.ADMIN)]
        answer = httpx.post(server.url + "/v1/check", json={}, headers=twice, timeout=60)
        assert answer.status_code == 401


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "ocp-apim-subscription-key"])
def test_the_headers_of_other_protocols_serve(server: Running, header: str) -> None:
    headers = {header: server.key(Scope.MODERATE)}
    assert call(server, "POST", "/v1/check", headers).status_code == 400


def test_a_key_expires(server: Running) -> None:
    soon = int(time.time()) + 2
    issued = server.keys.create("acme", [Scope.MODERATE], expires=soon, actor="test")
    headers = {"authorization": f"Bearer {issued.secret}"}
    while (status := call(server, "POST", "/v1/check", headers).status_code) == 400:
        assert time.time() < soon + 30
        time.sleep(0.1)
    assert status == 401
    assert time.time() >= soon


def check(server: Running, headers: dict[str, str], text: str = CLEAN, **more: Any) -> int:
    body = {"text": text, **more}
    return httpx.post(server.url + "/v1/check", json=body, headers=headers, timeout=60).status_code


def test_one_tenant_uses_up_its_own_limits_only(server: Running) -> None:
    two = Limits(requests=Rate(2, seconds=3600))
    first = server.headers(Scope.MODERATE, tenant="first", limits=two)
    second = server.headers(Scope.MODERATE, tenant="second", limits=two)
    assert [check(server, first) for _ in range(4)] == [200, 200, 429, 429]
    assert [check(server, second) for _ in range(2)] == [200, 200]


def test_limits_of_characters_say_when_to_come_back(server: Running) -> None:
    few = Limits(characters=Rate(100, seconds=3600))
    headers = server.headers(Scope.MODERATE, limits=few)
    answer = httpx.post(
        server.url + "/v1/check", json={"text": "a" * 101}, headers=headers, timeout=60
    )
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "rate_limited"
    assert int(answer.headers["retry-after"]) >= 1


def test_a_key_opens_its_models_only(server: Running) -> None:
    headers = server.headers(Scope.MODERATE, models=("small",))
    assert check(server, headers, model="small") == 200
    assert check(server, headers, model="large") == 403
    assert check(server, headers) == 200


def test_records_name_their_tenant_and_hold_no_text(server: Running) -> None:
    assert check(server, server.headers(Scope.MODERATE, tenant="kestrel"), SECRET) == 200
    record = server.records("check")[-1]
    assert '"tenant":"kestrel"' in str(record.personal)
    assert "Thornbury" not in f"{record.body}{record.personal}"
    assert "Thornbury" not in server.logged()
