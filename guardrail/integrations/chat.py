"""The bodies and events of OpenAI's chat completions and responses, filtered as plain JSON.

Every string that a model may have written is filtered: all in a choice's message or delta and in
the output of a response, but for names and ids. Log-probabilities are taken out: they tell about
text that was replaced. What is refused ends as the format has it: `content_filter`, and the refusal
in the place for refusals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from guardrail.assembly import Guardrail
from guardrail.findings import Action, Verdict
from guardrail.stream import StreamFilter

Json = dict[str, Any]
# Values that no model writes freely.
NOT_TEXT = frozenset(
    ("id", "type", "role", "name", "index", "status", "model", "object", "call_id", "item_id")
)


class Refused(Exception):
    """A part of an answer that is refused as a whole. It carries no text."""


class BodyFilter:
    """Filters whole bodies of answers to one request."""

    def __init__(
        self, guardrail: Guardrail, request: Json | None = None, *, refusal_as_content: bool = False
    ) -> None:
        """`request`: the body of the request, from which the prompt is taken.
        `refusal_as_content`: refusals stand where the answer would, for clients that show nothing
        else."""
        self.guardrail = guardrail
        self.refusal_as_content = refusal_as_content
        request = request or {}
        told = [*_strings(request.get("messages")), *_strings(request.get("input"))]
        told += [*_strings(request.get("instructions")), *_strings(request.get("prompt"))]
        model = request.get("model")
        self.options: dict[str, Any] = {
            "prompt": "\n".join(told) or None,
            "model": model if isinstance(model, str) else None,
        }

    @property
    def refusal(self) -> str:
        return self.guardrail.policy.refusal

    def open_stream(self, *, announce: bool = False) -> StreamFilter:
        """A filter for one text that is streamed."""
        return self.guardrail.open_stream(announce=announce, **self.options)

    def body(self, body: Json) -> Json:
        """A chat completion, legacy completion or response, filtered."""
        if isinstance(body.get("output"), list):
            return self.response(body)
        choices = body.get("choices")
        if not isinstance(choices, list):
            raise Refused
        return {**body, "choices": [self._choice(choice) for choice in choices]}

    def response(self, body: Json) -> Json:
        """The body of a response, filtered: `output` is what the model wrote."""
        try:
            return {**body, "output": [self.values(item) for item in body.get("output") or []]}
        except Refused:
            return self.refused_response(body)

    def refused_response(self, body: Json) -> Json:
        """The body of a response that is refused."""
        kind, key = ("output_text", "text") if self.refusal_as_content else ("refusal", "refusal")
        part: Json = {"type": kind, key: self.refusal}
        if self.refusal_as_content:
            part["annotations"] = []
        item = {
            "id": f"msg_{body.get('id', '')}",
            "type": "message",
            "role": "assistant",
            "status": "incomplete",
            "content": [part],
        }
        return {
            **body,
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "output": [item],
        }

    def _choice(self, choice: Json) -> Json:
        logprobs = _logprobs(choice.get("logprobs"))
        kept = {key: value for key, value in choice.items() if key not in ("message", "text")}
        if "logprobs" in kept:
            kept["logprobs"] = None
        try:
            if "text" in choice:
                kept["text"] = self.values(choice["text"], logprobs)
            if "message" in choice:
                kept["message"] = self.values(choice["message"], logprobs)
        except Refused:
            kept["finish_reason"] = "content_filter"
            if "text" in choice:
                kept["text"] = self.refusal
            if "message" in choice:
                kept["message"] = self.refused_message()
        return kept

    def refused_message(self) -> Json:
        if self.refusal_as_content:
            return {"role": "assistant", "content": self.refusal, "refusal": None}
        return {"role": "assistant", "content": None, "refusal": self.refusal}

    def values(self, value: Any, logprobs: list[float] | None = None) -> Any:
        """A JSON value with every string in it filtered. Raises Refused."""
        if isinstance(value, str):
            verdict: Verdict = self.guardrail.check(value, logprobs=logprobs, **self.options)
            if verdict.action is Action.REFUSE:
                raise Refused
            return verdict.text
        if isinstance(value, list):
            return [self.values(item, logprobs) for item in value]
        if isinstance(value, dict):
            return {
                key: item
                if key in NOT_TEXT
                else ([] if isinstance(item, list) else None)
                if key in ("logprobs", "top_logprobs")
                else self.values(item, logprobs)
                for key, item in value.items()
            }
        return value


def _strings(value: Any) -> Iterator[str]:
    """The texts of a request's messages."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        yield from _strings(value.get("content"))
        yield from _strings(value.get("text"))


def _logprobs(given: Any) -> list[float] | None:
    """The log-probabilities of the content's tokens as a choice carries them."""
    content = given.get("content") if isinstance(given, dict) else None
    if not isinstance(content, list):
        return None
    values = [token.get("logprob") for token in content if isinstance(token, dict)]
    found = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    return found if len(found) == len(content) else None


class Channels:
    """Filters the pieces of one message: each string in it, by its place, is a stream."""

    def __init__(self, bodies: BodyFilter) -> None:
        self._bodies = bodies
        self._streams: dict[tuple[Any, ...], StreamFilter] = {}

    @property
    def refused(self) -> bool:
        """Whether one of the streams was refused, and so the message."""
        return any(stream.refused for stream in self._streams.values())

    def feed(self, delta: Any, path: tuple[Any, ...] = ()) -> None:
        """Filter the strings of a piece in place; items of lists are told apart by `index`."""
        for key, item in list(delta.items() if isinstance(delta, dict) else enumerate(delta)):
            if key in NOT_TEXT:
                continue
            if isinstance(item, dict) and isinstance(delta, list):
                self.feed(item, (*path, item.get("index", key)))
            elif isinstance(item, (dict, list)):
                self.feed(item, (*path, key))
            elif isinstance(item, str):
                place = (*path, key)
                if place not in self._streams:
                    self._streams[place] = self._bodies.open_stream()
                delta[key] = self._streams[place].feed(item)

    def flush(self, delta: Json) -> None:
        """Add what waits to the last piece."""
        for place, stream in self._streams.items():
            if rest := stream.flush():
                _append(delta, place, rest)


class ChatStream:
    """Filters the chunks of one streamed chat completion (or legacy completion)."""

    def __init__(self, bodies: BodyFilter) -> None:
        self._bodies = bodies
        self._channels: dict[int, Channels | None] = {}  # None: the choice has ended
        self._last: Json = {}

    @property
    def is_over(self) -> bool:
        """Whether every choice that was seen has ended."""
        return bool(self._channels) and not any(self._channels.values())

    def feed(self, chunk: Json) -> Iterator[Json]:
        """The chunks to send in the place of one."""
        self._last = {**chunk, "choices": [], "usage": None}
        choices = [self._choice(choice) for choice in chunk.get("choices") or []]
        kept = [choice for choice in choices if choice is not None]
        if kept or not chunk.get("choices") or chunk.get("usage"):
            yield {**chunk, "choices": kept}

    def flush(self) -> Iterator[Json]:
        """What an upstream that ended without a finish reason left."""
        waiting = [index for index, channels in self._channels.items() if channels is not None]
        ended = [{"index": index, "delta": {}, "finish_reason": "stop"} for index in waiting]
        choices = [choice for choice in map(self._choice, ended) if choice is not None]
        if choices:
            yield {**self._last, "choices": choices}

    def _choice(self, choice: Json) -> Json | None:
        index = choice.get("index", 0)
        channels = self._channels.setdefault(index, Channels(self._bodies))
        if channels is None:
            return None
        key = "text" if "text" in choice else "delta"
        delta = {"text": choice["text"]} if key == "text" else dict(choice.get("delta") or {})
        finish = choice.get("finish_reason")
        channels.feed(delta)
        if finish:
            channels.flush(delta)
        if channels.refused:
            finish = "content_filter"
            channels.flush(delta)
            place = "content" if self._bodies.refusal_as_content else "refusal"
            place = "text" if key == "text" else place
            delta[place] = (delta.get(place) or "") + self._bodies.refusal
        if finish:
            self._channels[index] = None
        kept = {**choice, key: delta.get("text", "") if key == "text" else delta}
        kept["finish_reason"] = finish
        if "logprobs" in kept:
            kept["logprobs"] = None
        return kept if finish or _says(delta) else None


def _append(delta: Json, path: tuple[Any, ...], text: str) -> None:
    """Add text to the string at a path of keys and, in lists, of the items' `index`."""
    value: Any = delta
    for key, after in pairwise(path):
        if isinstance(value, list):
            found = next((item for item in value if item.get("index") == key), None)
            if found is None:
                found = {"index": key}
                value.append(found)
            value = found
        else:
            empty: Any = [] if isinstance(after, int) else {}
            value[key] = value = value.get(key) or empty
    value[path[-1]] = (value.get(path[-1]) or "") + text


def _says(delta: Any) -> bool:
    """Whether a delta says anything: a role, the start of a call, text that is not empty."""
    if isinstance(delta, dict):
        return any(_says(item) for key, item in delta.items() if key != "index")
    if isinstance(delta, list):
        return any(map(_says, delta))
    return delta not in ("", None)


class ResponseStream:
    """Filters the events of one streamed response."""

    def __init__(self, bodies: BodyFilter) -> None:
        self._bodies = bodies
        self._channels: dict[tuple[Any, ...], tuple[StreamFilter, Json]] = {}
        self._template: Json = {}
        self._number = 0
        self.is_over = False

    def feed(self, event: Json) -> Iterator[Json]:
        """The events to send in the place of one."""
        if self.is_over:
            return
        for made in self._events(event):
            if "sequence_number" in event:
                made = {**made, "sequence_number": self._number}
                self._number += 1
            yield made

    def flush(self) -> Iterator[Json]:
        """A response that ends without saying so has nothing more to say: what waits is dropped."""
        return iter(())

    def _events(self, event: Json) -> Iterator[Json]:
        kind = str(event.get("type", ""))
        if isinstance(event.get("response"), dict):
            self._template = event["response"]
            response = self._bodies.response(event["response"])
            if response.get("status") == "incomplete" != event["response"].get("status"):
                yield from self._refuse()
            else:
                yield {**event, "response": response}
                self.is_over = kind in ("response.completed", "response.incomplete")
        elif isinstance(event.get("delta"), str):
            place = _place(event, kind.removesuffix(".delta"))
            if place not in self._channels:
                stream = self._bodies.open_stream()
                self._channels[place] = stream, event
            stream, _ = self._channels[place]
            out = stream.feed(event["delta"])
            if out:
                yield _delta(event, out)
            if stream.refused:
                yield from self._refuse()
        else:
            waiting = self._channels.pop(_place(event, kind.removesuffix(".done")), None)
            if waiting is not None:
                stream, first = waiting
                if out := stream.flush():
                    yield _delta(first, out)
                if stream.refused:
                    yield from self._refuse()
                    return
            try:
                yield self._bodies.values(event)
            except Refused:
                yield from self._refuse()

    def _refuse(self) -> Iterator[Json]:
        self.is_over = True
        response = self._bodies.refused_response(self._template)
        item = response["output"][0]
        base = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        refusal = self._bodies.refusal
        if self._bodies.refusal_as_content:
            yield {"type": "response.output_text.delta", "delta": refusal, "logprobs": [], **base}
        else:
            yield {"type": "response.refusal.delta", "delta": refusal, **base}
            yield {"type": "response.refusal.done", "refusal": refusal, **base}
        yield {"type": "response.incomplete", "response": response}


def _place(event: Json, kind: str) -> tuple[Any, ...]:
    keys = ("item_id", "output_index", "content_index", "summary_index")
    return (kind, *(event.get(key) for key in keys))


def _delta(event: Json, text: str) -> Json:
    made = {**event, "delta": text}
    if "logprobs" in made:
        made["logprobs"] = []
    return made
