"""Counters of rate limits in the memory of one process."""

from __future__ import annotations

from math import floor
from time import monotonic, time

from limits.aio.storage import SlidingWindowCounterSupport, Storage

# Counters below which nobody looks for those that are over.
_FEW = 1024


class MemoryCounters(Storage, SlidingWindowCounterSupport):
    """The part of the `limits` package's interface that `Limiter` uses.

    Its own storage looks through all counters with every hit, which costs milliseconds from some
    thousand callers on. This one does so when their number has doubled since the last time.

    Time is the one that nobody sets: a clock that is put back gives no limit anew, and keeps none
    used up for longer.

    No method waits for anything between reading a counter and writing it, so that in one event
    loop each is atomic.
    """

    def __init__(self) -> None:
        super().__init__()
        # By key: when the counter is over (by the monotonic clock), and its count.
        self._counts: dict[str, tuple[float, int]] = {}
        self._sweep_at = _FEW

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self._add(key, expiry, amount, monotonic())

    async def get(self, key: str) -> int:
        return self._get(key, monotonic())

    async def get_expiry(self, key: str) -> float:
        now = monotonic()
        return time() + self._counts.get(key, (now, 0))[0] - now

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        now = monotonic()
        previous, previous_ttl, current, _ = self._windows(key, expiry, now)
        if floor(previous * previous_ttl / expiry) + current + amount > limit:
            return False
        # It counts for its own window, and in part for the next.
        self._add(f"{key}/{int(now / expiry)}", 2 * expiry, amount, now)
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        return self._windows(key, expiry, monotonic())

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        window = int(monotonic() / expiry)
        await self.clear(f"{key}/{window}")
        await self.clear(f"{key}/{window - 1}")

    async def check(self) -> bool:
        return True

    async def reset(self) -> int | None:
        count = len(self._counts)
        self._counts.clear()
        return count

    async def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def _windows(self, key: str, expiry: int, now: float) -> tuple[int, float, int, float]:
        """Counts of the window before this and of this one, each with the seconds left to it."""
        window, elapsed = int(now / expiry), now % expiry
        previous = self._get(f"{key}/{window - 1}", now)
        current = self._get(f"{key}/{window}", now)
        return previous, expiry - elapsed, current, 2 * expiry - elapsed

    def _get(self, key: str, now: float) -> int:
        over, count = self._counts.get(key, (0.0, 0))
        return count if over > now else 0

    def _add(self, key: str, expiry: int, amount: int, now: float) -> int:
        over, count = self._counts.get(key, (0.0, 0))
        if over <= now:
            over, count = now + expiry, 0
        self._counts[key] = over, count + amount
        if len(self._counts) > self._sweep_at:
            self._counts = {k: entry for k, entry in self._counts.items() if entry[0] > now}
            self._sweep_at = max(_FEW, 2 * len(self._counts))
        return count + amount
