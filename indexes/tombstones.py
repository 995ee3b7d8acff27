"""Tombstones: which documents of a segment are forgotten, in sealed files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.manifest import Manifest
from guardrail.indexes.sealed import Sealer
from guardrail.keys import Key

_CHUNK = 4 << 20


def write_tombstones(
    index: Path, manifest: Manifest, segment_id: str, key: Key, rows: NDArray[np.int64]
) -> dict[str, tuple[int, str]]:
    """Write which rows of a segment are forgotten, for the manifest's generation; the tombstones
    that the manifest has then."""
    name = f"{_prefix(segment_id)}{manifest.generation}.sealed"
    blob = _sealer(manifest, key).seal(json.dumps(rows.tolist()).encode(), name)
    written = write_durably(index / name, blob)
    return {**without_tombstones(manifest, segment_id), name: written}


def without_tombstones(manifest: Manifest, segment_id: str) -> dict[str, tuple[int, str]]:
    """A manifest's tombstones but for those of a segment."""
    prefix = _prefix(segment_id)
    return {n: file for n, file in manifest.tombstones.items() if not n.startswith(prefix)}


def read_tombstones(
    index: Path, manifest: Manifest, segment_id: str, key: Key
) -> NDArray[np.uint32]:
    """The rows of a segment's document table that are forgotten."""
    for name in manifest.tombstones:
        if name.startswith(_prefix(segment_id)):
            blob = (index / name).read_bytes()
            return np.array(json.loads(_sealer(manifest, key).open(blob, name)), np.uint32)
    return np.zeros(0, np.uint32)


def write_durably(path: Path, blob: bytes) -> tuple[int, str]:
    """Write a small file and make it durable; its size and SHA-256 digest."""
    with path.open("wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())
    return len(blob), hashlib.sha256(blob).hexdigest()


def check_file(path: Path, size: int, digest: str) -> Iterator[str]:
    """One sentence for a file that is not what the manifest says, nothing for one that is."""
    actual = hashlib.sha256()
    count = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                actual.update(chunk)
                count += len(chunk)
    except OSError as error:
        yield f"{path} cannot be read: {error.strerror}; restore it or build the index again"
        return
    if count != size:
        yield (f"{path} has {count} bytes, the manifest says {size}; restore it or build again")
    elif actual.hexdigest() != digest:
        yield f"{path} was altered after it was written; restore it or build the index again"


def _prefix(segment_id: str) -> str:
    return f"forgotten-{segment_id}-"


def _sealer(manifest: Manifest, key: Key) -> Sealer:
    return Sealer.derive(key, f"index {manifest.index_id}")
