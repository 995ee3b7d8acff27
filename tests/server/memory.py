"""Stores in memory, for a server within the test's own process."""

from __future__ import annotations

from dataclasses import dataclass, field

from guardrail.server.audit_record import AuditRecord
from guardrail.server.identity import Identity
from guardrail.server.ports import OpenStores
from guardrail.server.settings import Settings


@dataclass
class MemoryStores:
    """Keys by their tokens, and the records in their order."""

    identities: dict[str, Identity] = field(default_factory=dict)
    records: list[AuditRecord] = field(default_factory=list)

    async def authenticate(self, token: str) -> Identity | None:
        return self.identities.get(token)

    async def append(self, record: AuditRecord) -> None:
        self.records.append(record)

    async def admit(
        self, identity: Identity, *, requests: int = 1, characters: int = 0, tokens: int = 0
    ) -> None:
        pass

    async def open(self, _: Settings) -> OpenStores:
        return OpenStores(self, self, self, {}, self._close)

    async def _close(self) -> None:
        pass
