"""LiteLLM's own proxy with the example's configuration, in front of a model that quotes a corpus:
of what is redacted or refused nothing comes, on any route, in text or in arguments of tools.

It wants an interpreter with `litellm[proxy]` 1.109 or later, whose pinned packages do not fit
beside those of this project: `GUARDRAIL_TEST_LITELLM=/path/to/python pytest tests/server/...`.
"""

from __future__ import annotations

import json
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

from guardrail.server.identity import Scope
from tests.integrations.upstream import Upstream
from tests.server.conftest import CLEAN, KEY, PHRASE, SECRET
from tests.server.running import Running, free_port, running

PYTHON = os.environ.get("GUARDRAIL_TEST_LITELLM", "")
EXAMPLE = Path(__file__).parents[2] / "examples/litellm.yaml"
MASTER = "sk-a-long-and-random-master-key-0123456789"
ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Tell me"}]}
PATIENCE = 240

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="GUARDRAIL_TEST_LITELLM names no interpreter with litellm[proxy]"
)


@pytest.fixture(scope="module")
def guarded(
    strict_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service"), strict_settings, KEY) as up:
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


ARGUMENTS = json.dumps({"note": SECRET})


def streamed(client: OpenAI) -> tuple[list[str], str]:
    """The pieces of text that came; and all that came, as JSON, with what was said of an error."""
    pieces, came = [], ""
    try:
        for chunk in client.chat.completions.create(**ASK, stream=True):
            came += chunk.to_json()
            pieces += [choice.delta.content or "" for choice in chunk.choices]
    except openai.APIError as error:
        return pieces, f"{came} {error} {error.body}"
    return pieces, came


def assert_nothing(came: str) -> None:
    for word in ("Abigail", "furosemide", "Copper", "Heron"):
        assert word not in came


@pytest.mark.parametrize("said", [SECRET, f"It is called {PHRASE}."], ids=["redacted", "refused"])
def test_a_whole_answer_does_not_come(client: OpenAI, fake: Upstream, said: str) -> None:
    fake.answers(f"{CLEAN} {said} {CLEAN}")
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**ASK)
    assert_nothing(raised.value.response.text)


@pytest.mark.parametrize("size", [1, 8, 1000])
@pytest.mark.parametrize("said", [SECRET, f"It is called {PHRASE}."], ids=["redacted", "refused"])
def test_no_character_is_streamed(client: OpenAI, fake: Upstream, said: str, size: int) -> None:
    fake.answers(f"{CLEAN} {said} {CLEAN}", size=size)
    pieces, came = streamed(client)
    assert "pancakes" not in "".join(pieces)
    assert_nothing("".join(pieces))
    assert_nothing(came)


def test_a_clean_stream_comes_as_it_was_said(client: OpenAI, fake: Upstream) -> None:
    said = f"{CLEAN} Serve them warm. " * 5
    fake.answers(said, size=4)
    pieces, _ = streamed(client)
    assert "".join(pieces) == said


def test_clean_arguments_of_tools_come(client: OpenAI, fake: Upstream) -> None:
    fake.answers("Let me see.", arguments='{"eggs": 2}', size=7)
    said = ""
    for chunk in client.chat.completions.create(**ASK, stream=True):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or ():
                said += (call.function and call.function.arguments) or ""
    assert said == '{"eggs": 2}'


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_copies_in_streamed_arguments_of_tools_do_not_come(
    client: OpenAI, fake: Upstream, size: int
) -> None:
    fake.answers("Let me see.", arguments=ARGUMENTS, size=size)
    _, came = streamed(client)
    assert "arguments" not in came
    assert_nothing(came)


def test_copies_in_arguments_of_tools_do_not_come(client: OpenAI, fake: Upstream) -> None:
    fake.answers("Let me see.", arguments=ARGUMENTS)
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**ASK)
    assert_nothing(raised.value.response.text)


@pytest.mark.parametrize("arguments", [None, ARGUMENTS], ids=["text", "arguments"])
@pytest.mark.parametrize("stream", [False, True])
def test_responses_do_not_come(
    client: OpenAI, fake: Upstream, stream: bool, arguments: str | None
) -> None:
    fake.answers(CLEAN if arguments else f"{CLEAN} {SECRET}", arguments=arguments, size=8)
    came = ""
    try:
        answer: Any = client.responses.create(model="gpt-4o", input="Tell me", stream=stream)
        for part in answer if stream else [answer]:
            came += part.to_json()
    except openai.APIError as error:
        came += f"{error} {error.body}"
    assert_nothing(came)
