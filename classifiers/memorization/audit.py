"""The published membership scores, for audits of a model. None of them is fit to filter outputs.

Higher means more likely read in training. They take the natural logarithms of the probabilities of
a text's tokens. Measured on outputs of a model, they fire on all of its ordinary output as well
(docs/memorization.md): a filter needs `scan`.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Nats = NDArray[np.float64]


def loss(logprobs: Nats) -> float:
    """Mean log-likelihood per token (Yeom et al. 2018; Carlini et al. 2021)."""
    return float(np.mean(logprobs))


def zlib_ratio(logprobs: Nats, text: str) -> float:
    """Mean log-likelihood per byte of the compressed text (Carlini et al. 2021)."""
    return loss(logprobs) / len(zlib.compress(text.encode("utf-8", "surrogatepass")))


def min_k(logprobs: Nats, share: float = 0.2) -> float:
    """Min-K%: the mean of the lowest share of the log-probabilities (Shi et al. 2023)."""
    return _lowest(logprobs, share)


def min_k_plus_plus(logprobs: Nats, means: Nats, deviations: Nats, share: float = 0.2) -> float:
    """Min-K%++: Min-K% of the log-probabilities, each standardised with mean and deviation of the
    log-probability under the model's own distribution at that place (Zhang et al. 2024)."""
    return _lowest((logprobs - means) / np.maximum(deviations, 1e-6), share)


def ratio(logprobs: Nats, reference: Nats) -> float:
    """Mean log-likelihood less that of a reference model (Carlini et al. 2021)."""
    return loss(logprobs) - loss(reference)


def _lowest(values: Nats, share: float) -> float:
    count = max(1, int(len(values) * share))
    return float(np.mean(np.partition(values, count - 1)[:count]))
