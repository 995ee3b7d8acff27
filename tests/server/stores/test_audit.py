"""The audit trail: what is written is there, and what was done to it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from sqlalchemy import text

from guardrail.errors import StoreDamagedError, StoreError, UsageError
from guardrail.findings import Action, Evidence, Failure, Finding, Span, Verdict
from guardrail.keys import Key
from guardrail.server.audit_record import AuditRecord, administration, decision
from guardrail.server.identity import Identity
from guardrail.server.stores import audit
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.audit_erase import Erasure, erase
from guardrail.server.stores.audit_queue import AuditQueue
from guardrail.server.stores.audit_verify import Checkpoint, verify
from guardrail.server.stores.database import Database

OTHER_KEY = Key(bytes(32))
ACME, GLOBEX = Identity("key_1", "acme"), Identity("key_2", "globex")


def record(number: int, caller: Identity = ACME) -> AuditRecord:
    return AuditRecord(
        "check",
        {"request": f"r{number}"},
        {"tenant": caller.tenant, "key": caller.key_id, "documents": [f"d{number}"]},
        time=1_000_000 * number,
    )


def fill(log: AuditLog, count: int) -> None:
    log.write([record(n, ACME if n % 2 else GLOBEX) for n in range(1, count + 1)])


def change(database: Database, sql: str, **values: Any) -> None:
    """What somebody does who can write to the database."""
    with database.write() as connection:
        assert connection.execute(text(sql), values).rowcount


def everything(log: AuditLog) -> list[dict[str, Any]]:
    with log.database.read() as connection:
        return [stored.to_dict() for chunk in log.read(connection) for stored in chunk]


def test_what_is_written_is_read_in_order(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHUNK", 4)
    fill(log, 6)
    log.write([record(7), record(8)])
    assert [r["body"]["request"] for r in everything(log)] == [f"r{n}" for n in range(1, 9)]
    found = verify(log)
    assert found.valid
    assert found.records == 8
    assert (found.first_time, found.last_time) == (1_000_000, 8_000_000)


def test_an_empty_trail_is_valid(log: AuditLog) -> None:
    found = verify(log)
    assert found.valid
    assert found.records == 0


def test_a_decision_names_rules_documents_and_lengths_and_no_text() -> None:
    finding = Finding(
        "overlap",
        "verbatim",
        Span(10, 90),
        evidence=Evidence(document="letter.txt", collection="mail", matched=70, index="i"),
        action=Action.REFUSE,
        rule="long",
    )
    verdict = Verdict(Action.REFUSE, "a secret text", (finding, finding), (Failure("pii", "why"),))
    made = decision("check", ACME, verdict, request="r1", model="m", response_chars=100)
    assert made.body["rules"] == [
        {
            "rule": "long",
            "detector": "overlap",
            "kind": "verbatim",
            "action": "refuse",
            "findings": 2,
            "chars": 160,
        }
    ]
    assert made.personal["documents"] == [
        {"index": "i", "collection": "mail", "document": "letter.txt", "matched": 70}
    ]
    written = made.body_json() + made.personal_json()
    assert "secret" not in written
    assert "why" not in written
    assert "letter" not in made.body_json()
    assert "acme" not in made.body_json()


def test_a_decision_names_a_bounded_number_of_documents() -> None:
    findings = tuple(
        Finding("overlap", "verbatim", Span(0, 9), evidence=Evidence(document=f"d{n}", matched=n))
        for n in range(1000)
    )
    made = decision("check", ACME, Verdict(Action.REFUSE, "", findings), request="r")
    assert made.body["documents"] == 1000
    named = made.personal["documents"]
    assert len(named) == 100
    assert named[0]["document"] == "d999"


@pytest.mark.parametrize("odd", ["\x00", "\ud800", "'; DROP TABLE guardrail_audit; --", "🦉", ""])
def test_any_id_of_a_document_is_kept(log: AuditLog, odd: str) -> None:
    log.write([AuditRecord("check", {"request": odd}, {"documents": [odd]})])
    assert everything(log)[0]["personal"]["documents"] == [odd]
    assert verify(log).valid


TAMPERING = {
    "the body": "UPDATE guardrail_audit SET body = '{}' WHERE seq = 5",
    "the event": "UPDATE guardrail_audit SET event = 'other' WHERE seq = 5",
    "the time": "UPDATE guardrail_audit SET time = 1 WHERE seq = 5",
    "who it was": "UPDATE guardrail_audit SET personal = '{}' WHERE seq = 5",
    "the salt": "UPDATE guardrail_audit SET salt = commitment WHERE seq = 5",
    "the commitment": "UPDATE guardrail_audit SET commitment = mac WHERE seq = 5",
    "the code": "UPDATE guardrail_audit SET mac = commitment WHERE seq = 5",
    "the first removed": "DELETE FROM guardrail_audit WHERE seq = 1",
    "one removed": "DELETE FROM guardrail_audit WHERE seq = 5",
    "the last removed": "DELETE FROM guardrail_audit WHERE seq = 10",
    "the end removed": "DELETE FROM guardrail_audit WHERE seq > 3",
    "all removed": "DELETE FROM guardrail_audit",
    "one inserted at the end": "INSERT INTO guardrail_audit"
    " (seq, time, event, body, personal, salt, commitment, mac)"
    " SELECT 11, time, event, body, personal, salt, commitment, mac"
    " FROM guardrail_audit WHERE seq = 10",
    "one inserted before": "INSERT INTO guardrail_audit"
    " (seq, time, event, body, personal, salt, commitment, mac)"
    " SELECT 0, time, event, body, personal, salt, commitment, mac"
    " FROM guardrail_audit WHERE seq = 10",
    "two swapped": "UPDATE guardrail_audit SET (time, body, personal, salt, commitment, mac) ="
    " (SELECT time, body, personal, salt, commitment, mac FROM guardrail_audit AS other"
    " WHERE other.seq = 11 - guardrail_audit.seq) WHERE seq IN (5, 6)",
    "emptied": "UPDATE guardrail_audit SET personal = NULL, salt = NULL WHERE seq = 5",
    "emptied with a mark": "UPDATE guardrail_audit SET personal = NULL, salt = NULL, erased_by = 7"
    " WHERE seq = 5",
    "marked": "UPDATE guardrail_audit SET erased_by = 7 WHERE seq = 5",
    "a time that is a word": "UPDATE guardrail_audit SET time = 'noon' WHERE seq = 5",
    "a negative time": "UPDATE guardrail_audit SET time = -5 WHERE seq = 5",
    "a body that is bytes": "UPDATE guardrail_audit SET body = x'00ff' WHERE seq = 5",
    "a body that is a number": "UPDATE guardrail_audit SET body = 7 WHERE seq = 5",
    "a name that is bytes": "UPDATE guardrail_audit SET personal = x'00ff' WHERE seq = 5",
    "a code that is a word": "UPDATE guardrail_audit SET mac = 'é' WHERE seq = 5",
    "a salt that is a word": "UPDATE guardrail_audit SET salt = 'é' WHERE seq = 5",
    "a mark that is a word": "UPDATE guardrail_audit SET erased_by = 'é' WHERE seq = 5",
    "a body of an erasure": "UPDATE guardrail_audit SET event = 'audit.erase', body = '{'"
    " WHERE seq = 5",
    "the head a word": "UPDATE guardrail_audit_head SET mac = 'é'",
    "the head negative": "UPDATE guardrail_audit_head SET seq = -1",
    "the head moved back": "UPDATE guardrail_audit_head SET seq = 9",
    "the head changed": "UPDATE guardrail_audit_head SET mac = seal",
    "the head removed": "DELETE FROM guardrail_audit_head",
}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_told(log: AuditLog, how: str) -> None:
    fill(log, 10)
    assert verify(log).valid
    change(log.database, TAMPERING[how])
    assert not verify(log).valid, how


@pytest.mark.parametrize("how", ["the head moved back", "the head changed", "the head removed"])
def test_nothing_is_written_after_a_head_that_was_changed(log: AuditLog, how: str) -> None:
    fill(log, 10)
    change(log.database, TAMPERING[how])
    with pytest.raises(StoreDamagedError, match="guardrail audit verify"):
        log.write([record(11)])
    with pytest.raises(StoreDamagedError):
        log.check()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("how", TAMPERING)
def test_reading_what_was_changed_ends_in_one_sentence(log: AuditLog, how: str) -> None:
    fill(log, 10)
    change(log.database, TAMPERING[how])
    with contextlib.suppress(StoreError):
        everything(log)
    with contextlib.suppress(StoreError):
        erase(log, Erasure(tenant="acme"), "root")
    with contextlib.suppress(StoreError):
        log.write([record(11)])


def test_another_key_neither_writes_nor_verifies(log: AuditLog) -> None:
    fill(log, 3)
    other = AuditLog(log.database, OTHER_KEY)
    with pytest.raises(StoreDamagedError, match="key"):
        other.write([record(4)])
    assert not verify(other).valid


def test_a_single_change_is_told_once(log: AuditLog) -> None:
    fill(log, 10)
    change(log.database, TAMPERING["the body"])
    assert verify(log).problem_count == 1


def test_a_rolled_back_trail_is_told_by_a_checkpoint(log: AuditLog) -> None:
    fill(log, 5)
    with log.database.read() as connection:
        old = connection.execute(text("SELECT * FROM guardrail_audit_head")).one()
    log.write([record(6)])
    checkpoint = verify(log).head
    assert checkpoint is not None
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint
    log.write([record(7)])
    assert verify(log, checkpoint).valid
    # Who kept an old head can put it back: without a checkpoint that is a shorter, valid trail.
    change(log.database, "DELETE FROM guardrail_audit WHERE seq > 5")
    change(
        log.database,
        "UPDATE guardrail_audit_head SET seq = :seq, mac = :mac, seal = :seal",
        seq=old.seq,
        mac=old.mac,
        seal=old.seal,
    )
    assert verify(log).valid
    assert "before the checkpoint" in verify(log, checkpoint).problems[0]
    # Nor does it help to go on from there.
    log.write([record(8), record(9)])
    assert "not the one of the checkpoint" in verify(log, checkpoint).problems[0]


def test_a_checkpoint_of_another_trail_is_told(log: AuditLog) -> None:
    fill(log, 5)
    assert not verify(log, Checkpoint("00", 0, "00")).valid


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seq": "x", "chain": "", "mac": ""}', "null"])
def test_a_checkpoint_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="checkpoint"):
        Checkpoint.from_json(text)


def test_erased_records_keep_the_chain_valid(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "CHUNK", 4)
    fill(log, 10)
    log.write([administration("key.create", "root", about={"tenant": "acme", "key": "key_1"})])
    shares: list[float] = []
    assert erase(log, Erasure(tenant="acme"), "root", shares.append) == 6
    assert shares[-1] == 1.0
    found = verify(log)
    assert (found.problems, found.erased) == ([], 6)
    left = everything(log)
    assert "acme" not in json.dumps(left)
    assert "key_1" not in json.dumps(left)
    assert [r["body"]["request"] for r in left[:10]] == [f"r{n}" for n in range(1, 11)]
    assert sum("globex" in json.dumps(r) for r in left) == 5
    # Again finds nothing, and leaves nothing.
    assert erase(log, Erasure(tenant="acme"), "root") == 0
    assert len(everything(log)) == len(left)


@pytest.mark.parametrize(
    ("erasure", "left"),
    [
        (Erasure(before=4_000_000), [4, 5, 6]),
        (Erasure(key_id="key_2"), [1, 3, 5]),
        (Erasure(before=4_000_000, tenant="globex"), [1, 3, 4, 5, 6]),
        (Erasure(tenant="nobody"), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_what_an_erasure_covers(log: AuditLog, erasure: Erasure, left: list[int]) -> None:
    fill(log, 6)
    erase(log, erasure, "root")
    assert [r["seq"] for r in everything(log)[:6] if r["personal"] is not None] == left
    assert verify(log).valid


def test_an_erasure_of_nothing_in_particular_is_refused() -> None:
    with pytest.raises(UsageError, match="a date, a tenant or a key"):
        Erasure()


def test_more_erased_than_on_record_is_told(log: AuditLog) -> None:
    fill(log, 10)
    erase(log, Erasure(tenant="acme"), "root")
    change(
        log.database,
        "UPDATE guardrail_audit SET personal = NULL, salt = NULL, erased_by = 11 WHERE seq = 2",
    )
    assert "not of the records that are empty" in verify(log).problems[0]


def test_what_was_erased_stands_nowhere_in_the_file(tmp_path: Any) -> None:
    database = Database(f"sqlite:///{tmp_path}/a.db")
    log = AuditLog(database, OTHER_KEY)
    log.write([record(n, Identity("key_secret", "initech")) for n in range(200)])
    files = list(tmp_path.iterdir())
    assert any(b"initech" in file.read_bytes() for file in files)
    erase(log, Erasure(tenant="initech"), "root")
    assert not any(b"initech" in file.read_bytes() for file in tmp_path.iterdir())
    database.close()


def test_writers_of_several_connections_make_one_chain(url: str, log: AuditLog) -> None:
    async def main() -> None:
        databases = [Database(url) for _ in range(3)]
        queues = [AuditQueue(AuditLog(database, Key(bytes(range(32))))) for database in databases]
        await asyncio.gather(*(queue.append(record(n)) for n in range(40) for queue in queues))
        for queue, database in zip(queues, databases, strict=True):
            await queue.close()
            database.close()

    asyncio.run(main())
    found = verify(log)
    assert found.valid
    assert found.records == 120
