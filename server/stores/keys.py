"""API keys: made, listed, rotated, revoked; each act on record in the same transaction."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from guardrail.detector import Entitlements
from guardrail.errors import StoreDamagedError, UsageError
from guardrail.keys import Key
from guardrail.server.audit_record import administration
from guardrail.server.identity import Identity, Limits, Scope
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.key_record import StoredKey, check_identity
from guardrail.server.stores.key_ring import CHANNEL, KeyRing, key_ring, opened
from guardrail.server.stores.key_secret import Sealer, new_secret, well_formed
from guardrail.server.stores.schema import keys_revision_table, keys_table

# What the record of an act says of the key besides whom it concerns.
_ON_RECORD = ("scopes", "models", "collections", "expires")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its secret, which is nowhere else: show it once."""

    secret: str
    key: StoredKey

    def __repr__(self) -> str:
        return f"IssuedKey({self.key.identity.key_id})"


class KeyStore:
    """The keys of one database. Thread-safe.

    Made keys, changed ones and revoked ones are known to every process that serves the same
    database: with SQLite from the next request on, with PostgreSQL when its notification arrives,
    which takes milliseconds; docs/keys.md says what holds where the connection breaks.
    """

    def __init__(self, log: AuditLog, key: Key) -> None:
        self._log, self._database = log, log.database
        self._sealer = Sealer.of(key)
        with self._database.write() as connection:
            if connection.execute(select(keys_revision_table)).first() is None:
                connection.execute(insert(keys_revision_table), {"id": 1, "revision": 0})
        self._ring: KeyRing | None = None
        self._opening = threading.Lock()

    async def authenticate(self, token: str) -> Identity | None:
        """Whose secret `token` is; None for one that is unknown, revoked or expired.
        It waits for nothing once `open` was called.

        Raises StoreUnavailableError where that cannot be told: nobody is let in then.
        """
        if not well_formed(token):
            return None
        key = self._live().current().get(self._sealer.digest(token))
        return key.identity if key is not None and key.lives(time.time()) else None

    def open(self) -> None:
        """Begin to follow changes. Raises StoreError where the keys cannot be read."""
        self._live().current()

    async def ping(self) -> None:
        """Raise StoreError where nobody could be authenticated now."""
        self._live().current()

    def create(
        self,
        tenant: str,
        scopes: Iterable[Scope],
        models: Iterable[str] = (),
        collections: Iterable[str] = (),
        entitlements: Entitlements | None = None,
        expires: int | None = None,
        limits: Limits | None = None,
        *,
        actor: Identity | str,
    ) -> IssuedKey:
        """Make a key. `expires` is in seconds since 1970, UTC."""
        identity = Identity(
            key_id=_new_id(),
            tenant=tenant,
            scopes=frozenset(scopes),
            models=frozenset(models),
            collections=frozenset(collections),
            entitlements=entitlements or Entitlements(),
            limits=limits,
        )
        check_identity(identity)
        created = int(time.time())
        if expires is not None and expires <= created:
            raise UsageError("a key that has expired already opens nothing; name a later time")
        with self._database.write() as connection:
            return self._issue(
                connection, StoredKey(identity, created, expires), "key.create", actor
            )

    def list(self) -> list[StoredKey]:
        """All keys, revoked and expired ones too, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(keys_table)).all()
        keys = [self._opened(row) for row in rows]
        return sorted(keys, key=lambda key: (key.created, key.identity.key_id))

    def revoke(self, key_id: str, *, actor: Identity | str) -> StoredKey:
        """Close a key for good. One that is revoked already stays as it is."""
        with self._database.write() as connection:
            revision = self._next_revision(connection)
            digest, key = self._find(connection, key_id)
            if key.revoked is None:
                key = replace(key, revoked=int(time.time()))
                self._change(connection, digest, key, revision)
                self._record(connection, "key.revoke", actor, key)
        return key

    def rotate(self, key_id: str, *, actor: Identity | str, overlap: int = 0) -> IssuedKey:
        """A new key for the same identity. The old one stays valid for `overlap` seconds."""
        with self._database.write() as connection:
            revision = self._next_revision(connection)
            digest, key = self._find(connection, key_id)
            now = int(time.time())
            if not key.lives(now):
                raise UsageError(
                    f"key {key_id} is revoked or has expired, so there is nothing to rotate; "
                    "create a new one"
                )
            end = now + max(overlap, 0)
            if overlap > 0:
                old = replace(key, expires=end if key.expires is None else min(end, key.expires))
            else:
                old = replace(key, revoked=now)
            self._change(connection, digest, old, revision)
            new = replace(key, identity=replace(key.identity, key_id=_new_id()), created=now)
            return self._issue(connection, new, "key.rotate", actor, replaces=key_id)

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()

    def _live(self) -> KeyRing:
        """What follows changes; a command that only makes or lists keys needs none."""
        if self._ring is None:
            with self._opening:
                self._ring = self._ring or key_ring(self._database, self._sealer)
        return self._ring

    def _issue(
        self,
        connection: Connection,
        key: StoredKey,
        event: str,
        actor: Identity | str,
        **about: str,
    ) -> IssuedKey:
        secret = new_secret()
        digest, revision = self._sealer.digest(secret), self._next_revision(connection)
        connection.execute(
            insert(keys_table),
            {
                "key_id": key.identity.key_id,
                "digest": digest,
                **self._sealed(digest, key, revision),
            },
        )
        self._record(connection, event, actor, key, **about)
        return IssuedKey(secret, key)

    def _change(self, connection: Connection, digest: bytes, key: StoredKey, revision: int) -> None:
        connection.execute(
            update(keys_table)
            .where(keys_table.c.key_id == key.identity.key_id)
            .values(self._sealed(digest, key, revision))
        )

    def _sealed(self, digest: bytes, key: StoredKey, revision: int) -> dict[str, object]:
        body = key.to_json()
        seal = self._sealer.seal(digest, body, revision)
        return {"body": body, "seal": seal, "revision": revision}

    def _next_revision(self, connection: Connection) -> int:
        """Also locks all keys until the transaction ends."""
        connection.execute(
            update(keys_revision_table).values(revision=keys_revision_table.c.revision + 1)
        )
        revision = connection.execute(select(keys_revision_table.c.revision)).scalar_one()
        if not self._database.is_sqlite:
            connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})
        return int(revision)

    def _find(self, connection: Connection, key_id: str) -> tuple[bytes, StoredKey]:
        row = connection.execute(
            select(keys_table).where(keys_table.c.key_id == key_id)
        ).one_or_none()
        if row is None:
            raise UsageError(f"there is no key {key_id[:40]!r}; see: guardrail keys list")
        return row.digest, self._opened(row)

    def _opened(self, row: Any) -> StoredKey:
        key = opened(self._sealer, row)
        if key is None:
            raise StoreDamagedError(
                f"the key {row.key_id} in the database {self._database.name} was not written with "
                "this master key, and opens nothing; use the right one, or delete the row"
            )
        return key

    def _record(
        self,
        connection: Connection,
        event: str,
        actor: Identity | str,
        key: StoredKey,
        **about: str,
    ) -> None:
        about |= {"tenant": key.identity.tenant, "key": key.identity.key_id}
        said = key.to_dict()
        told = {name: said[name] for name in _ON_RECORD}
        self._log.append(connection, [administration(event, actor, about=about, **told)])


def _new_id() -> str:
    return "key_" + secrets.token_hex(8)
