"""ApplyGuardrail, called by boto3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from guardrail.server.identity import Scope
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running

USAGE = {
    "topicPolicyUnits",
    "contentPolicyUnits",
    "wordPolicyUnits",
    "sensitiveInformationPolicyUnits",
    "sensitiveInformationPolicyFreeUnits",
    "contextualGroundingPolicyUnits",
}


def bedrock(server: Running, key: str) -> Any:
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=server.url,
        region_name="eu-north-1",
        aws_access_key_id=key,
        aws_secret_access_key="not used",
        config=Config(retries={"max_attempts": 0}, read_timeout=60),
    )


@pytest.fixture
def client(server: Running) -> Iterator[Any]:
    client = bedrock(server, server.key(Scope.MODERATE))
    yield client
    client.close()


def apply(client: Any, *blocks: dict[str, Any], **fields: Any) -> Any:
    return client.apply_guardrail(
        guardrailIdentifier="any",
        guardrailVersion="DRAFT",
        source="OUTPUT",
        content=[{"text": block} for block in blocks],
        **fields,
    )


def test_a_clean_text_passes(client: Any) -> None:
    answer = apply(client, {"text": CLEAN})
    assert answer["action"] == "NONE"
    assert answer["outputs"] == []
    assert set(answer["usage"]) == USAGE
    assert answer["guardrailCoverage"]["textCharacters"] == {
        "guarded": len(CLEAN),
        "total": len(CLEAN),
    }


def test_a_leak_is_taken_out_and_not_repeated(client: Any) -> None:
    answer = apply(client, {"text": f"Well: {SECRET}"}, {"text": CLEAN})
    assert answer["action"] == "GUARDRAIL_INTERVENED"
    leak, clean = answer["outputs"]
    assert "furosemide" not in str(answer)
    assert leak["text"].startswith("Well: [REDACTED]")
    assert clean["text"] == CLEAN
    [word] = answer["assessments"][0]["wordPolicy"]["customWords"]
    assert word == {"match": "[verbatim]", "action": "BLOCKED", "detected": True}


def test_personal_data_has_bedrocks_names(client: Any) -> None:
    answer = apply(client, {"text": "Write to ottilie.brandt@kestrel-foundries.com today."})
    [found] = answer["assessments"][0]["sensitiveInformationPolicy"]["piiEntities"]
    assert (found["type"], found["action"]) == ("EMAIL", "ANONYMIZED")
    assert "brandt" not in str(answer)


def test_a_query_is_what_the_user_said_and_sources_are_not_judged(client: Any) -> None:
    source = {"text": SECRET, "qualifiers": ["grounding_source"]}
    assert apply(client, source, {"text": CLEAN})["action"] == "NONE"
    with pytest.raises(ClientError, match="nothing to judge"):
        apply(client, source)


def test_a_stranger_is_refused(server: Running) -> None:
    with (
        closing(bedrock(server, "AKIDEXAMPLE")) as stranger,
        pytest.raises(ClientError) as raised,
    ):
        apply(stranger, {"text": CLEAN})
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 401
