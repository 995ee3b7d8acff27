"""What fails: processes that are killed, disks that are full, databases that go away and return."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from guardrail.errors import StoreError, StoreUnavailableError, StoreVersionError, UsageError
from guardrail.server.audit_record import AuditRecord
from guardrail.server.identity import Scope
from guardrail.server.stores import audit_queue, database
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.audit_erase import Erasure, erase
from guardrail.server.stores.audit_queue import AuditQueue
from guardrail.server.stores.audit_verify import verify
from guardrail.server.stores.database import Database
from guardrail.server.stores.keys import KeyStore
from tests.server.stores.conftest import KEY
from tests.servers import Postgres

ROOT = Path(__file__).resolve().parents[3]
FOREVER = 10**9


def record(name: str) -> AuditRecord:
    return AuditRecord("check", {"request": name}, {"tenant": "acme"})


def written(log: AuditLog) -> Counter[str]:
    with log.database.read() as connection:
        return Counter(
            json.loads(stored.body).get("request", stored.event)
            for chunk in log.read(connection)
            for stored in chunk
        )


def writer(url: str, name: str, count: int = FOREVER) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.server.stores.crash_writer", url, name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def durable(output: str) -> set[str]:
    # What has no end of line was cut off by the kill.
    lines = output.split("\n")[:-1]
    return {line.split()[1] for line in lines if line.startswith("durable")}


def test_killed_writers_lose_and_double_nothing(url: str, log: AuditLog) -> None:
    told: set[str] = set()
    for turn in range(2):
        writers = [writer(url, f"{turn}.{number}") for number in range(2)]
        # Killed in the middle of it: each has said already that some records are durable.
        heads = [process.stdout.readline() for process in writers if process.stdout]
        time.sleep(0.3)
        for process, head in zip(writers, heads, strict=True):
            process.kill()
            told |= durable(head + process.communicate()[0])
    assert told
    log.write([record("after")])
    counts = written(log)
    assert told <= counts.keys()
    assert set(counts.values()) == {1}
    assert verify(log).valid


def test_writers_in_several_processes_make_one_chain(url: str, log: AuditLog) -> None:
    writers = [writer(url, str(number), 5) for number in range(2)]
    told = set[str]().union(*(durable(process.communicate()[0]) for process in writers))
    assert len(told) == 80
    assert set(written(log)) == told
    assert verify(log).valid


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_full_disk_refuses_and_recovers(log: AuditLog) -> None:
    with log.database.read() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    def limit(pages: int) -> None:
        # The limit is of a connection; the pool has one that is not in use.
        with log.database.read() as connection:
            connection.execute(text(f"PRAGMA max_page_count={pages}"))

    async def main() -> None:
        queue = AuditQueue(log)
        await queue.append(record("before"))
        limit(pages)
        filling = [record(f"fills {number}" + "x" * 1000) for number in range(50)]
        with pytest.raises(StoreUnavailableError, match="full"):
            log.write(filling)
        with pytest.raises(StoreUnavailableError, match="full"):
            await asyncio.gather(*map(queue.append, filling))
        limit(10**6)
        await queue.append(record("after"))
        await queue.close()

    asyncio.run(main())
    counts = written(log)
    assert counts["before"] == counts["after"] == 1
    assert verify(log).valid


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_files_that_may_not_grow_refuse(url: str, log: AuditLog, tmp_path: Path) -> None:
    """The error of the operating system itself, in a process whose files may not grow."""
    log.write([record("before")])
    size = max(file.stat().st_size for file in tmp_path.iterdir())
    command = [sys.executable, "-m", "tests.server.stores.crash_writer", url, "full", "40"]
    limit = size + 20_000
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    refused = [line for line in done.stdout.splitlines() if line.startswith("refused")]
    assert refused
    assert all(line.endswith("StoreUnavailableError") for line in refused)
    log.write([record("after")])
    counts = written(log)
    assert durable(done.stdout) <= counts.keys()
    assert not {line.split()[1] for line in refused} & counts.keys()
    assert verify(log).valid


def test_postgresql_goes_away_and_returns(fragile_postgres: Postgres) -> None:
    opened = Database(fragile_postgres.empty_database())
    log = AuditLog(opened, KEY)
    keys = KeyStore(log, KEY)
    secret = keys.create("acme", [Scope.PROXY], actor="root").secret

    async def until(wanted: bool) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                found = await keys.authenticate(secret) is not None
            except StoreUnavailableError:
                found = False
            if found == wanted:
                return
            assert time.monotonic() < end
            await asyncio.sleep(0.05)

    async def main() -> None:
        queue = AuditQueue(log)
        await until(True)
        await queue.append(record("before"))
        for how in (fragile_postgres.stop, fragile_postgres.kill):
            how()
            with pytest.raises(StoreUnavailableError):
                await queue.append(record(f"during {how.__name__}"))
            with pytest.raises(StoreUnavailableError):
                await queue.ping()
            # Nobody is let in on the word of a database that is not there.
            await until(False)
            fragile_postgres.start()
            await queue.append(record(f"after {how.__name__}"))
            await until(True)
        await queue.close()

    asyncio.run(main())
    counts = written(log)
    assert counts["before"] == counts["after stop"] == counts["after kill"] == 1
    assert not any(name.startswith("during") for name in counts)
    assert verify(log).valid
    keys.close()
    opened.close()


def test_a_writer_that_stands_still_does_not_stop_the_others(
    url: str, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 1)
    other = Database(url)
    impatient = AuditLog(other, KEY)
    with log.database.write() as connection:
        log.append(connection, [record("held")])
        with pytest.raises(StoreUnavailableError):
            impatient.write([record("waits")])
    impatient.write([record("later")])
    assert set(written(log)) == {"held", "later"}
    other.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_record_that_waits_too_long_is_refused(log: AuditLog) -> None:
    async def main() -> None:
        queue = AuditQueue(log, patience=0.2)
        with log.database.write() as connection:
            connection.execute(text("SELECT 1"))
            with pytest.raises(StoreUnavailableError, match=r"0\.2 seconds"):
                await queue.append(record("late"))
        await queue.close()
        with pytest.raises(StoreUnavailableError, match="stopping"):
            await queue.append(record("closed"))

    asyncio.run(main())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_who_hangs_up_is_on_record(log: AuditLog) -> None:
    async def main() -> None:
        queue = AuditQueue(log)
        with log.database.write() as connection:
            connection.execute(text("SELECT 1"))
            for name in ("first", "second"):
                task = asyncio.create_task(queue.append(record(name)))
                await asyncio.sleep(0.05)
                task.cancel()
        await queue.close()

    asyncio.run(main())
    assert set(written(log)) == {"first", "second"}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_full_queue_refuses_at_once(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_queue, "MAX_QUEUE", 3)

    async def main() -> None:
        queue = AuditQueue(log)
        appended = (queue.append(record(str(number))) for number in range(50))
        answers = await asyncio.gather(*appended, return_exceptions=True)
        await queue.close()
        refused = [answer for answer in answers if isinstance(answer, StoreUnavailableError)]
        assert refused
        assert len(written(log)) == 50 - len(refused)

    asyncio.run(main())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_erasure_that_readers_hold_up_is_told(
    url: str, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write([record("one")])
    monkeypatch.setattr(database, "PATIENCE", 1)
    impatient = AuditLog(Database(url), KEY)
    with log.database.read() as connection:
        assert len(list(log.read(connection))) == 1
        with pytest.raises(StoreUnavailableError, match="run the command again"):
            erase(impatient, Erasure(tenant="acme"), "root")
    assert erase(impatient, Erasure(tenant="acme"), "root") == 0
    impatient.database.close()
    assert verify(log).valid


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(StoreVersionError, match="another program"):
        Database(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("not a database" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        Database(f"sqlite:///{tmp_path}/a.txt")


def test_a_newer_schema_is_refused(url: str, log: AuditLog) -> None:
    with log.database.write() as connection:
        connection.execute(text("UPDATE guardrail_schema SET version = 99"))
    with pytest.raises(StoreVersionError, match="version 99"):
        Database(url)


def test_a_missing_table_is_told(url: str, log: AuditLog) -> None:
    with log.database.write() as connection:
        connection.execute(text("DROP TABLE guardrail_audit_head"))
    with pytest.raises(StoreVersionError, match="tables"):
        Database(url)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "oracle://u:pw@h/d"]
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="postgresql://") as caught:
        Database(url)
    assert "pw" not in str(caught.value)


def test_passwords_are_not_told() -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        Database("postgresql://user:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_the_database_file_is_its_owners(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/a.db").close()
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}
