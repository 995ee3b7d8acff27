"""OpenAI's moderations, asked by OpenAI's client."""

from __future__ import annotations

import openai
import pytest
from openai import OpenAI

from guardrail.server.identity import Scope
from guardrail.server.routes.moderations import OURS, REQUIRED
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running


@pytest.fixture
def client(server: Running) -> OpenAI:
    return OpenAI(
        base_url=f"{server.url}/v1", api_key=server.key(Scope.MODERATE), max_retries=0, timeout=30
    )


def test_a_clean_text_is_not_flagged(client: OpenAI) -> None:
    [result] = client.moderations.create(input=CLEAN).results
    assert not result.flagged
    assert not any(result.categories.model_dump(by_alias=True).values())
    assert set(REQUIRED) | set(OURS) == set(result.categories.model_dump(by_alias=True))


def test_a_leak_is_flagged_in_a_category_of_its_own(client: OpenAI) -> None:
    mail = "Write to ottilie.brandt@kestrel-foundries.com today."
    answer = client.moderations.create(input=[SECRET, CLEAN, mail], model="omni-moderation-latest")
    leak, clean, personal = answer.results
    assert answer.model == "corpus-guardrail"
    assert [leak.flagged, clean.flagged, personal.flagged] == [True, False, True]
    found = leak.categories.model_extra or {}
    assert found["leak/verbatim"] is True
    assert found["pii"] is False
    scores = personal.category_scores.model_extra or {}
    assert 0 < scores["pii/email_address"] <= 1
    assert leak.category_applied_input_types.hate == ["text"]


def test_parts_are_one_input(client: OpenAI) -> None:
    half = len(SECRET) // 2
    parts = [{"type": "text", "text": SECRET[:half]}, {"type": "text", "text": SECRET[half:]}]
    [result] = client.moderations.create(input=parts).results  # type: ignore[arg-type]
    assert result.flagged


def test_an_image_is_refused(client: OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError, match="images cannot be judged"):
        client.moderations.create(input=[{"type": "text", "text": CLEAN}, image])  # type: ignore[arg-type]


def test_errors_are_openais(server: Running) -> None:
    stranger = OpenAI(base_url=f"{server.url}/v1", api_key="sk-nobody", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as raised:
        stranger.moderations.create(input=CLEAN)
    assert raised.value.code == "unauthenticated"
    closed = OpenAI(base_url=f"{server.url}/v1", api_key=server.key(Scope.PROXY), max_retries=0)
    with pytest.raises(openai.PermissionDeniedError):
        closed.moderations.create(input=CLEAN)
