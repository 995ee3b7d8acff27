"""The tables, the same in SQLite and PostgreSQL. docs/audit.md describes their columns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA_VERSION = 1
APPLICATION = "corpus-guardrail"

metadata = MetaData()

# In SQLite only a column declared INTEGER is the row number itself, and needs no index of its own.
_BigKey = BigInteger().with_variant(Integer, "sqlite")

schema_table = Table(
    "guardrail_schema",
    metadata,
    Column("application", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)

keys_table = Table(
    "guardrail_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("body", Text, nullable=False),
    Column("seal", LargeBinary, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("guardrail_keys_by_revision", "revision"),
)

# One row: the revision of the key that changed last.
keys_revision_table = Table(
    "guardrail_keys_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

audit_table = Table(
    "guardrail_audit",
    metadata,
    Column("seq", _BigKey, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("personal", Text),
    Column("salt", LargeBinary),
    Column("commitment", LargeBinary, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("erased_by", BigInteger),
)

# One row: where the chain of records ends.
audit_head_table = Table(
    "guardrail_audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("chain", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)
