"""Measure what the service keeps, and write docs/benchmarks/stores.md.

    scripts/bench_stores.py [--postgres URL] [--redis URL] [--records 20000] [--out FILE]

Audit records that wait for their commit, one process and two; looking a key up; counting a request.
SQLite's file is made in a temporary folder of the current disk (TMPDIR names another). `--postgres`
names an empty database, whose tables are left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from guardrail.findings import Action, Evidence, Finding, Span, Verdict  # noqa: E402
from guardrail.keys import Key  # noqa: E402
from guardrail.server.audit_record import decision  # noqa: E402
from guardrail.server.identity import Identity, Limits, Rate, Scope  # noqa: E402
from guardrail.server.limits import Limiter  # noqa: E402
from guardrail.server.stores.audit import AuditLog  # noqa: E402
from guardrail.server.stores.audit_queue import AuditQueue  # noqa: E402
from guardrail.server.stores.audit_verify import verify  # noqa: E402
from guardrail.server.stores.database import Database  # noqa: E402
from guardrail.server.stores.keys import KeyStore  # noqa: E402

KEY = Key(bytes(range(32)))
CALLER = Identity("key_0123456789abcdef", "acme")
VERDICT = Verdict(
    Action.REDACT,
    "",
    tuple(
        Finding(
            "overlap",
            "verbatim",
            Span(100 * n, 100 * n + 80),
            evidence=Evidence(document=f"mail/{n:08}", collection="mail", matched=60, index="mail"),
            action=Action.REDACT,
            rule="long",
        )
        for n in range(2)
    ),
)
AT_ONCE = (1, 16, 64, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgres")
    parser.add_argument("--redis")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks/stores.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "guardrail.db"
        urls = {"SQLite": f"sqlite:///{file}"}
        if options.postgres:
            urls["PostgreSQL"] = options.postgres
        lines = [
            "# Keys, records and limits",
            "",
            f"Python {platform.python_version()}, {os.cpu_count()} cores; "
            f"`scripts/bench_stores.py --records {options.records}`.",
            "",
            "## Records that are durable",
            "",
            "Each of so many requests at once waits for its record, then makes the next. CPU is of "
            "the process that writes.",
            "",
            row(
                "database", "processes", "at once", "records/s", "p50 ms", "p99 ms", "CPU µs/record"
            ),
            "|---|---|---|---|---|---|---|",
        ]
        for name, url in urls.items():
            AuditLog(Database(url), KEY)
            for at_once in AT_ONCE:
                count = max(options.records * min(at_once, 64) // 64, 200)
                rate, *rest = append(url, count, at_once)
                lines.append(row(name, 1, at_once, f"{rate:,.0f}", *(f"{x:.1f}" for x in rest)))
            both = [*two_processes(url, options.records // 2, 64)]
            rate = sum(each[0] for each in both)
            rest = [statistics.mean(each[n] for each in both) for n in (1, 2, 3)]
            lines.append(row(name, 2, 128, f"{rate:,.0f}", *(f"{x:.1f}" for x in rest)))
        lines += ["", "## Verifying, and looking keys up", ""]
        for name, url in urls.items():
            log = AuditLog(Database(url), KEY)
            began = time.perf_counter()
            found = verify(log)
            assert found.valid, found.problems
            rate = found.records / (time.perf_counter() - began)
            lines.append(f"- {name}: {rate:,.0f} records verified a second of {found.records:,};")
            lines.append(f"  a key is looked up in {lookup(log):.0f} µs.")
        Database(urls["SQLite"]).forget_erased()  # the log of what was written is in the file now
        size = file.stat().st_size / verified(f"sqlite:///{file}")
        lines += [f"- A record with two documents takes {size:,.0f} bytes in SQLite.", ""]
        lines += [
            "## Counting a request",
            "",
            "With limits of requests for its key and tenant:",
            "",
        ]
        for name, url in {"memory": "memory://", "Redis": options.redis}.items():
            if url:
                lines.append(f"- {name}: {asyncio.run(count_requests(url)):.0f} µs.")
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def append(url: str, count: int, at_once: int) -> tuple[float, float, float, float]:
    """Records/s, median and 99th percentile of the wait in ms, CPU in microseconds a record."""
    queue = AuditQueue(AuditLog(Database(url), KEY))
    waits: list[float] = []

    async def request(times: int) -> None:
        for turn in range(times):
            record = decision("check", CALLER, VERDICT, request=f"req_{turn:024}", model="m")
            began = time.perf_counter()
            await queue.append(record)
            waits.append(time.perf_counter() - began)

    async def run() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(request(count // at_once) for _ in range(at_once)))
        elapsed = time.perf_counter() - began
        await queue.close()
        return elapsed

    cpu = time.process_time()
    elapsed = asyncio.run(run())
    cpu = time.process_time() - cpu
    cuts = statistics.quantiles(waits, n=100)
    return len(waits) / elapsed, cuts[49] * 1e3, cuts[98] * 1e3, cpu / len(waits) * 1e6


def two_processes(url: str, count: int, at_once: int) -> list[tuple[float, float, float, float]]:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(time.sleep, [0.5, 0.5])  # both have started, and imported all
        return pool.starmap(append, [(url, count, at_once)] * 2)


def lookup(log: AuditLog) -> float:
    """Microseconds, as the least of several hundred, among a hundred keys."""
    keys = KeyStore(log, KEY)
    secrets = [keys.create("acme", [Scope.PROXY], actor="bench").secret for _ in range(100)]
    time.sleep(1)  # PostgreSQL tells of the last one

    async def run() -> float:
        best = 1.0
        for secret in secrets * 10:
            began = time.perf_counter()
            assert await keys.authenticate(secret) is not None
            best = min(best, time.perf_counter() - began)
        return best

    best = asyncio.run(run())
    keys.close()
    return best * 1e6


def verified(url: str) -> int:
    log = AuditLog(Database(url), KEY)
    with log.database.read() as connection:
        return log.head(connection).seq


async def count_requests(url: str) -> float:
    """Microseconds, as a mean."""
    plenty = Limits(requests=Rate(10**9))
    limiter = Limiter(url, per_key=plenty, per_tenant=plenty)
    began = time.perf_counter()
    for _ in range(2000):
        await limiter.admit(CALLER)
    elapsed = time.perf_counter() - began
    await limiter.close()
    return elapsed / 2000 * 1e6


if __name__ == "__main__":
    main()
