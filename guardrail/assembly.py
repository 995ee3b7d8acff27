"""Putting a filter together from a policy, indexes and a key: the library's front door."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guardrail.detector import Context, Detector
from guardrail.errors import UsageError
from guardrail.filter import Filter
from guardrail.findings import Verdict
from guardrail.indexes.detectors import OverlapDetector, PhraseDetector
from guardrail.indexes.watched import WatchedIndex
from guardrail.keys import Key, key_from_environment, key_from_hook, load_key
from guardrail.policy import KeySource, MemorizationSettings, OverlapSettings, Policy
from guardrail.policy_file import default_policy, load_policy

StrPath = str | os.PathLike[str]


class Guardrail:
    """Checks responses against private corpora. Thread-safe; make one and share it.

        guardrail = Guardrail.from_policy("policy.yaml")
        verdict = guardrail.check(response)
        send(verdict.text)

    An index that is replaced on disk is picked up within a second or two.
    """

    def __init__(self, policy: Policy, detectors: Sequence[Detector]) -> None:
        """For detectors of one's own; see `from_policy` for those that a policy names."""
        self._filter = Filter(policy, detectors)
        self._indexes: tuple[WatchedIndex, ...] = ()

    @classmethod
    def from_policy(
        cls,
        policy: StrPath | Policy | None = None,
        *,
        indexes: Iterable[StrPath] = (),
        key: Key | StrPath | None = None,
        check_indexes: bool | None = None,
    ) -> Guardrail:
        """A guardrail as a policy describes it (none: the default policy).

        `indexes` are searched besides those that the policy names, by detectors called `overlap`
        and `phrases`. `key` (a Key or a key file) counts before the policy's own; without either,
        the environment variable GUARDRAIL_KEY. `check_indexes`: see `Index.open`.
        Raises PolicyError, UsageError, SecretKeyError or CorpusIndexError.
        """
        if not isinstance(policy, Policy):
            policy = default_policy() if policy is None else load_policy(policy)
        assembly = _Assembly(policy, key, check_indexes)
        detectors = assembly.declared()
        added = [os.fspath(path) for path in indexes]
        if added:
            detectors += assembly.added(added)
        guardrail = cls(policy, detectors)
        guardrail._indexes = tuple(assembly.opened.values())
        return guardrail

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._filter.policy

    def check(
        self,
        response: str,
        *,
        prompt: str | None = None,
        identity: str | None = None,
        entitlements: Iterable[str] = (),
        model: str | None = None,
        logprobs: Sequence[float] | None = None,
        timeout: float | None = None,
    ) -> Verdict:
        """The verdict on one response; `verdict.text` is safe to send. See `Context` for the rest;
        `timeout` is in seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        context = Context(prompt, identity, frozenset(entitlements), model, logprobs, deadline)
        return self._filter.check(response, context)

    async def acheck(self, response: str, **options: object) -> Verdict:
        """`check` in a thread, so that a long response does not hold up the event loop."""
        return await asyncio.to_thread(self.check, response, **options)  # type: ignore[arg-type]

    def check_many(self, responses: Sequence[str], *, threads: int | None = None) -> list[Verdict]:
        """The verdicts on several responses, in order. The search runs without the GIL, so that
        `threads` (default: one a core) share the work."""
        threads = threads or os.cpu_count() or 1
        if threads == 1 or len(responses) < 2:
            return [self._filter.check(response) for response in responses]
        with ThreadPoolExecutor(min(threads, len(responses))) as pool:
            return list(pool.map(self._filter.check, responses))

    def health(self) -> dict[str, str]:
        """What is wrong, by index folder: a newer state on disk that cannot be used, or damage;
        and by detector, for those that watch themselves. Empty where all is well."""
        problems: dict[str, str] = {}
        for detector in self._filter.detectors:
            watch = getattr(detector, "health", None)
            for what, problem in (watch() if watch else {}).items():
                problems[f"{detector.name}: {what}"] = problem
        for watched in self._indexes:
            index = watched.current()
            problem = index.damage or watched.problem
            if problem:
                problems[str(watched.path)] = problem
        return problems


class _Assembly:
    """Opens each index once, with a key that is looked for only where one is needed."""

    def __init__(self, policy: Policy, key: Key | StrPath | None, check: bool | None) -> None:
        self._policy, self._given, self._check = policy, key, check
        self._key: Key | None = None
        self.opened: dict[str, WatchedIndex] = {}

    def declared(self) -> list[Detector]:
        detectors: list[Detector] = []
        for name, settings in self._policy.detectors.items():
            if isinstance(settings, MemorizationSettings):
                detectors.append(_memorization(name, settings))
                continue
            watched = self._watch(map(os.fspath, settings.indexes))
            if isinstance(settings, OverlapSettings):
                detectors.append(OverlapDetector(name, watched))
            else:
                files = [Path(path) for path in settings.files]
                detectors.append(
                    PhraseDetector(name, files, watched, whole_words=settings.whole_words)
                )
        return detectors

    def added(self, paths: Sequence[str]) -> list[Detector]:
        taken = {"overlap", "phrases"} & set(self._policy.detectors)
        if taken:
            raise UsageError(
                f"the policy has a detector called {min(taken)!r} already, and indexes were given "
                "besides: name the indexes in the policy, or call its detector otherwise"
            )
        watched = self._watch(paths)
        return [
            OverlapDetector("overlap", watched),
            PhraseDetector("phrases", (), watched, whole_words=True),
        ]

    def _watch(self, paths: Iterable[str]) -> list[WatchedIndex]:
        paths = list(paths)
        for path in paths:
            if path not in self.opened:
                self.opened[path] = WatchedIndex(path, self._secret(), check=self._check)
        return [self.opened[path] for path in paths]

    def _secret(self) -> Key:
        if self._key is None:
            self._key = self._find_key()
        return self._key

    def _find_key(self) -> Key:
        if isinstance(self._given, Key):
            return self._given
        if self._given is not None:
            return load_key(self._given)
        return key_from(self._policy.key)


def _memorization(name: str, settings: MemorizationSettings) -> Detector:
    # Loads torch and transformers, which only policies with such a detector need.
    from guardrail.classifiers.memorization.calibration import load_calibration
    from guardrail.classifiers.memorization.detector import MemorizationDetector
    from guardrail.classifiers.memorization.scorer import MemorizationScorer

    scorer = MemorizationScorer(
        settings.target,
        settings.reference,
        settings.shards,
        load_calibration(settings.calibration),
        upstream_only=settings.upstream_only,
        decoding=settings.decoding,
        device=settings.device,
        dtype=settings.dtype,
        fallback=settings.fallback,
    )
    return MemorizationDetector(name, scorer, settings.threshold)


def key_from(source: KeySource | None) -> Key:
    """The key that a policy names, or the environment's where it names none."""
    if source is None:
        return key_from_environment()
    if source.file is not None:
        return load_key(source.file)
    if source.env is not None:
        return key_from_environment(source.env)
    return key_from_hook(source.hook or "")
