"""The guardrail in force, and its replacement when the policy's file changes."""

from __future__ import annotations

import base64
import codecs
import hashlib
import logging
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardrail.assembly import Guardrail
from guardrail.classifiers.pii.detector import PiiDetector
from guardrail.classifiers.secrets import SecretsDetector
from guardrail.detector import Detector
from guardrail.errors import GuardrailError
from guardrail.indexes.build import DEFAULT_GRID, build
from guardrail.indexes.detectors import OverlapDetector, PhraseDetector
from guardrail.indexes.runs import Grid
from guardrail.keys import new_key
from guardrail.policy import Policy
from guardrail.policy_file import default_policy, load_policy, show
from guardrail.server.settings import Guard as GuardSettings

_log = logging.getLogger("guardrail.server")

PROBE = "Is everything there that is needed to judge this sentence?"
# A text that is quoted as it is, with other words in it, in another order and in disguise.
_TEXT = (
    "The tenants of the northern hall have until the first of October to clear their machines "
    "away, and whoever stays longer pays twice the rent for each week that has begun."
)
_QUOTES = (
    _TEXT,
    _TEXT.replace("until", "only till").replace("longer", "on"),
    f"{_TEXT[80:]} {_TEXT[:80]}",
    codecs.encode(_TEXT, "rot13"),
    base64.b64encode(_TEXT.encode()).decode(),
    # Strings whose characters take one, two and four bytes are read by kernels of their own.
    f"ä: {_TEXT}",
    f"š: {_TEXT}",
    f"🙂: {_TEXT}",
)


@dataclass(frozen=True, slots=True)
class InForce:
    """A guardrail and the digest of its policy, 16 hexadecimal digits of SHA-256. `is_quick` says
    that none of its detectors waits for anything or runs a model."""

    rail: Guardrail
    digest: str
    is_quick: bool


class Guard:
    """Holds what is in force. A policy that cannot be obeyed does not take the place of the one
    that works: `problem` says why until it is mended. Thread-safe."""

    def __init__(self, settings: GuardSettings) -> None:
        """Raises the errors of `Guardrail.from_policy`."""
        self._settings = settings
        self._lock = threading.Lock()
        self._stamp = self._look()
        self.problem: str | None = None
        self.now = self._open()

    def reload(self) -> InForce:
        """Read policy and indexes anew. Raises GuardrailError, and then all stays as it was."""
        with self._lock:
            self._stamp = self._look()
            try:
                self.now = self._open()
            except GuardrailError as error:
                self.problem = str(error)
                raise
            self.problem = None
            return self.now

    def follow(self) -> None:
        """Take up a policy that was changed on disk, and the newest state of each index."""
        if self._look() != self._stamp:
            try:
                now = self.reload()
            except GuardrailError as error:
                _log.warning("policy_refused", extra={"reason": str(error)})
            else:
                _log.info("policy_changed", extra={"policy": now.digest})
        # Whoever looks at an index first opens its newest state: here, so that no check waits.
        self.now.rail.health()

    def _open(self) -> InForce:
        given = self._settings
        policy = default_policy() if given.policy is None else load_policy(given.policy)
        rail = Guardrail.from_policy(
            policy, indexes=given.indexes, background=given.background, key=given.key_file
        )
        rail.check(PROBE)  # what is loaded at the first use, is so before any request
        quick = all(_is_quick(detector) for detector in rail.detectors)
        return InForce(rail, policy_digest(policy), quick)

    def _look(self) -> Any:
        if self._settings.policy is None:
            return None
        try:
            found = os.stat(self._settings.policy)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def warm_up() -> None:
    """Have all that is compiled at its first use be compiled now, by finding a text in a small
    index of its own: the first response that quotes a document would take tens of seconds."""
    with tempfile.TemporaryDirectory(prefix="guardrail-") as folder:
        text, index = Path(folder, "text.txt"), Path(folder, "index")
        text.write_text(_TEXT)
        key = new_key()
        build(
            [str(text)], index, key, grid=Grid(DEFAULT_GRID.gram, DEFAULT_GRID.stride, True), jobs=1
        )
        rail = Guardrail.from_policy(indexes=[index], key=key)
        for quote in _QUOTES:
            rail.check(f"It says: {quote}", prompt=_TEXT)
            stream = rail.open_stream(prompt=_TEXT)
            stream.feed(f"It says: {quote} ")
            stream.flush()


def _is_quick(detector: Detector) -> bool:
    if isinstance(detector, PiiDetector):
        return not detector.uses_model
    return isinstance(detector, (OverlapDetector, PhraseDetector, SecretsDetector))


def policy_digest(policy: Policy) -> str:
    """What names a policy in records: it says which rules were in force, and not what they are."""
    return hashlib.sha256(show(policy).encode()).hexdigest()[:16]
