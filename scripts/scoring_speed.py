"""The speed of scoring, for bench_scoring.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_report import processor, table

from guardrail.classifiers.memorization.models import Model

SHAPES: dict[str, dict[str, int]] = {
    # Those of SmolLM2-135M and of Llama 2 7B (Touvron et al. 2023); a run takes as long whatever
    # the weights are.
    "135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
}


def speed(path: Path, shapes: Sequence[str], kind: str) -> str:
    """The least of several runs; cost against bare forward passes of the same models. With one
    thread on a CPU it is processor time, which other programs disturb least."""
    import torch

    from guardrail.classifiers.memorization.models import has_weights, load_model, load_tokenizer

    alone = kind == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    native = kind == "cuda" or torch.cpu._is_avx512_bf16_supported()
    rows = []
    for dtype in ("float32", "bfloat16") if native else ("float32",):
        if has_weights(path):
            rows += timed(load_model(path, device=kind, dtype=dtype), path.name, dtype, clock)
        for shape in shapes:
            model = shaped(load_tokenizer(path), shape, dtype, kind)
            rows += timed(model, f"{shape}, random weights", dtype, clock)
            del model
    device = torch.cuda.get_device_name() if kind == "cuda" else f"CPU, {processor()}"
    threads = torch.get_num_threads()
    with_threads = "" if kind == "cuda" else f", {threads} thread{'s' * (threads > 1)}"
    what = "processor time" if alone else "time"
    return f"{device}{with_threads}; {what}, the least of several runs.\n\n" + table(
        ("model", "measure", "value"), rows
    )


def shaped(tokenizer: Any, shape: str, dtype: str, kind: str) -> Model:
    """A model of a shape with random weights and a model's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(kind):
            config = LlamaConfig(vocab_size=len(tokenizer), **SHAPES[shape])
            network = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    return Model(network.requires_grad_(False), tokenizer, shape, kind)


def timed(
    model: Model, name: str, dtype: str, clock: Callable[[], float]
) -> list[Sequence[object]]:
    """Rows of the table for one model."""
    import torch

    from guardrail.classifiers.memorization.scorer import MemorizationScorer, Request

    text = "The committee met on Monday and spoke of the harbour, the weather and the fair. " * 60
    ids = model.encode(text).ids[:511]
    text = str(model.tokenizer.decode(ids))
    logs = np.linspace(-4, -0.01, len(model.encode(text))).tolist()
    scorer = MemorizationScorer(model, model, device=model.device)
    given = torch.tensor([[model.start, *ids]], device=model.device)

    def bare() -> object:
        with torch.inference_mode():
            return float(model.module(given, use_cache=False).logits[0, -1, 0])

    one = least(clock, lambda: scorer.score(text, None, logs), 9)
    two = least(clock, lambda: scorer.score(text), 5)
    pass_ = least(clock, bare, 7)
    many = [Request(text, None, logs)] * (64 if model.device != "cpu" else 4)
    together = least(clock, lambda: scorer.score_many(many), 2) / len(many)
    chunks = []
    for given_logs in (True, False):
        stream = scorer.stream()
        pushes = []
        for at in range(0, 480, 32):
            began = clock()
            stream.push(ids[at : at + 32], logs[at : at + 32] if given_logs else None)
            pushes.append(clock() - began)
        chunks.append(float(np.median(pushes)))
    scorer.close()
    measures = {
        "512 tokens, reference only": f"{one * 1e3:.1f} ms",
        "512 tokens, bare forward pass with all logits": f"{pass_ * 1e3:.1f} ms",
        "reference only / one bare pass": f"{one / pass_:.2f}",
        "target and reference / two bare passes": f"{two / (2 * pass_):.2f}",
        f"512 tokens, reference only, {len(many)} texts together": f"{together * 1e3:.2f} ms each",
        "32-token chunk of a stream, reference only": f"{chunks[0] * 1e3:.1f} ms",
        "32-token chunk, target and reference": f"{chunks[1] * 1e3:.1f} ms",
    }
    return [(f"{name}, {dtype}", measure, value) for measure, value in measures.items()]


def least(clock: Callable[[], float], work: Callable[[], object], times: int) -> float:
    work()
    best = float("inf")
    for _ in range(times):
        began = clock()
        work()
        best = min(best, clock() - began)
    return best
