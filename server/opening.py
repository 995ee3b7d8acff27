"""Opens the stores that the settings name."""

from __future__ import annotations

from guardrail.errors import UsageError
from guardrail.server.ports import OpenStores
from guardrail.server.settings import Settings


async def open_stores(settings: Settings) -> OpenStores:
    """The stores, open. Raises UsageError, StoreError or LimitError."""
    raise UsageError("this build has no stores yet")
