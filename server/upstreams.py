"""The model servers that the proxy stands in front of: which serves a model, and requests to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic_core import to_json

from guardrail import __version__
from guardrail.server.errors import NotFoundError, OverloadedError, UpstreamError
from guardrail.server.settings import Bounds, Settings
from guardrail.server.settings import Upstream as UpstreamSettings

KEEP_ALIVE = 100


class Upstream:
    """One model server. It is sent what the settings say, and nothing of the caller's headers."""

    def __init__(self, name: str, settings: UpstreamSettings, bounds: Bounds) -> None:
        self.name, self.settings = name, settings
        headers = {
            "accept-encoding": "identity",  # what is compressed has no bound on its size
            "content-type": "application/json",
            "user-agent": f"corpus-guardrail/{__version__}",
        }
        if settings.api_key is not None:
            headers["authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds),
            limits=httpx.Limits(
                max_connections=bounds.connections, max_keepalive_connections=KEEP_ALIVE
            ),
            trust_env=False,  # the settings alone say where requests go
        )

    @asynccontextmanager
    async def ask(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[httpx.Response]:
        """The response to a request, whose body is not read yet. Raises UpstreamError or
        OverloadedError; within the block, errors of the connection become an UpstreamError too."""
        url = self.settings.url.rstrip("/") + path
        request = self._client.build_request("POST", url, content=to_json(body))
        try:
            response = await self._client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.PoolTimeout:
            raise OverloadedError("too many requests to the model server; try again") from None
        except httpx.TimeoutException:
            raise UpstreamError("the model server took too long", 504) from None
        except (httpx.HTTPError, httpx.StreamError):
            raise UpstreamError("the model server does not answer as it should") from None

    def holds_secret(self, text: str) -> bool:
        """Whether a text names the key or the address of the server."""
        key = self.settings.api_key
        secrets = [httpx.URL(self.settings.url).host]
        if key is not None and key.get_secret_value():
            secrets.append(key.get_secret_value())
        return any(secret in text for secret in secrets)

    async def close(self) -> None:
        await self._client.aclose()


class Upstreams:
    """All model servers of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._all = [
            Upstream(name, given, settings.bounds) for name, given in settings.upstreams.items()
        ]

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
