"""The bodies of OpenAI's chat completions and responses, filtered as plain JSON.

Every string that a model may have written is filtered: all in a choice's message or delta and in
the output of a response, and what servers add to them, but for ids and names of tools that the
request declared. Log-probabilities and token ids are taken out: they tell about text that was
replaced. What is refused ends as the format has it: `content_filter`, and the refusal in the place
for refusals.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import Any

from guardrail.assembly import Guardrail
from guardrail.detector import Entitlements
from guardrail.findings import Action, Failure, Finding, Verdict
from guardrail.stream import StreamFilter

Json = dict[str, Any]
# Values that no model writes.
NOT_TEXT = frozenset(
    (
        *("id", "type", "role", "index", "status", "model", "object", "call_id", "item_id"),
        *("finish_reason", "system_fingerprint", "service_tier", "obfuscation"),
    )
)
# What tells the tokens of an answer besides its text.
TOKENS = frozenset(("logprobs", "top_logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"))


class Refused(Exception):
    """A part of an answer that is refused as a whole. It carries no text."""


class BodyFilter:
    """Filters the answer to one request: as a whole, or with the streams of `events`."""

    def __init__(
        self,
        guardrail: Guardrail,
        request: Json | None = None,
        *,
        identity: str | None = None,
        entitlements: Entitlements | Iterable[str] = (),
        refusal_as_content: bool = False,
    ) -> None:
        """`request`: the body of the request, from which the prompt, the model and the names of
        tools are taken. `identity`, `entitlements`: see `Context`. `refusal_as_content`: refusals
        stand where the answer would, for clients that show nothing else."""
        self.guardrail = guardrail
        self.refusal_as_content = refusal_as_content
        self._request = request = request or {}
        model = request.get("model")
        self.options: dict[str, Any] = {
            "prompt": prompt_of(request),
            "identity": identity,
            "entitlements": entitlements,
            "model": model if isinstance(model, str) else None,
        }
        self._names = frozenset(_tool_names(request))
        # The value of `time.monotonic()` past which checks of whole texts give up.
        self.deadline: float | None = None
        # What the server says of the tokens used.
        self.usage: Json = {}
        self._checked: dict[str, Verdict] = {}
        self._streams: list[StreamFilter] = []

    @property
    def refusal(self) -> str:
        return self.guardrail.policy.refusal

    @property
    def action(self) -> Action:
        """The strongest action so far."""
        actions = [stream.verdict.action for stream in self._streams]
        return max([*actions, *(v.action for v in self._checked.values())], default=Action.ALLOW)

    @property
    def chars(self) -> int:
        """How many code points were judged so far. What a stream repeats as a whole counts once."""
        streamed = sum(stream.fed for stream in self._streams)
        return streamed or sum(map(len, self._checked))

    @property
    def verdict(self) -> Verdict:
        """What was judged so far, as one verdict without text. Positions are those in the field of
        the answer where each finding was made; the same in a text that is repeated counts once."""
        verdicts = [*self._checked.values(), *(stream.verdict for stream in self._streams)]
        findings: dict[Finding, None] = {}
        failures: dict[Failure, None] = {}
        coverage: dict[str, float] = {}
        for verdict in verdicts:
            findings.update(dict.fromkeys(verdict.findings))
            failures.update(dict.fromkeys(verdict.failures))
            for name, share in verdict.coverage.items():
                coverage[name] = min(share, coverage.get(name, 1.0))
        return Verdict(self.action, "", tuple(findings), tuple(failures), coverage)

    def open_stream(self, *, announce: bool = False) -> StreamFilter:
        """A filter for one text that is streamed."""
        stream = self.guardrail.open_stream(announce=announce, **self.options)
        self._streams.append(stream)
        return stream

    def body(self, body: Json) -> Json:
        """A chat completion, legacy completion or response, filtered. Raises Refused where it is
        none of these."""
        if isinstance(body.get("output"), list):
            return self.response(body)
        choices = body.get("choices")
        if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
            raise Refused
        return {**self.envelope(body, "choices"), "choices": [*map(self._choice, choices)]}

    def response(self, body: Json) -> Json:
        """The body of a response, filtered: `output` is what the model wrote."""
        try:
            output = self.values(body.get("output") or [])
        except Refused:
            return self.refused_response(body)
        return {**self.envelope(body, "output"), "output": output}

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
            **self.envelope(body, "output"),
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "output": [item],
        }

    def envelope(self, body: Json, *besides: str) -> Json:
        """What stands around the answer in a body, without the fields `besides`: what the request
        said is repeated, the rest filtered."""
        made: Json = {}
        if isinstance(body.get("usage"), dict):
            self.usage = body["usage"]
        for key, value in body.items():
            if key in besides:
                continue
            if key in self._request and value == self._request[key] and key not in TOKENS:
                made[key] = value
                continue
            try:
                made |= self.values({key: value})
            except Refused:
                made[key] = None
        return made

    def _choice(self, choice: Json) -> Json:
        try:
            made: Json = self.values(choice, _logprobs(choice.get("logprobs")))
        except Refused:
            made = {"index": choice.get("index", 0), "finish_reason": "content_filter"}
            if "logprobs" in choice:
                made["logprobs"] = None
            if "text" in choice:
                made["text"] = self.refusal
            if "message" in choice:
                made["message"] = self.refused_message()
        return made

    def refused_message(self) -> Json:
        if self.refusal_as_content:
            return {"role": "assistant", "content": self.refusal, "refusal": None}
        return {"role": "assistant", "content": None, "refusal": self.refusal}

    def values(self, value: Any, logprobs: list[float] | None = None) -> Any:
        """A JSON value with every string in it filtered. `logprobs` are those of the content.
        Raises Refused."""
        if isinstance(value, str):
            return self._text(value, logprobs)
        if isinstance(value, list):
            return [self.values(item) for item in value]
        if isinstance(value, dict):
            return {key: self._field(key, item, logprobs) for key, item in value.items()}
        return value

    def _field(self, key: str, value: Any, logprobs: list[float] | None) -> Any:
        if self.is_given(key, value):
            return value
        if key in TOKENS:
            return [] if isinstance(value, list) else None
        if key == "audio" and value is not None:
            raise Refused  # what is spoken cannot be judged
        return self.values(value, logprobs if key in ("message", "content", "text") else None)

    def is_given(self, key: str, value: Any) -> bool:
        """Whether the value of a key is not the model's to choose."""
        if isinstance(value, (dict, list)):
            return False
        return key in NOT_TEXT or (key == "name" and value in self._names)

    def _text(self, text: str, logprobs: list[float] | None) -> str:
        verdict = self._checked.get(text)
        if verdict is None:
            timeout = None if self.deadline is None else self.deadline - time.monotonic()
            verdict = self.guardrail.check(
                text,
                logprobs=logprobs,
                timeout=timeout if timeout is None else max(0.0, timeout),
                **self.options,
            )
            self._checked[text] = verdict
        if verdict.action is Action.REFUSE:
            raise Refused
        return verdict.text


def prompt_of(request: Json) -> tuple[str, ...]:
    """The texts that the user supplied in a request, oldest first: not the assistant's turns, nor
    instructions, nor what tools returned, which may hold what must not leave."""
    texts = [
        text
        for key in ("messages", "input")
        if isinstance(request.get(key), list)
        for message in request[key]
        if isinstance(message, dict) and message.get("role") == "user"
        for text in _strings(message.get("content"))
    ]
    for key in ("input", "prompt"):  # of a response, of a legacy completion
        value = request.get(key)
        texts += [part for part in [value] if isinstance(part, str)]
    if isinstance(request.get("prompt"), list):
        texts += [part for part in request["prompt"] if isinstance(part, str)]
    return tuple(texts)


def _strings(content: Any) -> Iterator[str]:
    """The texts of a message's content: a string, or parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _tool_names(request: Json) -> Iterator[str]:
    """The names of the tools that a request declares."""
    for key in ("tools", "functions"):
        tools = request.get(key)
        for tool in tools if isinstance(tools, list) else ():
            inner = (tool, *tool.values()) if isinstance(tool, dict) else ()
            for said in inner:
                if isinstance(said, dict) and isinstance(said.get("name"), str):
                    yield said["name"]


def _logprobs(given: Any) -> list[float] | None:
    """The log-probabilities of the content's tokens as a choice carries them."""
    content = given.get("content") if isinstance(given, dict) else None
    if not isinstance(content, list):
        return None
    values = [token.get("logprob") for token in content if isinstance(token, dict)]
    found = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    return found if len(found) == len(content) else None
