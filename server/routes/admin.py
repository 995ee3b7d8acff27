"""What is in force, and having it read anew. For keys with the scope admin."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from guardrail.errors import GuardrailError
from guardrail.server.audit_record import administration
from guardrail.server.auth import require
from guardrail.server.errors import ServiceError
from guardrail.server.guard import Guard
from guardrail.server.identity import Identity, Scope
from guardrail.server.routing import open_router
from guardrail.server.service import Service

router = open_router("admin")

Administrator = Annotated[Identity, Depends(require(Scope.ADMIN))]


class NotInForceError(ServiceError):
    """What was read anew cannot be used; what was in force stays so."""

    status = 409
    code = "not_in_force"


class IndexState(BaseModel):
    """One index of the service."""

    path: str
    documents: int
    generation: int = Field(description="Grows with each change.")
    changed: str = Field(description="When it was changed last.")
    public: bool
    problem: str | None = Field(description="Why a newer state on disk is not in use.")


class State(BaseModel):
    """What this process judges by."""

    policy: str = Field(description="The digest of the policy, as in the audit trail.")
    policy_problem: str | None = Field(description="Why a newer policy on disk is not in use.")
    detectors: list[str]
    indexes: list[IndexState]


@router.get("/v1/admin/state")
async def state(request: Request, caller: Administrator) -> State:
    """Policy, detectors and indexes in force."""
    return await asyncio.to_thread(_state, request.state.service.guard)


@router.post("/v1/admin/reload")
async def reload(request: Request, caller: Administrator) -> State:
    """Read policy and indexes anew, at once. (Changes on disk are taken up without this within two
    seconds, by every process.) What cannot be used is refused, and all stays as it was."""
    service: Service = request.state.service
    await service.admit(caller)
    try:
        in_force = await asyncio.to_thread(service.guard.reload)
    except GuardrailError as error:
        await service.record(administration("admin.reload", caller, done=False))
        raise NotInForceError(str(error)) from None
    await service.record(administration("admin.reload", caller, done=True, policy=in_force.digest))
    return await asyncio.to_thread(_state, service.guard)


def _state(guard: Guard) -> State:
    in_force = guard.now
    problems = in_force.rail.health()
    return State(
        policy=in_force.digest,
        policy_problem=guard.problem,
        detectors=[detector.name for detector in in_force.rail.detectors],
        indexes=[
            IndexState(
                path=path,
                documents=sum(int((~part.dead).sum()) for part in index.segments),
                generation=index.manifest.generation,
                changed=index.manifest.changed,
                public=index.manifest.public,
                problem=problems.get(path),
            )
            for path, index in in_force.rail.indexes().items()
        ],
    )
