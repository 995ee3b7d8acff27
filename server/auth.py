"""Who calls, and whether the key opens the route: `Depends(require(Scope.MODERATE))`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from guardrail.server.errors import ForbiddenError, UnauthenticatedError
from guardrail.server.identity import Identity, Scope
from guardrail.server.service import Service

# Longer than any key of ours; what is longer is not looked up.
LONGEST_TOKEN = 512
# Where the clients of the protocols put a key, besides `Authorization: Bearer`.
HEADERS = ("x-api-key", "api-key", "ocp-apim-subscription-key")

_BEARER = HTTPBearer(auto_error=False)
_HEADER = APIKeyHeader(name=HEADERS[0], auto_error=False)


@cache
def require(scope: Scope) -> Callable[..., Awaitable[Identity]]:
    """A dependency: the caller, whose key has `scope`. It raises UnauthenticatedError where there
    is no valid key and ForbiddenError where the key lacks the scope."""

    async def caller(
        request: Request,
        # For the OpenAPI document only: clients put the key where their protocol has it.
        _bearer: Annotated[object, Security(_BEARER)] = None,
        _header: Annotated[object, Security(_HEADER)] = None,
    ) -> Identity:
        token = token_of(request)
        service: Service = request.state.service
        identity = None if token is None else await service.stores.keys.authenticate(token)
        if identity is None:
            raise UnauthenticatedError("a valid API key is needed, as Authorization: Bearer KEY")
        request.state.caller = identity
        if not identity.may(scope):
            raise ForbiddenError(f"this key lacks the scope {scope}")
        return identity

    return caller


def token_of(request: Request) -> str | None:
    """The key that a request carries; None where it has none, or more than one."""
    given = {key for name in HEADERS for key in request.headers.getlist(name)}
    for header in request.headers.getlist("authorization"):
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() == "bearer":
            given.add(credentials.strip())
        elif scheme == "AWS4-HMAC-SHA256":
            # Clients of AWS name a key and sign with another. The name is the key here: it is as
            # secret as what `Bearer` carries.
            named = credentials.partition("Credential=")[2].partition("/")[0]
            given.add(named)
    token = given.pop() if len(given) == 1 else ""
    return token if 0 < len(token) <= LONGEST_TOKEN else None
