"""Chains, chat models and agents of LangChain over a model that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain")

from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate

from guardrail import Guardrail
from guardrail.integrations.langchain import GuardedChatModel, GuardrailFilter, GuardrailMiddleware
from tests.integrations.conftest import CLEAN, SECRET

LEAK = f"{CLEAN} {SECRET} {CLEAN}"
CALL = {"name": "note", "args": {"text": SECRET}, "id": "c1", "type": "tool_call"}


class Parrot(BaseChatModel):
    """Says `text`, three characters at a time if it streams, and makes a call if told to."""

    text: str = LEAK
    calls: bool = False

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools, **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        message = AIMessage(
            content=self.text,
            tool_calls=[CALL] if self.calls else [],
            response_metadata={"logprobs": {"content": []}, "finish_reason": "stop"},
            usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for at in range(0, len(self.text), 3):
            chunk = AIMessageChunk(content=self.text[at : at + 3])
            generation = ChatGenerationChunk(message=chunk)
            if run_manager:
                run_manager.on_llm_new_token(chunk.content, chunk=generation)
            yield generation
        if self.calls:
            arguments = f'{{"text": "{SECRET}"}}'
            for at in range(0, len(arguments), 5):
                part: Any = {"name": None, "id": None, "index": 0, "type": "tool_call_chunk"}
                if at == 0:
                    part |= {"name": "note", "id": "c1"}
                part["args"] = arguments[at : at + 5]
                yield ChatGenerationChunk(
                    message=AIMessageChunk(content="", tool_call_chunks=[part])
                )


class Ears(BaseCallbackHandler):
    def __init__(self) -> None:
        self.heard = ""

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.heard += str(token)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.heard += repr(response)


async def collected(chunks: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in chunks]


def test_a_chain(rail: Guardrail) -> None:
    prompt = ChatPromptTemplate.from_messages([("human", "{question}")])
    chain = prompt | Parrot() | GuardrailFilter(rail) | StrOutputParser()
    want = rail.check(LEAK).text
    assert chain.invoke({"question": "?"}) == want
    assert "".join(chain.stream({"question": "?"})) == want
    assert "".join(asyncio.run(collected(chain.astream({"question": "?"})))) == want
    assert GuardrailFilter(rail).invoke(LEAK) == want
    assert "".join(GuardrailFilter(rail).transform(iter(LEAK))) == want


def test_a_guarded_model(rail: Guardrail) -> None:
    model = GuardedChatModel(inner=Parrot(calls=True), guardrail=rail)
    ears = Ears()
    whole = model.invoke("?", config={"callbacks": [ears]})
    assert whole.content == rail.check(LEAK).text
    assert whole.tool_calls[0]["args"] == {"text": "[REDACTED]."}
    assert whole.usage_metadata is not None
    assert "logprobs" not in whole.response_metadata
    added: Any = None
    for chunk in model.stream("?", config={"callbacks": [ears]}):
        added = chunk if added is None else added + chunk
    assert added.content == whole.content
    assert added.tool_calls[0]["args"] == {"text": "[REDACTED]."}
    assert added.tool_calls[0]["name"] == "note"
    chunks = asyncio.run(collected(model.astream("?")))
    assert "".join(str(chunk.content) for chunk in chunks) == whole.content
    assert "Thornbury" not in ears.heard
    assert ears.heard


def test_a_refusal(refusing: Guardrail) -> None:
    model = GuardedChatModel(inner=Parrot(calls=True), guardrail=refusing)
    whole = model.invoke("?")
    assert (whole.content, whole.tool_calls) == ("Not this.", [])
    assert whole.response_metadata["finish_reason"] == "content_filter"
    chunks = list(model.stream("?"))
    assert "".join(str(chunk.content) for chunk in chunks) == f"{CLEAN} Not this."
    assert "".join(GuardrailFilter(refusing).transform(iter(LEAK))) == f"{CLEAN} Not this."


def test_an_agent_streams_nothing_that_is_protected(rail: Guardrail) -> None:
    agent: Any = create_agent(Parrot(), [], middleware=[GuardrailMiddleware(rail)])
    ask: Any = {"messages": [{"role": "user", "content": "?"}]}
    want = rail.check(LEAK).text
    assert agent.invoke(ask)["messages"][-1].content == want
    pieces = [message.content for message, _ in agent.stream(ask, stream_mode="messages")]
    assert "Thornbury" not in "".join(pieces)
    assert want in "".join(pieces)
    result = asyncio.run(agent.ainvoke(ask))
    assert result["messages"][-1].content == want
