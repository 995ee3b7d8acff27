"""The detector of recited passages in the filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from guardrail.classifiers.memorization.scorer import LEAST_TOKENS, MemorizationScorer, Score
from guardrail.classifiers.memorization.stream import MEMORY
from guardrail.detector import Context
from guardrail.errors import ModelError, OverloadError, ScoringError, UsageError
from guardrail.findings import Evidence, Finding, Span, merge_spans
from guardrail.text import CanonicalText

KIND = "memorized"


class MemorizationDetector:
    """Findings of kind `memorized`: where a response is likely recited, with the probability as
    the score. It says nothing about responses of fewer than 8 tokens, which leave too little to
    judge by: those are the index's alone.
    """

    window = None
    # Tells the filter that this one is costly, and what it finds.
    kinds = frozenset({KIND})

    def __init__(self, name: str, scorer: MemorizationScorer, threshold: float = 0.5) -> None:
        """Findings below the probability `threshold` are not reported. Raises UsageError for a
        scorer without a calibration: its numbers are no probabilities."""
        if scorer.calibration is None:
            raise UsageError(
                f"the detector {name!r} needs a calibration; make one with `guardrail calibrate`"
            )
        self.name, self.scorer, self._threshold = name, scorer, threshold

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`. Raises ScoringError where the text could not be judged."""
        if len(self.scorer.encode(text.raw)) < LEAST_TOKENS:
            return ()
        score = self._score(text.raw, context)
        # Where a probability is high, and no place stands out, all of it is meant.
        spans = [part.span for part in score.spans] or [Span(0, len(text.raw))]
        return self._findings(text, score, spans)

    def follow(self, context: Context) -> Callable[[CanonicalText], Sequence[Finding]]:
        """See `FollowingDetector`: each model reads each token once. Raises UsageError where a
        reference has another tokenizer; the target has to be loaded, as no log-probabilities come
        with a stream."""
        return _Following(self, context).scan

    def _findings(
        self, text: CanonicalText, score: Score, spans: Sequence[Span]
    ) -> Sequence[Finding]:
        if score.tokens < LEAST_TOKENS or (score.probability or 0.0) < self._threshold:
            return ()
        findings = []
        for span in merge_spans(spans):
            first, last = np.searchsorted(text.offsets, (span.start, span.end)).tolist()
            if first == last:
                continue
            whole = text.span(first, last)
            findings.append(
                Finding(
                    self.name,
                    KIND,
                    whole,
                    round(score.probability or 0.0, 4),
                    Evidence(
                        matched=last - first, words=len(text.raw[whole.start : whole.end].split())
                    ),
                )
            )
        return findings

    def health(self) -> dict[str, str]:
        """What is wrong with the device or the calibration."""
        return self.scorer.health()

    def _score(self, raw: str, context: Context) -> Score:
        scorer = self.scorer
        prompt = "\n".join(context.prompt)
        try:
            return scorer.score(raw, prompt, context.logprobs, deadline=context.deadline)
        except (OverloadError, ModelError):
            raise
        except ScoringError:
            # Log-probabilities that do not fit or are not raw: the target can speak for itself.
            if context.logprobs is None or scorer.target is None:
                raise
        return scorer.score(raw, prompt, deadline=context.deadline)


class _Following:
    """The detector along one stream."""

    def __init__(self, detector: MemorizationDetector, context: Context) -> None:
        self._detector = detector
        # A segment is judged with as much before it as models remember.
        self._stream = detector.scorer.stream("\n".join(context.prompt), MEMORY)
        self._blank = ""
        self._length = 0

    def scan(self, text: CanonicalText) -> Sequence[Finding]:
        """The findings in the next segment, judged with those before it."""
        begin, self._length = self._length, self._length + len(text.raw)
        # A blank belongs to the token of the word behind it.
        raw = self._blank + text.raw
        held = raw.rstrip()
        tokens = self._detector.scorer.encode(held)
        places = tokens.places + (begin - len(self._blank))
        self._blank = raw[len(held) :]
        if len(tokens) == 0:
            return ()
        score = self._stream.push(tokens.ids, places=places)
        spans = [
            Span(max(part.span.start - begin, 0), part.span.end - begin)
            for part in score.spans
            if part.span.end > begin
        ]
        if not score.spans:
            spans = [Span(0, len(text.raw))]
        return self._detector._findings(text, score, spans)
