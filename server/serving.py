"""Runs the application: processes, sockets, TLS, and bounds on what comes before a request."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from guardrail.server import logs
from guardrail.server.app import create_app
from guardrail.server.metrics import SHARED_FOLDER
from guardrail.server.opening import open_stores
from guardrail.server.settings import Bounds, Settings
from guardrail.server.settings_file import load_settings

CONFIG_VARIABLE = "GUARDRAIL_CONFIG"


def serve(settings: Settings, config_file: str | None) -> None:
    """Answer requests until the process is told to stop. `config_file` is where worker processes
    read the settings again."""
    logs.configure(settings.observe.log_level)
    if config_file is not None:
        os.environ[CONFIG_VARIABLE] = os.path.abspath(config_file)
    config = server_config(settings)
    if settings.listen.workers == 1:
        # uvicorn sends itself the signal again that it was told to stop with, when it has.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        uvicorn.Server(config).run()
        return
    with tempfile.TemporaryDirectory(prefix="guardrail-metrics-") as folder:
        os.environ.setdefault(SHARED_FOLDER, folder)
        workers = _Workers(config, sockets=[config.bind_socket()])
        workers.run()
        if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
            sys.exit(STARTUP_FAILURE)


class _Workers(Multiprocess):
    """Worker processes that share a socket."""

    def keep_subprocess_alive(self) -> None:
        # Open here as well, the end of the pipe that is a worker's would outlive it, and the
        # supervisor would wait for its answer.
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()

    def terminate_all(self) -> None:
        # Open here, the socket would go on to take connections that nobody answers, until the last
        # worker has ended its own.
        for sock in self.sockets:
            sock.close()
        super().terminate_all()


def application() -> FastAPI:
    """The application of one process, with the settings of its environment."""
    settings = load_settings(os.environ.get(CONFIG_VARIABLE))
    logs.configure(settings.observe.log_level)
    return create_app(settings, open_stores)


def server_config(settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the application."""
    listen, bounds = settings.listen, settings.bounds
    return uvicorn.Config(
        f"{__name__}:{application.__name__}",
        factory=True,
        host=listen.host,
        port=listen.port,
        workers=listen.workers,
        ssl_certfile=listen.tls_cert,
        ssl_keyfile=None if listen.tls_key is None else str(listen.tls_key),
        http=BoundedProtocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=bounds.connections,
        timeout_keep_alive=int(bounds.header_seconds),
        timeout_graceful_shutdown=int(bounds.drain_seconds),
        # A worker that compiles its kernels answers no question of the supervisor's meanwhile.
        timeout_worker_healthcheck=180,
    )


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose headers have to arrive within a time and a size, and whose answers have to be
    read within a time. Without that, a client that sends or takes a byte a minute, or sends headers
    without end, holds a connection and memory for good."""

    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > self._bounds.header_bytes:
            self._refuse(431, "Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_headers()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._header_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._bounds.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_unread()
        super().resume_writing()

    @property
    def _bounds(self) -> Bounds:
        bounds: Bounds = self.app_state["service"].settings.bounds
        return bounds

    def _begin_headers(self) -> None:
        self._in_headers = True
        self._stop_timer()
        self._timer = self.loop.call_later(
            self._bounds.header_seconds, self._refuse, 408, "Request Timeout"
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _refuse(self, status: int, phrase: str) -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} {phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
            self.transport.close()
