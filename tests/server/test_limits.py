"""Rate limits, in memory and in Redis, and Redis that goes away and returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from guardrail.errors import LimitsUnavailableError, RateLimitedError, UsageError
from guardrail.server import limits
from guardrail.server.identity import Identity, Limits, Rate
from guardrail.server.limit_counters import MemoryCounters
from guardrail.server.limits import Limiter
from guardrail.server.settings import Settings
from tests.servers import Redis

# A window that does not end while a test runs.
DAY = 86_400
KEY = Identity("key_1", "acme")
SIBLING = Identity("key_2", "acme")
STRANGER = Identity("key_3", "globex")

Use = Callable[[Limiter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis that is only slow, as on a busy machine, is not away."""
    monkeypatch.setattr(limits, "_REDIS_PATIENCE", 30.0)


@pytest.fixture(params=["memory", "redis"])
def counters(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    redis: Redis = request.getfixturevalue("redis")
    return redis.url


def run(url: str, use: Use, **settings: Any) -> None:
    async def main() -> None:
        limiter = Limiter(url, **settings)
        try:
            await use(limiter)
        finally:
            await limiter.close()

    asyncio.run(main())


async def admitted(limiter: Limiter, identity: Identity, times: int, **costs: Any) -> int:
    count, refused = 0, []
    for _ in range(times):
        try:
            await limiter.admit(identity, **costs)
            count += 1
        except RateLimitedError as error:
            refused.append(error)
    assert all(1 <= error.retry_after <= DAY for error in refused)
    told = " ".join(map(str, refused))
    assert identity.tenant not in told
    assert identity.key_id not in told
    return count


def test_requests_of_a_key_and_of_its_tenant_are_limited(counters: str) -> None:
    async def use(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 10) == 5
        assert await admitted(limiter, SIBLING, 10) == 3
        assert await admitted(limiter, STRANGER, 10) == 5

    run(
        counters,
        use,
        per_key=Limits(requests=Rate(5, DAY)),
        per_tenant=Limits(requests=Rate(8, DAY)),
    )


def test_a_burst_is_limited_within_a_second(counters: str) -> None:
    async def use(limiter: Limiter) -> None:
        # So many within one second, on however slow a machine: all are asked at once.
        asked = (limiter.admit(KEY) for _ in range(30))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, RateLimitedError)]
        assert len(refused) >= 10
        assert {error.retry_after for error in refused} == {1}

    run(counters, use, per_key=Limits(requests=Rate(10_000, DAY, burst=2)))


def test_characters_are_limited(counters: str) -> None:
    async def use(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 10, characters=300) == 3
        assert await admitted(limiter, KEY, 10, characters=50) == 2
        assert await admitted(limiter, STRANGER, 1, characters=1001) == 0

    run(counters, use, per_key=Limits(characters=Rate(1000, DAY)))


def test_tokens_are_counted_after_the_answer(counters: str) -> None:
    async def use(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 3) == 3
        await limiter.charge(KEY, 99)
        assert await admitted(limiter, KEY, 3) == 3
        await limiter.charge(KEY, 5000)  # the answer that goes beyond still ends
        assert await admitted(limiter, KEY, 3) == 0
        assert await admitted(limiter, STRANGER, 3, tokens=60) == 2

    run(counters, use, per_key=Limits(tokens=Rate(100, DAY)))


def test_limits_of_a_key_replace_those_of_the_service(counters: str) -> None:
    async def use(limiter: Limiter) -> None:
        own = Identity("key_9", "acme", limits=Limits(requests=Rate(2, DAY)))
        assert await admitted(limiter, own, 10) == 2

    run(counters, use, per_key=Limits(requests=Rate(5, DAY)))


def test_the_preset_for_sensitive_endpoints_is_single_digits_per_minute(counters: str) -> None:
    async def use(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 20, preset="sensitive") == 1
        assert await admitted(limiter, KEY, 20) == 20

    sensitive = Settings().limits.sensitive.requests
    assert sensitive is not None
    assert (sensitive.amount, sensitive.seconds, sensitive.burst) == (5, 60, 1)
    # In a day instead of a minute, which would end while a slow machine counts.
    run(counters, use, presets={"sensitive": Limits(requests=Rate(1, DAY))})


def test_a_window_passes(counters: str) -> None:
    async def use(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 1) == 1
        end = time.monotonic() + 30
        while not await admitted(limiter, KEY, 1):
            assert time.monotonic() < end
            await asyncio.sleep(0.05)

    run(counters, use, per_key=Limits(requests=Rate(1, 1)))


def test_processes_share_the_counters_of_redis(redis: Redis) -> None:
    async def use(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 3) == 3

    async def use_rest(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 5) == 2

    settings = {"per_key": Limits(requests=Rate(5, DAY))}
    run(redis.url, use, **settings)
    run(redis.url, use_rest, **settings)


def test_without_redis_requests_are_refused_until_it_returns(redis: Redis) -> None:
    async def use(limiter: Limiter) -> None:
        await limiter.ping()
        await limiter.admit(KEY)
        redis.kill()
        for ask in (limiter.admit(KEY), limiter.ping(), limiter.charge(KEY, 5)):
            with pytest.raises(LimitsUnavailableError, match="try again"):
                await ask
        redis.start()
        await _until_admitted(limiter)
        await limiter.ping()

    run(redis.url, use, per_key=Limits(requests=Rate(1000, DAY), tokens=Rate(1000, DAY)))


def test_while_redis_is_away_a_request_is_told_at_once(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_PAUSE", 3600.0)

    async def use(limiter: Limiter) -> None:
        redis.kill()
        with pytest.raises(LimitsUnavailableError):
            await limiter.admit(KEY)
        limiter._redis = _Untouchable()  # type: ignore[assignment]
        with pytest.raises(LimitsUnavailableError):
            await limiter.admit(KEY)

    run(redis.url, use, per_key=Limits(requests=Rate(5, DAY)))


def test_without_redis_each_process_may_count_for_itself(redis: Redis) -> None:
    async def use(limiter: Limiter) -> None:
        redis.kill()
        assert await admitted(limiter, KEY, 10) == 5
        await limiter.ping()

    run(redis.url, use, per_key=Limits(requests=Rate(5, DAY)), alone=True)


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1", ""])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="redis://HOST"):
        Limiter(url)


def test_counters_that_are_over_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("guardrail.server.limit_counters.monotonic", lambda: now)

    async def main() -> None:
        nonlocal now
        counters = MemoryCounters()
        for number in range(20_000):
            assert await counters.acquire_sliding_window_entry(f"caller {number}", 5, 60)
            now += 1
        assert len(counters) <= 2048

    asyncio.run(main())


def test_a_clock_that_is_set_changes_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(limiter: Limiter) -> None:
        assert await admitted(limiter, KEY, 6) == 5
        await limiter.charge(SIBLING, 5)
        true = time.time()
        for days in (-2, 2):
            monkeypatch.setattr(time, "time", lambda days=days: true + days * DAY)
            assert await admitted(limiter, KEY, 1) == 0
            assert await admitted(limiter, SIBLING, 1) == 0

    run("memory://", use, per_key=Limits(requests=Rate(5, DAY), tokens=Rate(5, DAY)))


def test_the_window_before_counts_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 6000.0
    monkeypatch.setattr("guardrail.server.limit_counters.monotonic", lambda: now)

    async def main() -> list[int]:
        nonlocal now
        counters = MemoryCounters()
        taken = []
        for step in range(4):
            now = 6000.0 + 30 * step
            taken.append(0)
            while await counters.acquire_sliding_window_entry("key", 10, 60):
                taken[-1] += 1
        return taken

    # At 60 seconds all ten of the window before count, at 90 seconds half of them.
    assert asyncio.run(main()) == [10, 0, 0, 5]


class _Untouchable:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError("Redis was asked again")


async def _until_admitted(limiter: Limiter) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            await limiter.admit(KEY)
            return
        except LimitsUnavailableError:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
