"""Proving that the audit trail is as it was written."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from guardrail.errors import StoreDamagedError, UsageError
from guardrail.server.stores.audit import AuditLog, StoredRecord
from guardrail.server.stores.audit_chain import Head, commit
from guardrail.server.stores.audit_erase import ERASURE

# Problems that are told one by one; their number is always told.
MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head that was noted down outside of the database. A trail that does not contain it was cut
    off, rolled back or replaced since."""

    chain: str
    seq: int
    mac: str

    @classmethod
    def from_json(cls, text: str) -> Checkpoint:
        """Raises UsageError where `text` is not what `Checkpoint.to_json` wrote."""
        try:
            data = json.loads(text)
            return cls(str(data["chain"]), int(data["seq"]), str(data["mac"]))
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                "the checkpoint is not one that `guardrail audit verify --checkpoint FILE` wrote"
            ) from None

    @classmethod
    def of(cls, head: Head) -> Checkpoint:
        return cls(head.chain.hex(), head.seq, head.mac.hex())

    def to_json(self) -> str:
        return json.dumps({"chain": self.chain, "seq": self.seq, "mac": self.mac})


@dataclass(slots=True)
class Verification:
    """What `verify` found. `problems` are sentences, at most MAX_PROBLEMS of `problem_count`."""

    records: int = 0
    erased: int = 0
    first_time: int | None = None
    last_time: int | None = None
    head: Checkpoint | None = None
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return not self.problem_count

    def note(self, problem: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, as `guardrail audit verify --json` prints them."""
        return {
            "valid": self.valid,
            "records": self.records,
            "erased": self.erased,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "head": self.head and json.loads(self.head.to_json()),
            "problem_count": self.problem_count,
            "problems": self.problems,
        }


def verify(
    log: AuditLog,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[float], None] | None = None,
) -> Verification:
    """Read the whole trail, in one snapshot, while others may write."""
    found = Verification()
    with log.database.read() as connection:
        try:
            head = log.head(connection)
            found.head = Checkpoint.of(head)
            walk = _Walk(log, head, checkpoint, found)
            # What stands outside of the trail is read as well: something else put it there.
            for chunk in log.read(connection, after=-(2**62), until=2**62):
                for record in chunk:
                    walk.step(record)
                if progress is not None:
                    progress(min(1.0, walk.seq / max(head.seq, 1)))
            walk.end()
        except StoreDamagedError as error:
            found.note(str(error))
    return found


class _Walk:
    """One pass over the records in the order of their numbers."""

    def __init__(
        self, log: AuditLog, head: Head, checkpoint: Checkpoint | None, found: Verification
    ) -> None:
        begin = log.chain.begin(head.chain)
        self.seq, self._mac = begin.seq, begin.mac
        self._chain, self._head, self._found = log.chain, head, found
        self._checkpoint = checkpoint
        # By the number of the record of an erasure: a digest of what was emptied in its name.
        self._emptied: dict[int, tuple[Any, int]] = {}
        self._anchor(begin.seq, begin.mac)

    def step(self, record: StoredRecord) -> None:
        note = self._found.note
        if not 0 < record.seq <= self._head.seq:
            note(f"record {record.seq} stands outside of the trail, which has {self._head.seq}")
            return
        if record.seq != self.seq + 1:
            note(f"records {self.seq + 1} to {record.seq - 1} are missing")
        expected = self._chain.link(
            self._mac, record.seq, record.time, record.event, record.body, record.commitment
        )
        if not hmac.compare_digest(expected, record.mac):
            note(f"record {record.seq} was changed, or what stands before it was")
        self._personal(record)
        if record.event == ERASURE:
            self._erasure(record)
        # After a change the chain goes on from what stands there, so that each is told once.
        self.seq, self._mac = record.seq, record.mac
        self._anchor(record.seq, record.mac)
        self._found.records += 1
        if self._found.first_time is None:
            self._found.first_time = record.time
        self._found.last_time = record.time

    def end(self) -> None:
        note = self._found.note
        if self.seq < self._head.seq:
            note(f"records {self.seq + 1} to {self._head.seq} are missing at the end")
        elif not hmac.compare_digest(self._mac, self._head.mac):
            note(f"record {self.seq} is not the one that the trail ended with")
        for by, (_, count) in sorted(self._emptied.items()):
            note(f"{count} records were emptied, and no erasure on record {by} says so")
        if self._checkpoint is not None:
            note(
                f"the trail ends at record {self._head.seq}, before the checkpoint at record "
                f"{self._checkpoint.seq}"
            )

    def _personal(self, record: StoredRecord) -> None:
        note = self._found.note
        if record.erased_by is not None and record.personal is None and record.salt is None:
            self._found.erased += 1
            digest, count = self._emptied.get(record.erased_by, (hashlib.sha256(), 0))
            digest.update(struct.pack(">Q", record.seq))
            self._emptied[record.erased_by] = digest, count + 1
        elif record.erased_by is not None or record.personal is None or record.salt is None:
            note(f"record {record.seq} was emptied in part, which no erasure does")
        elif not hmac.compare_digest(commit(record.salt, record.personal), record.commitment):
            note(f"who or which documents record {record.seq} names was changed")

    def _erasure(self, record: StoredRecord) -> None:
        """An erasure comes after everything that it emptied, so its digest is complete here."""
        digest, count = self._emptied.pop(record.seq, (hashlib.sha256(), 0))
        body = record.parsed(record.body)
        if (body.get("records"), body.get("digest")) != (count, digest.hexdigest()):
            self._found.note(
                f"the erasure on record {record.seq} is not of the records that are empty"
            )

    def _anchor(self, seq: int, mac: bytes) -> None:
        checkpoint = self._checkpoint
        if checkpoint is None or checkpoint.seq != seq:
            return
        if (checkpoint.chain, checkpoint.mac) != (self._head.chain.hex(), mac.hex()):
            self._found.note(
                f"record {seq} is not the one of the checkpoint: the trail was rolled back or "
                "replaced since"
            )
        self._checkpoint = None
