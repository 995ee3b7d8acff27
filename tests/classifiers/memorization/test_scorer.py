"""The scorer: what it says of recited and ordinary text, in one go, in streams and under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from guardrail.classifiers.memorization.batching import Batcher
from guardrail.classifiers.memorization.models import Model, load_model
from guardrail.classifiers.memorization.scorer import MemorizationScorer, Request
from guardrail.errors import ModelError, OverloadError, ScoringError, UsageError
from tests.classifiers.memorization.fixture import Memorised


class Faulty(Model):
    """A real model whose device fails: `fails` says with what, for a number of rows."""

    def __init__(self, model: Model, fails: Any) -> None:
        super().__init__(model.module, model.tokenizer, model.fingerprint, model.device)
        self.fails = fails
        self.runs: list[int] = []

    def logprobs(self, rows: Sequence[Sequence[int]], first: Sequence[int]) -> list[np.ndarray]:
        self.runs.append(len(rows))
        error = self.fails(len(rows), self.device)
        if error is not None:
            raise error
        return super().logprobs(rows, first)


@pytest.fixture(scope="module")
def base(models: Memorised) -> Model:
    return load_model(models.base, device="cpu")


def test_recited_text_stands_out_from_ordinary_text(
    scorer: MemorizationScorer, models: Memorised
) -> None:
    recited = scorer.score_many([Request(text) for text in models.recited])
    ordinary = scorer.score_many([Request(text) for text in models.held_out[:20]])
    assert min(s.nats for s in recited) > 1.5 * max(s.nats for s in ordinary)
    assert not recited[0].calibrated
    assert recited[0].probability is None
    assert recited[0].tier == "shards"


def test_spans_are_offsets_of_the_raw_text(scorer: MemorizationScorer, models: Memorised) -> None:
    leak = models.recited[0]
    before = "東京 🙂 naïve words that nobody ever wrote before: "
    text = f"{before}{leak} and so 🙂 on, as nobody ever wrote either"
    tokens = scorer.encode(text)
    inside = (tokens.places[:, 0] >= len(before)) & (tokens.places[:, 1] <= len(before + leak))
    # The target as it recites: sure of the leak, at a loss before and after it.
    spans = scorer.score(text, None, np.where(inside, -0.01, -8.0).tolist()).spans
    assert spans[0].span.start in range(len(before), len(before) + 10)
    assert spans[-1].span.end in range(len(before + leak) - 10, len(before + leak) + 1)


@pytest.mark.parametrize("text", ["", "a", "\ud800\udfff \0", "🙂" * 30, " \n\t "])
def test_any_text_has_a_score(scorer: MemorizationScorer, text: str) -> None:
    score = scorer.score(text, "\ud800 a prompt")
    assert score.nats >= 0
    assert all(0 <= s.span.start <= s.span.end <= len(text) for s in score.spans)


def test_a_text_longer_than_the_context_is_judged_to_its_end(
    scorer: MemorizationScorer, models: Memorised
) -> None:
    filler = " ".join(models.held_out[:14])
    leak = models.recited[1]
    alone, long = scorer.score(leak), scorer.score(f"{filler} {leak}", "a prompt " * 200)
    assert long.tokens > 3 * scorer.base.context  # type: ignore[union-attr]
    assert long.nats > alone.nats / 4
    assert any(part.span.end > len(filler) + len(leak) / 2 for part in long.spans)


def test_the_prompt_counts_for_target_and_reference_alike(
    scorer: MemorizationScorer, models: Memorised
) -> None:
    text = models.held_out[0]
    (alone, _), (after, _) = scorer.measure([Request(text), Request(text, models.held_out[1])])
    assert not np.allclose(alone.target, after.target)
    assert alone.base is not None
    assert after.base is not None
    assert not np.allclose(alone.base, after.base)


def test_log_probabilities_from_upstream_say_the_same(
    scorer: MemorizationScorer, models: Memorised
) -> None:
    text = models.recited[0]
    ((measured, _),) = scorer.measure([Request(text, "Dear ")])
    given = MemorizationScorer(
        models.target, scorer.base, scorer.shards, upstream_only=True, device="cpu"
    )
    assert given.target is None
    assert given.manifest == scorer.manifest
    score = given.score(text, "Dear ", measured.target.tolist())
    assert score.nats == pytest.approx(scorer.score(text, "Dear ").nats, abs=1e-3)
    with pytest.raises(ScoringError, match="were not given"):
        given.score(text)
    given.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda logs: logs[:-1], "one for each"),
        (lambda logs: [*logs[:-1], float("nan")], "finite"),
        (lambda logs: [*logs[:-1], float("-inf")], "finite"),
        (lambda logs: [*logs[:-1], 0.7], "finite number up to 0"),
        (lambda logs: [0.0] * len(logs), "temperature 0 or top-k"),
    ],
)
def test_processed_log_probabilities_are_refused(
    scorer: MemorizationScorer, models: Memorised, change: Any, message: str
) -> None:
    text = models.held_out[0]
    logs = [-1.0] * len(scorer.encode(text))
    scorer.score(text, None, logs)
    with pytest.raises(ScoringError, match=message) as caught:
        scorer.score(text, None, change(logs))
    assert text[:10] not in str(caught.value)


def test_nothing_is_judged_without_a_reference(models: Memorised) -> None:
    with pytest.raises(UsageError, match="without a reference"):
        MemorizationScorer(models.target)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_says_the_same_as_the_whole(
    scorer: MemorizationScorer, models: Memorised, size: int
) -> None:
    text = f"{models.held_out[0]} {models.recited[0]} 🙂 {models.held_out[2]}"
    ids = scorer.encode(text).ids[: scorer.base.context - 8]  # type: ignore[union-attr]
    text = scorer.tokenizer.decode(ids)
    whole = scorer.score(text, "Dear ")
    stream = scorer.stream("Dear ")
    seen = [stream.push(ids[at : at + size]) for at in range(0, len(ids), size)]
    stream.close()
    assert seen[-1].nats == pytest.approx(whole.nats, abs=0.01)
    assert [s.span for s in seen[-1].spans] == [s.span for s in whole.spans]
    assert all(a.nats <= b.nats + 1e-9 for a, b in pairwise(seen))
    with pytest.raises(UsageError, match="closed"):
        stream.push(ids[:1])


def test_a_stream_takes_log_probabilities_for_some_of_its_tokens(
    scorer: MemorizationScorer, models: Memorised
) -> None:
    ids = scorer.encode(models.recited[0]).ids
    alone, mixed = scorer.stream("Dear "), scorer.stream("Dear ")
    [(measured, _)] = scorer.measure([Request(scorer.tokenizer.decode(ids), "Dear ")])
    for at in range(0, len(ids), 10):
        part = slice(at, at + 10)
        one = alone.push(ids[part])
        logprobs = measured.target[part].tolist() if at % 20 else None
        other = mixed.push(ids[part], logprobs)
    assert other.nats == pytest.approx(one.nats, abs=0.01)


def test_a_stream_goes_on_past_the_context(scorer: MemorizationScorer, models: Memorised) -> None:
    ids = scorer.encode(" ".join([*models.held_out[:6], models.recited[0]])).ids
    stream = scorer.stream("p " * 500)
    for at in range(0, len(ids), 32):
        score = stream.push(ids[at : at + 32])
    assert score.tokens == len(ids) > 2 * scorer.base.context  # type: ignore[union-attr]
    assert score.nats > 50


def test_a_reference_with_other_tokens_is_aligned_and_marked(
    scorer: MemorizationScorer, models: Memorised
) -> None:
    words = ByteLevelBPETokenizer()
    words.train_from_iterator(
        models.held_out, vocab_size=300, special_tokens=["<s>"], show_progress=False
    )
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
        )
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words._tokenizer, bos_token="<s>")
    foreign = Model(network, tokenizer, "foreign", "cpu")
    mixed = MemorizationScorer(scorer.target, foreign)  # type: ignore[arg-type]
    assert mixed.tier == "foreign"
    text = models.recited[0]
    ((measured, _),) = mixed.measure([Request(text, "Dear ")])
    own = foreign.encode(text).ids
    before = foreign.encode("Dear ").ids
    (raw,) = foreign.logprobs([[foreign.start, *before, *own]], [1 + len(before)])
    assert measured.base is not None
    assert len(measured.base) == len(measured.target)
    assert measured.base.sum() == pytest.approx(raw.sum())
    assert mixed.score(text).nats > mixed.score(models.held_out[0]).nats
    with pytest.raises(UsageError, match="another tokenizer"):
        mixed.stream()
    mixed.close()


def test_requests_at_once_get_what_they_get_alone(
    scorer: MemorizationScorer, models: Memorised
) -> None:
    texts = [*models.held_out[:10], *models.recited]
    alone = [scorer.score(text).nats for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: scorer.score(text).nats, texts))
    assert together == pytest.approx(alone, abs=0.01)


def test_rows_of_requests_share_batches_within_the_budget(base: Model) -> None:
    begun, held = threading.Event(), threading.Event()

    def hold(rows: int, device: str) -> None:
        begun.set()
        held.wait(60)

    slow = Faulty(base, hold)
    batcher = Batcher(budget=120)
    first = batcher.submit(slow, [([0, 1, 2], 1)])
    assert begun.wait(60)
    rest = [batcher.submit(slow, [([0] * length, 1)])[0] for length in (40, 10, 41, 12, 39, 11)]
    held.set()
    for future in (*first, *rest):
        future.result(60)
    batcher.close()
    # 40, 41 and 39 make one batch of 123 tokens, which is too much; two of them do not.
    assert slow.runs[0] == 1
    assert sum(slow.runs) == 7
    assert len(slow.runs) < 7
    assert max(slow.runs) <= 120 // 10


def test_a_deadline_that_passed_is_an_error_at_once(
    scorer: MemorizationScorer, models: Memorised, base: Model
) -> None:
    with pytest.raises(OverloadError, match="deadline"):
        scorer.score(models.held_out[0], deadline=time.monotonic() - 1)
    held = threading.Event()
    late = MemorizationScorer(Faulty(base, lambda rows, device: held.wait(60) and None), base)
    with pytest.raises(OverloadError, match="deadline"):
        late.score(models.held_out[0], deadline=time.monotonic() + 0.1)
    assert not held.is_set()  # while the device is at it
    held.set()
    late.close()


def test_a_full_queue_is_an_error_and_not_a_wait(models: Memorised, base: Model) -> None:
    small = MemorizationScorer(base, base, queue_tokens=20)
    with pytest.raises(OverloadError, match="at most 20 may wait"):
        small.score(models.held_out[0])
    small.close()
    with pytest.raises(ScoringError, match="closed"):
        small.score("short")


def test_out_of_memory_makes_smaller_batches(models: Memorised, base: Model) -> None:
    tight = Faulty(
        base,
        lambda rows, device: torch.OutOfMemoryError("CUDA out of memory") if rows > 2 else None,
    )
    texts = [Request(text) for text in models.held_out[:6]]
    one = MemorizationScorer(tight, base)
    other = MemorizationScorer(base, base)
    assert [s.nats for s in one.score_many(texts)] == pytest.approx(
        [s.nats for s in other.score_many(texts)], abs=0.01
    )
    assert one.health() == {}
    one.close()
    other.close()


def test_a_dead_device_is_an_error_or_gives_way_to_the_fallback(
    models: Memorised, base: Model
) -> None:
    def broken(rows: int, device: str) -> Exception | None:
        return RuntimeError(f"secret {models.held_out[0]}") if device == "cpu:0" else None

    text = models.held_out[0]
    dead = Faulty(base, broken)
    dead.device = "cpu:0"
    alone = MemorizationScorer(dead, base)
    for _ in range(3):
        with pytest.raises(ModelError, match="RuntimeError") as caught:
            alone.score(text)
        assert text[:20] not in str(caught.value)
    assert "device" in alone.health()
    alone.close()
    saved = MemorizationScorer(dead, base, fallback="cpu")
    assert saved.score(text).tokens > 8
    assert "runs on cpu" in saved.health()["device"]
    saved.close()


def test_a_model_that_gives_no_numbers_is_an_error(models: Memorised, base: Model) -> None:
    nothing = load_model(models.base, device="cpu")
    nothing.module.get_output_embeddings().weight.data.fill_(float("nan"))
    broken = MemorizationScorer(base, nothing)
    with pytest.raises(ModelError, match="no numbers"):
        broken.score(models.held_out[0])
    broken.close()
