"""The real client of OpenAI, against a server on the loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openai")

from openai import APIConnectionError, AsyncOpenAI, OpenAI

from guardrail import Context, Finding, Guardrail
from guardrail.integrations.openai import AnswerError, guarded
from guardrail.policy_file import default_policy
from guardrail.text import CanonicalText
from tests.integrations.conftest import CLEAN, SECRET
from tests.integrations.upstream import Upstream, upstream

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "Tell me"}]}
LEAK = f"{CLEAN} {SECRET} {CLEAN}"
ARGUMENTS = json.dumps({"note": SECRET, "to": ["a", 1]})


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


def client(server: Upstream, rail: Guardrail, **options: Any) -> OpenAI:
    return guarded(OpenAI(base_url=server.url, api_key="k", max_retries=0), rail, **options)


def test_a_completion_is_redacted_and_keeps_the_rest(server: Upstream, rail: Guardrail) -> None:
    server.answers(LEAK, CLEAN, arguments=ARGUMENTS)
    answer = client(server, rail).chat.completions.create(**ASK, n=2, logprobs=True)
    assert answer.choices[0].message.content == rail.check(LEAK).text
    assert answer.choices[1].message.content == CLEAN
    assert (answer.id, answer.object) == ("chatcmpl-7", "chat.completion")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 8
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].logprobs is None
    assert answer.choices[0].message.tool_calls is not None
    call: Any = answer.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"note": "[REDACTED].", "to": ["a", 1]}
    assert (call.id, call.function.name) == ("call_1", "note")


def test_a_refused_completion(server: Upstream, refusing: Guardrail) -> None:
    server.answers(LEAK, CLEAN)
    answer = client(server, refusing).chat.completions.create(**ASK, n=2)
    first, second = answer.choices
    assert first.message.content is None
    assert first.message.refusal == "Not this."
    assert (first.finish_reason, second.finish_reason) == ("content_filter", "stop")
    assert second.message.content == CLEAN
    spoken = client(server, refusing, refusal_as_content=True).chat.completions.create(**ASK)
    assert spoken.choices[0].message.content == "Not this."


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_streamed_completion(server: Upstream, rail: Guardrail, size: int) -> None:
    server.answers(LEAK, CLEAN, arguments=ARGUMENTS, size=size)
    asked: Any = client(server, rail).chat.completions.create(
        **ASK, n=2, stream=True, stream_options={"include_usage": True}
    )
    texts, arguments, finish, usage = ["", ""], "", {}, None
    for chunk in asked:
        assert chunk.id == "chatcmpl-7"
        usage = chunk.usage or usage
        for choice in chunk.choices:
            assert choice.logprobs is None
            texts[choice.index] += choice.delta.content or ""
            for call in choice.delta.tool_calls or ():
                assert call.function is not None
                arguments += call.function.arguments or ""
            if choice.finish_reason:
                finish[choice.index] = choice.finish_reason
    assert texts == [rail.check(LEAK).text, CLEAN]
    assert json.loads(arguments) == {"note": "[REDACTED].", "to": ["a", 1]}
    assert finish == {0: "tool_calls", 1: "tool_calls"}
    assert usage is not None
    assert usage.total_tokens == 8


def test_a_streamed_completion_that_is_refused(server: Upstream, refusing: Guardrail) -> None:
    server.answers(LEAK, CLEAN, arguments=None)
    options: Any
    for options in ({}, {"stream_options": {"include_usage": True}}):
        texts, refusals, finish, usage = ["", ""], ["", ""], {}, False
        for chunk in client(server, refusing).chat.completions.create(
            **ASK, n=2, stream=True, **options
        ):
            usage |= chunk.usage is not None
            for choice in chunk.choices:
                assert choice.index not in finish
                texts[choice.index] += choice.delta.content or ""
                refusals[choice.index] += choice.delta.refusal or ""
                if choice.finish_reason:
                    finish[choice.index] = choice.finish_reason
        assert texts == [f"{CLEAN} ", CLEAN]
        assert refusals == ["Not this.", ""]
        assert finish == {0: "content_filter", 1: "stop"}
        assert usage == bool(options)


def test_refused_arguments_of_a_call_stay_json(server: Upstream, refusing: Guardrail) -> None:
    server.answers("Let me see.", arguments=ARGUMENTS)
    arguments, finish = "", None
    for chunk in client(server, refusing).chat.completions.create(**ASK, stream=True):
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or ():
                assert call.function is not None
                arguments += call.function.arguments or ""
    assert json.loads(arguments or "{}") in ({}, {"note": ""})
    assert finish == "content_filter"


def test_the_helper_that_accumulates_a_stream(server: Upstream, rail: Guardrail) -> None:
    server.answers(LEAK)
    with client(server, rail).chat.completions.stream(**ASK) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == rail.check(LEAK).text


def test_responses(server: Upstream, rail: Guardrail, refusing: Guardrail) -> None:
    server.answers(LEAK, arguments=ARGUMENTS)
    answer = client(server, rail).responses.create(model="m", input="Tell me")
    assert answer.output_text == rail.check(LEAK).text
    call: Any = answer.output[1]
    assert json.loads(call.arguments) == {"note": "[REDACTED].", "to": ["a", 1]}
    refused = client(server, refusing).responses.create(model="m", input="Tell me")
    assert refused.status == "incomplete"
    assert refused.incomplete_details is not None
    assert refused.incomplete_details.reason == "content_filter"
    item: Any = refused.output[0]
    assert item.content[0].refusal == "Not this."


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_streamed_responses(server: Upstream, rail: Guardrail, size: int) -> None:
    server.answers(LEAK, arguments=ARGUMENTS, size=size)
    text, arguments, number = "", "", -1
    done: Any = None
    for event in client(server, rail).responses.create(model="m", input="x", stream=True):
        assert event.sequence_number == number + 1
        number = event.sequence_number
        assert "Thornbury" not in event.to_json()
        if event.type == "response.output_text.delta":
            assert event.logprobs == []
            text += event.delta
        elif event.type == "response.output_text.done":
            assert event.text == text
        elif event.type == "response.function_call_arguments.delta":
            arguments += event.delta
        elif event.type == "response.completed":
            done = event.response
    assert text == rail.check(LEAK).text == done.output_text
    assert json.loads(arguments)["note"] == "[REDACTED]."


def test_a_streamed_response_that_is_refused(server: Upstream, refusing: Guardrail) -> None:
    server.answers(LEAK)
    events = list(client(server, refusing).responses.create(model="m", input="x", stream=True))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == f"{CLEAN} "
    last: Any = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "content_filter"
    assert [e.refusal for e in events if e.type == "response.refusal.done"] == ["Not this."]


def test_the_asynchronous_client(server: Upstream, rail: Guardrail) -> None:
    server.answers(LEAK)

    async def run() -> tuple[str, str]:
        plain = AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0)
        async with guarded(plain, rail) as guarded_client:
            whole = await guarded_client.chat.completions.create(**ASK)
            text = ""
            async for chunk in await guarded_client.chat.completions.create(**ASK, stream=True):
                text += chunk.choices[0].delta.content or ""
            return whole.choices[0].message.content or "", text

    assert asyncio.run(run()) == (rail.check(LEAK).text,) * 2


def test_log_probabilities_are_used_where_asked(server: Upstream) -> None:
    seen: list[Any] = []

    class Asking:
        name, window = "asking", None

        def scan(self, text: CanonicalText, context: Context) -> list[Finding]:
            seen.append((context.logprobs, context.prompt, context.model))
            return []

    server.answers("x")
    rail = Guardrail(default_policy(), [Asking()])
    answer = client(server, rail, ask_logprobs=True).chat.completions.create(**ASK)
    assert answer.choices[0].logprobs is None
    assert seen == [([-0.5], ("Tell me",), "m")]
    assert server.requests[-1]["logprobs"] is True


def test_an_answer_of_another_kind_is_not_let_through(rail: Guardrail) -> None:
    import httpx2

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"answer": SECRET})

    plain = OpenAI(base_url="http://upstream/v1", api_key="k", max_retries=0)
    strange = guarded(plain, rail, transport=httpx2.MockTransport(answer))
    with pytest.raises((AnswerError, APIConnectionError)) as caught:  # some versions wrap it
        strange.chat.completions.create(**ASK)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert any(isinstance(error, AnswerError) for error in chain)
    assert "Thornbury" not in "".join(map(repr, chain))
