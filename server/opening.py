"""Opens the stores that the settings name."""

from __future__ import annotations

import asyncio

from guardrail.assembly import key_from
from guardrail.keys import Key, load_key
from guardrail.policy_file import load_policy
from guardrail.server.identity import Limits, Rate
from guardrail.server.limits import Limiter
from guardrail.server.ports import OpenStores
from guardrail.server.settings import Guard, LimitSettings, Settings
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.audit_queue import AuditQueue
from guardrail.server.stores.database import Database
from guardrail.server.stores.keys import KeyStore

SENSITIVE = "sensitive"


async def open_stores(settings: Settings) -> OpenStores:
    """The stores, open. Raises UsageError, SecretKeyError or StoreError."""
    database, keys, log = await asyncio.to_thread(_open_database, settings)
    queue = AuditQueue(log)
    limits = settings.limits
    limiter = Limiter(
        settings.stores.limits.get_secret_value(),
        per_key=_limits(limits.per_key),
        per_tenant=_limits(limits.per_tenant),
        presets={SENSITIVE: _limits(limits.sensitive)},
        alone=limits.alone,
    )

    async def ask_database() -> None:
        await asyncio.to_thread(database.check)

    async def close() -> None:
        await queue.close()
        await limiter.close()
        await asyncio.to_thread(keys.close)
        await asyncio.to_thread(database.close)

    probes = {"database": ask_database, "limits": limiter.ping}
    return OpenStores(keys, queue, limiter, probes, close)


def master_key(guard: Guard) -> Key:
    """The key that also seals API keys and audit records. Raises SecretKeyError or PolicyError."""
    if guard.key_file is not None:
        return load_key(guard.key_file)
    return key_from(None if guard.policy is None else load_policy(guard.policy).key)


def _open_database(settings: Settings) -> tuple[Database, KeyStore, AuditLog]:
    key = master_key(settings.guard)
    database = Database(settings.stores.database.get_secret_value())
    try:
        log = AuditLog(database, key)
        return database, KeyStore(log, key), log
    except BaseException:
        database.close()
        raise


def _limits(given: LimitSettings) -> Limits:
    rates = {
        name: None if rate is None else Rate(rate.amount, rate.seconds, rate.burst)
        for name in Limits.__slots__
        for rate in [getattr(given, name)]
    }
    return Limits(**rates)
