"""Errors as the service tells them: a status, a word for programs, a sentence for people.

    ServiceError
    ├── InvalidRequestError        400 / 413 / 408   what was sent cannot be taken
    ├── UnauthenticatedError       401   no key, or not one of ours
    ├── ForbiddenError             403   the key does not open this
    ├── NotFoundError              404
    ├── OverloadedError            503   too much to do; nothing was done, and a later try may go
    ├── UnavailableError           503   a part of the service does not answer: fails closed
    └── UpstreamError              502 / 504 / its own   the model server gave no answer

Each protocol has its own shape for them, see `Shape`. No shape holds text of a request, a response
or a corpus, and none a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from guardrail.errors import (
    GuardrailError,
    LimitsUnavailableError,
    RateLimitedError,
    StoreError,
)
from guardrail.yaml_file import clip


class ServiceError(GuardrailError):
    """A request that ends without a verdict. `code` is for programs."""

    status = 500
    code = "internal_error"
    param: str | None = None
    retry_after: int | None = None


class InvalidRequestError(ServiceError):
    """What was sent cannot be taken."""

    status = 400
    code = "invalid_request"

    def __init__(self, message: str, status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class UnauthenticatedError(ServiceError):
    """No key, or not one that is valid now."""

    status = 401
    code = "unauthenticated"


class ForbiddenError(ServiceError):
    """The key does not open this."""

    status = 403
    code = "forbidden"


class NotFoundError(ServiceError):
    """There is nothing under this name."""

    status = 404
    code = "not_found"


class OverloadedError(ServiceError):
    """Too much to do at the moment; nothing was done."""

    status = 503
    code = "overloaded"
    retry_after = 1


class UnavailableError(ServiceError):
    """A part of the service does not answer, so that nothing can be let through."""

    status = 503
    code = "unavailable"
    retry_after = 1


class UpstreamError(ServiceError):
    """The model server gave no answer, or one that cannot be passed on."""

    code = "upstream_error"

    def __init__(
        self,
        message: str,
        status: int = 502,
        code: str = "upstream_error",
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after = status, code, param, retry_after


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller is told about an error, before a protocol gives it its shape."""

    status: int
    code: str
    message: str
    request_id: str
    retry_after: int | None = None
    param: str | None = None


Shape = Callable[[Told], dict[str, Any]]
"""The body of an error in one protocol."""


def told(error: Exception, request_id: str) -> Told:
    """What may be said of an error. Of one that nobody foresaw, nothing."""
    match error:
        case ServiceError():
            said = str(error)
            return Told(error.status, error.code, said, request_id, error.retry_after, error.param)
        case RequestValidationError():
            return Told(400, "invalid_request", _invalid(error), request_id)
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase
            code = phrase.lower().replace(" ", "_")
            return Told(error.status_code, code, phrase, request_id)
        case RateLimitedError():
            return Told(429, "rate_limited", str(error), request_id, error.retry_after)
        case StoreError():
            return Told(503, "unavailable", "the store of records is away", request_id, 1)
        case LimitsUnavailableError():
            return Told(503, "unavailable", "the store of rate limits is away", request_id, 1)
    return Told(500, "internal_error", "internal error; the log names it", request_id)


def _invalid(error: RequestValidationError) -> str:
    """Where a request is not as it should be; of what it holds, names of fields only."""
    problems = []
    for detail in error.errors()[:10]:
        place = ".".join(clip(str(part)) for part in detail["loc"][1:])
        problems.append(f"{place}: {detail['msg']}" if place else str(detail["msg"]))
    return "; ".join(problems)


class Shapes:
    """The shape of errors on each path."""

    def __init__(self, table: Sequence[tuple[str, Shape]]) -> None:
        """`table`: beginnings of paths; the first that fits counts, and none is native."""
        self._table = tuple(table)

    def response(self, error: Exception, path: str, request_id: str) -> JSONResponse:
        """The answer to a request that ended with an error."""
        tells = told(error, request_id)
        headers = {}
        if tells.retry_after is not None:
            headers["Retry-After"] = str(tells.retry_after)
        if tells.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, HTTPException) and error.headers:
            headers.update(error.headers)
        shape = next((s for start, s in self._table if path.startswith(start)), native_shape)
        return JSONResponse(shape(tells), tells.status, headers)


def native_shape(error: Told) -> dict[str, Any]:
    """The shape of the service's own protocol, and of every path that has no other."""
    return {"error": {"code": error.code, "message": error.message, "request_id": error.request_id}}


def openai_shape(error: Told) -> dict[str, Any]:
    """The shape of OpenAI's interfaces, which their clients turn into exceptions by the status."""
    kind = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
    }.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    return {
        "error": {
            "message": error.message,
            "type": kind,
            "param": error.param,
            "code": error.code,
        }
    }
