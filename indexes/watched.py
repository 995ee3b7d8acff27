"""An index that follows its folder: replaced on disk, it is picked up without a restart."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from guardrail.errors import GuardrailError
from guardrail.indexes.index import Index
from guardrail.keys import Key

# A stat of the manifest takes 2 microseconds; once in this many seconds it costs nothing.
LOOK_EVERY_SECONDS = 1.0

_log = logging.getLogger("guardrail")


class WatchedIndex:
    """The newest usable state of an index. Thread-safe.

    A new state that cannot be opened (half copied, damaged) does not take the place of the one
    that works: `problem` says why until it is mended.
    """

    def __init__(self, path: str | Path, key: Key, *, check: bool | None = None) -> None:
        self.path, self._key, self._check = Path(path), key, check
        self.problem: str | None = None
        self._index = Index.open(self.path, key, check=check)
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def current(self) -> Index:
        """The index to search now."""
        now = time.monotonic()
        if now - self._looked > LOOK_EVERY_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._looked = now
                self._follow()
            finally:
                self._lock.release()
        return self._index

    def _follow(self) -> None:
        if self._index.is_current():
            self.problem = None
            return
        try:
            self._index = Index.open(self.path, self._key, check=self._check)
            self.problem = None
        except GuardrailError as error:
            if self.problem is None:
                _log.warning("the index %s changed and cannot be opened: %s", self.path, error)
            self.problem = str(error)
