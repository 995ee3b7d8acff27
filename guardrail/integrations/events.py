"""The events of OpenAI's chat completions and responses, filtered as plain JSON.

Every string in a message or delta, by its place, is a stream of its own; what stands around is
filtered as in whole bodies. A refused answer ends as its format has it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from guardrail.integrations.bodies import TOKENS, BodyFilter, Json, Refused
from guardrail.stream import StreamFilter


class Channels:
    """Filters the pieces of one message: each string in it, by its place, is a stream."""

    def __init__(self, bodies: BodyFilter) -> None:
        self._bodies = bodies
        self._streams: dict[tuple[Any, ...], StreamFilter] = {}
        self._refused = False

    @property
    def refused(self) -> bool:
        """Whether one of the streams was refused, and so the message."""
        return self._refused or any(stream.refused for stream in self._streams.values())

    def other(self, values: Json) -> Json:
        """What stands beside the message, filtered as a whole: it does not come in pieces."""
        try:
            made: Json = self._bodies.values(values)
        except Refused:
            self._refused = True
            return {}
        return made

    def feed(self, delta: Any, path: tuple[Any, ...] = ()) -> None:
        """Filter the strings of a piece in place; items of lists are told apart by `index`."""
        for key, item in list(delta.items() if isinstance(delta, dict) else enumerate(delta)):
            if isinstance(key, str) and self._bodies.is_given(key, item):
                continue
            if key in TOKENS:
                delta[key] = None
            elif key == "audio" and item is not None:
                self._refused = True  # what is spoken cannot be judged
                delta[key] = None
            elif isinstance(item, dict) and isinstance(delta, list):
                self.feed(item, (*path, item.get("index", key)))
            elif isinstance(item, (dict, list)):
                self.feed(item, (*path, key))
            elif isinstance(item, str):
                place = (*path, key)
                if place not in self._streams:
                    self._streams[place] = self._bodies.open_stream()
                delta[key] = self._streams[place].feed(item)

    def flush(self, delta: Json) -> None:
        """Add what waits to the last piece; of a message that is refused, only what ends the text
        in which it was."""
        rests = [(place, stream, stream.flush()) for place, stream in self._streams.items()]
        for place, stream, rest in rests:
            if rest and (stream.refused or not self.refused):
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
        around = self._bodies.envelope(chunk, "choices")
        self._last = {**around, "choices": [], "usage": None}
        given = [one for one in chunk.get("choices") or () if isinstance(one, dict)]
        kept = [choice for choice in map(self._choice, given) if choice is not None]
        if kept or not given or chunk.get("usage"):
            yield {**around, "choices": kept}

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
        # `message` is not of this format, but some servers end a stream with one.
        said = {key: copy.deepcopy(choice[key]) for key in _SAID if choice.get(key) is not None}
        if "text" not in said:
            said.setdefault("delta", {})
        channels.feed(said)
        other = channels.other({key: choice[key] for key in choice if key not in _SAID})
        finish = choice.get("finish_reason")
        if finish and not channels.refused:
            channels.flush(said)
        if channels.refused:
            finish = "content_filter"
            place = "content" if self._bodies.refusal_as_content else "refusal"
            _append(said, ("delta", place) if "delta" in said else ("text",), self._bodies.refusal)
        if finish:
            self._channels[index] = None
        kept = {**other, **said, "index": index, "finish_reason": finish}
        if "logprobs" in choice:
            kept["logprobs"] = None
        return kept if finish or _says(said) else None


_SAID = ("delta", "text", "message")


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
        self.number = 0
        self.is_over = False

    def feed(self, event: Json) -> Iterator[Json]:
        """The events to send in the place of one."""
        if self.is_over:
            return
        for made in self._events(event):
            if "sequence_number" in event:
                made = {**made, "sequence_number": self.number}
                self.number += 1
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
                yield {**self._bodies.envelope(event, "response"), "response": response}
                self.is_over = kind in LAST_EVENTS
        elif kind.endswith(".delta"):
            yield from self._delta(event, kind.removesuffix(".delta"))
        else:
            waiting = self._channels.pop(_place(event, kind.removesuffix(".done")), None)
            if waiting is not None:
                stream, first = waiting
                if out := stream.flush():
                    yield {**first, "delta": out}
                if stream.refused:
                    yield from self._refuse()
                    return
            try:
                yield self._bodies.values(event)
            except Refused:
                yield from self._refuse()

    def _delta(self, event: Json, kind: str) -> Iterator[Json]:
        if not isinstance(event.get("delta"), str) or "audio" in kind.split("."):
            yield from self._refuse()  # not text, so that it cannot be judged
            return
        around = self._bodies.envelope(event, "delta")
        place = _place(event, kind)
        if place not in self._channels:
            self._channels[place] = self._bodies.open_stream(), around
        stream, _ = self._channels[place]
        if out := stream.feed(event["delta"]):
            yield {**around, "delta": out}
        if stream.refused:
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


# What a streamed response ends with.
LAST_EVENTS = frozenset(("response.completed", "response.incomplete", "response.failed"))


def _place(event: Json, kind: str) -> tuple[Any, ...]:
    keys = ("item_id", "output_index", "content_index", "summary_index")
    return (kind, *(event.get(key) for key in keys))
