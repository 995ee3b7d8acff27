"""A server as its users run it: `guardrail serve` in a process of its own, on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

from guardrail.detector import Entitlements
from guardrail.keys import Key
from guardrail.server.identity import ANY, Limits, Scope
from guardrail.server.stores.audit import AuditLog, StoredRecord
from guardrail.server.stores.database import Database
from guardrail.server.stores.keys import KeyStore

PATIENCE = 300  # a process that starts beside others takes a minute on a busy machine
COMMAND = "from guardrail.cli import main; main()"


class Running:
    """A server. `url` is where it listens; its log is `folder / "log"`."""

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], key: Key, command: str = COMMAND
    ) -> None:
        """`settings` as in the settings file; the database is SQLite's unless they say."""
        self.command = command
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        listen = {"port": self.port, **settings.get("listen", {})}
        stores = {"database": f"sqlite:///{folder}/guardrail.db", **settings.get("stores", {})}
        scheme = "https" if "tls_cert" in listen else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.config = folder / "settings.yaml"
        self.config.write_text(yaml.safe_dump({**settings, "listen": listen, "stores": stores}))
        self.database = Database(stores["database"])
        self.log = AuditLog(self.database, key)
        self.keys = KeyStore(self.log, key)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.command, "serve", str(self.config)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        while not self.answers():
            assert self.process.poll() is None, f"it did not start: {self.logged()[-3000:]}"
            assert time.monotonic() < end, f"it does not answer: {self.logged()[-3000:]}"
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            return httpx.get(self.url + "/livez", verify=False, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def raw(self, data: bytes, seconds: float = 60) -> bytes:
        """What it answers to some bytes, until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            answer = b""
            with suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
            return answer

    def logged(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it and its worker processes as a power failure would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.keys.close()
        self.database.close()

    def key(
        self,
        *scopes: Scope,
        tenant: str = "acme",
        models: tuple[str, ...] = (ANY,),
        collections: tuple[str, ...] = (ANY,),
        entitlements: Entitlements | None = None,
        limits: Limits | None = None,
    ) -> str:
        """A new key that opens some scopes."""
        issued = self.keys.create(
            tenant, scopes, models, collections, entitlements, limits=limits, actor="test"
        )
        return issued.secret

    def headers(self, *scopes: Scope, **fields: Any) -> dict[str, str]:
        """The headers of a request with a new key."""
        return {"authorization": f"Bearer {self.key(*scopes, **fields)}"}

    def records(self, event: str | None = None) -> list[StoredRecord]:
        """What is on record, oldest first."""
        with self.database.read() as connection:
            stored = [record for chunk in self.log.read(connection) for record in chunk]
        return [record for record in stored if event is None or record.event == event]


@contextmanager
def running(
    folder: Path, settings: Mapping[str, Any], key: Key, command: str = COMMAND
) -> Iterator[Running]:
    """A server for some settings, until the block ends."""
    server = Running(folder, settings, key, command)
    try:
        server.start()
        yield server
    finally:
        server.close()


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
