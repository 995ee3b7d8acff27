"""Identifiers of a corpus: the personal data and secrets that its documents hold, stored sealed.

They are found while documents are read, by a function that the caller of `build` passes in, and
compared with responses as protected phrases are: as canonical text, whatever their spacing and
punctuation. Each is listed with the documents that hold it, and counts for as long as one of them
is not forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from guardrail.indexes.manifest import Manifest
from guardrail.indexes.sealed import Sealer
from guardrail.indexes.tombstones import write_durably
from guardrail.keys import Key
from guardrail.text import canonical_units

Identify = Callable[[str], Iterable[tuple[str, str, int, int]]]
"""Kind, value, start and end of each identifier in a text. A function of a module: worker processes
import it."""

# Shorter ones stand in other words and numbers.
LEAST_UNITS = 6
# Enough to say that a value is still there when some documents are forgotten.
DOCUMENTS_LISTED = 16

Place = tuple[str, str]
"""Collection and id of a document."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A value, its kind, and up to `DOCUMENTS_LISTED` documents that hold it."""

    kind: str
    value: str
    documents: tuple[Place, ...]


class Identifiers:
    """Identifiers by canonical value, each once; memory grows with the number of values."""

    def __init__(self, known: Iterable[Identifier] = ()) -> None:
        self._known: dict[bytes, Identifier] = {}
        for identifier in known:
            self.add(identifier.kind, identifier.value, identifier.documents)

    def add(self, kind: str, value: str, documents: Iterable[Place]) -> None:
        canonical = canonical_units(value)[0].tobytes()
        if len(canonical) < LEAST_UNITS:
            return
        known = self._known.get(canonical)
        before = known.documents if known is not None else ()
        listed = tuple(dict.fromkeys((*before, *documents)))[:DOCUMENTS_LISTED]
        self._known[canonical] = Identifier(
            kind if known is None else known.kind, value if known is None else known.value, listed
        )

    def without(self, gone: Callable[[Place], bool]) -> Identifiers:
        """Those that still stand in a document when some are gone."""
        left = Identifiers()
        for identifier in self.all():
            if documents := [place for place in identifier.documents if not gone(place)]:
                left.add(identifier.kind, identifier.value, documents)
        return left

    def all(self) -> Collection[Identifier]:
        return self._known.values()


def write_identifiers(
    index: Path, manifest: Manifest, key: Key, found: Identifiers
) -> dict[str, tuple[int, str]]:
    """Store identifiers, sealed; returns what the manifest is to name."""
    if not found.all():
        return {}
    name = f"identifiers-{manifest.index_id}-{manifest.generation}.sealed"
    rows = [(one.kind, one.value, one.documents) for one in found.all()]
    blob = Sealer.derive(key, f"index {manifest.index_id}").seal(json.dumps(rows).encode(), name)
    return {name: write_durably(index / name, blob)}


def read_identifiers(index: Path, manifest: Manifest, key: Key) -> list[Identifier]:
    """The identifiers stored with an index. Raises OSError or IndexDamagedError."""
    found = []
    for name in manifest.phrases:
        if name.startswith("identifiers-"):
            blob = (index / name).read_bytes()
            rows = json.loads(Sealer.derive(key, f"index {manifest.index_id}").open(blob, name))
            found += [
                Identifier(kind, value, tuple((collection, id) for collection, id in documents))
                for kind, value, documents in rows
            ]
    return found
