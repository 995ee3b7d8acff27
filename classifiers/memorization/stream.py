"""Scoring a response while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrail.classifiers.memorization.features import Measured
from guardrail.classifiers.memorization.models import Model, torch_
from guardrail.classifiers.memorization.scorer import Score, raw_logprobs
from guardrail.classifiers.memorization.tokens import Decoder, Nats
from guardrail.errors import ScoringError, UsageError

if TYPE_CHECKING:
    from guardrail.classifiers.memorization.scorer import MemorizationScorer


class ScoreStream:
    """Tokens in as they come, the score of all so far out; not thread-safe.

    The references run over new tokens only, with what they remember of the earlier ones. Whatever
    the pieces, the score is that of the whole text, up to what caching changes in float32.
    """

    def __init__(self, scorer: MemorizationScorer, context: str | None) -> None:
        """Raises UsageError where a reference has another tokenizer: it cannot follow tokens."""
        if scorer.tier == "foreign":
            raise UsageError(
                "a reference with another tokenizer cannot follow a stream of tokens; give one "
                "with the target's tokenizer, or score the whole text"
            )
        self._scorer = scorer
        target = scorer.target
        prompt = scorer.encode(context).ids if context else []
        self._target = _Follower(target, prompt) if target else None
        references = [model for model in (scorer.base, *scorer.shards) if model is not None]
        self._references = [_Follower(model, prompt) for model in references]
        self._decoder = Decoder(scorer.tokenizer)
        self._known: list[list[Nats]] = [[] for _ in range(1 + len(references))]
        self._closed = False
        self._score: Score | None = None

    def push(self, ids: Sequence[int], logprobs: Sequence[float] | None = None) -> Score:
        """Take tokens and the target's raw log-probabilities of them; without those, the target
        runs. Raises ScoringError where nothing can be said."""
        if self._closed:
            raise UsageError("the stream is closed; make another one")
        ids = [int(token) for token in ids]
        if ids:
            if logprobs is not None:
                ours = raw_logprobs(logprobs, len(ids))
            elif self._target is not None:
                ours = self._target.push(ids)
            else:
                raise ScoringError("the target's log-probabilities are needed with each token")
            values = [ours, *(reference.push(ids) for reference in self._references)]
            for known, value in zip(self._known, values, strict=True):
                known.append(value)
            self._decoder.push(ids)
        joined = [np.concatenate([np.zeros(0), *known]) for known in self._known]
        has_base = self._scorer.base is not None
        measured = Measured(
            joined[0],
            joined[1] if has_base else None,
            tuple(joined[1 + has_base :]),
            self._scorer.tier,
        )
        places = np.array(self._decoder.places, np.int64).reshape(-1, 2)
        self._score = self._scorer.judge(measured, places)
        return self._score

    def close(self) -> None:
        """The text is complete: let go of what the models remember."""
        if self._score is not None and not self._closed:
            self._scorer.observe(self._score)
        self._closed = True
        self._references, self._target = [], None


class _Follower:
    """One model that reads a growing text."""

    def __init__(self, model: Model, prompt: Sequence[int]) -> None:
        self._model = model
        self._past: list[int] = []
        self._cache: Any = None
        self._last: Any = None
        self._read([model.start, *prompt][-model.context // 2 :])

    def push(self, ids: Sequence[int]) -> Nats:
        """The log-probabilities of new tokens."""
        half = self._model.context // 2
        parts = [self._score(ids[at : at + half]) for at in range(0, len(ids), half)]
        return np.concatenate(parts)

    def _score(self, ids: Sequence[int]) -> Nats:
        model, torch = self._model, torch_()
        if len(self._past) + len(ids) > model.context:
            kept = self._past[-model.context // 2 + 1 :]
            self._past, self._cache = [], None
            self._read([model.start, *kept])
        before = self._last
        hidden = self._read(ids)
        with torch.inference_mode():
            states = torch.cat([before, hidden[:-1]])
            values = model.chosen(states, torch.tensor(ids, device=model.device))
        return np.asarray(values.cpu().numpy().astype(np.float64))

    def _read(self, ids: Sequence[int]) -> Any:
        model, torch = self._model, torch_()
        with torch.inference_mode():
            given = torch.tensor([list(ids)], device=model.device)
            hidden, self._cache = model.hidden(given, self._cache, keep=True)
        self._past += ids
        self._last = hidden[0, -1:]
        return hidden[0]
