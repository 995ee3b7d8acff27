"""An index as it is searched: its manifest and open segments."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrail.errors import CorpusIndexError, IndexDamagedError
from guardrail.indexes.chaining import Runs
from guardrail.indexes.grams import GramKey
from guardrail.indexes.manifest import FILE_NAME, Manifest, read_manifest, segment_folder
from guardrail.indexes.matching import Matches
from guardrail.indexes.phrases import read_phrases
from guardrail.indexes.query import Query
from guardrail.indexes.record_table import RecordTable
from guardrail.indexes.runs import Grid
from guardrail.indexes.segment import Segment
from guardrail.indexes.signatures import SignatureKey
from guardrail.indexes.tombstones import check_file, read_tombstones
from guardrail.keys import Key

# Up to this size an index is checked against its digests before it is used: SHA-256 takes about
# 0.6 ms a megabyte. A larger one is checked by a thread while it is used already.
CHECK_AT_ONCE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a manifest is replaced; cheap to compare."""

    inode: int
    modified: int
    size: int

    @classmethod
    def of(cls, index: Path) -> Stamp:
        status = (index / FILE_NAME).stat()
        return cls(status.st_ino, status.st_mtime_ns, status.st_size)


class Index:
    """An open index. Thread-safe; its answers stay those of the state that was opened."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        segments: Sequence[Segment],
        phrases: Sequence[str],
        records: RecordTable,
        key: Key,
    ) -> None:
        self.path, self.manifest, self.segments = path, manifest, tuple(segments)
        self.phrases = tuple(phrases)
        self.records = records
        self.key = key
        self.grid: Grid = manifest.grid
        self.gram_key = GramKey.derive(key)
        self.signature_key = SignatureKey.derive(key)
        self.stamp: Stamp | None = None
        self.damage: str | None = None
        self._checker: threading.Thread | None = None

    @classmethod
    def open(cls, path: str | Path, key: Key, *, check: bool | None = None) -> Index:
        """Open the index in a folder.

        `check`: compare every file with its digest first (True), not at all (False), or (None) at
        once for a small index and in a background thread for a large one; damage that the thread
        finds makes every later search raise. Raises a CorpusIndexError or SecretKeyError.
        """
        path = Path(path)
        for _ in range(5):
            stamp_before = _stamp(path)
            manifest = read_manifest(path, key)
            try:
                segments = [
                    Segment(
                        segment_folder(path, info.id),
                        info,
                        manifest.grid,
                        key,
                        read_tombstones(path, manifest, info.id, key),
                    )
                    for info in manifest.segments
                ]
                phrases = read_phrases(path, manifest, key)
                records = RecordTable(path, manifest, key)
            except FileNotFoundError as error:
                # A change that was published in between may have removed what the manifest named.
                if _stamp(path) != stamp_before:
                    continue
                raise IndexDamagedError(
                    f"{error.filename} is missing; restore it or build the index again"
                ) from None
            except OSError as error:
                raise CorpusIndexError(
                    f"cannot read {error.filename or path}: {error.strerror}"
                ) from None
            index = cls(path, manifest, segments, phrases, records, key)
            index.stamp = stamp_before
            index._check(check)
            return index
        raise CorpusIndexError(f"the index {path} changed five times while it was being opened")

    def _check(self, check: bool | None) -> None:
        size = sum(size for _, size, _ in self._files())
        if check is None and size > CHECK_AT_ONCE_BYTES:
            self._checker = threading.Thread(target=self._check_aside, daemon=True)
            self._checker.start()
        elif check is not False:
            for problem in self.problems():
                raise IndexDamagedError(problem)

    def _check_aside(self) -> None:
        self.damage = next(self.problems(), None)

    def problems(self) -> Iterator[str]:
        """What differs from the manifest's digests, file by file; reads the whole index."""
        for path, size, digest in self._files():
            found = list(check_file(path, size, digest))
            if found and not path.exists() and not self.is_current():
                # A newer state has removed the file: what is open here stays as it was mapped.
                return
            yield from found

    def _files(self) -> Iterator[tuple[Path, int, str]]:
        manifest = self.manifest
        for info in manifest.segments:
            folder = segment_folder(self.path, info.id)
            for name, (size, digest) in info.files.items():
                yield folder / name, size, digest
        for name, (size, digest) in manifest.loose_files.items():
            yield self.path / name, size, digest

    def match(self, query: Query, least: int) -> list[tuple[Segment, Matches, Runs]]:
        """What each segment shares, for a query made with `gram_key` and `grid.gram`; see
        `Segment.match`. Segments that share nothing are left out."""
        if self.damage is not None:
            raise IndexDamagedError(self.damage)
        found = []
        for segment in self.segments:
            matches, runs = segment.match(query, least)
            if len(matches) or len(runs):
                found.append((segment, matches, runs))
        return found

    def is_current(self) -> bool:
        """Whether the folder still holds the state that was opened."""
        return _stamp(self.path) == self.stamp


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path)
    except OSError:
        return None
