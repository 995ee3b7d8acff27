"""Azure's protected material, over plain HTTP: its package has no method for it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running

TEXT = "/contentsafety/text:detectProtectedMaterial?api-version=2024-09-01"
CODE = "/contentsafety/text:detectProtectedMaterialForCode?api-version=2024-09-15-preview"


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (TEXT, {"text": CLEAN}, {"detected": False}),
        (TEXT, {"text": f"Well. {SECRET}"}, {"detected": True}),
        (TEXT, {"text": "Write to ottilie.brandt@kestrel-foundries.com."}, {"detected": False}),
        (CODE, {"code": f"# {SECRET}\nprint(1)"}, {"detected": True, "codeCitations": []}),
    ],
)
def test_what_is_protected(
    server: Running, path: str, body: dict[str, str], expected: dict[str, Any]
) -> None:
    headers = {"Ocp-Apim-Subscription-Key": server.key(Scope.MODERATE)}
    answer = httpx.post(server.url + path, json=body, headers=headers, timeout=60)
    assert answer.json() == {"protectedMaterialAnalysis": expected}


def test_errors_are_azures(server: Running) -> None:
    answer = httpx.post(server.url + TEXT, json={"text": CLEAN}, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "Unauthenticated"
