"""The service's own protocol: a text in, a verdict out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from guardrail.findings import Verdict
from guardrail.server.auth import require
from guardrail.server.identity import Identity, Scope
from guardrail.server.routing import open_router
from guardrail.server.service import Question, Service

router = open_router("check")

Caller = Annotated[Identity, Depends(require(Scope.MODERATE))]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CheckRequest(_Model):
    """A response to judge."""

    text: str = Field(description="The response.")
    prompt: str | list[str] | None = Field(
        default=None, description="What the user supplied, oldest first."
    )
    model: str | None = Field(default=None, description="The model that wrote the response.")
    conversation: str | None = Field(
        default=None, description="What the response belongs to; one value, one pseudonym there."
    )

    def question(self) -> Question:
        prompt = (self.prompt,) if isinstance(self.prompt, str) else tuple(self.prompt or ())
        return Question(self.text, prompt, self.model, conversation=self.conversation)


class BatchRequest(_Model):
    """Several responses."""

    checks: list[CheckRequest] = Field(min_length=1)


class EvidenceBody(BaseModel):
    """Where a finding comes from. It is empty for documents that are not the caller's to know."""

    document: str | None
    collection: str | None
    labels: list[str]
    corpus_start: int | None
    corpus_end: int | None
    matched: int | None
    words: int | None
    copies: int | None
    index: str | None
    record: str | None
    excuse: str | None
    excused: int
    view: str | None
    in_prompt: bool


class FindingBody(BaseModel):
    """A span, in code points of the text, and what was found there."""

    detector: str
    kind: str
    start: int
    end: int
    score: float
    action: str
    rule: str | None
    evidence: EvidenceBody


class FailureBody(BaseModel):
    """A detector that could not judge, and the share (0..1) of the text that it did judge."""

    detector: str
    reason: str
    covered: float


class VerdictBody(BaseModel):
    """A verdict. `text` is what may be sent."""

    id: str = Field(description="The request's id, as in the audit trail.")
    action: str = Field(description="allow, flag, redact or refuse.")
    text: str
    findings: list[FindingBody]
    failures: list[FailureBody]
    coverage: dict[str, float] = Field(description="The share of the text that each judged.")
    timings: dict[str, float] = Field(description="Seconds.")


class BatchBody(BaseModel):
    """Verdicts, in the order of the checks."""

    id: str
    verdicts: list[VerdictBody]


@router.post("/v1/check", response_model=VerdictBody)
async def check(body: CheckRequest, caller: Caller, request: Request) -> Response:
    """Judge one response."""
    service: Service = request.state.service
    name: str = request.state.request_id
    [verdict] = await service.judge(caller, [body.question()], event="check", request=name)
    return _json(verdict_dict(verdict, caller, name))


@router.post("/v1/check/batch", response_model=BatchBody)
async def check_batch(body: BatchRequest, caller: Caller, request: Request) -> Response:
    """Judge several responses at once; all of them, or none is answered."""
    service: Service = request.state.service
    name: str = request.state.request_id
    questions = [one.question() for one in body.checks]
    verdicts = await service.judge(caller, questions, event="check", request=name)
    return _json({"id": name, "verdicts": [verdict_dict(v, caller, name) for v in verdicts]})


_NOTHING: dict[str, Any] = {
    "document": None,
    "collection": None,
    "labels": [],
    "corpus_start": None,
    "corpus_end": None,
    "copies": None,
    "index": None,
    "record": None,
}


def verdict_dict(verdict: Verdict, caller: Identity, request: str) -> dict[str, Any]:
    """A verdict as the caller may see it: documents of other collections than the caller's protect
    themselves, and stay unnamed."""
    shown = verdict.to_dict()
    for finding in shown["findings"]:
        evidence = finding["evidence"]
        collection = evidence["collection"]
        if collection is not None and not caller.may_use_collection(collection):
            evidence.update(_NOTHING)
    return {"id": request, **shown}


def _json(value: dict[str, Any]) -> Response:
    # Lone surrogates of a response that was judged are not UTF-8.
    return Response(to_json(value, inf_nan_mode="null"), media_type="application/json")
