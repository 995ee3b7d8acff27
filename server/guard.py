"""The guardrail in force, and its replacement when the policy's file changes."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

from guardrail.assembly import Guardrail
from guardrail.classifiers.pii.detector import PiiDetector
from guardrail.classifiers.secrets import SecretsDetector
from guardrail.detector import Detector
from guardrail.errors import GuardrailError
from guardrail.indexes.detectors import OverlapDetector, PhraseDetector
from guardrail.policy import Policy
from guardrail.policy_file import default_policy, load_policy, show
from guardrail.server.settings import Guard as GuardSettings

_log = logging.getLogger("guardrail.server")

# In plain letters and in disguise, so that the search in either is made ready.
FIRST = (
    "Is everything there that is needed to judge this? SXMgZXZlcnl0aGluZyB0aGVyZT8= 1s 4ll th3r3?"
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
        rail.check(FIRST)  # what is compiled or loaded at the first use, is so before any request
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


def _is_quick(detector: Detector) -> bool:
    if isinstance(detector, PiiDetector):
        return not detector.uses_model
    return isinstance(detector, (OverlapDetector, PhraseDetector, SecretsDetector))


def policy_digest(policy: Policy) -> str:
    """What names a policy in records: it says which rules were in force, and not what they are."""
    return hashlib.sha256(show(policy).encode()).hexdigest()[:16]
