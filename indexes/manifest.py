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
import re
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
    UsageError,
)
from guardrail.indexes import passages
from guardrail.indexes.ordinals import ordinal_bits
from guardrail.indexes.runs import PARTITIONS, Grid
from guardrail.indexes.seeds import WINDOW
from guardrail.indexes.segment_writer import (
    MAX_BUCKET_BITS,
    MIN_BUCKET_BITS,
    REMAINDER_BITS,
    SegmentInfo,
)
from guardrail.keys import PUBLIC_KEY, Key
from guardrail.text import CANONICAL_VERSION

FORMAT = "corpus-guardrail index"
FORMAT_VERSION = 5
FILE_NAME = "manifest.json"
LOCK_NAME = "lock"
_AGAIN = "restore it from a backup or build the index again"
_SEGMENT_ID = re.compile(r"[0-9a-f]{16}")
_SEALED_FILE = re.compile(r"[0-9a-z-]+\.sealed")
_SEGMENT_FILES = {
    "directory",
    "documents",
    "filter",
    "marks",
    "names",
    "ordinals",
    "overflow",
    "remainders",
    "tags",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """`tombstones`, `phrases` and `records` map a file name to its size and SHA-256 digest.

    `generation` grows by one with each change. `public` says that the index holds public text and
    that its key is the one known to all.
    """

    index_id: str
    key_id: str
    gram: int
    stride: int
    max_postings: int
    passages: bool = False
    public: bool = False
    generation: int = 0
    created: str = ""
    changed: str = ""
    segments: tuple[SegmentInfo, ...] = ()
    tombstones: dict[str, tuple[int, str]] = field(default_factory=dict)
    phrases: dict[str, tuple[int, str]] = field(default_factory=dict)
    records: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def loose_files(self) -> dict[str, tuple[int, str]]:
        """The files that belong to no segment."""
        return {**self.tombstones, **self.phrases, **self.records}

    @property
    def grid(self) -> Grid:
        return Grid(self.gram, self.stride, self.passages)

    @classmethod
    def new(cls, key: Key, grid: Grid, max_postings: int) -> Manifest:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(
            index_id=secrets.token_hex(8),
            key_id=key.id,
            gram=grid.gram,
            stride=grid.stride,
            max_postings=max_postings,
            passages=grid.passages,
            public=key == PUBLIC_KEY,
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
    fields = _read_fields(index)
    if fields["key_id"] != key.id:
        raise SecretKeyError(
            f"the index {index} was built with key {fields['key_id']}, but key {key.id} was given; "
            "give the key file that it was built with"
        )
    mac = str(fields.pop("mac", ""))
    if not hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(fields, key).encode()):
        raise IndexDamagedError(f"{index / FILE_NAME} was altered after it was written; {_AGAIN}")
    return _parse(index, fields)


def peek_manifest(index: Path) -> Manifest:
    """What a manifest says, not authenticated: for showing an index to one without its key."""
    fields = _read_fields(index)
    fields.pop("mac", None)
    return _parse(index, fields)


def _parse(index: Path, fields: dict[str, Any]) -> Manifest:
    for name in ("format", "format_version", "canonical_version"):
        del fields[name]
    try:
        segments = [
            SegmentInfo(**{**segment, "files": _files(segment["files"])})
            for segment in fields.pop("segments")
        ]
        for kind in ("tombstones", "phrases", "records"):
            fields[kind] = _files(fields[kind])
        manifest = Manifest(**fields, segments=tuple(segments))
        if not _sound(manifest):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise IndexDamagedError(f"{index / FILE_NAME} is malformed; {_AGAIN}") from None
    return manifest


def _sound(manifest: Manifest) -> bool:
    """Whether types and ranges are such that the rest of the program may rely on them."""
    texts = (manifest.index_id, manifest.key_id, manifest.created, manifest.changed)
    return (
        all(type(text) is str for text in texts)
        and manifest.public is (manifest.key_id == PUBLIC_KEY.id)
        and _between(8, manifest.gram, 64)
        and _between(1, manifest.stride, 64)
        and _between(1, manifest.max_postings, 65535)
        and _between(0, manifest.generation, 1 << 62)
        and type(manifest.passages) is bool
        and all(_sound_segment(info, manifest.grid) for info in manifest.segments)
        and all(map(_SEALED_FILE.fullmatch, manifest.loose_files))
    )


def _sound_segment(info: SegmentInfo, grid: Grid) -> bool:
    counts = (info.grams, info.ordinals, info.documents, info.units, info.chars)
    ordinal_words = -(-info.grams * ordinal_bits(info.ordinals) // 64)
    return (
        _SEGMENT_ID.fullmatch(info.id) is not None
        and all(_between(0, count, 1 << 62) for count in (*counts, info.dropped_postings))
        and _between(MIN_BUCKET_BITS, info.bucket_bits, MAX_BUCKET_BITS)
        and _between(info.bucket_bits, info.hash_bits, info.bucket_bits + REMAINDER_BITS)
        and info.files.keys() == _SEGMENT_FILES | (passages.FILES if grid.passages else set())
        # Compiled code reads these without looking where they end.
        and info.files["directory"][0] == 4 * ((1 << info.bucket_bits) + 1)
        and info.files["filter"][0] > 0
        and info.files["filter"][0] % 8 == 0
        and info.files["remainders"][0] == 2 * (info.grams + WINDOW)
        and info.files["ordinals"][0] == 8 * (ordinal_words + 1)
        and info.files["overflow"][0] == 8 * (info.dropped_postings + PARTITIONS + 1)
        and info.files["tags"][0] * 4 == info.ordinals * grid.stride
        and (not grid.passages or passages.sound_sizes({n: s for n, (s, _) in info.files.items()}))
    )


def _between(least: int, value: Any, most: int) -> bool:
    # Not isinstance: true and false are integers too.
    return type(value) is int and least <= value <= most


def _read_fields(index: Path) -> dict[str, Any]:
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
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
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
        if path.name not in manifest.loose_files:
            path.unlink(missing_ok=True)


@contextmanager
def locked(index: Path) -> Iterator[None]:
    """Hold the index for a change. Raises IndexBusyError where another process does, and UsageError
    for a folder of other things: a change empties the folder's `work` and `segments`."""
    try:
        names = {path.name for path in index.iterdir()} if index.is_dir() else set()
        if names and not names & {FILE_NAME, LOCK_NAME}:
            raise UsageError(f"{index} is not empty and holds no index; name a new folder")
        index.mkdir(parents=True, exist_ok=True)
        file = (index / LOCK_NAME).open("a")
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
        except OSError as error:
            raise CorpusIndexError(
                f"cannot lock the index {index}: {error.strerror}; keep it on a file system that "
                "has locks"
            ) from None
        yield


def _mac(fields: dict[str, Any], key: Key) -> str:
    text = json.dumps(fields, sort_keys=True).encode()
    return hmac.digest(key.derive("manifest"), text, "sha256").hex()


def _files(files: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {name: (int(size), str(digest)) for name, (size, digest) in files.items()}
