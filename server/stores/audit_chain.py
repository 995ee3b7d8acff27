"""The cryptography of the audit trail, as functions of bytes. docs/audit.md says what it proves.

Each record carries a message authentication code (HMAC-SHA-256) over the code of the record before
it and its own content. What may be erased takes part by a commitment: an HMAC of it under a random
salt, which is kept beside it and goes with it; alone, the commitment tells nothing.
"""

from __future__ import annotations

import hmac
import os
import struct
from dataclasses import dataclass

from guardrail.keys import Key

SALT_BYTES = 16
CHAIN_BYTES = 16


def commit(salt: bytes, personal: str) -> bytes:
    """The commitment to what may be erased."""
    return hmac.digest(salt, personal.encode(), "sha256")


def new_salt() -> bytes:
    return os.urandom(SALT_BYTES)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the number of its last record and that record's code."""

    chain: bytes
    seq: int
    mac: bytes


class Chain:
    """The keyed functions. Whoever has the database and not the key can compute none of them."""

    def __init__(self, key: Key) -> None:
        self._record_key = key.derive("audit record")
        self._head_key = key.derive("audit head")

    def begin(self, chain: bytes) -> Head:
        """The head of a chain without records; `chain` is a random name of the chain."""
        return Head(chain, 0, hmac.digest(self._record_key, b"begin" + chain, "sha256"))

    def link(
        self, previous: bytes, seq: int, time: int, event: str, body: str, commitment: bytes
    ) -> bytes:
        """The code of a record that follows the one with the code `previous`."""
        name, content = event.encode(), body.encode()
        # Numbers and lengths first, so that no two different records give the same bytes.
        layout = struct.pack(">QqII", seq, time, len(name), len(content))
        message = b"".join((previous, layout, name, content, commitment))
        return hmac.digest(self._record_key, message, "sha256")

    def seal(self, head: Head) -> bytes:
        """The code over a head. Records cut off the end leave a head that nobody sealed."""
        message = head.chain + struct.pack(">Q", head.seq) + head.mac
        return hmac.digest(self._head_key, message, "sha256")

    def sealed(self, head: Head, seal: bytes) -> bool:
        return hmac.compare_digest(self.seal(head), seal)
