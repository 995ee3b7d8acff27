"""The keys that are valid now, in memory, and how a process learns of changes by others.

All keys are held: looking one up costs a hash and no query. What is asked for each request is
only whether anything changed since.

SQLite: the revision of the keys is read for each request, from the file's own shared memory.
PostgreSQL: a thread listens for notifications, and reads the revision each second besides. Where
neither came for `TRUST` seconds, nobody is let in.
"""

from __future__ import annotations

import contextlib
import hmac
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import select

from guardrail.errors import GuardrailError, StoreUnavailableError
from guardrail.server.stores.database import Database
from guardrail.server.stores.key_record import StoredKey
from guardrail.server.stores.key_secret import Sealer
from guardrail.server.stores.schema import keys_revision_table, keys_table

CHANNEL = "guardrail_keys"
# Seconds between two looks at the revision where no notification comes.
HEARTBEAT = 1.0
# Seconds for which an answer of PostgreSQL is believed: two heartbeats may be late.
TRUST = 3.0
# Seconds within which the thread sees that it is to end, or tries again to connect.
_TURN = 0.25


class KeyRing(Protocol):
    def current(self) -> Mapping[bytes, StoredKey]:
        """The keys by the digest of their secret, as of now. Raises StoreUnavailableError where
        that cannot be told."""

    def close(self) -> None: ...


def key_ring(database: Database, sealer: Sealer) -> KeyRing:
    ring = _SqliteRing if database.is_sqlite else _PostgresRing
    return ring(database, sealer)


def opened(sealer: Sealer, row: Any) -> StoredKey | None:
    """The key in a row of the table; None where somebody without the master key wrote it."""
    try:
        genuine = hmac.compare_digest(sealer.seal(row.digest, row.body, row.revision), row.seal)
    except (TypeError, AttributeError, OverflowError):
        genuine = False  # a value of a kind that is never written
    if not genuine:
        return None
    return StoredKey.from_json(row.body)


class _Keys:
    """All keys up to a revision. A change is read by itself, not the whole table again."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database, self._sealer = database, sealer
        self._revision = -1
        self.by_digest: dict[bytes, StoredKey] = {}
        self._lock = threading.Lock()

    def follow(self, revision: int) -> None:
        """Read what changed where `revision` is not the one that is known."""
        if revision == self._revision:
            return
        with self._lock, self._database.read() as connection:
            # A lower one: the database was replaced by an older one.
            after = -1 if revision < self._revision else self._revision
            rows = connection.execute(select(keys_table).where(keys_table.c.revision > after)).all()
            revision = connection.execute(select(keys_revision_table.c.revision)).scalar_one()
            if after < 0:
                self.by_digest = {}
            for row in rows:
                key = opened(self._sealer, row)
                if key is None or key.revoked is not None:
                    self.by_digest.pop(row.digest, None)
                else:
                    self.by_digest[row.digest] = key
            self._revision = revision


class _SqliteRing:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database, self._keys = database, _Keys(database, sealer)
        self._lock = threading.Lock()
        # The driver's own connection: SQLAlchemy would add a tenth of a millisecond.
        self._connection = database.driver_connection()

    def current(self) -> Mapping[bytes, StoredKey]:
        with self._database.errors(), self._lock:
            row = self._connection.execute(
                "SELECT revision FROM guardrail_keys_revision WHERE id = 1"
            ).fetchone()
        if row is None:
            raise StoreUnavailableError("the table of API keys is empty where it should not be")
        self._keys.follow(row[0])
        return self._keys.by_digest

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class _PostgresRing:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database, self._keys = database, _Keys(database, sealer)
        self._trusted_until = 0.0
        self._closed = threading.Event()
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keys", daemon=True)
        self._thread.start()

    def current(self) -> Mapping[bytes, StoredKey]:
        if not self._first.is_set():
            self._first.wait(TRUST)
        if time.monotonic() > self._trusted_until:
            raise StoreUnavailableError(
                f"the database has not confirmed the API keys for {TRUST:g} seconds"
            )
        return self._keys.by_digest

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        import psycopg

        while not self._closed.is_set():
            with contextlib.suppress(GuardrailError, psycopg.Error):
                connection = self._database.driver_connection()
                with contextlib.closing(connection):
                    self._listen(connection)
            self._closed.wait(_TURN)

    def _listen(self, connection: Any) -> None:
        connection.autocommit = True
        connection.execute(f"LISTEN {CHANNEL}")
        while not self._closed.is_set():
            asked = time.monotonic()
            revision = connection.execute("SELECT revision FROM guardrail_keys_revision").fetchone()
            self._keys.follow(revision[0])
            self._trusted_until = asked + TRUST
            self._first.set()
            notified = False
            while not (notified or self._closed.is_set() or time.monotonic() > asked + HEARTBEAT):
                notified = any(True for _ in connection.notifies(timeout=_TURN, stop_after=1))
