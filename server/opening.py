"""Opens the stores that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from guardrail.keys import Key, load_key
from guardrail.policy_file import load_policy
from guardrail.server.identity import Limits, Rate
from guardrail.server.limits import Limiter
from guardrail.server.ports import SENSITIVE, OpenStores
from guardrail.server.settings import Guard, LimitSettings, Settings
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.audit_queue import AuditQueue
from guardrail.server.stores.database import Database
from guardrail.server.stores.keys import KeyStore


async def open_stores(settings: Settings) -> OpenStores:
    """The stores, open. Raises UsageError, SecretKeyError or StoreError."""
    database, keys, log = await asyncio.to_thread(_open_checked, settings)
    queue = AuditQueue(log)
    limits = settings.limits
    limiter = Limiter(
        settings.stores.limits.get_secret_value(),
        per_key=_limits(limits.per_key),
        per_tenant=_limits(limits.per_tenant),
        presets={SENSITIVE: _limits(limits.sensitive)},
        alone=limits.alone,
    )

    async def close() -> None:
        await queue.close()
        await limiter.close()
        await asyncio.to_thread(keys.close)
        await asyncio.to_thread(database.close)

    probes = {"database": queue.ping, "keys": keys.ping, "limits": limiter.ping}
    return OpenStores(keys, queue, limiter, probes, close)


def master_key(guard: Guard) -> Key:
    """The key that also seals API keys and audit records. Raises SecretKeyError or PolicyError."""
    if guard.key_file is not None:
        return load_key(guard.key_file)
    # Only here: it brings the compiled kernels along, and a command for keys waits a second less.
    from guardrail.assembly import key_from

    return key_from(None if guard.policy is None else load_policy(guard.policy).key)


@contextmanager
def open_log(settings: Settings) -> Iterator[AuditLog]:
    """The audit trail, for a command."""
    database, log, _ = _open(settings)
    try:
        yield log
    finally:
        database.close()


@contextmanager
def open_keys(settings: Settings) -> Iterator[KeyStore]:
    """The API keys, for a command."""
    database, log, key = _open(settings)
    try:
        yield KeyStore(log, key)
    finally:
        database.close()


def _open(settings: Settings) -> tuple[Database, AuditLog, Key]:
    key = master_key(settings.guard)
    database = Database(settings.stores.database.get_secret_value())
    try:
        return database, AuditLog(database, key), key
    except BaseException:
        database.close()
        raise


def _open_checked(settings: Settings) -> tuple[Database, KeyStore, AuditLog]:
    """For a service: with the end of the audit trail proven, and keys that follow changes."""
    database, log, key = _open(settings)
    keys = KeyStore(log, key)
    try:
        log.check()
        keys.open()
    except BaseException:
        keys.close()
        database.close()
        raise
    return database, keys, log


def _limits(given: LimitSettings) -> Limits:
    rates = {
        name: None if rate is None else Rate(rate.amount, rate.seconds, rate.burst)
        for name in Limits.__slots__
        for rate in [getattr(given, name)]
    }
    return Limits(**rates)
