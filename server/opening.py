"""Opens the stores that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from guardrail.assembly import key_from
from guardrail.keys import Key, load_key
from guardrail.policy_file import load_policy
from guardrail.server.identity import Limits, Rate
from guardrail.server.limits import Limiter
from guardrail.server.ports import OpenStores
from guardrail.server.settings import CallerLimits, RateSetting, Settings
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.audit_queue import AuditQueue
from guardrail.server.stores.database import Database
from guardrail.server.stores.keys import KeyStore


async def open_stores(settings: Settings) -> OpenStores:
    """The stores, open. Raises UsageError, SecretKeyError, StoreError or LimitError."""
    key = stores_key(settings)
    limiter = Limiter(
        settings.stores.limits.get_secret_value(),
        per_key=_limits(settings.limits.per_key),
        per_tenant=_limits(settings.limits.per_tenant),
        alone=settings.limits.without_redis == "count_alone",
    )
    database = await asyncio.to_thread(Database, settings.stores.database.get_secret_value())
    try:
        log = await asyncio.to_thread(AuditLog, database, key)
        await asyncio.to_thread(log.check)
        keys = await asyncio.to_thread(KeyStore, log, key)
        await keys.ping()
    except BaseException:
        database.close()
        raise
    audit = AuditQueue(log)

    async def close() -> None:
        await audit.close()
        await asyncio.to_thread(keys.close)
        await limiter.close()
        database.close()

    probes = {"database": audit.ping, "keys": keys.ping, "limits": limiter.ping}
    return OpenStores(keys, audit, limiter, probes, close)


@contextmanager
def open_log(settings: Settings) -> Iterator[AuditLog]:
    """The audit trail, for a command."""
    key = stores_key(settings)
    database = Database(settings.stores.database.get_secret_value())
    try:
        yield AuditLog(database, key)
    finally:
        database.close()


@contextmanager
def open_keys(settings: Settings) -> Iterator[KeyStore]:
    """The API keys, for a command."""
    with open_log(settings) as log:
        keys = KeyStore(log, stores_key(settings))
        try:
            yield keys
        finally:
            keys.close()


def stores_key(settings: Settings) -> Key:
    """The master key of keys and records: their own, or that of the indexes."""
    file = settings.stores.key_file or settings.guard.key_file
    if file is not None:
        return load_key(file)
    policy = settings.guard.policy
    return key_from(None if policy is None else load_policy(policy).key)


def _limits(given: CallerLimits) -> Limits:
    return Limits(
        requests=_rate(given.requests),
        characters=_rate(given.characters),
        tokens=_rate(given.tokens),
    )


def _rate(given: RateSetting | None) -> Rate | None:
    return None if given is None else Rate(given.amount, given.seconds, given.burst)
