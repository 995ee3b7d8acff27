"""Private PostgreSQL and Redis servers for tests: free ports, temporary folders, the real programs.

Where a program is missing, the test is skipped; with GUARDRAIL_TEST_SERVERS=required, as `.ci/run`
sets it, the test fails.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATIENCE = 60
_POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class Server(ABC):
    """A server that a test may kill and start again; port and data stay."""

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it does what it is for."""

    def start(self) -> None:
        assert self._process is None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                user=_user(),
                group=_group(),
            )
        end = time.monotonic() + _PATIENCE
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"server did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power failure would end it."""
        self._end("kill")

    def stop(self) -> None:
        self._end("terminate")

    def _end(self, how: str) -> None:
        if self._process is not None:
            getattr(self._process, how)()
            self._process.wait(_PATIENCE)
            self._process = None


class Postgres(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._data = folder / "data"
        options = ["-U", "guardrail", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        _run([_program("initdb", *_POSTGRES_FOLDERS), "-D", str(self._data), *options])

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "shared_buffers": "16MB",
            "client_min_messages": "warning",
        }
        command = [_program("postgres", *_POSTGRES_FOLDERS), "-D", str(self._data)]
        return command + [word for name in settings for word in ("-c", f"{name}={settings[name]}")]

    def answers(self) -> bool:
        command = [
            _program("pg_isready", *_POSTGRES_FOLDERS),
            "-h",
            self.host,
            "-p",
            str(self.port),
        ]
        return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0

    def kill(self) -> None:
        # All its processes share memory: the others end by themselves when they see it gone, and
        # only then can it start again.
        if self._process is None:
            return
        pid = (self._data / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        super().kill()
        end = time.monotonic() + _PATIENCE
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < end
            time.sleep(0.02)

    def stop(self) -> None:
        """Connections are closed, and what they were at is undone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE)
            self._process = None

    def empty_database(self) -> str:
        """The URL of the database, without any tables. (To make one anew takes seconds.)"""
        self.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return f"postgresql://guardrail@{self.host}:{self.port}/postgres"

    def query(self, sql: str) -> str:
        """What psql prints for a statement: values only."""
        command = [_program("psql", *_POSTGRES_FOLDERS), "-h", self.host, "-p", str(self.port)]
        return _run([*command, "-U", "guardrail", "-d", "postgres", "-Atqc", sql])


class Redis(Server):
    def command(self) -> list[str]:
        options = {"port": str(self.port), "bind": self.host, "save": "", "dir": str(self.folder)}
        return [
            _program("redis-server"),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"


def _serve(kind: type[Server]) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="guardrail-test-"))
    if user := _user():
        shutil.chown(folder, user)
    server = kind(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; `postgres.empty_database()` is what a test begins with."""
    yield from _serve(Postgres)


@pytest.fixture
def fragile_postgres() -> Iterator[Server]:
    """A PostgreSQL server of the test's own, to be stopped and killed."""
    yield from _serve(Postgres)


@pytest.fixture
def redis() -> Iterator[Server]:
    """A Redis server of the test's own."""
    yield from _serve(Redis)


def _program(name: str, *folders: Path) -> str:
    path = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))
    if path is None:
        missing = f"{name} is not installed (Debian: postgresql, redis-server)"
        if os.environ.get("GUARDRAIL_TEST_SERVERS") == "required":
            pytest.fail(missing)
        # A contributor's machine may lack it; the gate of CI installs it and never comes here.
        pytest.skip(missing)
    return path


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, user=_user(), group=_group(), cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _user() -> str | None:
    """PostgreSQL does not run as root: then as the user that its package makes, or as nobody."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _group() -> int | None:
    user = _user()
    return None if user is None else pwd.getpwnam(user).pw_gid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
