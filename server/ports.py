"""What the service needs of its stores, whichever keep them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from guardrail.server.audit_record import AuditRecord
from guardrail.server.identity import Identity


class KeyStore(Protocol):
    """Keys and what they stand for."""

    async def authenticate(self, token: str) -> Identity | None:
        """Who holds a token; None where it is unknown, expired or revoked. Raises StoreError."""


class AuditLog(Protocol):
    """The record of what was decided."""

    async def append(self, record: AuditRecord) -> None:
        """Keep a record; it is durable when this returns. Raises StoreError where it is not, and
        then nothing that it speaks of may leave."""


# The limits, besides the caller's own, of endpoints that tell much with each answer.
SENSITIVE = "sensitive"


class Limiter(Protocol):
    """Rate limits."""

    async def admit(
        self,
        identity: Identity,
        *,
        requests: int = 1,
        characters: int = 0,
        tokens: int = 0,
        preset: str | None = None,
    ) -> None:
        """Count a request before it runs; `preset` names limits besides the caller's own. Raises
        RateLimitedError where it is too much, LimitsUnavailableError where nobody can say."""

    async def charge(self, identity: Identity, tokens: int) -> None:
        """Count the tokens of an answer. Raises LimitsUnavailableError."""


@dataclass(frozen=True, slots=True)
class OpenStores:
    """The stores of a running service. `probes` raise GuardrailError where what they are named
    after does not answer."""

    keys: KeyStore
    audit: AuditLog
    limiter: Limiter
    probes: Mapping[str, Callable[[], Awaitable[None]]]
    close: Callable[[], Awaitable[None]]
