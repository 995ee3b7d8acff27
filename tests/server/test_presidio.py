"""Presidio's REST interface, over plain HTTP as LiteLLM's hook calls it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from guardrail.server.identity import Scope
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running

MAIL = "ottilie.brandt@kestrel-foundries.com"
TEXT = f"Write to {MAIL} today, or call 212-736-5142 tomorrow."


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=server.url, headers=server.headers(Scope.MODERATE), timeout=60
    ) as client:
        yield client


def found(client: httpx.Client, text: Any, **fields: Any) -> Any:
    answer = client.post("/analyze", json={"text": text, "language": "en", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_is_found_has_presidios_form(client: httpx.Client) -> None:
    [mail] = found(client, TEXT, entities=["EMAIL_ADDRESS"])
    assert set(mail) == {"entity_type", "start", "end", "score", "analysis_explanation"}
    assert TEXT[mail["start"] : mail["end"]] == MAIL
    assert mail["analysis_explanation"] is None
    assert 0 < mail["score"] <= 1
    assert found(client, CLEAN) == []


def test_a_leak_is_an_entity_too(client: httpx.Client) -> None:
    clean, leak = found(client, [CLEAN, f"Well. {SECRET}"])
    assert clean == []
    assert {entity["entity_type"] for entity in leak} == {"LEAK_VERBATIM"}


def test_thresholds_and_allowed_values(client: httpx.Client) -> None:
    assert found(client, TEXT, entities=["EMAIL_ADDRESS"], score_threshold=1.01) == []
    assert found(client, TEXT, entities=["EMAIL_ADDRESS"], allow_list=[MAIL]) == []
    assert found(client, SECRET, allow_list=[SECRET]) != []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ad_hoc_recognizers": [{"name": "x"}]}, "put them into the policy"),
        ({"allow_list": ["a"], "allow_list_match": "regex"}, "expressions are not run"),
        ({"text": []}, "give at least one text"),
        ({"text": 5}, "text"),
    ],
)
def test_what_cannot_be_taken(client: httpx.Client, fields: dict[str, Any], message: str) -> None:
    answer = client.post("/analyze", json={"text": "a", "language": "en", **fields})
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_what_was_found_is_replaced(client: httpx.Client) -> None:
    results = found(client, TEXT, entities=["EMAIL_ADDRESS"])
    body = {"text": TEXT, "analyzer_results": results}
    answer = client.post("/anonymize", json=body).json()
    assert answer["text"].startswith("Write to <EMAIL_ADDRESS> today")
    [item] = answer["items"]
    assert set(item) == {"operator", "entity_type", "start", "end", "text"}
    mask = {"type": "mask", "masking_char": "*", "chars_to_mask": 8, "from_end": False}
    masked = client.post("/anonymize", json={**body, "anonymizers": {"EMAIL_ADDRESS": mask}})
    assert masked.json()["text"].startswith("Write to ********brandt@")
    assert masked.json()["items"][0]["operator"] == "mask"


def test_what_is_made_of_a_text_is_bounded(client: httpx.Client) -> None:
    """A body of two megabytes that would become a text of a hundred gigabytes."""
    one = {"start": 0, "end": 5, "score": 1.0, "entity_type": "X"}
    long = {"DEFAULT": {"type": "replace", "new_value": "a" * 1_000_000}}
    for results, operators in (([one] * 20_000, long), ([one] * 20_000, {}), ([one] * 9, long)):
        body = {"text": TEXT, "analyzer_results": results, "anonymizers": operators}
        answer = client.post("/anonymize", json=body)
        assert answer.status_code == 413
        assert "can be replaced" in answer.json()["error"]


@pytest.mark.parametrize(
    "fields",
    [
        {"anonymizers": {"DEFAULT": {"type": "custom", "lambda": "lambda x: x"}}},
        {"anonymizers": {"DEFAULT": {"type": "mask", "masking_char": "**"}}},
        {"analyzer_results": [{"start": 3, "end": 900, "entity_type": "X"}]},
        {"analyzer_results": [{"start": 3, "end": 3, "entity_type": "X"}]},
    ],
)
def test_anonymizers_that_cannot_be_obeyed(client: httpx.Client, fields: dict[str, Any]) -> None:
    results = [{"start": 9, "end": 20, "score": 1.0, "entity_type": "EMAIL_ADDRESS"}]
    answer = client.post("/anonymize", json={"text": TEXT, "analyzer_results": results, **fields})
    assert answer.status_code == 400
    assert "brandt" not in answer.text
