"""Who calls the service, and what the caller may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from guardrail.detector import Entitlements

ANY = "*"


class Scope(StrEnum):
    """What a key opens: checks, the proxy, administration, audits. None implies another."""

    MODERATE = "moderate"
    PROXY = "proxy"
    ADMIN = "admin"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` within `seconds`, and of these at most `burst` within one second."""

    amount: int
    seconds: int = 60
    burst: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may use. None is no limit."""

    requests: Rate | None = None
    characters: Rate | None = None
    tokens: Rate | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a key stands for; it never holds the secret.

    `models` and `collections` are names, or `*` for any; empty is none. `limits` replaces the
    limits that the service sets for every key.
    """

    key_id: str
    tenant: str
    scopes: frozenset[Scope] = frozenset()
    models: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    entitlements: Entitlements = field(default_factory=Entitlements)
    limits: Limits | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def may_use_model(self, model: str) -> bool:
        return model in self.models or ANY in self.models

    def may_use_collection(self, collection: str) -> bool:
        return collection in self.collections or ANY in self.collections

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, in one order, so that equal identities give equal JSON."""
        entitled, limits = self.entitlements, self.limits
        return {
            "key_id": self.key_id,
            "tenant": self.tenant,
            "scopes": sorted(self.scopes),
            "models": sorted(self.models),
            "collections": sorted(self.collections),
            "entitlements": {
                "collections": sorted(entitled.collections),
                "labels": sorted(entitled.labels),
                "documents": sorted(map(list, entitled.documents)),
            },
            "limits": None
            if limits is None
            else {
                "requests": _rate_dict(limits.requests),
                "characters": _rate_dict(limits.characters),
                "tokens": _rate_dict(limits.tokens),
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Identity:
        """The inverse of `to_dict`."""
        entitled, limits = data["entitlements"], data["limits"]
        return cls(
            key_id=data["key_id"],
            tenant=data["tenant"],
            scopes=frozenset(map(Scope, data["scopes"])),
            models=frozenset(data["models"]),
            collections=frozenset(data["collections"]),
            entitlements=Entitlements(
                collections=frozenset(entitled["collections"]),
                labels=frozenset(entitled["labels"]),
                documents=frozenset((name, id_) for name, id_ in entitled["documents"]),
            ),
            limits=None
            if limits is None
            else Limits(**{name: rate and Rate(**rate) for name, rate in limits.items()}),
        )


def _rate_dict(rate: Rate | None) -> dict[str, int | None] | None:
    if rate is None:
        return None
    return {"amount": rate.amount, "seconds": rate.seconds, "burst": rate.burst}
