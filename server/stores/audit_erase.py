"""Erasing from records who it was and which documents; the chain stays whole.

Each erasure is itself on record, with the number of the erased records and a digest of their
numbers: what was emptied by anyone else is told by `verify`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import update

from guardrail.errors import StoreDamagedError, UsageError
from guardrail.server.audit_record import administration
from guardrail.server.identity import Identity
from guardrail.server.stores.audit import AuditLog, StoredRecord
from guardrail.server.stores.schema import audit_table

ERASURE = "audit.erase"


@dataclass(frozen=True, slots=True)
class Erasure:
    """Which records: those before a time (microseconds since 1970, UTC), and those that name a
    tenant or a key as who acted or as whom it concerned. Of several, all must hold."""

    before: int | None = None
    tenant: str | None = None
    key_id: str | None = None

    def __post_init__(self) -> None:
        if self.before is None and self.tenant is None and self.key_id is None:
            raise UsageError("say what is to be erased: a date, a tenant or a key")

    def covers(self, record: StoredRecord) -> bool:
        if record.personal is None or (self.before is not None and record.time >= self.before):
            return False
        return names(record, self.tenant, self.key_id)

    @property
    def by(self) -> list[str]:
        """What selected the records; not the names, which would then be on record again."""
        chosen = {"before": self.before, "tenant": self.tenant, "key": self.key_id}
        return [name for name, value in chosen.items() if value is not None]


def names(record: StoredRecord, tenant: str | None, key_id: str | None) -> bool:
    """Whether a record names a tenant and a key, as who acted or as whom it concerned. None asks
    for nothing."""
    if tenant is None and key_id is None:
        return True
    personal = {} if record.personal is None else record.parsed(record.personal)
    named = (personal, personal.get("about", {}))
    return (tenant is None or any(who.get("tenant") == tenant for who in named)) and (
        key_id is None or any(key_id in (who.get("key"), who.get("replaces")) for who in named)
    )


def numbers_digest(numbers: Iterable[int]) -> str:
    """SHA-256 of ascending record numbers of 64 bits."""
    return hashlib.sha256(b"".join(struct.pack(">Q", number) for number in numbers)).hexdigest()


def erase(
    log: AuditLog,
    erasure: Erasure,
    actor: Identity | str,
    progress: Callable[[float], None] | None = None,
) -> int:
    """Erase the personal half of all records that `erasure` covers; how many they were.

    Chunk by chunk: after an interruption, run it again. The records of the erasures themselves are
    written at the end of the chain, and are not among those looked at.
    """
    erased = 0
    for numbers in _covered(log, erasure, progress):
        with log.database.write() as connection:
            seq = log.append(
                connection,
                [
                    administration(
                        ERASURE,
                        actor,
                        by=erasure.by,
                        records=len(numbers),
                        first=numbers[0],
                        last=numbers[-1],
                        digest=numbers_digest(numbers),
                    )
                ],
            ).seq
            emptied = connection.execute(
                update(audit_table)
                .where(audit_table.c.seq.in_(numbers), audit_table.c.personal.is_not(None))
                .values(personal=None, salt=None, erased_by=seq)
            ).rowcount
            if emptied != len(numbers):
                raise StoreDamagedError(
                    "another erasure took some of the same records, so this chunk was left as it "
                    "is; run the command again"
                )
        erased += len(numbers)
    log.database.forget_erased()
    return erased


def _covered(
    log: AuditLog, erasure: Erasure, progress: Callable[[float], None] | None
) -> Iterator[list[int]]:
    """The numbers of the records to erase, chunk by chunk. Each chunk is read in a snapshot of its
    own: a long one would keep SQLite from shortening its write-ahead log."""
    with log.database.read() as connection:
        until = log.head(connection).seq
    after = 0
    while after < until:
        with log.database.read() as connection:
            chunk = next(log.read(connection, after, until), [])
        if not chunk:
            return
        after = chunk[-1].seq
        if numbers := [record.seq for record in chunk if erasure.covers(record)]:
            yield numbers
        if progress is not None:
            progress(after / until)
