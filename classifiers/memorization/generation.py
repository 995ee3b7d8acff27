"""Letting a model write, reproducibly: what calibrations are made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from guardrail.classifiers.memorization.models import Model, torch_

ROWS, ROWS_GPU = 64, 512
"""Texts that are written at a time."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a model writes. Temperature 0 takes the likeliest token each time."""

    temperature: float = 1.0
    top_p: float = 1.0

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def generate(
    model: Model,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    decoding: Decoding,
    seed: int,
) -> Iterator[tuple[int, list[int]]]:
    """For each prompt its number and the up to `tokens` tokens that the model goes on with; not
    in order. The same arguments on the same machine give the same tokens."""
    torch = torch_()
    generator = torch.Generator(model.device).manual_seed(seed)
    room = model.context - tokens - 1
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    most = ROWS if model.device == "cpu" else ROWS_GPU
    at = 0
    while at < len(order):
        # Prompts of one length share a batch, so that no padding changes what is written.
        length = len(prompts[order[at]])
        batch = [n for n in order[at : at + most] if len(prompts[n]) == length]
        at += len(batch)
        ids = torch.tensor([[model.start, *list(prompts[n])[-room:]] for n in batch])
        written = _continue(model, ids.to(model.device), tokens, decoding, generator)
        for number, row in zip(batch, written.tolist(), strict=True):
            ends = {model.start, model.tokenizer.eos_token_id}
            stop = next((place for place, token in enumerate(row) if token in ends), len(row))
            yield number, row[:stop]


def _continue(model: Model, ids: Any, tokens: int, decoding: Decoding, generator: Any) -> Any:
    torch = torch_()
    written, cache = [], None
    with torch.inference_mode():
        for _ in range(tokens):
            hidden, cache = model.hidden(ids, cache, keep=True)
            ids = _chosen(model.head(hidden[:, -1]), decoding, generator)
            written.append(ids)
    return torch.cat(written, 1)


def _chosen(logits: Any, decoding: Decoding, generator: Any) -> Any:
    torch = torch_()
    if decoding.temperature == 0:
        return logits.argmax(-1, keepdim=True)
    p = (logits / decoding.temperature).softmax(-1)
    if decoding.top_p < 1:
        ranked, order = p.sort(-1, descending=True)
        ranked[ranked.cumsum(-1) - ranked >= decoding.top_p] = 0
        p = torch.zeros_like(p).scatter(-1, order, ranked)
    return torch.multinomial(p, 1, generator=generator)
