"""Amazon Bedrock's ApplyGuardrail.

The identifier and version of a guardrail are taken and not used: the policy in force is the
guardrail. Its `match` fields, which would repeat what was found, hold the kind instead.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from guardrail.findings import Action, Finding, Verdict
from guardrail.server.auth import require
from guardrail.server.errors import InvalidRequestError, Told
from guardrail.server.identity import Identity, Scope
from guardrail.server.routing import open_router
from guardrail.server.service import Question, Service

# What Bedrock calls the kinds of personal data that it has a name for.
NAMES = {
    "credit_card": "CREDIT_DEBIT_CARD_NUMBER",
    "card_security_code": "CREDIT_DEBIT_CARD_CVV",
    "driver_license": "DRIVER_ID",
    "email_address": "EMAIL",
    "iban_code": "INTERNATIONAL_BANK_ACCOUNT_NUMBER",
    "ip_address": "IP_ADDRESS",
    "mac_address": "MAC_ADDRESS",
    "person": "NAME",
    "phone_number": "PHONE",
    "street_address": "ADDRESS",
    "url": "URL",
    "us_ssn": "US_SOCIAL_SECURITY_NUMBER",
    "vehicle_id": "VEHICLE_IDENTIFICATION_NUMBER",
}
# Text that one unit of the bill covers.
UNIT_CHARS = 1000

_UNITS = (
    "topicPolicyUnits",
    "contentPolicyUnits",
    "wordPolicyUnits",
    "sensitiveInformationPolicyUnits",
    "sensitiveInformationPolicyFreeUnits",
    "contextualGroundingPolicyUnits",
)


class BedrockError(BaseModel):
    message: str


router = open_router("bedrock", BedrockError)


class Text(BaseModel):
    text: str
    qualifiers: list[Literal["grounding_source", "query", "guard_content"]] = Field(
        default_factory=list
    )


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Text


class ApplyRequest(BaseModel):
    source: Literal["INPUT", "OUTPUT"]
    content: list[Block]
    outputScope: Literal["INTERVENTIONS", "FULL"] = "INTERVENTIONS"


class OutputText(BaseModel):
    text: str


class ApplyBody(BaseModel):
    """What is done with a text."""

    usage: dict[str, int]
    action: Literal["NONE", "GUARDRAIL_INTERVENED"]
    actionReason: str
    outputs: list[OutputText]
    assessments: list[dict[str, Any]]
    guardrailCoverage: dict[str, dict[str, int]]


_NAMED = [
    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name in ("identifier", "version")
]


@router.post(
    "/guardrail/{identifier}/version/{version}/apply",
    response_model=ApplyBody,
    openapi_extra={"parameters": _NAMED},
)
async def apply(
    body: ApplyRequest,
    caller: Annotated[Identity, Depends(require(Scope.MODERATE))],
    request: Request,
) -> Response:
    """Judge the contents. One that is qualified as `query` is what the user asked, one that is a
    `grounding_source` is not judged."""
    service: Service = request.state.service
    prompt = tuple(b.text.text for b in body.content if b.text.qualifiers == ["query"])
    texts = [
        block.text.text
        for block in body.content
        if not block.text.qualifiers or "guard_content" in block.text.qualifiers
    ]
    if not texts:
        raise InvalidRequestError("content holds nothing to judge; give at least one text")
    began = time.perf_counter()
    questions = [Question(text, prompt) for text in texts]
    verdicts = await service.judge(
        caller, questions, event="apply", request=request.state.request_id
    )
    answer = _answer(texts, verdicts, body.outputScope == "FULL", time.perf_counter() - began)
    return Response(to_json(answer), media_type="application/json")


def bedrock_shape(error: Told) -> dict[str, Any]:
    """The shape of Bedrock's errors."""
    return {"message": error.message}


def _answer(
    texts: list[str], verdicts: list[Verdict], full: bool, seconds: float
) -> dict[str, Any]:
    chars = sum(map(len, texts))
    usage = dict.fromkeys(_UNITS, 0)
    units = sum(-(-len(text) // UNIT_CHARS) for text in texts)
    usage["wordPolicyUnits"] = usage["sensitiveInformationPolicyUnits"] = units
    coverage = {"textCharacters": {"guarded": _guarded(texts, verdicts), "total": chars}}
    intervened = any(verdict.action >= Action.REDACT for verdict in verdicts)
    metrics = {
        "guardrailProcessingLatency": round(1000 * seconds),
        "usage": usage,
        "guardrailCoverage": coverage,
    }
    findings = [f for v in verdicts for f in v.findings if full or f.action >= Action.FLAG]
    return {
        "usage": usage,
        "action": "GUARDRAIL_INTERVENED" if intervened else "NONE",
        "actionReason": "Guardrail blocked or masked." if intervened else "No action.",
        "outputs": [{"text": verdict.text} for verdict in verdicts] if intervened else [],
        "assessments": [{**_assessment(findings), "invocationMetrics": metrics}],
        "guardrailCoverage": coverage,
    }


def _guarded(texts: list[str], verdicts: list[Verdict]) -> int:
    """How many characters every detector judged."""
    shares = [min(verdict.coverage.values(), default=1.0) for verdict in verdicts]
    return sum(int(len(text) * share) for text, share in zip(texts, shares, strict=True))


def _assessment(findings: list[Finding]) -> dict[str, Any]:
    words, named, others = [], [], []
    for finding in findings:
        match = f"[{finding.kind}]"
        acted = finding.action >= Action.REDACT
        refused = finding.action is Action.REFUSE
        action = "BLOCKED" if refused else "ANONYMIZED" if acted else "NONE"
        if finding.evidence.document is not None:
            blocked = "BLOCKED" if acted else "NONE"
            words.append({"match": match, "action": blocked, "detected": True})
        elif finding.kind in NAMES:
            kind = NAMES[finding.kind]
            named.append({"match": match, "type": kind, "action": action, "detected": True})
        else:
            kind = finding.kind
            others.append({"name": kind, "match": match, "action": action, "detected": True})
    told: dict[str, Any] = {}
    if words:
        told["wordPolicy"] = {"customWords": words, "managedWordLists": []}
    if named or others:
        told["sensitiveInformationPolicy"] = {"piiEntities": named, "regexes": others}
    return told
