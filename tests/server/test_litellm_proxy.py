"""LiteLLM's own proxy with the example's configuration, in front of a model that quotes a corpus.

It wants an interpreter with `litellm[proxy]` 1.109 or later, whose pinned packages do not fit
beside those of this project: `GUARDRAIL_TEST_LITELLM=/path/to/python pytest tests/server/...`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from guardrail import Guardrail
from guardrail.indexes.build import build
from guardrail.keys import write_key
from guardrail.server.identity import Scope
from tests.integrations.upstream import Upstream, upstream
from tests.server.conftest import CLEAN, KEY, SECRET
from tests.server.running import Running, free_port, running

PYTHON = os.environ.get("GUARDRAIL_TEST_LITELLM", "")
EXAMPLE = Path(__file__).parents[2] / "examples/litellm.yaml"
PHRASE = "Operation Copper Heron 9"
POLICY = """
version: 1
rules:
  - {name: phrases, when: {kind: phrase}, action: refuse}
  - {name: verbatim, when: {kind: verbatim, min_length: 48}, action: redact}
  - {name: rest, action: allow}
refusal: Not this.
"""
MASTER = "sk-a-long-and-random-master-key-0123456789"
ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Tell me"}]}
PATIENCE = 240

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="GUARDRAIL_TEST_LITELLM names no interpreter with litellm[proxy]"
)


@pytest.fixture(scope="module")
def fake() -> Iterator[Upstream]:
    with upstream() as running_upstream:
        yield running_upstream


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "note.txt").write_text(SECRET)
    build([str(folder / "note.txt")], folder / "index", KEY, phrases=[PHRASE], jobs=1)
    write_key(folder / "index.key", KEY)
    (folder / "policy.yaml").write_text(POLICY)
    guard = {name: str(folder / name) for name in ("policy.yaml", "index", "index.key")}
    settings = {
        "guard": {
            "policy": guard["policy.yaml"],
            "indexes": guard["index"],
            "key_file": guard["index.key"],
        }
    }
    with running(folder / "service", settings, KEY) as up:
        yield up


@pytest.fixture(scope="module")
def client(
    guarded: Running, fake: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenAI]:
    """A client of LiteLLM's proxy, which runs as the example has it."""
    folder, port = tmp_path_factory.mktemp("litellm"), free_port()
    told = {
        "MODEL_URL": fake.url,
        "MODEL_KEY": "sk-model",
        "LITELLM_MASTER_KEY": MASTER,
        "GUARDRAIL_URL": guarded.url,
        "GUARDRAIL_API_KEY": guarded.key(Scope.MODERATE),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
    }
    command = [PYTHON, "-m", "litellm.proxy.proxy_cli", "--config", str(EXAMPLE)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=told,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while not answers(url):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < end, (folder / "log").read_text()[-3000:]
            time.sleep(0.5)
        yield OpenAI(base_url=f"{url}/v1", api_key=MASTER, max_retries=0, timeout=PATIENCE)
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/liveliness", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def rail(guarded: Running) -> Guardrail:
    folder = guarded.folder.parent
    return Guardrail.from_policy(folder / "policy.yaml", indexes=[folder / "index"], key=KEY)


def streamed(client: OpenAI) -> tuple[list[str], str | None]:
    """The pieces that came, and what the stream said of an error."""
    pieces: list[str] = []
    try:
        for chunk in client.chat.completions.create(**ASK, stream=True):
            pieces += [choice.delta.content or "" for choice in chunk.choices]
    except openai.APIError as error:
        return pieces, str(error)
    return pieces, None


def test_a_whole_answer_is_redacted(client: OpenAI, fake: Upstream, rail: Guardrail) -> None:
    said = f"{CLEAN} {SECRET} {CLEAN}"
    fake.answers(said)
    answer = client.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == rail.check(said).text


def test_a_whole_answer_is_refused(client: OpenAI, fake: Upstream) -> None:
    fake.answers(f"{CLEAN} It is called {PHRASE}. {CLEAN}")
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**ASK)
    assert "Copper" not in raised.value.response.text


@pytest.mark.parametrize("size", [1, 3, 8, 40, 1000])
@pytest.mark.parametrize("before", [CLEAN, "", f"{CLEAN} " * 4])
def test_no_character_of_a_copy_is_streamed(
    client: OpenAI, fake: Upstream, rail: Guardrail, size: int, before: str
) -> None:
    said = f"{before} {SECRET} {CLEAN}"
    fake.answers(said, size=size)
    pieces, error = streamed(client)
    assert error is None
    assert "".join(pieces) == rail.check(said).text


@pytest.mark.parametrize("size", [1, 5, 24, 1000])
def test_no_character_of_what_is_refused_is_streamed(
    client: OpenAI, fake: Upstream, size: int
) -> None:
    before = f"{CLEAN} It is called "
    fake.answers(f"{before}{PHRASE}. {CLEAN}", size=size)
    pieces, error = streamed(client)
    assert before.startswith("".join(pieces))
    assert "Copper" not in f"{pieces} {error}"


def test_a_clean_stream_comes_as_it_was_said(client: OpenAI, fake: Upstream) -> None:
    said = f"{CLEAN} Serve them warm. " * 5
    fake.answers(said, size=4)
    pieces, error = streamed(client)
    assert (error, "".join(pieces)) == (None, said)
    assert len(pieces) > 3  # it is streamed


def test_copies_in_arguments_of_tools_do_not_come(client: OpenAI, fake: Upstream) -> None:
    fake.answers("Let me see.", arguments=f'{{"note": "{SECRET}"}}', size=7)
    whole = ""
    try:
        answer = client.chat.completions.create(**ASK)
        whole = answer.to_json()
    except openai.APIStatusError as error:
        whole = error.response.text
    assert "furosemide" not in whole


@pytest.mark.xfail(reason="LiteLLM streams arguments of tools before the verdict on them")
def test_copies_in_streamed_arguments_of_tools_do_not_come(client: OpenAI, fake: Upstream) -> None:
    fake.answers("Let me see.", arguments=f'{{"note": "{SECRET}"}}', size=7)
    said = ""
    try:
        for chunk in client.chat.completions.create(**ASK, stream=True):
            for choice in chunk.choices:
                for call in choice.delta.tool_calls or ():
                    said += (call.function and call.function.arguments) or ""
    except openai.APIError:
        pass
    assert "furosemide" not in said
