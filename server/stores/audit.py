"""The audit trail: records in one chain, whichever process writes them.

A writer locks the head of the chain, appends its records and moves the head, in one transaction.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from guardrail.errors import StoreDamagedError
from guardrail.keys import Key
from guardrail.server.audit_record import AuditRecord
from guardrail.server.stores.audit_chain import CHAIN_BYTES, Chain, Head, commit, new_salt
from guardrail.server.stores.database import Database
from guardrail.server.stores.schema import audit_head_table, audit_table

# Records read or erased at once: 10,000 take about 10 MB, and a transaction that erases so many
# holds the writers up for less than a second.
CHUNK = 10_000

_COLUMNS = ("seq", "time", "event", "body", "personal", "salt", "commitment", "mac")
# SQLAlchemy composes a statement anew each time; every commit uses this one.
_HEAD = select(audit_head_table).with_for_update()


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the database has it; `personal` is None where it was erased."""

    seq: int
    time: int
    event: str
    body: str
    personal: str | None
    salt: bytes | None
    commitment: bytes
    mac: bytes
    erased_by: int | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, as `guardrail audit export` prints them."""
        return {
            "seq": self.seq,
            "time": self.time,
            "event": self.event,
            "body": self.parsed(self.body),
            "personal": None if self.personal is None else self.parsed(self.personal),
            "erased_by": self.erased_by,
            "mac": self.mac.hex(),
        }

    def parsed(self, half: str) -> dict[str, Any]:
        """A half of the record. Raises StoreDamagedError where it is none."""
        try:
            value = json.loads(half)
        except (ValueError, TypeError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise _unreadable(self.seq)
        return value


class AuditLog:
    """The records of one database, written and sealed with one master key. Thread-safe."""

    def __init__(self, database: Database, key: Key) -> None:
        """Begins a chain where there is none. Whether the end of one is as this key left it is
        asked by `check`, and before each record."""
        self.database = database
        self.chain = Chain(key)
        with database.write() as connection:
            if connection.execute(_HEAD).one_or_none() is None:
                self._begin(connection)

    def write(self, records: Sequence[AuditRecord]) -> None:
        """Append records; they are durable on return.

        Raises StoreUnavailableError where they cannot be written. Where the connection broke
        while the database was committing, it may have kept them all the same.
        """
        with self.database.write() as connection:
            self.append(connection, records)

    def append(self, connection: Connection, records: Sequence[AuditRecord]) -> Head:
        """Append records within a transaction of the caller's, durable when that commits. Other
        writers wait until then."""
        head = self._locked_head(connection)
        seq, mac = head.seq, head.mac
        values: list[Any] = []
        for record in records:
            seq += 1
            body, personal, salt = record.body_json(), record.personal_json(), new_salt()
            commitment = commit(salt, personal)
            mac = self.chain.link(mac, seq, record.time, record.event, body, commitment)
            values += (seq, record.time, record.event, body, personal, salt, commitment, mac)
        # One statement for all: the drivers give the interpreter's lock away with each, and where
        # the service is busy, a thread waits 5 ms until it has it again.
        mark = "?" if self.database.is_sqlite else "%s"
        row = f"({','.join([mark] * len(_COLUMNS))})"
        connection.exec_driver_sql(
            f"INSERT INTO {audit_table.name} ({','.join(_COLUMNS)}) VALUES "
            + ",".join([row] * len(records)),
            tuple(values),
        )
        head = Head(head.chain, seq, mac)
        connection.execute(
            update(audit_head_table), {"seq": seq, "mac": mac, "seal": self.chain.seal(head)}
        )
        return head

    def read(
        self,
        connection: Connection,
        after: int = 0,
        until: int | None = None,
    ) -> Iterator[Sequence[StoredRecord]]:
        """The records after one number, up to another or to the end, in chunks."""
        if until is None:
            until = self.head(connection).seq
        while True:
            rows = connection.execute(
                select(*(audit_table.c[name] for name in StoredRecord.__slots__))
                .where(audit_table.c.seq > after, audit_table.c.seq <= until)
                .order_by(audit_table.c.seq)
                .limit(CHUNK)
            ).all()
            if not rows:
                return
            yield [_record(row) for row in rows]
            after = rows[-1].seq

    def head(self, connection: Connection) -> Head:
        """Where the chain ends. Raises StoreDamagedError where nobody with the key said so."""
        return self._checked(connection.execute(select(audit_head_table)).one_or_none())

    def check(self) -> None:
        """Raise StoreError where the database does not let records be written now."""
        with self.database.write() as connection:
            self._locked_head(connection)

    def _locked_head(self, connection: Connection) -> Head:
        return self._checked(connection.execute(_HEAD).one_or_none())

    def _checked(self, row: Any) -> Head:
        if row is None:
            raise StoreDamagedError(self._altered("the head of the audit trail is missing"))
        head = Head(row.chain, row.seq, row.mac)
        try:
            sealed = self.chain.sealed(head, row.seal)
        except (TypeError, struct.error):
            sealed = False
        if not sealed:
            raise StoreDamagedError(
                self._altered("the head of the audit trail was not sealed with this key")
            )
        return head

    def _altered(self, what: str) -> str:
        return (
            f"in the database {self.database.name} {what}: use the key that it was begun with, or "
            "find out with `guardrail audit verify` what was changed, keep a copy, and restore a "
            "backup or name an empty database"
        )

    def _begin(self, connection: Connection) -> None:
        if connection.execute(select(audit_table.c.seq).limit(1)).first() is not None:
            return  # records without a head are damage, not a beginning
        head = self.chain.begin(os.urandom(CHAIN_BYTES))
        connection.execute(
            insert(audit_head_table),
            {
                "id": 1,
                "chain": head.chain,
                "seq": head.seq,
                "mac": head.mac,
                "seal": self.chain.seal(head),
            },
        )


# SQLite holds values of any type in any column, whatever the schema says.
_TYPES: tuple[Any, ...] = (
    int,
    int,
    str,
    str,
    (str, NoneType),
    (bytes, NoneType),
    bytes,
    bytes,
    (int, NoneType),
)


def _record(row: Row[Any]) -> StoredRecord:
    values: tuple[Any, ...] = tuple(row)
    if not all(isinstance(v, t) for v, t in zip(values, _TYPES, strict=True)) or row.time < 0:
        raise _unreadable(row.seq)
    return StoredRecord(*values)


def _unreadable(seq: int) -> StoreDamagedError:
    return StoreDamagedError(
        f"audit record {seq} was changed, and cannot be read any more; see: guardrail audit verify"
    )
