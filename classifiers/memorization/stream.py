"""Scoring a response while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrail.classifiers.memorization.features import Measured
from guardrail.classifiers.memorization.models import Model, torch_
from guardrail.classifiers.memorization.scorer import Score, raw_logprobs
from guardrail.classifiers.memorization.tokens import Decoder, Nats, Places
from guardrail.errors import ScoringError, UsageError

if TYPE_CHECKING:
    from guardrail.classifiers.memorization.scorer import MemorizationScorer

# Tokens that a model remembers of one stream: 94 MB for each model of 135 M parameters (SmolLM2).
MEMORY = 2048


class ScoreStream:
    """Tokens in as they come, the score of all so far out; not thread-safe.

    The models run over new tokens only, with what they remember of the earlier ones: up to
    `MEMORY` tokens, or a context if that is less. Whatever the pieces, the score is that of the
    whole text so far, up to what remembering changes in float32.
    """

    def __init__(
        self, scorer: MemorizationScorer, context: str | None, last: int | None = None
    ) -> None:
        """`last`: how many tokens a score is of, at most; none: all. Raises UsageError where a
        reference has another tokenizer: it cannot follow tokens."""
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
        self._known = np.zeros((1 + len(references), 0))
        self._places = np.zeros((0, 2), np.int64)
        self._last = last
        self._closed = False
        self._score: Score | None = None

    def push(
        self,
        ids: Sequence[int],
        logprobs: Sequence[float] | None = None,
        places: Places | None = None,
    ) -> Score:
        """Take tokens and the target's raw log-probabilities of them; without those, the target
        runs. `places`: where they stand in the text, if it is not just the text of the tokens.
        Raises ScoringError where nothing can be said."""
        if self._closed:
            raise UsageError("the stream is closed; make another one")
        ids = [int(token) for token in ids]
        if ids:
            if logprobs is not None:
                ours = raw_logprobs(logprobs, len(ids))
                if self._target is not None:
                    self._target.skip(ids)
            elif self._target is not None:
                ours = self._target.push(ids)
            else:
                raise ScoringError("the target's log-probabilities are needed with each token")
            values = [ours, *(reference.push(ids) for reference in self._references)]
            self._known = np.hstack([self._known, values])
            if places is None:
                self._decoder.push(ids)
                self._places = np.array(self._decoder.places, np.int64).reshape(-1, 2)
            else:
                self._places = np.vstack([self._places, places])
            if self._last is not None:
                self._known = self._known[:, -self._last :]
                self._places = self._places[-self._last :]
        target, *references = self._known
        has_base = self._scorer.base is not None
        measured = Measured(
            target,
            references[0] if has_base else None,
            tuple(references[has_base:]),
            self._scorer.tier,
        )
        self._score = self._scorer.judge(measured, self._places)
        return self._score

    def close(self) -> None:
        """The text is complete: let go of what the models remember."""
        if self._score is not None and not self._closed:
            self._scorer.observe(self._score)
        self._closed = True
        self._references, self._target = [], None


class _Follower:
    """One model that reads a growing text, each token once."""

    def __init__(self, model: Model, prompt: Sequence[int]) -> None:
        self._model = model
        self._context = min(model.context, MEMORY)
        self._read: list[int] = []
        self._unread = [model.start, *prompt]
        self._cache: Any = None
        self._last: Any = None  # what the head reads to predict the next token

    def skip(self, ids: Sequence[int]) -> None:
        """Take tokens whose log-probabilities are known."""
        self._unread += ids

    def push(self, ids: Sequence[int]) -> Nats:
        """The log-probabilities of new tokens."""
        half = self._context // 2
        parts = [self._score(ids[at : at + half]) for at in range(0, len(ids), half)]
        return np.concatenate(parts)

    def _score(self, ids: Sequence[int]) -> Nats:
        model, torch = self._model, torch_()
        if len(self._read) + len(self._unread) + len(ids) > self._context:
            kept = [*self._read, *self._unread][-self._context // 2 + 1 :]
            self._read, self._cache, self._last = [], None, None
            self._unread = [model.start, *kept]
        given = [*self._unread, *ids]
        with torch.inference_mode():
            row = torch.tensor([given], device=model.device)
            hidden, self._cache = model.hidden(row, self._cache, keep=True)
            states = hidden[0] if self._last is None else torch.cat([self._last, hidden[0]])
            self._last = states[-1:]
            values = model.chosen(states[-len(ids) - 1 : -1], row[0, -len(ids) :])
        self._read += given
        self._unread = []
        return np.asarray(values.cpu().numpy().astype(np.float64))
