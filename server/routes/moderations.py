"""OpenAI's moderations: the same checks in the form that its clients expect.

The categories that clients require (hate, violence and so on) are not judged here: they are always
false. What is judged stands in categories of our own, which the clients keep: `leak/...`, `pii/...`
and `secret/...`, and `unjudged` where a detector failed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from guardrail.findings import Action, Finding, Verdict
from guardrail.policy import Policy
from guardrail.server.auth import require
from guardrail.server.errors import InvalidRequestError
from guardrail.server.identity import Identity, Scope
from guardrail.server.routing import OpenAIErrorBody, open_router
from guardrail.server.service import Question, Service

router = open_router("moderations", OpenAIErrorBody)

MODEL = "corpus-guardrail"
REQUIRED = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
# Reported, false or true, in every result; those of single kinds (`pii/email_address`) only where
# they are true.
OURS = (
    "leak/verbatim",
    "leak/near-verbatim",
    "leak/passage",
    "leak/phrase",
    "leak/record",
    "leak/memorized",
    "pii",
    "secret",
    "unjudged",
)


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ImageURL(BaseModel):
    url: str


class ImagePart(BaseModel):
    type: Literal["image_url"]
    image_url: ImageURL


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ModerationRequest(BaseModel):
    """Texts to judge. Fields that OpenAI's clients send besides these have no effect."""

    input: str | list[str] | list[Part] = Field(description="One text, several, or one in parts.")
    model: str | None = Field(default=None, description="Taken and not used.")


class ModerationResult(BaseModel):
    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Literal["text", "image"]]]


class ModerationBody(BaseModel):
    id: str
    model: str
    results: list[ModerationResult]


@router.post("/v1/moderations", response_model=ModerationBody)
async def moderate(
    body: ModerationRequest,
    caller: Annotated[Identity, Depends(require(Scope.MODERATE))],
    request: Request,
) -> Response:
    """Judge texts. `flagged` is whether the policy would not let a text pass unmarked."""
    service: Service = request.state.service
    name: str = request.state.request_id
    questions = [Question(text) for text in _texts(body.input)]
    verdicts = await service.judge(caller, questions, event="moderations", request=name)
    policy = service.guard.now.rail.policy
    answer = {
        "id": name,
        "model": MODEL,
        "results": [_result(verdict, policy) for verdict in verdicts],
    }
    return Response(to_json(answer), media_type="application/json")


def _texts(given: str | list[str] | list[TextPart | ImagePart]) -> list[str]:
    if isinstance(given, str):
        return [given]
    if not given:
        raise InvalidRequestError("input is empty; give at least one text")
    parts = []
    for part in given:
        if isinstance(part, ImagePart):
            raise InvalidRequestError("images cannot be judged; send text only")
        parts.append(part if isinstance(part, str) else part.text)
    if isinstance(given[0], TextPart):
        # All parts are one input; what runs over from one into the next is found as well.
        return ["\n".join(parts)]
    return parts


def _result(verdict: Verdict, policy: Policy) -> dict[str, Any]:
    scores = dict.fromkeys((*REQUIRED, *OURS), 0.0)
    flagged = {"unjudged": 1.0} if verdict.failures else {}
    for finding in verdict.findings:
        if finding.action >= Action.FLAG:
            for category in _categories(finding, policy):
                # Two digits: the exact score would help to find the way around a rule.
                flagged[category] = max(flagged.get(category, 0.0), round(finding.score, 2))
    scores.update(flagged)
    return {
        "flagged": verdict.action >= Action.FLAG,
        "categories": {category: category in flagged for category in scores},
        "category_scores": scores,
        "category_applied_input_types": {category: ["text"] for category in scores},
    }


def _categories(finding: Finding, policy: Policy) -> tuple[str, ...]:
    settings = policy.detectors.get(finding.detector)
    kind = getattr(settings, "type", None)
    if kind == "pii":
        return "pii", f"pii/{finding.kind}"
    if kind == "secrets":
        return "secret", f"secret/{finding.kind}"
    return (f"leak/{finding.kind}",)
