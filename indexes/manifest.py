"""The manifest: the one file that says what an index consists of, and how it is published.

Everything else in an index folder is immutable and named by the manifest with its size and digest.
A change writes new files aside, and then replaces the manifest in one rename: whoever opens the
index sees the state before or the state after.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from guardrail.errors import (
    CorpusIndexError,
    IndexBusyError,
    IndexDamagedError,
    IndexMissingError,
    IndexVersionError,
    SecretKeyError,
)
from guardrail.indexes.runs import Grid
from guardrail.indexes.segment_writer import SegmentInfo
from guardrail.keys import Key
from guardrail.text import CANONICAL_VERSION

FORMAT = "corpus-guardrail index"
FORMAT_VERSION = 1
FILE_NAME = "manifest.json"
_AGAIN = "restore it from a backup or build the index again"


@dataclass(frozen=True, slots=True)
class Manifest:
    """`tombstones` and `phrases` map a file name to its size and SHA-256 digest.

    `generation` grows by one with each change.
    """

    index_id: str
    key_id: str
    gram: int
    stride: int
    max_postings: int
    generation: int = 0
    created: str = ""
    changed: str = ""
    segments: tuple[SegmentInfo, ...] = ()
    tombstones: dict[str, tuple[int, str]] = field(default_factory=dict)
    phrases: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        return Grid(self.gram, self.stride)

    @classmethod
    def new(cls, key: Key, grid: Grid, max_postings: int) -> Manifest:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(
            index_id=secrets.token_hex(8),
            key_id=key.id,
            gram=grid.gram,
            stride=grid.stride,
            max_postings=max_postings,
            created=now,
            changed=now,
        )

    def next(self, **changes: Any) -> Manifest:
        """The manifest after a change."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return replace(self, generation=self.generation + 1, changed=now, **changes)


def segment_folder(index: Path, segment_id: str) -> Path:
    """Where the files of a segment are."""
    return index / "segments" / segment_id


def read_manifest(index: Path, key: Key) -> Manifest:
    """The manifest of the index in a folder, authenticated by its key.

    Raises IndexMissingError, IndexDamagedError, IndexVersionError or SecretKeyError.
    """
    fields = read_fields(index)
    if fields["key_id"] != key.id:
        raise SecretKeyError(
            f"the index {index} was built with key {fields['key_id']}, but key {key.id} was given; "
            "give the key file that it was built with"
        )
    mac = fields.pop("mac", None)
    if not isinstance(mac, str) or not hmac.compare_digest(mac, _mac(fields, key)):
        raise IndexDamagedError(f"{index / FILE_NAME} was altered after it was written; {_AGAIN}")
    for name in ("format", "format_version", "canonical_version"):
        del fields[name]
    fields["segments"] = tuple(
        SegmentInfo(**{**segment, "files": _files(segment["files"])})
        for segment in fields["segments"]
    )
    fields["tombstones"] = _files(fields["tombstones"])
    fields["phrases"] = _files(fields["phrases"])
    return Manifest(**fields)


def read_fields(index: Path) -> dict[str, Any]:
    """What a manifest says, not authenticated: for showing an index to one without its key."""
    path = index / FILE_NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        hint = ""
        if (index / "work").is_dir():
            hint = " (a build was interrupted there; run the same command again to finish it)"
        raise IndexMissingError(
            f"there is no index in {index}{hint}; build one with: guardrail index build PATH... "
            f"--out {index} --key-file FILE"
        ) from None
    except OSError as error:
        raise CorpusIndexError(f"cannot read {path}: {error.strerror}") from None
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields["format"] != FORMAT:
            raise ValueError
        version, canonical = int(fields["format_version"]), int(fields["canonical_version"])
        str(fields["key_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IndexDamagedError(f"{path} is not the manifest of an index; {_AGAIN}") from None
    if version != FORMAT_VERSION:
        raise IndexVersionError(
            f"the index {index} has format {version}, this program reads format {FORMAT_VERSION}; "
            "use the program that built it, or build it again"
        )
    if canonical != CANONICAL_VERSION:
        raise IndexVersionError(
            f"the index {index} holds canonical text of version {canonical}, this program makes "
            f"version {CANONICAL_VERSION}; build the index again"
        )
    return fields


def publish(index: Path, manifest: Manifest, key: Key) -> None:
    """Make a manifest the index's state, durably and in one step."""
    fields = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "canonical_version": CANONICAL_VERSION,
        **asdict(manifest),
    }
    fields["mac"] = _mac(fields, key)
    path = index / FILE_NAME
    aside = index / f"{FILE_NAME}.new"
    with aside.open("w", encoding="utf-8") as file:
        json.dump(fields, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(index)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_orphans(index: Path, manifest: Manifest) -> None:
    """Delete what no manifest names any more: parts of interrupted or superseded changes."""
    alive = {segment.id for segment in manifest.segments}
    segments = index / "segments"
    if segments.is_dir():
        for folder in segments.iterdir():
            if folder.name not in alive:
                shutil.rmtree(folder, ignore_errors=True)
    for path in index.glob("*.sealed"):
        if path.name not in manifest.tombstones and path.name not in manifest.phrases:
            path.unlink(missing_ok=True)


@contextmanager
def locked(index: Path) -> Iterator[None]:
    """Hold the index for a change. Raises IndexBusyError where another process does."""
    try:
        index.mkdir(parents=True, exist_ok=True)
        file = (index / "lock").open("a")
    except OSError as error:
        raise CorpusIndexError(
            f"cannot write to the index folder {index}: {error.strerror}"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IndexBusyError(
                f"another process is changing the index {index}; wait for it to end"
            ) from None
        yield


def _mac(fields: dict[str, Any], key: Key) -> str:
    text = json.dumps(fields, sort_keys=True).encode()
    return hmac.digest(key.derive("manifest"), text, "sha256").hex()


def _files(files: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {name: (int(size), str(digest)) for name, (size, digest) in files.items()}
