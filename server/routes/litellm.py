"""LiteLLM's generic guardrail: its proxy asks here before it passes a model's text on.

On a stream each call carries the text so far. `stream_holdback_chars` says how much of its end must
wait, which is what our own filter of streams would hold back: LiteLLM passes nothing of that on.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, Field, JsonValue
from pydantic_core import to_json

from guardrail.findings import Action
from guardrail.server.auth import require
from guardrail.server.identity import Identity, Scope
from guardrail.server.routing import open_router
from guardrail.server.service import Question, Service

router = open_router("litellm")


class GuardrailRequest(BaseModel):
    """What LiteLLM sends. Fields besides these have no effect."""

    input_type: Literal["request", "response"]
    request_data: dict[str, JsonValue] = Field(default_factory=dict)
    texts: list[str] | None = None
    structured_messages: list[dict[str, JsonValue]] | None = None
    tool_calls: list[dict[str, JsonValue]] | None = None
    litellm_call_id: str | None = None
    litellm_trace_id: str | None = None
    model: str | None = None


class GuardrailBody(BaseModel):
    """What LiteLLM is to do."""

    action: Literal["NONE", "BLOCKED", "GUARDRAIL_INTERVENED"]
    blocked_reason: str | None = None
    texts: list[str] | None = None
    stream_holdback_chars: list[int] | None = None


@router.post("/beta/litellm_basic_guardrail_api", response_model=GuardrailBody)
async def decide(
    body: GuardrailRequest,
    caller: Annotated[Identity, Depends(require(Scope.MODERATE))],
    request: Request,
    redactions: Annotated[
        Literal["block"] | None,
        Header(
            alias="x-guardrail-redactions",
            description="block: what would be redacted is blocked; for modes of LiteLLM that do "
            "not pass changes of a stream on",
        ),
    ] = None,
) -> Response:
    """Judge the texts of a request or a response. Arguments of tool calls, which LiteLLM takes back
    as they are or not at all, are blocked where they would be changed."""
    service: Service = request.state.service
    texts = body.texts or []
    prompt = tuple(_said_by_user(body.structured_messages or ()))
    calls = list(_arguments(body.tool_calls or ()))
    questions = [
        Question(text, prompt, conversation=body.litellm_trace_id) for text in (*texts, *calls)
    ]
    if not questions:
        return _json({"action": "NONE"})
    verdicts = await service.judge(
        caller, questions, event="litellm", request=request.state.request_id
    )
    refused = any(verdict.action is Action.REFUSE for verdict in verdicts)
    changed = [verdict.action >= Action.REDACT for verdict in verdicts]
    must_pass = changed if redactions == "block" else changed[len(texts) :]
    if refused or any(must_pass):
        # It reaches the end user: the refusal's text, which says nothing of what was found.
        return _json({"action": "BLOCKED", "blocked_reason": service.guard.now.rail.policy.refusal})
    safe = [verdict.text for verdict in verdicts[: len(texts)]]
    answer: dict[str, Any] = {"action": "GUARDRAIL_INTERVENED" if any(changed) else "NONE"}
    if any(changed):
        answer["texts"] = safe
    if body.input_type == "response":
        answer["stream_holdback_chars"] = await service.held_back(caller, questions, safe)
    return _json(answer)


def _said_by_user(messages: Any) -> Any:
    for message in messages:
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, str):
            yield content
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _arguments(calls: Any) -> Any:
    for call in calls:
        function = call.get("function")
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            yield function["arguments"]


def _json(value: dict[str, Any]) -> Response:
    return Response(to_json(value), media_type="application/json")
