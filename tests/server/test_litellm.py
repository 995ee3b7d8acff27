"""The generic guardrail of LiteLLM's proxy, with bodies as it sends them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running

PATH = "/beta/litellm_basic_guardrail_api"


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=server.url, headers={"x-api-key": server.key(Scope.MODERATE)}, timeout=60
    ) as client:
        yield client


def ask(client: httpx.Client, **fields: Any) -> Any:
    body: dict[str, Any] = {
        "input_type": "response",
        "request_data": {},
        "texts": None,
        "images": None,
    }
    answer = client.post(PATH, json={**body, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_clean_text_passes_but_for_its_end(client: httpx.Client) -> None:
    answer = ask(client, texts=[CLEAN])
    assert answer["action"] == "NONE"
    [held] = answer["stream_holdback_chars"]
    assert 0 <= held <= len(CLEAN)
    assert ask(client, texts=None) == {"action": "NONE"}
    assert "stream_holdback_chars" not in ask(client, input_type="request", texts=[CLEAN])


def test_a_leak_is_taken_out(client: httpx.Client) -> None:
    answer = ask(client, texts=[CLEAN, f"Well. {SECRET}"])
    assert answer["action"] == "GUARDRAIL_INTERVENED"
    assert answer["texts"][0] == CLEAN
    assert "furosemide" not in str(answer)


def test_a_leak_is_blocked_where_changes_do_not_arrive(client: httpx.Client) -> None:
    client.headers["x-guardrail-redactions"] = "block"
    answer = ask(client, texts=[CLEAN, f"Well. {SECRET}"])
    assert answer["action"] == "BLOCKED"
    assert "furosemide" not in str(answer)
    assert ask(client, texts=[CLEAN])["action"] == "NONE"
    # What is none of its values is no permission to redact.
    client.headers["x-guardrail-redactions"] = "blok"
    assert client.post(PATH, json={"input_type": "response", "texts": [SECRET]}).status_code == 400


def test_nothing_of_a_leak_goes_while_it_is_said(client: httpx.Client) -> None:
    """What LiteLLM has passed on after each call: the text of the answer less what is held back."""
    before = f"{CLEAN} Then let them rest, and eat them while they are warm. " * 12
    said = f"{before}{SECRET} Is there anything else?"
    gone = ""
    for end in range(4, len(said), 60):
        answer = ask(client, texts=[said[:end]])
        assert answer["action"] != "BLOCKED"
        text = (answer.get("texts") or [said[:end]])[0]
        passed = text[: len(text) - answer["stream_holdback_chars"][0]]
        assert passed.startswith(gone)
        gone = passed
        assert "Abigail" not in gone
    assert gone.startswith(CLEAN)


def test_arguments_of_tool_calls_are_blocked(client: httpx.Client) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}
    call["function"] = {"name": "f", "arguments": f'{{"note": "{SECRET}"}}'}
    answer = ask(client, texts=[], tool_calls=[call])
    assert answer["action"] == "BLOCKED"
    assert "furosemide" not in answer["blocked_reason"]
    call["function"] = {"name": "f", "arguments": '{"note": "two eggs"}'}
    assert ask(client, texts=["x"], tool_calls=[call])["action"] == "NONE"
