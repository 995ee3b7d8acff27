"""Planted spans through every integration, each asked as its users do, for bench_stream.py."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import yaml
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from openai import AsyncOpenAI, OpenAI
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from guardrail import Guardrail
from guardrail.integrations.asgi import GuardrailMiddleware
from guardrail.integrations.langchain import GuardedChatModel, GuardrailFilter
from guardrail.integrations.langchain import GuardrailMiddleware as AgentGuard
from guardrail.integrations.openai import guarded
from guardrail.keys import write_key
from guardrail.server.identity import Scope
from scripts.stream_leaks import KEY, Field, Planting, Row, cut, expected, kinds, leaked, masking
from tests.integrations.upstream import Upstream, upstream
from tests.server.running import running

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "Tell me"}]}
# What is planted in turn: a span of each layer.
SPANS = (
    "verbatim: plain",
    "edits: replaced, 1 in 6",
    "views: base64",
    "verbatim: zero width",
    "secrets",
    "phrases",
)
Drive = Callable[[str, random.Random], str]


def _chunks(client: OpenAI, **options: Any) -> Iterator[Any]:
    for chunk in client.chat.completions.create(**ASK, stream=True, **options):
        yield from chunk.choices


def _calls(choices: Iterator[Any]) -> str:
    """The arguments of the calls in some choices."""
    calls = [call for choice in choices for call in choice.delta.tool_calls or ()]
    return "".join(call.function.arguments or "" for call in calls)


def _note(arguments: str) -> str:
    """The one value in the arguments of a call; nothing where the call was refused."""
    return str(next(iter(json.loads(arguments or "{}").values()), ""))


def _openai(server: Upstream, client: OpenAI, label: str) -> Iterator[tuple[str, Drive]]:
    """The ways of a client to an answer."""

    def answers(text: str, rng: random.Random, **more: Any) -> None:
        server.answers(text, "Fine.", size=rng.choice((3, 7, 40)), **more)

    def chat(text: str, rng: random.Random) -> str:
        answers(text, rng)
        choices = [c for c in _chunks(client, n=2) if c.index == 0]
        return "".join(choice.delta.content or "" for choice in choices)

    def call(text: str, rng: random.Random) -> str:
        answers("Let me see.", rng, arguments=json.dumps({"note": text}))
        return _note(_calls(_chunks(client)))

    def whole(text: str, rng: random.Random) -> str:
        answers(text, rng)
        return client.chat.completions.create(**ASK, n=2).choices[0].message.content or ""

    def response(text: str, rng: random.Random) -> str:
        answers(text, rng)
        events = client.responses.create(model="m", input="x", stream=True)
        return "".join(e.delta for e in events if e.type == "response.output_text.delta")

    def response_call(text: str, rng: random.Random) -> str:
        answers("Let me see.", rng, arguments=json.dumps({"note": text}))
        events = client.responses.create(model="m", input="x", stream=True)
        kind = "response.function_call_arguments.delta"
        return _note("".join(e.delta for e in events if e.type == kind))

    yield f"{label}, chat streamed, n = 2", chat
    yield f"{label}, arguments of a call streamed", call
    yield f"{label}, chat", whole
    yield f"{label}, responses streamed", response
    yield f"{label}, responses, arguments streamed", response_call


def _async_openai(server: Upstream, rail: Guardrail) -> Drive:
    def drive(text: str, rng: random.Random) -> str:
        server.answers(text, size=rng.choice((3, 7, 40)))

        async def run() -> str:
            plain = AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0)
            async with guarded(plain, rail) as client:
                out = ""
                async for chunk in await client.chat.completions.create(**ASK, stream=True):
                    out += chunk.choices[0].delta.content or ""
                return out

        return asyncio.run(run())

    return drive


def _langchain(rail: Guardrail) -> Iterator[tuple[str, Drive]]:
    def model(text: str) -> Any:
        return GenericFakeChatModel(messages=iter([AIMessage(content=text)] * 2))

    def runnable(text: str, rng: random.Random) -> str:
        return "".join(GuardrailFilter(rail).transform(cut(text, rng)))

    def guarded_model(text: str, rng: random.Random) -> str:
        chunks = GuardedChatModel(inner=model(text), guardrail=rail).stream("?")
        return "".join(str(chunk.content) for chunk in chunks)

    def agent(text: str, rng: random.Random) -> str:
        made: Any = create_agent(model(text), [], middleware=[AgentGuard(rail)])
        ask: Any = {"messages": [{"role": "user", "content": "?"}]}
        pieces = [
            message.content
            for message, _ in made.stream(ask, stream_mode="messages")
            if message.type == "AIMessageChunk"
        ]
        return "".join(pieces)

    yield "LangChain, GuardrailFilter streamed", runnable
    yield "LangChain, GuardedChatModel streamed", guarded_model
    yield "LangChain, middleware of an agent, streamed", agent


def _asgi(rail: Guardrail) -> Iterator[tuple[str, Drive]]:
    said: list[str] = [""]
    dice = random.Random(1)

    async def events(request: Any) -> Any:
        async def body() -> AsyncIterator[str]:
            for chunk in cut(said[0], dice):
                yield f"data: {json.dumps({'token': chunk})}\n\n"

        return StreamingResponse(body(), media_type="text/event-stream")

    async def whole(request: Any) -> Any:
        return JSONResponse({"answer": said[0]})

    async def text(request: Any) -> Any:
        async def body() -> AsyncIterator[bytes]:
            data = said[0].encode()
            for at in range(0, len(data), 5):
                yield data[at : at + 5]

        return StreamingResponse(body(), media_type="text/plain")

    routes = [Route("/events", events), Route("/json", whole), Route("/text", text)]
    app: Any = GuardrailMiddleware(Starlette(routes=routes), rail)

    def get(path: str) -> Callable[[str], httpx.Response]:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return await http.get(path)

        def run(text: str) -> httpx.Response:
            said[0] = text
            return asyncio.run(ask())

        return run

    def told(response: httpx.Response) -> str:
        lines = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
        return "".join(json.loads(line)["token"] for line in lines)

    yield "ASGI, server-sent events", lambda text, rng: told(get("/events")(text))
    yield "ASGI, JSON", lambda text, rng: str(get("/json")(text).json()["answer"])
    yield "ASGI, text, in pieces of bytes", lambda text, rng: get("/text")(text).text


def _transformers(rail: Guardrail) -> Iterator[tuple[str, Drive]]:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from guardrail.integrations.transformers import FilteredStreamer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=made)

    def drive(text: str, rng: random.Random) -> str:
        out: list[str] = []
        streamer = FilteredStreamer(tokenizer, rail.open_stream(), out.append, skip_prompt=False)
        for token in tokenizer.encode(text):
            streamer.put(torch.tensor([token]))
        streamer.end()
        return "".join(out)

    yield "transformers, FilteredStreamer, a byte a token", drive


def _plain(rail: Guardrail) -> Iterator[tuple[str, Drive]]:
    def drive(text: str, rng: random.Random) -> str:
        return "".join(rail.stream(cut(text, rng)))

    def async_drive(text: str, rng: random.Random) -> str:
        async def source() -> AsyncIterator[str]:
            for chunk in cut(text, rng):
                yield chunk

        async def run() -> str:
            return "".join([chunk async for chunk in rail.stream(source())])

        return asyncio.run(run())

    yield "StreamFilter over an iterator", drive
    yield "StreamFilter over an asynchronous iterator", async_drive


def _settings(server: Upstream, folder: Path) -> dict[str, Any]:
    write_key(folder / "index.key", KEY)
    policy = masking().model_dump(mode="json", by_alias=True, exclude_none=True)
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
    return {
        "guard": {
            "policy": str(folder / "policy.yaml"),
            "indexes": str(folder / "index"),
            "key_file": str(folder / "index.key"),
        },
        "upstreams": {"plain": {"url": server.url, "api_key": "k"}},
        "outputs": {"max_n": 2},
    }


def measure(folder: Path, corpus: list[str], clean: list[str], total: int) -> list[Row]:
    """A row for each integration, as `stream_leaks.measure` has them."""
    field = Field.of(folder, corpus, clean)
    rail = field.rails["default"]
    with ExitStack() as stack:
        server = stack.enter_context(upstream())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        proxy = stack.enter_context(running(home, _settings(server, folder), KEY))
        plain = OpenAI(base_url=server.url, api_key="k", max_retries=0)
        secret = proxy.key(Scope.PROXY)
        through = OpenAI(base_url=f"{proxy.url}/v1", api_key=secret, max_retries=0)
        ways = [
            *_plain(rail),
            *_openai(server, guarded(plain, rail), "OpenAI's client"),
            ("OpenAI's asynchronous client, chat streamed", _async_openai(server, rail)),
            *_langchain(rail),
            *_asgi(rail),
            *_transformers(rail),
            *_openai(server, through, "proxy"),
        ]
        return [_row(name, drive, field, max(6, total // len(ways))) for name, drive in ways]


def _row(name: str, drive: Drive, field: Field, count: int) -> Row:
    rng = random.Random(name)
    row: Row = {"name": name, "found": 0, "chunkings": 0, "unlike": 0, "leaked": 0, "leaking": 0}
    while row["found"] < count:
        _, maker = kinds()[SPANS[row["found"] % len(SPANS)]]
        planting: Planting = field.planted(maker(field, rng), rng)
        want = expected(field.rails["default"], planting[0])
        if want is None or len(want) != len(planting[0]):
            continue
        out = drive(planting[0], rng)
        lost = leaked(planting, want, out)
        row["found"] += 1
        row["chunkings"] += 1
        row["unlike"] += out != want
        row["leaked"] += lost
        row["leaking"] += lost > 0
    return row
