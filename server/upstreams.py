"""The model servers that the proxy stands in front of: which serves a model, and requests to it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from pydantic_core import to_json

from guardrail import __version__
from guardrail.server.errors import NotFoundError, UpstreamError
from guardrail.server.settings import Settings
from guardrail.server.settings import Upstream as UpstreamSettings

# Of an answer, so much waits here before the model server has to.
HELD_BYTES = 1 << 14


class Upstream:
    """One model server. It is sent what the settings say, and nothing of the caller's headers.
    Belongs to the event loop that it is made in."""

    def __init__(self, name: str, settings: UpstreamSettings) -> None:
        self.name, self.settings = name, settings
        headers = {
            "accept-encoding": "identity",  # what is compressed has no bound on its size
            "content-type": "application/json",
            "user-agent": f"corpus-guardrail/{__version__}",
        }
        if settings.api_key is not None:
            headers["authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        self._session = ClientSession(
            headers=headers,
            timeout=ClientTimeout(
                total=settings.answer_seconds,
                sock_connect=settings.connect_seconds,
                sock_read=settings.read_seconds,
            ),
            connector=TCPConnector(limit=0),  # each belongs to a caller, and those are counted
            cookie_jar=DummyCookieJar(),  # one caller's answer says nothing in another's request
            auto_decompress=False,
            read_bufsize=HELD_BYTES,
            trust_env=False,  # the settings alone say where requests go
        )

    @asynccontextmanager
    async def ask(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[ClientResponse]:
        """The response to a request, whose body is not read yet. Raises UpstreamError; within the
        block, errors of the connection become one too."""
        url = self.settings.url.rstrip("/") + path
        # Sent in pieces, however large. 1e999 is JSON, and infinite here, which is none.
        data = io.BytesIO(to_json(body, inf_nan_mode="null"))
        try:
            async with self._session.post(url, data=data, allow_redirects=False) as response:
                yield response
        except TimeoutError:
            raise UpstreamError("the model server took too long", 504) from None
        except ClientError:
            raise UpstreamError("the model server does not answer as it should") from None

    def holds_secret(self, text: str) -> bool:
        """Whether a text names the key or the address of the server."""
        key = self.settings.api_key
        secrets = [urlsplit(self.settings.url).hostname or self.settings.url]
        if key is not None and key.get_secret_value():
            secrets.append(key.get_secret_value())
        return any(secret in text for secret in secrets)

    async def close(self) -> None:
        await self._session.close()


class Upstreams:
    """All model servers of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._all = [Upstream(name, given) for name, given in settings.upstreams.items()]

    def serving(self, model: str) -> Upstream:
        """The one that names a model, else one that names none. Raises NotFoundError."""
        for upstream in self._all:
            if model in upstream.settings.models:
                return upstream
        for upstream in self._all:
            if not upstream.settings.models:
                return upstream
        raise NotFoundError("no model server is set up for that model")

    async def close(self) -> None:
        for upstream in self._all:
            await upstream.close()
