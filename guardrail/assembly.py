"""Putting a filter together from a policy, indexes and a key: the library's front door."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import is_
from pathlib import Path
from typing import overload

from guardrail.anonymise import Anonymiser
from guardrail.detector import EMPTY_CONTEXT, NOBODY, Context, Detector, Entitlements
from guardrail.detector_settings import (
    MemorizationSettings,
    OverlapSettings,
    PassagesSettings,
    PiiSettings,
    SecretsSettings,
)
from guardrail.errors import UsageError
from guardrail.filter import Filter
from guardrail.findings import Verdict
from guardrail.indexes.detectors import OverlapDetector, PhraseDetector
from guardrail.indexes.excuses import Excuses
from guardrail.indexes.index import Index
from guardrail.indexes.manifest import peek_manifest
from guardrail.indexes.passage_detector import PassageDetector
from guardrail.indexes.watched import WatchedIndex
from guardrail.keys import PUBLIC_KEY, Key, key_from_environment, key_from_hook, load_key
from guardrail.policy import Policy
from guardrail.policy_file import default_policy, load_policy
from guardrail.policy_settings import KeySource
from guardrail.segments import Pace
from guardrail.stream import StreamFilter

StrPath = str | os.PathLike[str]

# What makes no context: prompt, identity, entitlements, and so on.
_NOTHING = ((), None, NOBODY, None, None, None, None)


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
        self._anonymiser: Anonymiser | None = None

    @classmethod
    def from_policy(
        cls,
        policy: StrPath | Policy | None = None,
        *,
        indexes: Iterable[StrPath] = (),
        background: Iterable[StrPath] = (),
        key: Key | StrPath | None = None,
        check_indexes: bool | None = None,
    ) -> Guardrail:
        """A guardrail as a policy describes it (none: the default policy).

        `indexes` are searched besides those that the policy names, by detectors called `overlap`,
        `phrases` and, where one of them holds passages, `passages`; text of the public indexes in
        `background` is excused, as is that of the policy's. `key` (a Key or a key file) counts
        before the policy's own; without either, the environment variable GUARDRAIL_KEY.
        `check_indexes`: see `Index.open`.
        Raises PolicyError, UsageError, SecretKeyError or CorpusIndexError.
        """
        if not isinstance(policy, Policy):
            policy = default_policy() if policy is None else load_policy(policy)
        public = [os.fspath(path) for path in background]
        assembly = _Assembly(policy, key, check_indexes, public)
        detectors = assembly.declared()
        added = [os.fspath(path) for path in indexes]
        if added:
            detectors += assembly.added(added)
        guardrail = cls(policy, detectors)
        if policy.redaction.operators:
            guardrail._anonymiser = Anonymiser(policy.redaction, assembly.secret())
            guardrail._filter = Filter(policy, detectors, guardrail._anonymiser.redaction)
        guardrail._indexes = tuple(assembly.opened.values())
        return guardrail

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._filter.policy

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The detectors in use."""
        return self._filter.detectors

    def check(
        self,
        response: str,
        *,
        prompt: str | Sequence[str] | None = None,
        identity: str | None = None,
        entitlements: Entitlements | Iterable[str] = (),
        model: str | None = None,
        logprobs: Sequence[float] | None = None,
        timeout: float | None = None,
        conversation: str | None = None,
    ) -> Verdict:
        """The verdict on one response; `verdict.text` is safe to send. See `Context` for the rest.

        `prompt` is one text or several; `entitlements` that are names are collections; `timeout`
        is in seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        supplied, entitled = _supplied(prompt), _entitled(entitlements)
        given = (supplied, identity, entitled, model, logprobs, deadline, conversation)
        # A context takes 2 of the 100 microseconds that a check takes: none is made of nothing.
        context = EMPTY_CONTEXT if all(map(is_, given, _NOTHING)) else Context(*given)
        return self._filter.check(response, context)

    def restore(self, text: str) -> str:
        """A redacted text with what the operator `encrypt` made turned back into the values. For
        those who may see them: the key is all that it takes. Raises UsageError where the policy
        has no operators, SecretKeyError where a value was encrypted with another key."""
        if self._anonymiser is None:
            raise UsageError("the policy has no redaction operators: there is nothing to restore")
        return self._anonymiser.restore(text)

    async def acheck(self, response: str, **options: object) -> Verdict:
        """`check` in a thread, so that a long response does not hold up the event loop."""
        return await asyncio.to_thread(self.check, response, **options)  # type: ignore[arg-type]

    def check_many(
        self,
        responses: Sequence[str],
        *,
        prompts: Sequence[str | Sequence[str] | None] | None = None,
        threads: int | None = None,
        **options: object,
    ) -> list[Verdict]:
        """The verdicts on several responses, in order. `prompts`: one each, as `check` takes it;
        `options` are those of `check`, for all. The search runs without the GIL, so that `threads`
        (default: one a core) share the work. Raises UsageError where there are not as many prompts
        as responses."""
        each: list[dict[str, object]] = [options] * len(responses)
        if prompts is not None:
            if "prompt" in options or len(prompts) != len(responses):
                raise UsageError(
                    f"{len(prompts)} prompts were given for {len(responses)} responses: give one "
                    "for each, or one `prompt` for all"
                )
            each = [{**options, "prompt": prompt} for prompt in prompts]

        def check(response: str, given: dict[str, object]) -> Verdict:
            return self.check(response, **given)  # type: ignore[arg-type]

        threads = threads or os.cpu_count() or 1
        if threads == 1 or len(responses) < 2:
            return list(map(check, responses, each))
        with ThreadPoolExecutor(min(threads, len(responses))) as pool:
            return list(pool.map(check, responses, each))

    def open_stream(
        self,
        *,
        prompt: str | Sequence[str] | None = None,
        identity: str | None = None,
        entitlements: Entitlements | Iterable[str] = (),
        model: str | None = None,
        conversation: str | None = None,
        pace: Pace | None = None,
        max_wait: float | None = None,
        announce: bool = True,
    ) -> StreamFilter:
        """A filter for one response that arrives in pieces: `feed` each, then `flush`. See
        `Context` and `StreamFilter` for the arguments."""
        supplied, entitled = _supplied(prompt), _entitled(entitlements)
        context = Context(supplied, identity, entitled, model, conversation=conversation)
        return StreamFilter(
            self._filter,
            context,
            pace=pace,
            max_wait=max_wait,
            announce=announce,
        )

    @overload
    def stream(self, chunks: Iterable[str], **options: object) -> Iterator[str]: ...

    @overload
    def stream(self, chunks: AsyncIterable[str], **options: object) -> AsyncIterator[str]: ...

    def stream(
        self, chunks: Iterable[str] | AsyncIterable[str], **options: object
    ) -> Iterator[str] | AsyncIterator[str]:
        """The filtered chunks of a response; `options` are those of `open_stream`."""
        stream = self.open_stream(**options)  # type: ignore[arg-type]
        if isinstance(chunks, AsyncIterable):
            return stream.over_async(chunks)
        return stream.over(chunks)

    def indexes(self) -> dict[str, Index]:
        """The indexes in use, by folder, as they are now."""
        return {str(watched.path): watched.current() for watched in self._indexes}

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


def _supplied(prompt: str | Sequence[str] | None) -> tuple[str, ...]:
    return (prompt,) if isinstance(prompt, str) else tuple(prompt or ())


def _entitled(entitlements: Entitlements | Iterable[str]) -> Entitlements:
    if isinstance(entitlements, Entitlements):
        return entitlements
    if not entitlements:
        return NOBODY
    names = (entitlements,) if isinstance(entitlements, str) else entitlements
    return Entitlements(frozenset(names))


class _Assembly:
    """Opens each index once, with a key that is looked for only where one is needed."""

    def __init__(
        self,
        policy: Policy,
        key: Key | StrPath | None,
        check: bool | None,
        background: Sequence[str],
    ) -> None:
        self._policy, self._given, self._check = policy, key, check
        self._key: Key | None = None
        self.opened: dict[str, WatchedIndex] = {}
        settings = policy.excuses
        self._excuses = Excuses(
            [self._public(path) for path in (*map(os.fspath, settings.background), *background)],
            builtin=settings.builtin,
            prompt=settings.prompt,
            entitlements=settings.entitlements,
            least=settings.min_length,
        )

    def declared(self) -> list[Detector]:
        detectors: list[Detector] = []
        for name, settings in self._policy.detectors.items():
            if isinstance(settings, MemorizationSettings):
                detectors.append(_memorization(name, settings))
                continue
            if isinstance(settings, PiiSettings):
                detectors.append(_pii(name, settings))
                continue
            if isinstance(settings, SecretsSettings):
                from guardrail.classifiers.secrets import SecretsDetector

                detectors.append(SecretsDetector(name))
                continue
            watched = self._watch(map(os.fspath, settings.indexes))
            if isinstance(settings, OverlapSettings):
                detectors.append(self._overlap(name, watched))
            elif isinstance(settings, PassagesSettings):
                detectors.append(PassageDetector(name, watched, self._excuses))
            else:
                files = [Path(path) for path in settings.files]
                detectors.append(
                    PhraseDetector(name, files, watched, whole_words=settings.whole_words)
                )
        return detectors

    def added(self, paths: Sequence[str]) -> list[Detector]:
        taken = {"overlap", "passages", "phrases"} & set(self._policy.detectors)
        if taken:
            raise UsageError(
                f"the policy has a detector called {min(taken)!r} already, and indexes were given "
                "besides: name the indexes in the policy, or call its detector otherwise"
            )
        watched = self._watch(paths)
        detectors: list[Detector] = [
            self._overlap("overlap", watched),
            PhraseDetector("phrases", (), watched, whole_words=True),
        ]
        if holding := [index for index in watched if index.current().grid.passages]:
            detectors.append(PassageDetector("passages", holding, self._excuses))
        return detectors

    def _overlap(self, name: str, watched: Sequence[WatchedIndex]) -> OverlapDetector:
        passes = partial(self._policy.passes, name)
        return OverlapDetector(name, watched, self._excuses, passes)

    def _watch(self, paths: Iterable[str]) -> list[WatchedIndex]:
        paths = list(paths)
        for path in paths:
            if path not in self.opened:
                self.opened[path] = WatchedIndex(path, self.secret(), check=self._check)
        return [self.opened[path] for path in paths]

    def _public(self, path: str) -> WatchedIndex:
        if not peek_manifest(Path(path)).public:
            raise UsageError(
                f"the index {path} is not public, so its text cannot be background: build it of "
                "public text with: guardrail index build --public"
            )
        self.opened[path] = WatchedIndex(path, PUBLIC_KEY, check=self._check)
        return self.opened[path]

    def secret(self) -> Key:
        if self._key is None:
            self._key = self._find_key()
        return self._key

    def _find_key(self) -> Key:
        if isinstance(self._given, Key):
            return self._given
        if self._given is not None:
            return load_key(self._given)
        return key_from(self._policy.key)


def _pii(name: str, settings: PiiSettings) -> Detector:
    from guardrail.classifiers.pii.detector import PiiDetector

    pool = None
    if settings.level == "full" or settings.recognizers is not None:
        # Presidio and spaCy take seconds and are an extra: loaded for those who ask for them.
        from guardrail.classifiers.pii.pool import AnalyzerPool
        from guardrail.classifiers.pii.presidio import Analyzer

        model = settings.model if settings.level == "full" else None
        pool = AnalyzerPool(
            lambda: Analyzer(settings.language, model, settings.recognizers, settings.min_score),
            settings.workers,
            settings.timeout,
        )
    return PiiDetector(
        name,
        pool,
        kinds=settings.kinds,
        allow_list=settings.allow_list or (),
        allow_list_match=settings.allow_list_match,
    )


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
