"""LangChain: chat models, chains and agents whose answers are filtered.

    model = GuardedChatModel(inner=ChatOpenAI(), guardrail=guardrail)
    chain = prompt | model | GuardrailFilter(guardrail) | StrOutputParser()
    agent = create_agent(model, tools, middleware=[GuardrailMiddleware(guardrail)])

Behind a model, the model's own callbacks (and what streams through them, such as the `messages` of
an agent) have seen its text already. In its place, nothing has: the middleware puts the model of
each call into a `GuardedChatModel`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import ConfigDict

from guardrail.assembly import Guardrail
from guardrail.errors import UsageError
from guardrail.integrations.bodies import BodyFilter, Json, Refused
from guardrail.integrations.events import Channels

_PARTS = ("content", "tool_calls", "invalid_tool_calls", "additional_kwargs")
_PIECES = ("content", "tool_call_chunks", "additional_kwargs")


class GuardrailFilter(Runnable[Any, Any]):
    """Filters messages or strings, whole or streamed."""

    def __init__(self, guardrail: Guardrail, prompt: str | None = None) -> None:
        request = {"prompt": prompt} if prompt else None
        self._bodies = BodyFilter(guardrail, request, refusal_as_content=True)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        if isinstance(input, AIMessage):
            return self.message(input)
        if not isinstance(input, str):
            raise UsageError(f"a message of a model or a string is needed, not {type(input)}")
        try:
            return self._bodies.values(input)
        except Refused:
            return self._bodies.refusal

    def message(self, message: AIMessage) -> AIMessage:
        """A whole message, filtered."""
        metadata = {k: v for k, v in message.response_metadata.items() if k != "logprobs"}
        try:
            parts = {part: self._bodies.values(getattr(message, part)) for part in _PARTS}
        except Refused:
            metadata["finish_reason"] = "content_filter"
            return AIMessage(
                content=self._bodies.refusal,
                id=message.id,
                response_metadata=metadata,
                usage_metadata=message.usage_metadata,
            )
        return message.model_copy(update={**parts, "response_metadata": metadata})

    def transform(
        self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        stream = _MessageStream(self._bodies)
        for chunk in input:
            yield from stream.feed(chunk)
            if stream.refused:
                return
        yield from stream.flush()

    async def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        stream = _MessageStream(self._bodies)
        async for chunk in input:
            for made in stream.feed(chunk):
                yield made
            if stream.refused:
                return
        for made in stream.flush():
            yield made


class _MessageStream:
    """Filters the chunks of one message, or of one string."""

    def __init__(self, bodies: BodyFilter) -> None:
        self._bodies = bodies
        self._channels = Channels(bodies)
        self._is_text = False
        self._ended = False

    @property
    def refused(self) -> bool:
        return self._channels.refused

    def feed(self, chunk: Any) -> Iterator[Any]:
        if isinstance(chunk, str):
            self._is_text = True
            piece: Json = {"content": chunk}
            self._channels.feed(piece)
            yield from self._refusal(piece) if self.refused else filter(None, [piece["content"]])
            return
        if not isinstance(chunk, AIMessageChunk):
            # A model that does not stream gives one whole message.
            yield GuardrailFilter(self._bodies.guardrail).invoke(chunk)
            return
        piece = _copied({part: getattr(chunk, part) for part in _PIECES})
        self._channels.feed(piece)
        last = chunk.chunk_position == "last"
        if last or self.refused:
            self._channels.flush(piece)
            self._ended = True
        if self.refused:
            yield from self._refusal(piece)
            return
        metadata = {k: v for k, v in chunk.response_metadata.items() if k != "logprobs"}
        made = _chunk(piece, chunk_position=chunk.chunk_position)
        yield made.model_copy(
            update={
                "id": chunk.id,
                "response_metadata": metadata,
                "usage_metadata": chunk.usage_metadata,
            }
        )

    def flush(self) -> Iterator[Any]:
        piece: Json = {}
        if not self._ended:
            self._channels.flush(piece)
        if self.refused:
            yield from self._refusal(piece)
        elif piece:
            yield piece["content"] if self._is_text else _chunk(piece)

    def _refusal(self, piece: Json) -> Iterator[Any]:
        content = piece.get("content") or ""
        refusal = self._bodies.refusal
        if self._is_text:
            yield content + refusal
        else:
            said = [*content, {"type": "text", "text": refusal}]
            piece["content"] = content + refusal if isinstance(content, str) else said
            made = _chunk(piece, chunk_position="last")
            yield made.model_copy(update={"response_metadata": {"finish_reason": "content_filter"}})


def _copied(value: Any) -> Any:
    """A copy to filter in place: chunks are shared with callbacks."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _chunk(piece: Json, **more: Any) -> AIMessageChunk:
    calls = [
        {"name": None, "id": None, "index": None, "type": "tool_call_chunk", **call}
        for call in piece.get("tool_call_chunks") or ()
    ]
    return AIMessageChunk(
        content=piece.get("content") or "",
        tool_call_chunks=calls,
        additional_kwargs=piece.get("additional_kwargs") or {},
        **more,
    )


class GuardedChatModel(BaseChatModel):
    """A chat model whose answers are filtered before anything sees them, callbacks included."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: BaseChatModel
    guardrail: Guardrail

    @property
    def _llm_type(self) -> str:
        return f"guarded-{self.inner._llm_type}"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        bound: Any = self.inner.bind_tools(tools, **kwargs)
        return self.bind(**bound.kwargs)

    def _filter(self, messages: list[BaseMessage]) -> GuardrailFilter:
        prompt = "\n".join(str(message.text) for message in messages)
        return GuardrailFilter(self.guardrail, prompt)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = self.inner._generate(messages, stop=stop, **kwargs)
        return _filtered(result, self._filter(messages))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = await self.inner._agenerate(messages, stop=stop, **kwargs)
        return _filtered(result, self._filter(messages))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        chunks = (chunk.message for chunk in self.inner._stream(messages, stop=stop, **kwargs))
        for message in self._filter(messages).transform(chunks):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        inner = self.inner._astream(messages, stop=stop, **kwargs)
        chunks = (chunk.message async for chunk in inner)
        async for message in self._filter(messages).atransform(chunks):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _filtered(result: ChatResult, filter_: GuardrailFilter) -> ChatResult:
    generations = []
    for generation in result.generations:
        message = filter_.invoke(generation.message)
        info = {k: v for k, v in (generation.generation_info or {}).items() if k != "logprobs"}
        generations.append(ChatGeneration(message=message, generation_info=info))
    return ChatResult(generations=generations, llm_output=result.llm_output)


class GuardrailMiddleware(AgentMiddleware[Any, Any]):
    """Filters every answer of an agent's model, streamed or not."""

    def __init__(self, guardrail: Guardrail) -> None:
        super().__init__()
        self._guardrail = guardrail

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        return handler(self._guarded(request))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        return await handler(self._guarded(request))

    def _guarded(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        model = GuardedChatModel(inner=request.model, guardrail=self._guardrail)
        return request.override(model=model)
