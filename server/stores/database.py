"""The database of the service: SQLite in a file, or PostgreSQL.

Every commit is durable when it returns: SQLite writes ahead and syncs each commit
(`synchronous=FULL`); PostgreSQL must run with `fsync`, and a server whose default gives that up for
a commit (`synchronous_commit=off`) is told otherwise for each connection.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from guardrail.errors import StoreError, StoreUnavailableError, StoreVersionError, UsageError
from guardrail.server.stores.schema import APPLICATION, SCHEMA_VERSION, metadata, schema_table

# Seconds to wait for a connection, a lock or a statement before the database counts as away.
PATIENCE = 5
# Pages of 4 KiB that SQLite's write-ahead log collects before a commit also copies them into the
# database: four times SQLite's own number, so that a fourth as many commits take longer.
_CHECKPOINT_PAGES = 4000
_FORMS = "sqlite:////folder/file.db or postgresql://user:password@host:port/database"
# Any number that no other program uses for its advisory locks.
_CREATION_LOCK = 0x67756172647261


class Database:
    """An open database whose tables exist and have this release's form. Thread-safe."""

    def __init__(self, url: str) -> None:
        """Open the database at `url`, and make its tables where it is empty.

        Raises UsageError for a URL of another kind, StoreVersionError for a database of another
        program or a newer release, StoreUnavailableError where it cannot be reached.
        """
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(self._url) if self.is_sqlite else _postgres_engine(self._url)
        try:
            self._open_schema()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"Database({self.name})"

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot of the database, for as long as the block lasts."""
        with self.errors(), self._engine.connect() as connection:
            if not self.is_sqlite:
                connection.execute(
                    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                )
                # Whoever reads may be slow to use what was read; nobody waits for a reader.
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: all of it is durable when the block ends, or none of it happened."""
        with (
            self.errors(),
            self._engine.connect().execution_options(guardrail_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of the driver become errors of this package, without statements or values."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            raise StoreUnavailableError(
                f"the database {self.name} does not answer as it should ({_reason(error)})"
            ) from None
        except PoolTimeoutError:
            raise StoreUnavailableError(
                f"every connection to the database {self.name} was in use for {PATIENCE} seconds"
            ) from None
        except SQLAlchemyError as error:
            raise StoreError(
                f"the database {self.name} cannot be used ({type(error).__name__})"
            ) from None

    def driver_connection(self) -> Any:
        """A connection of the driver itself (sqlite3 or psycopg), outside of the pool; the caller
        closes it."""
        with self.errors():
            pooled = self._engine.raw_connection()
            connection = pooled.driver_connection
            pooled.detach()
            return connection

    def check(self) -> None:
        """Raise StoreUnavailableError where the database does not answer."""
        with self.read() as connection:
            connection.execute(select(schema_table.c.version)).one()

    def forget_erased(self) -> None:
        """Have what was erased leave the write-ahead log of SQLite. (In PostgreSQL vacuuming does
        it, in the server's own time.)"""
        if not self.is_sqlite:
            return
        with self.errors(), closing(self.driver_connection()) as connection:
            # Waits for those who read at the moment.
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise StoreUnavailableError(
                f"what was erased may still stand in the write-ahead log of {self.name}, which "
                f"others were reading for {PATIENCE} seconds; run the command again"
            )

    def close(self) -> None:
        """Close the pool; connections that are in use close when they are given back."""
        self._engine.dispose()

    def _open_schema(self) -> None:
        with self.write() as connection:
            if not self.is_sqlite:
                # Several workers start at once; one of them makes the tables.
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK}
                )
                if connection.execute(text("SHOW fsync")).scalar_one() != "on":
                    raise StoreError(
                        f"the database {self.name} runs with fsync=off: records could be lost; "
                        "set fsync=on in its configuration"
                    )
            names = set(inspect(connection).get_table_names())
            ours = names & set(metadata.tables)
            if schema_table.name not in names:
                # A shared PostgreSQL database may hold tables of others; a file has one owner.
                if ours or (names and self.is_sqlite):
                    raise StoreVersionError(
                        f"the database {self.name} holds tables of another program; name a new "
                        "file or an empty database"
                    )
                metadata.create_all(connection)
                connection.execute(
                    insert(schema_table), {"application": APPLICATION, "version": SCHEMA_VERSION}
                )
                return
            version = connection.execute(
                select(schema_table.c.version).where(schema_table.c.application == APPLICATION)
            ).scalar_one_or_none()
            if version != SCHEMA_VERSION or len(ours) < len(metadata.tables):
                raise StoreVersionError(
                    f"the database {self.name} has schema version {version} and {len(ours)} of "
                    f"{len(metadata.tables)} tables; this release reads version {SCHEMA_VERSION}: "
                    "use the release that wrote it, or an empty database"
                )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError(f"the database URL cannot be read; write {_FORMS}") from None
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    raise UsageError(
        f"{parsed.drivername} with the database {parsed.database!r} cannot keep keys and records; "
        f"write {_FORMS}"
    )


def _reason(error: DBAPIError | sqlite3.Error) -> str:
    """What went wrong, in words that hold no values. The driver's message quotes them where a
    statement failed; where the database itself failed, it says what an operator needs to know."""
    original = error.orig if isinstance(error, DBAPIError) else error
    kind, state = type(original).__name__, getattr(original, "sqlstate", None)
    code = getattr(original, "sqlite_errorname", None)
    if state is not None:
        return f"{kind}, SQLSTATE {state}"
    if kind == "OperationalError" or code == "SQLITE_NOTADB":
        return f"{kind}: {str(original).strip().partition(chr(10))[0]}"
    return kind if code is None else f"{kind}, {code}"


def _sqlite_engine(url: URL) -> Engine:
    path = Path(str(url.database)).absolute()
    try:
        # Made here, as SQLite would make a file that others may read.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailableError(
            f"cannot open the database file {path}: {error.strerror}; name a file in a folder that "
            "exists and may be written"
        ) from None
    engine = create_engine(
        url.set(database=str(path)),
        hide_parameters=True,
        pool_timeout=PATIENCE,
        connect_args={"timeout": PATIENCE, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin as `begin` below says
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
            "secure_delete=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes would fail where another wrote in between.
        writes = connection.get_execution_options().get("guardrail_writes")
        if writes:
            _begin_writing(connection.connection.driver_connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _begin_writing(connection: Any) -> None:
    """Wait for the lock of the one who writes. SQLite's own waiting sleeps longer and longer, up to
    100 ms, while another process takes the lock again and again: with two that wrote at once, one
    record in a hundred waited for 460 ms."""
    end = time.monotonic() + PATIENCE
    connection.execute("PRAGMA busy_timeout=0").close()
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE").close()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
            time.sleep(random.uniform(0.0003, 0.001))
    finally:
        connection.execute(f"PRAGMA busy_timeout={PATIENCE * 1000}").close()


def _postgres_engine(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise UsageError(
            "PostgreSQL needs psycopg; install it with: pip install 'corpus-guardrail[postgres]'"
        ) from None
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # after a restart of the server the pool holds dead connections
        pool_timeout=PATIENCE,
        connect_args={
            "connect_timeout": PATIENCE,
            "application_name": APPLICATION,
            # A server that vanished without a word is noticed within this time.
            "tcp_user_timeout": PATIENCE * 1000,
            "keepalives_idle": PATIENCE,
            "keepalives_interval": 1,
            "keepalives_count": PATIENCE,
        },
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            if cursor.fetchone()[0] == "off":
                cursor.execute("SET synchronous_commit = on")
            # A process that stops in the middle of a transaction does not keep the others waiting.
            for setting in (
                "lock_timeout",
                "statement_timeout",
                "idle_in_transaction_session_timeout",
            ):
                cursor.execute(f"SET {setting} = '{PATIENCE}s'")
        connection.commit()

    return engine
