"""The application: routes, and what is open while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from guardrail import __version__
from guardrail.errors import GuardrailError
from guardrail.filter import reason
from guardrail.server.boundary import Boundary
from guardrail.server.checks import CheckPool
from guardrail.server.errors import Shapes, openai_shape
from guardrail.server.guard import Guard, warm_up
from guardrail.server.metrics import Metrics
from guardrail.server.ports import OpenStores
from guardrail.server.routes import (
    admin,
    azure,
    bedrock,
    console,
    health,
    litellm,
    moderations,
    native,
    presidio,
    proxy,
)
from guardrail.server.service import Service
from guardrail.server.settings import Settings
from guardrail.server.tracing import Tracing
from guardrail.server.upstreams import Upstreams

FOLLOW_EVERY_SECONDS = 0.5

ROUTERS = (
    native.router,
    moderations.router,
    proxy.router,
    litellm.router,
    presidio.router,
    bedrock.router,
    azure.router,
    admin.router,
    console.router,
    health.router,
)
# The shape of errors by the beginning of the path; what is not here has the native one.
SHAPES = Shapes(
    [
        *((path, openai_shape) for path in ("/v1/moderations", *proxy.PATHS)),
        ("/analyze", presidio.presidio_shape),
        ("/anonymize", presidio.presidio_shape),
        ("/guardrail/", bedrock.bedrock_shape),
        ("/contentsafety/", azure.azure_shape),
    ]
)

_log = logging.getLogger("guardrail.server")

OpenThem = Callable[[Settings], Awaitable[OpenStores]]


def create_app(settings: Settings, open_stores: OpenThem) -> FastAPI:
    """The application for some settings. Indexes and stores are opened when it starts."""
    metrics = Metrics()
    tracing = Tracing(settings.observe.otlp_endpoint)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        try:
            guard = await asyncio.to_thread(_open_guard, settings)
            stores = await open_stores(settings)
        except GuardrailError as error:
            _log.critical("cannot start", extra={"reason": str(error)})
            raise
        bounds = settings.bounds
        pool = CheckPool(bounds.threads, bounds.queue, bounds.check_seconds)
        upstreams = Upstreams(settings)
        turn = asyncio.Lock()
        service = Service(settings, guard, pool, stores, metrics, tracing, upstreams, turn)
        following = asyncio.create_task(_follow(guard))
        try:
            yield {"service": service, "readiness": health.Readiness(service)}
        finally:
            following.cancel()
            pool.close()
            await upstreams.close()
            await stores.close()
            metrics.close()
            await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="corpus-guardrail",
        version=__version__,
        description="Judges what language models say before it leaves.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    for router in ROUTERS:
        # Not `include_router`: a router within a router is matched twice for each request.
        app.router.routes.extend(router.routes)
    for kind in (GuardrailError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(
        Boundary, bounds=settings.bounds, metrics=metrics, tracing=tracing, shapes=SHAPES
    )
    return app


def _open_guard(settings: Settings) -> Guard:
    guard = Guard(settings.guard)
    try:
        warm_up()
    except OSError as error:  # no folder for temporary files
        _log.warning("not warmed up", extra={"reason": error.strerror})
    return guard


async def _answer(request: Request, error: Exception) -> Response:
    name: str = request.state.request_id
    response = SHAPES.response(error, request.url.path, name)
    if response.status_code >= 500:
        # Callers are told that a part is away; the operator, what it says of itself.
        _log.warning("unavailable", extra={"request": name, "reason": reason(error)})
    return response


async def _follow(guard: Guard) -> None:
    while True:
        await asyncio.sleep(FOLLOW_EVERY_SECONDS)
        try:
            await asyncio.to_thread(guard.follow)
        except Exception as error:
            _log.error("follow_failed", extra={"error": type(error).__name__})
