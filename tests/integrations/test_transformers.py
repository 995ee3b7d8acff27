"""Generation that goes around protected text, by models that would recite it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LogitsProcessorList, PreTrainedTokenizerFast

from guardrail import Action, Guardrail
from guardrail.errors import UsageError
from guardrail.integrations.transformers import FilteredStreamer, MemFree
from guardrail.policy_file import parse_policy
from tests.integrations.conftest import CLEAN, KEY, SECRET


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([SECRET, CLEAN], trainer)
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=made, eos_token="<end>", pad_token="<end>")


def recite(tokenizer: Any, memfree: Any, wanted: str, steps: int = 120) -> str:
    """Greedy generation by a model that wants to go on with `wanted`, and if it may not, with it
    again from the next token on."""
    queue = tokenizer.encode(wanted)
    ids: list[int] = []
    spare = tokenizer.encode(" x")[0]
    for _ in range(steps):
        if not queue:
            break
        scores = torch.zeros(1, len(tokenizer))
        scores[0, spare] = 1.0
        scores[0, queue[0]] = 5.0
        prompt = torch.tensor([[1, 2, *ids]])
        ids.append(int(memfree(prompt, scores).argmax()))
        queue.pop(0)
    return str(tokenizer.decode(ids))


def test_a_protected_run_is_never_completed(tokenizer: Any, rail: Guardrail) -> None:
    for start in range(0, 60, 9):
        memfree = MemFree(rail, tokenizer)
        text = recite(tokenizer, memfree, f"{CLEAN} {SECRET[start:]}")
        assert text.startswith(CLEAN)
        # With other words in between it may be an edited copy, which MemFree does not look for.
        runs = [f for f in rail.check(text).findings if f.kind == "verbatim"]
        assert all(run.action <= Action.FLAG for run in runs)
        assert memfree.avoided > 0
        assert SECRET[start + 20 : start + 30] in text  # what is too short to count is left


def test_clean_text_is_left_alone(tokenizer: Any, rail: Guardrail) -> None:
    memfree = MemFree(rail, tokenizer)
    assert recite(tokenizer, memfree, CLEAN) == CLEAN
    assert memfree.avoided == 0


def test_it_follows_the_guardrails_policy(tokenizer: Any, index: Any) -> None:
    rules = "version: 1\nrules: [{name: a, when: {min_length: 100}, action: refuse}]"
    long = Guardrail.from_policy(parse_policy(rules), indexes=[index], key=KEY)
    text = recite(tokenizer, MemFree(long, tokenizer), SECRET)
    (finding, *_) = long.check(text).findings
    assert 80 < (finding.evidence.matched or 0) < 100
    flag = parse_policy("version: 1\nrules: [{name: a, action: flag}]")
    with pytest.raises(UsageError, match="steer"):
        MemFree(Guardrail.from_policy(flag, indexes=[index], key=KEY), tokenizer)


def test_batches_and_reordered_rows(tokenizer: Any, rail: Guardrail) -> None:
    """Rows of one batch are told apart, also where beam search moves them."""
    secret = tokenizer.encode(SECRET)
    clean = (tokenizer.encode(CLEAN) * 9)[: len(secret)]
    memfree: Any = MemFree(rail, tokenizer)
    stopped = None
    for step in range(len(secret) - 1):
        rows = [[1, *secret[:step]], [1, *clean[:step]]]
        order = [0, 1] if step % 2 else [1, 0]
        scores = torch.zeros(2, len(tokenizer))
        for place, row in enumerate(order):
            scores[place, (secret, clean)[row][step]] = 5.0
        out = memfree(torch.tensor([rows[row] for row in order]), scores)
        assert out[order.index(1)].argmax() == clean[step]
        if out[order.index(0)].argmax() != secret[step]:
            stopped = step
            break
    assert stopped is not None
    assert rail.check(tokenizer.decode(secret[:stopped])).action is Action.ALLOW


@pytest.fixture(scope="module")
def parrot(tokenizer: Any) -> Any:
    """A model that was trained until it recites."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=256, n_embd=48, n_layer=2, n_head=2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model: Any = GPT2LMHeadModel(config)
    ids = torch.tensor([[0, *tokenizer.encode(SECRET), 0]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(120):
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def generate(model: Any, tokenizer: Any, **options: Any) -> str:
    start = torch.tensor([[0, *tokenizer.encode(SECRET[:12])]])
    out = model.generate(
        start, attention_mask=torch.ones_like(start), max_new_tokens=90, pad_token_id=0, **options
    )
    return str(tokenizer.decode(out[0, start.shape[1] :], skip_special_tokens=True))


def test_a_model_that_recites_goes_around(parrot: Any, tokenizer: Any, rail: Guardrail) -> None:
    assert rail.check(generate(parrot, tokenizer, do_sample=False)).action is Action.REDACT
    for options in ({"do_sample": False}, {"do_sample": True}, {"num_beams": 3}):
        processors = LogitsProcessorList([MemFree(rail, tokenizer)])
        text = generate(parrot, tokenizer, logits_processor=processors, **options)
        # Edited copies are the filter's to find: the processor knows of grams alone.
        acted = [f.kind for f in rail.check(text).findings if f.action >= Action.REDACT]
        assert "verbatim" not in acted


def test_a_streamer_that_filters(parrot: Any, tokenizer: Any, rail: Guardrail) -> None:
    pieces: list[str] = []
    streamer = FilteredStreamer(tokenizer, rail.open_stream(), pieces.append)
    plain = generate(parrot, tokenizer, do_sample=False)
    generate(parrot, tokenizer, do_sample=False, streamer=streamer)
    assert "".join(pieces) == rail.check(plain).text
