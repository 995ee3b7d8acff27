"""Tombstones: which documents of a segment are forgotten, in sealed files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.manifest import Manifest
from guardrail.indexes.sealed import Sealer
from guardrail.indexes.segment import Segment
from guardrail.keys import Key

_CHUNK = 4 << 20


def read_tombstones(
    index: Path, manifest: Manifest, segment_id: str, key: Key
) -> NDArray[np.uint32]:
    """The rows of a segment's document table that are forgotten."""
    for name in manifest.tombstones:
        if name.startswith(_prefix(segment_id)):
            blob = (index / name).read_bytes()
            return np.array(json.loads(_sealer(manifest, key).open(blob, name)), np.uint32)
    return np.zeros(0, np.uint32)


def bury(
    index: Path,
    manifest: Manifest,
    key: Key,
    segments: Iterable[Segment],
    rows: Mapping[str, NDArray[np.int64]],
) -> Manifest:
    """The manifest with more rows forgotten, by segment id; what was forgotten stays so."""
    tombstones = dict(manifest.tombstones)
    for segment in segments:
        fresh = rows.get(segment.info.id)
        if fresh is None or not len(fresh):
            continue
        dead = np.union1d(np.flatnonzero(segment.dead), fresh)
        prefix = _prefix(segment.info.id)
        tombstones = {n: file for n, file in tombstones.items() if not n.startswith(prefix)}
        name = f"{prefix}{manifest.generation}.sealed"
        blob = _sealer(manifest, key).seal(json.dumps(dead.tolist()).encode(), name)
        tombstones[name] = write_durably(index / name, blob)
    return replace(manifest, tombstones=tombstones)


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
