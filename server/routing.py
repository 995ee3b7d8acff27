"""Routes of the form that every protocol here has: a JSON body, a caller, a response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from guardrail.server.identity import Identity


class ErrorDetail(BaseModel):
    code: str
    message: str
    request_id: str


class ErrorBody(BaseModel):
    """What went wrong: a word for programs, a sentence for people."""

    error: ErrorDetail


class OpenAIErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class OpenAIErrorBody(BaseModel):
    """What went wrong, as OpenAI's clients read it."""

    error: OpenAIErrorDetail


def open_router(tag: str, error: type[BaseModel] = ErrorBody) -> APIRouter:
    """A router for one protocol; `error` is the body of its errors."""
    responses: dict[int | str, dict[str, Any]] = {
        "default": {"model": error, "description": "There is no verdict."}
    }
    return APIRouter(tags=[tag], route_class=JsonRoute, responses=responses)


class JsonRoute(APIRoute):
    """Calls an endpoint that takes `body`, `caller` and `request` and returns a Response; any other
    endpoint is FastAPI's.

    FastAPI reads the signature for its OpenAPI document. Its general machinery for calling is left
    out: it takes half of the time of a small check. The key is looked at before the body.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        hints = get_type_hints(endpoint, include_extras=True)
        self._is_plain = {"body", "caller", "request", "return"} == set(hints)
        if self._is_plain:
            self._body: TypeAdapter[Any] = TypeAdapter(hints["body"])
            [depends] = hints["caller"].__metadata__
            self._caller: Callable[..., Awaitable[Identity]] = depends.dependency

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_plain or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive)
        caller = await self._caller(request)
        try:
            body = self._body.validate_json(await request.body())
        except ValidationError as error:
            # The input stays behind.
            details = error.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError(
                [{**detail, "loc": ("body", *detail["loc"])} for detail in details]
            ) from None
        response: Response = await self.endpoint(body=body, caller=caller, request=request)
        await response(scope, receive, send)
