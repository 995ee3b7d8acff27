"""Recorded launches give what a model gives; these need a CUDA device and are skipped elsewhere."""

from __future__ import annotations

import threading

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from guardrail.classifiers.memorization.recorded import STEP, WIDEST, Recorded

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
    return LlamaForCausalLM(config).to("cuda").eval().base_model


def row(tokens: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 300, (1, tokens), generator=torch.Generator().manual_seed(seed)).to(
        "cuda"
    )


@pytest.mark.parametrize("tokens", [1, 2, STEP - 1, STEP, STEP + 1, 500, WIDEST])
def test_a_row_has_the_states_that_the_model_gives_it(module: torch.nn.Module, tokens: int) -> None:
    recorded = Recorded(module)
    with torch.inference_mode():
        for seed in range(3):  # what an earlier row left to the right of a shorter one is not seen
            ids = row(tokens, seed)
            assert recorded.takes(ids)
            made = recorded(ids)
            torch.testing.assert_close(
                made, module(ids, use_cache=False).last_hidden_state, rtol=1e-3, atol=1e-4
            )


def test_wider_rows_and_several_rows_are_not_recorded(module: torch.nn.Module) -> None:
    recorded = Recorded(module)
    assert not recorded.takes(row(WIDEST + 1, 0))
    assert not recorded.takes(torch.zeros(2, 5, dtype=torch.long, device="cuda"))


def test_threads_do_not_get_one_another_s_states(module: torch.nn.Module) -> None:
    recorded, wrong = Recorded(module), []

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

    recorded, ids = Recorded(Asking()), row(30, 1)
    with torch.inference_mode():
        for _ in range(2):
            wanted = module(ids, use_cache=False).last_hidden_state
            torch.testing.assert_close(recorded(ids), wanted, rtol=1e-3, atol=1e-4)
    assert not recorded.takes(ids)
