"""Events that arrive together are filtered as one piece of text, where they say one text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guardrail import Guardrail
from guardrail.integrations.bodies import BodyFilter
from guardrail.integrations.sse import EventFilter
from guardrail.stream import StreamFilter

HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(said: str | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": said}, "finish_reason": finish}
    return f"data: {json.dumps({**HEAD, 'choices': [choice], **more})}\n\n".encode()


def filtered(data: bytes) -> list[Any]:
    rail = Guardrail.from_policy()
    stream = EventFilter(BodyFilter(rail))
    sent = (stream.feed(data) + stream.flush()).decode()
    return [json.loads(event[6:]) for event in sent.split("\n\n") if "{" in event]


def text(events: list[Any], index: int = 0) -> str:
    said = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in said)


def test_pieces_of_one_text_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[str] = []
    feed = StreamFilter.feed

    def noted(self: StreamFilter, text: str) -> str:
        fed.append(text)
        return feed(self, text)

    monkeypatch.setattr(StreamFilter, "feed", noted)
    said = ["One. ", "Two. ", "Three. "]
    pads: list[Any] = [{"obfuscation": "x" * size} for size in range(3)]
    events = filtered(b"".join(chunk(s, **pad) for s, pad in zip(said, pads, strict=True)))
    assert text(events) == "One. Two. Three. "
    assert fed == ["One. Two. Three. "]
    events = filtered(b"".join(chunk(s, created=n) for n, s in enumerate(said)))
    assert text(events) == "One. Two. Three. "
    assert fed[1:] == said


@pytest.mark.parametrize(
    "second",
    [
        chunk("b. ", index=1),
        chunk("b. ", "stop"),
        chunk("b. ", created=2),
        chunk("b. ", usage={"total_tokens": 1}),
        chunk(None),
        b'data: {"choices": []}\n\n',
        b'data: {"choices": [{"delta": {"content": "b", "role": "assistant"}, "index": 0}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "b", "tool_calls": [{"index": 0}]}}]}\n\n',
        b'data: {"choices": "none"}\n\n',
        b"data: 7\n\n",
        b"data: [DONE]\n\n",
    ],
)
def test_what_is_something_else_stays_apart(second: bytes) -> None:
    """Each event is as if it had come alone."""
    rail = Guardrail.from_policy()
    together, apart = EventFilter(BodyFilter(rail)), EventFilter(BodyFilter(rail))
    first = chunk("a. ")
    assert together.feed(first + second) + together.flush() == (
        apart.feed(first) + apart.feed(second) + apart.flush()
    )
