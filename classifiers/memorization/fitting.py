"""From labelled texts to a calibration and a report on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from guardrail.classifiers.memorization.calibration import FOLDS, Calibration, calibrate
from guardrail.classifiers.memorization.collection import Labelled
from guardrail.classifiers.memorization.report import report
from guardrail.classifiers.memorization.scorer import LEAST_TOKENS, MemorizationScorer, Request

AT_A_TIME = 32


def fit_and_report(
    scorer: MemorizationScorer,
    labelled: Sequence[Labelled],
    *,
    prevalence: float | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Calibration, dict[str, Any]]:
    """A calibration of all texts that have a label, and a report in which each text is judged by
    a calibration that was fitted without it. Raises UsageError with too few labels."""
    clear = [item for item in labelled if item.recited is not None]
    scores = []
    for at in range(0, len(clear), AT_A_TIME):
        requests = [Request(item.text, item.prompt) for item in clear[at : at + AT_A_TIME]]
        scores += scorer.score_many(requests)
        progress(len(scores) / len(clear))
    pairs = [
        (item, score)
        for item, score in zip(clear, scores, strict=True)
        if score.tokens >= LEAST_TOKENS
    ]
    clear, scores = [item for item, _ in pairs], [score for _, score in pairs]
    features = [score.features for score in scores]
    labels = [bool(item.recited) for item in clear]
    tokens = [score.tokens for score in scores]
    made = calibrate(features, labels, tokens, scorer.manifest, prevalence=prevalence)
    # In each fold's own scale decision values differ a little; Platt's line makes them comparable.
    held_out = np.empty(len(labels))
    places = np.arange(len(labels))
    for number in range(FOLDS):
        rest = places[places % FOLDS != number].tolist()
        fold = calibrate(
            [features[n] for n in rest],
            [labels[n] for n in rest],
            [tokens[n] for n in rest],
            made.manifest,
        )
        for n in places[places % FOLDS == number].tolist():
            value = fold.platt[0] * fold.decision(features[n]) + fold.platt[1]
            held_out[n] = (value - made.platt[1]) / made.platt[0]
    values = report(
        made,
        held_out,
        np.array(labels, np.float64),
        [item.kind for item in clear],
        len(labelled) - len(labels),
    )
    return made, values
