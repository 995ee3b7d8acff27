"""The scorer: texts in, likelihoods of recitation with their spans out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrail.classifiers.memorization.batching import QUEUE_TOKENS, Batcher
from guardrail.classifiers.memorization.calibration import Calibration
from guardrail.classifiers.memorization.drift import Drift
from guardrail.classifiers.memorization.features import (
    BASE,
    LOCATE,
    SHARDS,
    Measured,
    best_of,
    feature_names,
    features,
    located,
)
from guardrail.classifiers.memorization.models import (
    Model,
    StrPath,
    digest_files,
    has_weights,
    load_model,
    load_tokenizer,
    start_token,
    tokenizer_digest,
)
from guardrail.classifiers.memorization.tokens import Nats, Places, Tokens, align, encode
from guardrail.classifiers.memorization.windows import rows_for
from guardrail.errors import OverloadError, ScoringError, UsageError
from guardrail.findings import Span

if TYPE_CHECKING:
    from guardrail.classifiers.memorization.stream import ScoreStream

# A response of more tokens is not judged: 16,384 tokens are about 60,000 characters.
MOST_TOKENS = 16384
# Fewer tokens than this hold too little to tell (AUC 0.96 at 8 tokens).
LEAST_TOKENS = 8


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A span of the raw text and how many nats better the target knows it than the reference."""

    span: Span
    nats: float


@dataclass(frozen=True, slots=True)
class Score:
    """What is said of one text.

    `probability`: that it is recited, None without a calibration. `null_p`: the share of ordinary
    texts of like length that score as high, None likewise. `nats`: the scan statistic. `spans`:
    where, in code points. `tier`: the weakest kind of reference used (base, shards, foreign).
    """

    probability: float | None
    null_p: float | None
    nats: float
    spans: tuple[ScoredSpan, ...]
    features: Mapping[str, float]
    tokens: int
    tier: str

    @property
    def calibrated(self) -> bool:
        return self.probability is not None


@dataclass(frozen=True, slots=True)
class Request:
    """A text to score; see `MemorizationScorer.score`."""

    text: str
    context: str | None = None
    target_logprobs: Sequence[float] | None = None


class MemorizationScorer:
    """Scores texts of one target model against references. Thread-safe; make one and share it."""

    def __init__(
        self,
        target: StrPath | Model,
        reference: StrPath | Model | None = None,
        shard_references: Sequence[StrPath | Model] = (),
        calibration: Calibration | None = None,
        *,
        upstream_only: bool = False,
        decoding: Mapping[str, float] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        token_budget: int | None = None,
        queue_tokens: int = QUEUE_TOKENS,
        fallback: str | None = None,
        download: bool = False,
    ) -> None:
        """`target`: the model whose outputs are judged. With `upstream_only` only its tokenizer is
        loaded, and each request has to bring the target's log-probabilities. `reference`: a model
        that has not read the private text, best the one that the target was trained from; with
        another tokenizer it is aligned by characters, which is less sure. `shard_references`: see
        `references.train`. `decoding`: how the target writes (temperature, top_p, ...), which a
        calibration has to have been made with. `fallback`: "cpu", to go on there where the device
        fails. Raises UsageError, ModelError or CalibrationError.
        """
        if reference is None and not shard_references:
            raise UsageError(
                "nothing can be judged without a reference: give the base model that the target "
                "was trained from as `reference`, or `shard_references`"
            )
        options: dict[str, Any] = {"device": device, "dtype": dtype, "download": download}
        self.target: Model | None = None
        if isinstance(target, Model):
            self.target, self.tokenizer = target, target.tokenizer
        elif upstream_only:
            self.tokenizer = load_tokenizer(target, download=download)
            self._fingerprint = digest_files(target) if has_weights(target) else "upstream"
        else:
            self.target = load_model(target, **options)
            self.tokenizer = self.target.tokenizer
        if self.target is not None:
            self._fingerprint = self.target.fingerprint
        self._tokenizer_digest = tokenizer_digest(self.tokenizer)
        start_token(self.tokenizer)
        self.base = _loaded(reference, options, None)
        self.shards = tuple(
            model for item in shard_references if (model := _loaded(item, options, self.base))
        )
        self._decoding = dict(decoding) if decoding is not None else None
        self._batcher = Batcher(token_budget, queue_tokens, fallback)
        self.calibration = calibration
        self.drift: Drift | None = None
        if calibration is not None:
            calibration.check(self.manifest)
            self.drift = Drift(calibration)

    @property
    def manifest(self) -> dict[str, Any]:
        """What a calibration of this scorer holds for."""
        return {
            "target": self._fingerprint,
            "tokenizer": self._tokenizer_digest,
            "base": self.base.fingerprint if self.base else None,
            "shards": [model.fingerprint for model in self.shards],
            "decoding": self._decoding,
            "scans": [[s.kappa, s.delta, s.cap] for s in (BASE, SHARDS, LOCATE)],
            "features": list(feature_names(base=self.base is not None, shards=bool(self.shards))),
        }

    @property
    def tier(self) -> str:
        models = [model for model in (self.base, *self.shards) if model is not None]
        if any(model.tokenizer_fingerprint != self._tokenizer_digest for model in models):
            return "foreign"
        return "shards" if self.shards else "base"

    def encode(self, text: str) -> Tokens:
        """The target's tokens of a text."""
        return encode(self.tokenizer, text)

    def score(
        self,
        text: str,
        context: str | None = None,
        target_logprobs: Sequence[float] | None = None,
        *,
        deadline: float | None = None,
    ) -> Score:
        """How likely `text` is recited, as an answer to the prompt `context`.

        `target_logprobs`: the natural logarithms of the probabilities that the target gave the
        tokens of `text`, raw ones, before temperature and the like; the target does not run then.
        `deadline`: a value of `time.monotonic()`. Raises ScoringError or one of its subclasses
        where nothing can be said.
        """
        return self.score_many([Request(text, context, target_logprobs)], deadline=deadline)[0]

    def score_many(
        self, requests: Sequence[Request], *, deadline: float | None = None
    ) -> list[Score]:
        """`score` for several texts, which share batches."""
        scores = [
            self.judge(measured, places)
            for measured, places in self.measure(requests, deadline=deadline)
        ]
        for score in scores:
            self.observe(score)
        return scores

    def stream(self, context: str | None = None, last: int | None = None) -> ScoreStream:
        """A stream of one response, scored while it is written; `last`: see `ScoreStream`."""
        from guardrail.classifiers.memorization.stream import ScoreStream

        return ScoreStream(self, context, last)

    def measure(
        self, requests: Sequence[Request], *, deadline: float | None = None
    ) -> list[tuple[Measured, Places]]:
        """The log-probabilities of texts and the places of their tokens; runs the models."""
        pending = []
        for request in requests:
            tokens = self.encode(request.text)
            if len(tokens) > MOST_TOKENS:
                raise ScoringError(
                    f"the text has {len(tokens):,} tokens and at most {MOST_TOKENS:,} are judged; "
                    "check it in parts"
                )
            before = self.encode(request.context or "").ids
            given = (
                None
                if request.target_logprobs is None
                else raw_logprobs(request.target_logprobs, len(tokens))
            )
            if given is None and self.target is None:
                raise ScoringError(
                    "the target's log-probabilities are needed and were not given: send the raw "
                    "ones of each token, or load the target itself"
                )
            ours = None
            if given is None and self.target is not None:
                ours = self._submit(self.target, before, tokens, deadline)
            theirs = [
                self._reference(model, request, before, tokens, deadline)
                for model in (self.base, *self.shards)
                if model is not None
            ]
            pending.append((tokens, given, ours, theirs))
        made = []
        for tokens, given, ours, theirs in pending:
            target = given if ours is None else _result(ours, deadline)
            assert target is not None
            values = [
                _result(futures, deadline)
                if own is None
                else align(_result(futures, deadline), own.places, tokens.places)
                for own, futures in theirs
            ]
            base = values[0] if self.base is not None else None
            shards = tuple(values[self.base is not None :])
            made.append((Measured(target, base, shards, self.tier), tokens.places))
        return made

    def judge(self, measured: Measured, places: Places) -> Score:
        """The score of measured log-probabilities; runs no model."""
        named = features(measured)
        segment, _ = best_of(measured)
        spans = tuple(
            ScoredSpan(Span(int(places[part.start, 0]), int(places[part.end - 1, 1])), part.nats)
            for part in located(measured)
        )
        probability = null_p = None
        if self.calibration is not None:
            decision = self.calibration.decision(named)
            probability = self.calibration.probability(decision)
            null_p = self.calibration.null_p(decision, len(measured))
        return Score(probability, null_p, segment.nats, spans, named, len(measured), measured.tier)

    def observe(self, score: Score) -> None:
        """Count a final score in the drift check."""
        if self.calibration and self.drift and score.tokens >= LEAST_TOKENS:
            self.drift.observe(self.calibration.decision(score.features))

    def health(self) -> dict[str, str]:
        """What is wrong: the device, or live scores that no longer look like the calibration's."""
        problems = {}
        if self._batcher.problem:
            problems["device"] = self._batcher.problem
        if self.drift is not None and (drifted := self.drift.problem()):
            problems["calibration"] = drifted
        return problems

    def close(self) -> None:
        """Let go of the device's thread; what waits fails."""
        self._batcher.close()

    def _submit(
        self, model: Model, before: Sequence[int], tokens: Tokens, deadline: float | None
    ) -> list[Future[Nats]]:
        if len(tokens) == 0:
            return []
        rows = rows_for(model.start, before, tokens.ids, model.context)
        return self._batcher.submit(model, rows, deadline)

    def _reference(
        self,
        model: Model,
        request: Request,
        before: Sequence[int],
        tokens: Tokens,
        deadline: float | None,
    ) -> tuple[Tokens | None, list[Future[Nats]]]:
        """A reference's own tokens, where they are not the target's, and its log-probabilities."""
        if model.tokenizer_fingerprint == self._tokenizer_digest:
            return None, self._submit(model, before, tokens, deadline)
        own = model.encode(request.text)
        before = model.encode(request.context or "").ids
        return own, self._submit(model, before, own, deadline)


def raw_logprobs(given: Sequence[float], count: int) -> Nats:
    """Upstream log-probabilities as an array. Raises ScoringError for those that cannot be raw.

    Temperature 0 and top-k leave exact zeros for most tokens. A model sure of a token gives it
    -1e-3 to -1e-6, and float32 rounds to zero only beyond that.
    """
    values = np.asarray(given, np.float64)
    if values.shape != (count,):
        raise ScoringError(
            f"{len(given)} log-probabilities were given for a text of {count} tokens; one for each "
            "token of the response is needed, without those of special tokens"
        )
    if not np.isfinite(values).all() or (values > 1e-6).any():
        raise ScoringError("a log-probability was given that is not a finite number up to 0")
    if count >= LEAST_TOKENS and float(np.mean(values == 0)) > 0.5:
        raise ScoringError(
            "most log-probabilities are exactly 0, as after temperature 0 or top-k; send raw ones "
            "(vLLM: --logprobs-mode raw_logprobs)"
        )
    return values


def _loaded(
    item: StrPath | Model | None, options: dict[str, Any], base: Model | None
) -> Model | None:
    if item is None or isinstance(item, Model):
        return item
    return load_model(item, base=base, **options)


def _result(futures: list[Future[Nats]], deadline: float | None) -> Nats:
    parts: list[Nats] = []
    for future in futures:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            parts.append(future.result(left))
        except FutureTimeout:
            for other in futures:
                other.cancel()
            raise OverloadError("the deadline passed before the text was scored") from None
    return np.concatenate(parts) if parts else np.zeros(0)
