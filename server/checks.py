"""Checks in threads of their own: so many at once, so many waiting, and each within its time.

The threads are made here, not by `concurrent.futures`, for one reason: a thread whose check does
not come back is given up and replaced, so that a detector that hangs costs its own request only.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from guardrail.server.errors import OverloadedError, UnavailableError

T = TypeVar("T")

# Detectors are told to stop at this share of the time, so that their failure becomes a verdict
# before the request is given up.
PATIENCE = 0.9
# Threads that hang at once before the process counts as broken: each keeps its memory and a share
# of the processor.
MOST_LOST = 8


class CheckPool:
    """Runs blocking calls for one event loop. `run` and `close` belong to that loop's thread."""

    def __init__(self, threads: int, queue: int, seconds: float) -> None:
        """`queue` calls may wait besides the `threads` that run; `seconds` is the time of each,
        waiting included."""
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._room = threads + queue
        self._threads = threads
        self.seconds = seconds
        self.unfinished = 0
        self.lost = 0
        for _ in range(threads):
            self._start()

    @property
    def is_sound(self) -> bool:
        """False where so many calls hang that only a new process helps."""
        return self.lost < MOST_LOST

    async def run(self, work: Callable[[float], T]) -> T:
        """What `work` returns, given the value of `time.monotonic()` at which it should give up.

        Raises OverloadedError at once where the queue is full, UnavailableError where the time ran
        out, and what `work` raises."""
        if self.unfinished >= self._room:
            raise OverloadedError("too many checks are waiting; try again in a moment")
        self.unfinished += 1
        job = _Job(self._loop, work, time.monotonic() + PATIENCE * self.seconds)
        timer = self._loop.call_later(self.seconds, self._give_up, job)
        self._jobs.put(job)
        try:
            result: T = await job.future
            return result
        finally:
            timer.cancel()
            self.unfinished -= 1
            if job.started and not job.ended and not job.lost:
                # The one who asked has gone: the thread is still at it.
                self._loop.call_later(max(0.0, timer.when() - self._loop.time()), self._lose, job)

    def close(self) -> None:
        """Let the threads end after what they are at; those that hang end with the process."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _start(self) -> None:
        threading.Thread(target=self._work, name="check", daemon=True).start()

    def _give_up(self, job: _Job) -> None:
        if not job.future.done():
            job.future.set_exception(UnavailableError("the check took too long"))
        self._lose(job)

    def _lose(self, job: _Job) -> None:
        if job.started and not job.ended and not job.lost:
            job.lost = True
            self.lost += 1
            if self.is_sound:
                self._start()

    def _end(self, job: _Job, result: Any, error: BaseException | None) -> None:
        job.ended = True
        if job.lost:
            # It came back after all. Its thread was replaced: one of them is too many.
            if self.is_sound:
                self._jobs.put(None)
            self.lost -= 1
        if not job.future.done():
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.future.done():
                continue
            job.started = True
            result, error = None, None
            try:
                result = job.work(job.deadline)
            except BaseException as problem:
                error = problem
            try:
                self._loop.call_soon_threadsafe(self._end, job, result, error)
            except RuntimeError:
                return  # the loop has closed, and with it whoever waited
            del job, result, error  # nothing keeps a text while the thread waits for the next


class _Job:
    """One call. `started` is set in its thread, all else in the loop's."""

    __slots__ = ("deadline", "ended", "future", "lost", "started", "work")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Callable[[float], Any], deadline: float
    ) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self.work, self.deadline = work, deadline
        self.started = self.ended = self.lost = False
