"""OpenAI's interfaces to models, in front of the model servers of the settings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from guardrail.integrations.bodies import Json
from guardrail.integrations.events import ChatStream, ResponseStream
from guardrail.server.audit_record import refusal
from guardrail.server.auth import require
from guardrail.server.errors import ForbiddenError
from guardrail.server.identity import Identity, Scope
from guardrail.server.outputs import limited, models_of
from guardrail.server.ports import SENSITIVE
from guardrail.server.proxy import Exchange, Interface
from guardrail.server.routing import OpenAIErrorBody, open_router
from guardrail.server.service import Service

router = open_router("proxy", OpenAIErrorBody)

CHAT = Interface("chat", "/chat/completions", ChatStream)
COMPLETIONS = Interface("completions", "/completions", ChatStream)
RESPONSES = Interface("responses", "/responses", ResponseStream)
EMBEDDINGS = Interface("embeddings", "/embeddings", None)
PATHS = tuple(f"/v1{one.path}" for one in (CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS))


class ProxyRequest(BaseModel):
    """A request as the model server takes it. What is not named here is passed on as it is."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1, description="The model; the key has to open it.")
    stream: bool | None = Field(default=None, strict=True)
    n: int | None = Field(default=None, ge=1, strict=True)


class Answer(BaseModel):
    """An answer as the model server gives it, filtered; a stream of events where asked for."""

    model_config = ConfigDict(extra="allow")


Caller = Annotated[Identity, Depends(require(Scope.PROXY))]


@router.post("/v1/chat/completions", response_model=Answer)
async def chat_completions(body: ProxyRequest, caller: Caller, request: Request) -> Response:
    """A chat completion, filtered."""
    return await _forward(CHAT, body, caller, request)


@router.post("/v1/completions", response_model=Answer)
async def completions(body: ProxyRequest, caller: Caller, request: Request) -> Response:
    """A legacy completion, filtered."""
    return await _forward(COMPLETIONS, body, caller, request)


@router.post("/v1/responses", response_model=Answer)
async def responses(body: ProxyRequest, caller: Caller, request: Request) -> Response:
    """A response, filtered."""
    return await _forward(RESPONSES, body, caller, request)


@router.post("/v1/embeddings", response_model=Answer)
async def embeddings(body: ProxyRequest, caller: Caller, request: Request) -> Response:
    """Vectors of texts, which tell what is in them: closed unless the settings open it, and then
    few a minute."""
    service: Service = request.state.service
    if not service.settings.outputs.embeddings:
        name: str = request.state.request_id
        await service.admit(caller)
        await service.record(refusal(EMBEDDINGS.event, caller, "embeddings", request=name))
        raise ForbiddenError("embeddings are not served here")
    return await _forward(EMBEDDINGS, body, caller, request, SENSITIVE)


async def _forward(
    interface: Interface,
    given: ProxyRequest,
    caller: Identity,
    request: Request,
    preset: str | None = None,
) -> Response:
    service: Service = request.state.service
    name: str = request.state.request_id
    body: Json = given.model_dump(exclude_unset=True)
    await service.admit(caller, preset=preset)
    try:
        for model in models_of(body):
            service.allow_model(caller, model)
    except ForbiddenError:
        await service.record(refusal(interface.event, caller, "model", request=name))
        raise
    limits = service.settings.outputs
    exchange: Any = Exchange(service, caller, interface, limited(body, limits), name)
    response: Response = exchange  # it is called as one
    return response
