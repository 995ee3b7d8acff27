"""Group commit: what queued while one batch was being committed is the next batch.

One commit waits for the disk (4 ms where this was measured), however many records it holds. So
one thread writes, and each request waits for the commit that holds its record.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from guardrail.errors import GuardrailError, StoreError, StoreUnavailableError
from guardrail.server.audit_record import AuditRecord
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.database import PATIENCE

# Records in one transaction: writing 500 takes about as long as one wait for the disk, and other
# processes wait for the head of the chain meanwhile.
MAX_BATCH = 500
# Records that wait at most; with more, new requests are refused at once.
MAX_QUEUE = 10_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: AuditRecord
    future: asyncio.Future[None]


class AuditQueue:
    """`append` for one event loop. It starts its thread with the first record."""

    def __init__(self, log: AuditLog, patience: float = 2 * PATIENCE) -> None:
        """`patience`: seconds that a record may wait to become durable."""
        self._log, self._patience = log, patience
        self._queue: deque[_Waiting] = deque()
        self._filled = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def append(self, record: AuditRecord) -> None:
        """Write a record; it is durable on return.

        Raises StoreUnavailableError where it could not be made durable in time: refuse what it is
        about. It may come on record all the same: later, or where the database failed while it
        committed. So does that of a request that is cancelled.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(record, loop.create_future())
        with self._filled:
            if self._closed:
                raise StoreUnavailableError("the audit trail is closed: the service is stopping")
            if len(self._queue) >= MAX_QUEUE:
                raise StoreUnavailableError(
                    f"{MAX_QUEUE} audit records are waiting to be written; try again later"
                )
            self._queue.append(waiting)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
            self._filled.notify()
        try:
            async with asyncio.timeout(self._patience):
                await waiting.future
        except TimeoutError:
            raise StoreUnavailableError(
                f"the audit record was not durable within {self._patience:g} seconds"
            ) from None

    async def ping(self) -> None:
        """Raise StoreError where records could not be written now."""
        await asyncio.to_thread(self._log.check)

    async def close(self) -> None:
        """Refuse new records, and wait until those that queued are durable."""
        with self._filled:
            self._closed = True
            self._filled.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._next():
            error: GuardrailError | None = None
            try:
                self._log.write([waiting.record for waiting in batch])
            except GuardrailError as raised:
                error = raised
            except Exception as raised:  # the thread goes on, and the requests are told
                error = StoreError(f"the audit trail failed with {type(raised).__name__}")
            _tell(batch, error)

    def _next(self) -> Sequence[_Waiting]:
        """What waits, oldest first; nothing once the queue is closed and empty."""
        with self._filled:
            while True:
                # Those who gave up stay: what was decided is on record, whether or not it left.
                count = min(len(self._queue), MAX_BATCH)
                batch = [self._queue.popleft() for _ in range(count)]
                if batch or self._closed:
                    return batch
                self._filled.wait()


def _tell(batch: Sequence[_Waiting], error: GuardrailError | None) -> None:
    def tell() -> None:
        for waiting in batch:
            if waiting.future.done():
                continue
            if error is None:
                waiting.future.set_result(None)
            else:
                # An exception of its own for each: one shared grows a traceback with every raise.
                waiting.future.set_exception(type(error)(*error.args))

    try:
        batch[0].future.get_loop().call_soon_threadsafe(tell)
    except RuntimeError:
        return  # the loop was closed: nobody waits any more
