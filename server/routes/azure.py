"""Azure's protected material: whether a text repeats what is protected, yes or no."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from guardrail.findings import Action, Verdict
from guardrail.server.auth import require
from guardrail.server.errors import Told, UnavailableError
from guardrail.server.identity import Identity, Scope
from guardrail.server.routing import open_router
from guardrail.server.service import Question, Service


class AzureErrorDetail(BaseModel):
    code: str
    message: str


class AzureError(BaseModel):
    error: AzureErrorDetail


router = open_router("azure", AzureError)

Caller = Annotated[Identity, Depends(require(Scope.MODERATE))]


class TextRequest(BaseModel):
    text: str


class CodeRequest(BaseModel):
    code: str


class Analysis(BaseModel):
    detected: bool


class TextBody(BaseModel):
    protectedMaterialAnalysis: Analysis


class Citation(BaseModel):
    license: str
    sourceUrls: list[str]


class CodeAnalysis(Analysis):
    codeCitations: list[Citation]


class CodeBody(BaseModel):
    protectedMaterialAnalysis: CodeAnalysis


@router.post("/contentsafety/text:detectProtectedMaterial", response_model=TextBody)
async def detect(body: TextRequest, caller: Caller, request: Request) -> Response:
    """Whether a text repeats protected text."""
    detected = await _is_protected(body.text, caller, request)
    return _json({"detected": detected})


@router.post("/contentsafety/text:detectProtectedMaterialForCode", response_model=CodeBody)
async def detect_code(body: CodeRequest, caller: Caller, request: Request) -> Response:
    """Whether code repeats protected text. An index of private text has no licences to cite."""
    detected = await _is_protected(body.code, caller, request)
    return _json({"detected": detected, "codeCitations": []})


async def _is_protected(text: str, caller: Identity, request: Request) -> bool:
    service: Service = request.state.service
    name: str = request.state.request_id
    [verdict] = await service.judge(caller, [Question(text)], event="protected", request=name)
    return is_leak(verdict)


def is_leak(verdict: Verdict) -> bool:
    """Whether the policy does not let a text pass unmarked because of what stands in a corpus.
    Raises UnavailableError where that could not be judged."""
    if any(f.evidence.document is not None and f.action >= Action.FLAG for f in verdict.findings):
        return True
    if verdict.failures and verdict.action is Action.REFUSE:
        raise UnavailableError("the text could not be judged")
    return False


def azure_shape(error: Told) -> dict[str, Any]:
    """The shape of Azure's errors."""
    code = "".join(part.capitalize() for part in error.code.split("_"))
    return {"error": {"code": code, "message": error.message}}


def _json(analysis: dict[str, Any]) -> Response:
    return Response(to_json({"protectedMaterialAnalysis": analysis}), media_type="application/json")
