"""A server that answers on a free port of this machine, run in a thread of the test's process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn

from guardrail.server.app import create_app
from guardrail.server.identity import ANY, Identity, Scope
from guardrail.server.serving import server_config
from guardrail.server.settings import Settings
from tests.server.memory import MemoryStores


@dataclass
class Running:
    """`url` is where it listens; `stores` are what it keeps."""

    url: str
    stores: MemoryStores
    _count: int = field(default=0)

    def key(self, *scopes: Scope, tenant: str = "acme", **fields: object) -> str:
        """A token that opens some scopes, for any model and collection."""
        self._count += 1
        token = f"token-{self._count}"
        identity = {"models": frozenset({ANY}), "collections": frozenset({ANY}), **fields}
        self.stores.identities[token] = Identity(
            f"key-{self._count}",
            tenant,
            frozenset(scopes),
            **identity,  # type: ignore[arg-type]
        )
        return token

    def headers(self, *scopes: Scope, **fields: object) -> dict[str, str]:
        """The headers of a request with such a token."""
        return {"authorization": f"Bearer {self.key(*scopes, **fields)}"}  # type: ignore[arg-type]


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """A server for some settings, until the block ends."""
    stores = MemoryStores()
    config = server_config(settings)
    config.app, config.factory, config.port = create_app(settings, stores.open), False, 0
    server = uvicorn.Server(config)
    server.capture_signals = lambda: _nothing()  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", stores)
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
