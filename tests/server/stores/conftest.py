"""A database of each kind for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guardrail.keys import Key

if TYPE_CHECKING:
    from guardrail.server.stores.audit import AuditLog
    from guardrail.server.stores.database import Database
    from tests.servers import Postgres

KEY = Key(bytes(range(32)))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/guardrail.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.empty_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    from guardrail.server.stores.database import Database

    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def log(database: Database) -> AuditLog:
    from guardrail.server.stores.audit import AuditLog

    return AuditLog(database, KEY)
