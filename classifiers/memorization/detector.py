"""The detector of recited passages in the filter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guardrail.classifiers.memorization.scorer import LEAST_TOKENS, MemorizationScorer, Score
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
        if (score.probability or 0.0) < self._threshold:
            return ()
        # Where a probability is high, and no place stands out, all of it is meant.
        whole_text = Span(0, len(text.raw))
        spans = merge_spans([part.span for part in score.spans] or [whole_text])
        findings = []
        for span in spans:
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
