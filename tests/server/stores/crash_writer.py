"""A process that writes audit records and prints the id of each that is durable.

python -m tests.server.stores.crash_writer URL NAME [COUNT]
"""

from __future__ import annotations

import asyncio
import os
import sys

from guardrail.errors import StoreError
from guardrail.server.audit_record import AuditRecord
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.audit_queue import AuditQueue
from guardrail.server.stores.database import Database
from tests.server.stores.conftest import KEY


async def main(url: str, name: str, count: int) -> None:
    queue = AuditQueue(AuditLog(Database(url), KEY))

    async def request(number: int) -> None:
        for turn in range(count):
            id_ = f"{name}-{number}-{turn}"
            try:
                await queue.append(AuditRecord("check", {"request": id_}, {"tenant": "acme"}))
            except StoreError as error:
                os.write(1, f"refused {id_} {type(error).__name__}\n".encode())
            else:
                # One system call: what was written before the process is killed has been written.
                os.write(1, f"durable {id_}\n".encode())

    await asyncio.gather(*(request(number) for number in range(8)))
    await queue.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
