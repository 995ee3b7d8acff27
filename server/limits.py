"""Rate limits: requests, characters and tokens of each key and of each tenant.

Counters are in memory, for one process, or in Redis, for all that use the same. Requests and
characters are counted in a sliding window: the count of the window before is taken in part, as if
it had come evenly. Tokens are known when the answer is, so they are counted then, in windows that
begin with the first of them: the request that uses up the rest still ends, the next is refused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import (
    FixedWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)

from guardrail.errors import LimitsUnavailableError, RateLimitedError, UsageError
from guardrail.server.identity import Identity, Limits, Rate
from guardrail.server.limit_counters import MemoryCounters

# Seconds that Redis may take, and for which it is left alone after it failed: requests are told at
# once instead of waiting for it one after the other.
_REDIS_PATIENCE, _PAUSE = 0.5, 1.0
# Requests wait so long for one of so many connections: that many of them come at once says nothing
# about Redis.
_REDIS_CONNECTIONS, _TURN = 32, 5.0
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class _Bound:
    """One limit in force for one caller."""

    what: str
    rate: Rate
    whose: str
    name: str


class Limiter:
    """Counts what callers use. One event loop each."""

    def __init__(
        self,
        url: str = "memory://",
        *,
        per_key: Limits = NO_LIMITS,
        per_tenant: Limits = NO_LIMITS,
        presets: Mapping[str, Limits] = MappingProxyType({}),
        alone: bool = False,
    ) -> None:
        """`url`: `memory://` or `redis://HOST:PORT/NUMBER` (`rediss://` with TLS). `per_key`
        holds for keys that have no limits of their own.

        While Redis does not answer, requests are refused; with `alone`, each process counts for
        itself, so that callers have as many times their limit as there are processes.
        """
        self._per_key, self._per_tenant, self._presets = per_key, per_tenant, presets
        self._memory = _Counters(MemoryCounters())
        self._alone = alone
        self._redis: _Counters | None = None
        self._paused_until = 0.0
        if not url.startswith("memory://"):
            self._redis, self._redis_errors, self._pool = _redis_counters(url)

    async def admit(
        self,
        identity: Identity,
        *,
        requests: int = 1,
        characters: int = 0,
        tokens: int = 0,
        preset: str | None = None,
    ) -> None:
        """Count a request that is about to run. `tokens` are those that are known already.

        Raises RateLimitedError where a limit is used up, and LimitsUnavailableError where nobody
        can tell.
        """
        costs = {"requests": requests, "characters": characters, "tokens": tokens}

        async def count(counters: _Counters) -> None:
            for bound in self._bounds(identity, preset):
                await counters.take(bound, costs[bound.what])

        await self._with_counters(count)

    async def charge(self, identity: Identity, tokens: int) -> None:
        """Count the tokens of an answer. Raises LimitsUnavailableError."""

        async def count(counters: _Counters) -> None:
            for bound in self._bounds(identity, None):
                if bound.what == "tokens":
                    await counters.charge(bound, tokens)

        if tokens > 0:
            await self._with_counters(count)

    async def ping(self) -> None:
        """Raise LimitsUnavailableError where requests would be refused for want of counters."""

        async def check(counters: _Counters) -> None:
            await counters.check()

        await self._with_counters(check)

    async def close(self) -> None:
        if self._redis is not None:
            await self._pool.disconnect()

    def _bounds(self, identity: Identity, preset: str | None) -> Iterator[_Bound]:
        own = self._per_key if identity.limits is None else identity.limits
        parties = [("key", identity.key_id, own), ("tenant", identity.tenant, self._per_tenant)]
        if preset is not None:
            parties.insert(0, (preset, identity.key_id, self._presets[preset]))
        for whose, name, limits in parties:
            for what in Limits.__slots__:
                rate: Rate | None = getattr(limits, what)
                if rate is not None:
                    yield _Bound(what, rate, whose, name)

    async def _with_counters(self, use: Callable[[_Counters], Awaitable[None]]) -> None:
        if self._redis is None:
            await use(self._memory)
            return
        if time.monotonic() >= self._paused_until:
            try:
                await use(self._redis)
                return
            except self._redis_errors:
                self._paused_until = time.monotonic() + _PAUSE
        if not self._alone:
            raise LimitsUnavailableError(
                "the counters of rate limits do not answer; try again in a moment"
            )
        await use(self._memory)


class _Counters:
    """The strategies over one storage."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._sliding = SlidingWindowCounterRateLimiter(storage)
        self._fixed = FixedWindowRateLimiter(storage)

    async def take(self, bound: _Bound, cost: int) -> None:
        """Count `cost`. Tokens are paid afterwards: it is enough that one is left."""
        rate, whom = bound.rate, (bound.what, bound.whose, bound.name)
        if bound.what == "tokens":
            item = RateLimitItemPerSecond(rate.amount, rate.seconds)
            if not await self._fixed.test(item, *whom):
                await _refuse(self._fixed, item, bound)
            if cost > 0:
                await self.charge(bound, cost)
        elif cost > 0:
            if rate.burst is not None and rate.seconds > 1:
                item = RateLimitItemPerSecond(rate.burst, 1)
                if not await self._sliding.hit(item, *whom, cost=cost):
                    await _refuse(self._sliding, item, bound)
            item = RateLimitItemPerSecond(rate.amount, rate.seconds)
            if not await self._sliding.hit(item, *whom, cost=cost):
                await _refuse(self._sliding, item, bound)

    async def charge(self, bound: _Bound, tokens: int) -> None:
        item = RateLimitItemPerSecond(bound.rate.amount, bound.rate.seconds)
        await self._fixed.hit(item, bound.what, bound.whose, bound.name, cost=tokens)

    async def check(self) -> None:
        if not await self._storage.check():
            raise ConnectionError


async def _refuse(limiter: RateLimiter, item: RateLimitItemPerSecond, bound: _Bound) -> None:
    reset, _ = await limiter.get_window_stats(item, bound.what, bound.whose, bound.name)
    seconds = item.get_expiry()
    wait = min(max(1, math.ceil(reset - time.time())), seconds)
    raise RateLimitedError(
        f"the limit of {item.amount} {bound.what} in {seconds} seconds of this {bound.whose} is "
        f"used up; try again in {wait} seconds",
        wait,
    )


def _redis_counters(url: str) -> tuple[_Counters, tuple[type[Exception], ...], Any]:
    try:
        from redis.asyncio import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ImportError:
        raise UsageError(
            "limits in Redis need its client; install it with: "
            "pip install 'corpus-guardrail[redis]'"
        ) from None
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_REDIS_CONNECTIONS,
            timeout=_TURN,
            socket_timeout=_REDIS_PATIENCE,
            socket_connect_timeout=_REDIS_PATIENCE,
            # Once more: after a restart of Redis the pool holds dead connections.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        raise UsageError(
            "the URL of rate limits cannot be read; write memory:// or redis://HOST:PORT/NUMBER"
        ) from None
    options: dict[str, Any] = {"connection_pool": pool}
    storage = RedisStorage(
        f"async+{url}", implementation="redispy", key_prefix="guardrail", **options
    )
    return _Counters(storage), (RedisError, OSError, TimeoutError), pool
