"""Scoring on a CUDA device says what it says on a CPU. Skipped where there is no such device."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from guardrail.classifiers.memorization.models import load_model
from guardrail.classifiers.memorization.recorded import STEP, WIDEST, Recorded
from guardrail.classifiers.memorization.scorer import MemorizationScorer, Request
from tests.classifiers.memorization.fixture import Memorised

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
    )
    made: torch.nn.Module = LlamaForCausalLM(config).base_model
    return made.to(torch.device("cuda")).eval()


def row(tokens: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 300, (1, tokens), generator=torch.Generator().manual_seed(seed)).to(
        "cuda"
    )


@pytest.mark.parametrize("tokens", [1, 2, STEP - 1, STEP, STEP + 1, 500, WIDEST])
def test_a_row_has_the_states_that_the_model_gives_it(module: torch.nn.Module, tokens: int) -> None:
    recorded = Recorded(module, 2048)
    with torch.inference_mode():
        for seed in range(3):  # what an earlier row left to the right of a shorter one is not seen
            ids = row(tokens, seed)
            assert recorded.takes(ids)
            made = recorded(ids)
            torch.testing.assert_close(
                made, module(ids, use_cache=False).last_hidden_state, rtol=1e-3, atol=1e-4
            )


def test_padding_stays_within_the_context() -> None:
    """A table of positions that ends at the context would be read past its end."""
    config = GPT2Config(vocab_size=300, n_positions=100, n_embd=64, n_layer=2, n_head=4)
    module = GPT2LMHeadModel(config).base_model.to(torch.device("cuda")).eval()
    recorded, ids = Recorded(module, 100), row(90, 1)
    with torch.inference_mode():
        wanted = module(ids, use_cache=False).last_hidden_state
        torch.testing.assert_close(recorded(ids), wanted, rtol=1e-3, atol=1e-4)


def test_wider_rows_and_several_rows_are_not_recorded(module: torch.nn.Module) -> None:
    recorded = Recorded(module, 2048)
    assert not recorded.takes(row(WIDEST + 1, 0))
    assert not recorded.takes(torch.zeros(2, 5, dtype=torch.long, device="cuda"))


def test_threads_do_not_get_one_another_s_states(module: torch.nn.Module) -> None:
    recorded, wrong = Recorded(module, 2048), []

    def work(seed: int) -> None:
        with torch.inference_mode():
            ids = row(40 + seed, seed)
            wanted = module(ids, use_cache=False).last_hidden_state
            for _ in range(50):
                if not torch.allclose(recorded(ids), wanted, rtol=1e-3, atol=1e-4):
                    wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_module_that_cannot_be_recorded_runs_as_it_is(module: torch.nn.Module) -> None:
    class Asking(torch.nn.Module):
        def forward(self, ids: torch.Tensor, use_cache: bool) -> object:
            if int(ids.sum()) < 0:  # the host waits for the device, which no graph can hold
                raise AssertionError
            return module(ids, use_cache=use_cache)

    recorded, ids = Recorded(Asking(), 2048), row(30, 1)
    with torch.inference_mode():
        for _ in range(2):
            wanted = module(ids, use_cache=False).last_hidden_state
            torch.testing.assert_close(recorded(ids), wanted, rtol=1e-3, atol=1e-4)
    assert not recorded.takes(ids)


@pytest.fixture(scope="module")
def on_cuda(models: Memorised) -> Iterator[MemorizationScorer]:
    made = MemorizationScorer(
        models.target, models.base, models.shards, device="cuda", dtype="float32"
    )
    yield made
    made.close()


def test_scores_are_those_of_the_cpu(
    scorer: MemorizationScorer, on_cuda: MemorizationScorer, models: Memorised
) -> None:
    requests = [Request(text, "Dear ") for text in (*models.recited, *models.held_out[:20])]
    requests.append(Request(" ".join(models.held_out[:9]), "Dear "))  # more than one row
    together = on_cuda.score_many(requests)
    alone = [on_cuda.score(request.text, request.context) for request in requests]
    for made in (together, alone):
        for one, other in zip(made, scorer.score_many(requests), strict=True):
            assert one.nats == pytest.approx(other.nats, rel=1e-3, abs=0.02)
            assert [s.span for s in one.spans] == [s.span for s in other.spans]


def test_a_stream_says_the_same_as_the_whole(
    on_cuda: MemorizationScorer, models: Memorised
) -> None:
    ids = on_cuda.encode(f"{models.held_out[0]} {models.recited[0]}").ids[:180]
    stream = on_cuda.stream("Dear ")
    for at in range(0, len(ids), 7):
        last = stream.push(ids[at : at + 7])
    stream.close()
    whole = on_cuda.score(on_cuda.tokenizer.decode(ids), "Dear ")
    assert last.nats == pytest.approx(whole.nats, abs=0.02)


def test_bfloat16_is_chosen_and_tells_recited_text_from_ordinary(models: Memorised) -> None:
    made = MemorizationScorer(models.target, models.base, models.shards, device="auto")
    assert made.target is not None
    assert made.target.device == "cuda"
    assert next(made.target.module.parameters()).dtype == torch.bfloat16
    recited = made.score_many([Request(text) for text in models.recited])
    ordinary = made.score_many([Request(text) for text in models.held_out[:20]])
    assert min(s.nats for s in recited) > 1.5 * max(s.nats for s in ordinary)
    made.close()


def test_a_model_moves_to_the_cpu_and_goes_on(models: Memorised) -> None:
    model = load_model(models.target, device="cuda", dtype="float32")
    row = [model.start, *model.encode(models.recited[0]).ids]
    (before,) = model.logprobs([row], [1])
    model.move("cpu")
    (after,) = model.logprobs([row], [1])
    assert before == pytest.approx(after, abs=1e-3)


def test_device_memory_that_is_full_makes_smaller_batches(models: Memorised) -> None:
    made = MemorizationScorer(
        models.target, models.base, device="cuda", dtype="float32", token_budget=1 << 20
    )
    texts = [Request(text) for text in models.held_out[:40] * 20]
    wanted = [score.nats for score in made.score_many(texts[:40])]
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    room = torch.cuda.memory_reserved() + (96 << 20)
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        scores = [score.nats for score in made.score_many(texts)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert scores == pytest.approx(wanted * 20, abs=0.02)
    assert made.health() == {}
    made.close()
