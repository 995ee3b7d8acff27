"""One secret streamed through other guardrails, each with a rule that matches it.

    PEER_PYTHON scripts/stream_peers.py litellm | guardrails-ai | nemoguardrails  <cases.json

Runs in an environment of the peer's own and needs nothing of this project. Reads JSON from standard
input: `secret`, `pattern` (a regular expression that matches it) and `streams`, lists of chunks.
Writes JSON: for each way to set the peer up, what its user received of each stream.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from typing import Any

Way = Callable[[list[str]], str]


def collected(chunks: AsyncIterator[Any]) -> str:
    """What a user has of a stream by its end, however it ends."""
    out: list[str] = []

    async def read() -> None:
        async for chunk in chunks:
            if isinstance(chunk, str) and not chunk.startswith('{"error"'):
                out.append(chunk)

    try:
        asyncio.run(read())
    except Exception as error:
        if not type(error).__module__.startswith(("fastapi", "litellm", "guardrails")):
            raise
    return "".join(out)


async def over(chunks: list[str]) -> AsyncIterator[str]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


# --- LiteLLM --------------------------------------------------------------------------------------


def litellm(pattern: str) -> Iterator[tuple[str, Way]]:
    """Its content filter as the proxy runs it after a call: with its own buffer, which masks, and
    through the hook that all guardrails of the proxy share, which blocks."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter.content_filter import (
        ContentFilterGuardrail,
    )
    from litellm.proxy.guardrails.guardrail_hooks.unified_guardrail.unified_guardrail import (
        UnifiedLLMGuardrails,
    )
    from litellm.types.guardrails import ContentFilterPattern, GuardrailEventHooks
    from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

    def guard(action: str) -> Any:
        rule = ContentFilterPattern(
            pattern_type="regex", pattern=pattern, name="key", action=action
        )
        return ContentFilterGuardrail(
            guardrail_name="keys",
            patterns=[rule],
            event_hook=GuardrailEventHooks.post_call,
            default_on=True,
        )

    async def answer(chunks: list[str]) -> AsyncIterator[Any]:
        for number, chunk in enumerate([*chunks, None]):
            delta = Delta(content=chunk, role="assistant" if number == 0 else None)
            finish = "stop" if chunk is None else None
            choice = StreamingChoices(index=0, delta=delta, finish_reason=finish)
            yield ModelResponseStream(id="c", model="gpt-4o", choices=[choice])

    async def texts(made: AsyncIterator[Any]) -> AsyncIterator[str]:
        async for item in made:
            for choice in getattr(item, "choices", ()):
                if choice.delta.content:
                    yield choice.delta.content

    def own(action: str) -> Way:
        def way(chunks: list[str]) -> str:
            made = guard(action).async_post_call_streaming_iterator_hook(
                UserAPIKeyAuth(api_key="k"), answer(chunks), {"model": "gpt-4o"}
            )
            return collected(texts(made))

        return way

    def shared(chunks: list[str]) -> str:
        request = {"model": "gpt-4o", "guardrail_to_apply": guard("BLOCK")}
        user = UserAPIKeyAuth(api_key="k", request_route="/chat/completions")
        made = UnifiedLLMGuardrails().async_post_call_streaming_iterator_hook(
            user, answer(chunks), request
        )
        return collected(texts(made))

    yield "content filter, masks in its buffer of 50 characters", own("MASK")
    yield "content filter, blocks in its buffer of 50 characters", own("BLOCK")
    yield "the hook that guardrails of the proxy share, default", shared


# --- Guardrails AI --------------------------------------------------------------------------------


def guardrails_ai(pattern: str) -> Iterator[tuple[str, Way]]:
    """A validator of a regular expression as its hub has it, streamed by the guard."""
    import re

    import guardrails
    from guardrails.validators import FailResult, PassResult, Validator, register_validator

    @register_validator(name="bench/no-key", data_type="string")
    class NoKey(Validator):  # type: ignore[misc]
        def validate(self, value: Any, metadata: Any) -> Any:
            if not re.search(pattern, value):
                return PassResult()
            return FailResult(error_message="key", fix_value=re.sub(pattern, "<key>", value))

    class ByToken(NoKey):
        """Chunked as the model chunks, as validators may choose."""

        def _chunking_function(self, chunk: str) -> list[str]:
            return [chunk, ""]

    def way(validator: type[NoKey], action: str) -> Way:
        def run(chunks: list[str]) -> str:
            guard = guardrails.Guard().use(validator(on_fail=action))

            def model(*args: Any, **options: Any) -> Iterator[str]:
                yield from chunks

            out: list[str] = []
            try:
                for made in guard(model, messages=[{"role": "user", "content": "?"}], stream=True):
                    out.append(str(made.validated_output or ""))
            except Exception as error:
                if not type(error).__module__.startswith("guardrails"):
                    raise
            return "".join(out)

        return run

    yield "by sentences (default), fix", way(NoKey, "fix")
    yield "by sentences (default), exception", way(NoKey, "exception")
    yield "by sentences (default), noop", way(NoKey, "noop")
    yield "by chunks of the model, fix", way(ByToken, "fix")


# --- NeMo Guardrails ------------------------------------------------------------------------------


def nemoguardrails(pattern: str) -> Iterator[tuple[str, Way]]:
    """Its rail of regular expressions over the output, streamed."""
    from nemoguardrails import LLMRails, RailsConfig

    def way(**streaming: Any) -> Way:
        settings = {
            "models": [],
            "rails": {
                "config": {"regex_detection": {"output": {"patterns": [pattern]}}},
                "output": {
                    "flows": ["regex check output"],
                    "streaming": {"enabled": True, **streaming},
                },
            },
        }
        rails = LLMRails(RailsConfig.from_content(yaml_content=json.dumps(settings)))
        return lambda chunks: collected(rails.stream_async(generator=over(chunks)))

    yield "default (text first, judged later)", way()
    yield "judged first, chunks of 200, context of 50", way(stream_first=False)
    yield (
        "judged first, chunks of 20, context of 5",
        way(stream_first=False, chunk_size=20, context_size=5),
    )


PEERS = {"litellm": litellm, "guardrails-ai": guardrails_ai, "nemoguardrails": nemoguardrails}


def main() -> None:
    logging.disable(logging.CRITICAL)
    name = sys.argv[1]
    asked = json.load(sys.stdin)
    told = os.dup(1)
    os.dup2(2, 1)  # what a peer prints is no answer
    found = {
        way: [run(list(chunks)) for chunks in asked["streams"]]
        for way, run in PEERS[name](asked["pattern"])
    }
    with os.fdopen(told, "w") as out:
        json.dump({"version": version(name), "ways": found}, out)


if __name__ == "__main__":
    main()
