"""Whether the service lives, whether it can judge, and its numbers. No key is needed."""

from __future__ import annotations

import asyncio
import time

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from guardrail.errors import GuardrailError
from guardrail.server.errors import NotFoundError
from guardrail.server.guard import PROBE
from guardrail.server.routing import open_router
from guardrail.server.service import Service

router = open_router("health")

# A probe is judged by every detector; whoever asks more often than this gets the last answer.
ASK_EVERY_SECONDS = 1.0


class Health(BaseModel):
    status: str


class Ready(Health):
    failing: list[str] = Field(
        description="What does not answer: checks, indexes, database, keys, limits."
    )


class Readiness:
    """The last answer to the question whether the service can do its work."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = asyncio.Lock()
        self._asked = 0.0
        self._problems: dict[str, str] = {}

    async def problems(self) -> dict[str, str]:
        """What does not answer, by its name. Empty where all is well."""
        async with self._lock:
            if time.monotonic() - self._asked > ASK_EVERY_SECONDS:
                self._problems = await self._ask()
                self._asked = time.monotonic()
            return self._problems

    async def _ask(self) -> dict[str, str]:
        parts = {"checks": self._probe, "indexes": self._current, **self._service.stores.probes}
        answers = await asyncio.gather(*(ask() for ask in parts.values()), return_exceptions=True)
        problems = {}
        for name, answer in zip(parts, answers, strict=True):
            if isinstance(answer, GuardrailError):
                problems[name] = str(answer)
            elif isinstance(answer, BaseException):
                problems[name] = type(answer).__name__
        return problems

    async def _probe(self) -> None:
        rail = self._service.guard.now.rail
        verdict = await self._service.pool.run(lambda _: rail.check(PROBE))
        if verdict.failures:
            names = ", ".join(sorted({failure.detector for failure in verdict.failures}))
            raise GuardrailError(f"detectors that cannot judge: {names}")

    async def _current(self) -> None:
        rail = self._service.guard.now.rail
        problems = await asyncio.to_thread(rail.health)
        if stale := sorted(problems.keys() & rail.indexes().keys()):
            raise GuardrailError(f"indexes that cannot be used as they are on disk: {stale}")


@router.get("/livez", response_model=Health, responses={503: {"model": Health}})
async def livez(request: Request) -> Response:
    """200 while the process can do its work, 503 where only a restart helps."""
    service: Service = request.state.service
    sound = service.pool.is_sound
    return JSONResponse({"status": "ok" if sound else "stuck"}, 200 if sound else 503)


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(request: Request) -> Response:
    """200 where indexes, models and stores answer, else 503 with the names of what does not."""
    readiness: Readiness = request.state.readiness
    problems = await readiness.problems()
    body = {"status": "ready" if not problems else "not ready", "failing": sorted(problems)}
    return JSONResponse(body, 503 if problems else 200)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    service: Service = request.state.service
    if not service.settings.observe.metrics:
        raise NotFoundError("metrics are turned off: observe.metrics")
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
