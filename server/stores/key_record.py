"""A stored API key: an identity with its times."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guardrail.errors import UsageError
from guardrail.server.identity import Identity, Limits

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class StoredKey:
    """`created`, `expires` and `revoked` are in seconds since 1970, UTC; None is never."""

    identity: Identity
    created: int
    expires: int | None = None
    revoked: int | None = None

    def lives(self, at: float) -> bool:
        """Whether the key opens anything at a time (seconds since 1970)."""
        return self.revoked is None and (self.expires is None or at < self.expires)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, as `guardrail keys list --json` prints them."""
        return {
            **self.identity.to_dict(),
            "created": self.created,
            "expires": self.expires,
            "revoked": self.revoked,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> StoredKey:
        data = json.loads(text)
        return cls(
            Identity.from_dict(data),
            created=data["created"],
            expires=data["expires"],
            revoked=data["revoked"],
        )


def check_identity(identity: Identity) -> None:
    """Raise UsageError where an identity cannot be given a key."""
    if not identity.scopes:
        raise UsageError("a key without scopes opens nothing; name one at least")
    entitled = identity.entitlements
    check_names("tenant", [identity.tenant])
    check_names("model", identity.models)
    check_names("collection", identity.collections | entitled.collections)
    check_names("label", entitled.labels)
    check_names("document", (name for pair in entitled.documents for name in pair))
    if identity.limits is not None:
        check_limits(identity.limits)


def check_names(what: str, names: Iterable[str]) -> None:
    for name in names:
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise UsageError(
                f"a {what} is named with 1 to {MAX_NAME} printable characters, not {name[:40]!r}"
            )


def check_limits(limits: Limits) -> None:
    """Raise UsageError where a rate makes no sense."""
    for what in Limits.__slots__:
        rate = getattr(limits, what)
        if rate is None:
            continue
        if min(rate.amount, rate.seconds) < 1 or (rate.burst is not None and rate.burst < 1):
            raise UsageError(
                f"a limit of {what} has an amount, seconds and a burst of at least 1, not {rate}"
            )
