"""One queue to one device: rows of several requests share batches, within limits and deadlines."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from guardrail.classifiers.memorization.models import Model, torch_
from guardrail.classifiers.memorization.tokens import Nats
from guardrail.errors import GuardrailError, ModelError, OverloadError, ScoringError

_log = logging.getLogger("guardrail")

# Tokens of a batch, padding included. On a CPU larger batches are no faster (900 tokens/s at 1 row
# and at 8), and a GPU is idle with smaller ones.
BUDGET_CPU, BUDGET_GPU = 1024, 16384
# Tokens that may wait: twice what the longest response needs under four models. A CPU at 1,000
# tokens/s takes minutes for that, so that there a deadline is what limits the wait.
QUEUE_TOKENS = 1 << 18
FAILURES_BEFORE_DEAD = 3


@dataclass(slots=True, eq=False)
class _Job:
    model: Model
    row: Sequence[int]
    first: int
    deadline: float | None
    future: Future[Nats] = field(default_factory=Future)

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


class Batcher:
    """Runs rows of tokens through models, in one thread of its own. Thread-safe.

    `fallback` is a device to go on with where the first one keeps failing, or None.
    """

    def __init__(
        self,
        budget: int | None = None,
        queue_tokens: int = QUEUE_TOKENS,
        fallback: str | None = None,
    ) -> None:
        self._budget, self._limit, self._fallback = budget, queue_tokens, fallback
        self._waiting: list[_Job] = []
        self._tokens = 0
        self._failures: Counter[int] = Counter()  # in a row, by model
        self._thread: threading.Thread | None = None
        self._closed = False
        self._changed = threading.Condition()
        self.problem: str | None = None
        """Why rows cannot be run, or are run on the fallback."""

    def submit(
        self, model: Model, rows: Sequence[tuple[Sequence[int], int]], deadline: float | None = None
    ) -> list[Future[Nats]]:
        """Queue rows, each with the place from which its log-probabilities are wanted (see
        `Model.logprobs`); all of them or none. Raises OverloadError where the queue is full."""
        jobs = [_Job(model, row, first, deadline) for row, first in rows]
        tokens = sum(len(job.row) for job in jobs)
        with self._changed:
            if self._closed:
                raise ScoringError("the scorer is closed; make another one")
            if self._tokens + tokens > self._limit:
                raise OverloadError(
                    f"{self._tokens:,} tokens wait for scoring and {tokens:,} more were given; at "
                    f"most {self._limit:,} may wait: try again later or use shorter texts"
                )
            self._tokens += tokens
            self._waiting += jobs
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True, name="scoring")
                self._thread.start()
            self._changed.notify()
        return [job.future for job in jobs]

    def close(self) -> None:
        """Stop; what still waits fails."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    for job in self._waiting:
                        job.future.set_exception(ScoringError("the scorer was closed"))
                    self._waiting.clear()
                    return
                batch = self._next_batch()
            running = [job for job in batch if job.future.set_running_or_notify_cancel()]
            try:
                self._run(running)
            except BaseException as error:  # a waiting request must hear of anything whatever
                _fail(running, ModelError(f"scoring failed ({type(error).__name__})"))
            with self._changed:
                self._tokens -= sum(len(job.row) for job in batch)

    def _next_batch(self) -> list[_Job]:
        """The most urgent row, and rows of the same model and like length as far as they fit."""
        head = min(self._waiting, key=_urgency)
        if head.late or head.future.cancelled():
            batch = [job for job in self._waiting if job.late or job.future.cancelled()]
        else:
            budget = self.budget(head.model)
            batch, width = [head], len(head.row)
            others = [job for job in self._waiting if job.model is head.model and job is not head]
            for job in sorted(others, key=lambda job: (abs(len(job.row) - width), _urgency(job))):
                wider = max(width, len(job.row))
                if wider * (len(batch) + 1) <= budget:
                    batch.append(job)
                    width = wider
        taken = set(map(id, batch))
        self._waiting = [job for job in self._waiting if id(job) not in taken]
        return batch

    def budget(self, model: Model) -> int:
        """Tokens of a batch on this model's device."""
        return self._budget or (BUDGET_CPU if model.device == "cpu" else BUDGET_GPU)

    def _run(self, batch: list[_Job]) -> None:
        late = [job for job in batch if job.late]
        _fail(late, OverloadError("the deadline passed before the text was scored"))
        batch = [job for job in batch if not job.late]
        if not batch:
            return
        model = batch[0].model
        try:
            values = model.logprobs([job.row for job in batch], [job.first for job in batch])
        except GuardrailError as error:
            _fail(batch, error)
        except (MemoryError, RuntimeError) as error:
            self._mend(batch, error)
        else:
            del self._failures[id(model)]
            for job, value in zip(batch, values, strict=True):
                job.future.set_result(value)

    def _mend(self, batch: list[_Job], error: Exception) -> None:
        """Out of memory: smaller batches. Anything else: the fallback, if there is one."""
        model = batch[0].model
        if is_out_of_memory(error):
            if model.device.startswith("cuda"):
                torch_().cuda.empty_cache()
            if len(batch) > 1:
                _log.warning("out of memory at %d rows; trying half of them", len(batch))
                self._run(batch[: len(batch) // 2])
                self._run(batch[len(batch) // 2 :])
                return
        self._failures[id(model)] += 1
        what = "out of memory" if is_out_of_memory(error) else type(error).__name__
        if self._fallback is not None and model.device != self._fallback:
            _log.warning("scoring on %s failed (%s); going on on %s", model.device, what, "cpu")
            self.problem = f"{model.device} failed ({what}); scoring runs on {self._fallback}"
            model.move(self._fallback)
            self._run(batch)
            return
        if self._failures[id(model)] >= FAILURES_BEFORE_DEAD:
            self.problem = (
                f"the last {self._failures[id(model)]} runs on {model.device} failed ({what})"
            )
        _fail(batch, ModelError(f"scoring on {model.device} failed ({what})"))


def is_out_of_memory(error: Exception) -> bool:
    """Whether a run failed for want of memory, whatever the device says it with."""
    return isinstance(error, (MemoryError, torch_().OutOfMemoryError)) or "out of memory" in str(
        error
    )


def _urgency(job: _Job) -> float:
    return job.deadline if job.deadline is not None else float("inf")


def _fail(jobs: Sequence[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)
