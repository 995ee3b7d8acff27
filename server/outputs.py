"""What a request may ask of a model: whatever tells more than the text of one answer is capped,
taken out, or refused as the settings say."""

from __future__ import annotations

import base64
from typing import Any

from guardrail.server.errors import InvalidRequestError
from guardrail.server.settings import Outputs

Json = dict[str, Any]

# Ways to ask for the probabilities of tokens, or for their ids.
_LOGPROBS = ("logprobs", "top_logprobs", "prompt_logprobs")
_TOKEN_IDS = ("return_token_ids", "return_tokens_as_token_ids")
_INCLUDED = "message.output_text.logprobs"
# Names of what a model server keeps: conversations, files, collections of them.
_KEPT = ("previous_response_id", "conversation")
_KEPT_ANYWHERE = frozenset(("file_id", "file_ids", "vector_store_ids", "container"))
# What is spoken or drawn cannot be judged.
_UNJUDGED_TOOLS = frozenset(("image_generation",))


def limited(body: Json, outputs: Outputs) -> Json:
    """The request to send in the place of one. Raises InvalidRequestError where it asks for what
    is refused."""
    made = {key: value for key, value in body.items() if key not in _TOKEN_IDS}
    for name in ("n", "best_of"):
        asked = body.get(name)
        if asked is None:
            continue
        if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
            raise InvalidRequestError(f"{name} has to be a whole number from 1 on")
        if asked > outputs.max_n:
            raise _refused(f"{name}: up to {outputs.max_n} answers to one request")
    if body.get("logit_bias") and not outputs.logit_bias:
        raise _refused("logit_bias")
    if body.get("echo") and not outputs.echo:
        raise _refused("echo")
    if outputs.logprobs == "refuse" and _asks_logprobs(body):
        raise _refused("log-probabilities")
    if not outputs.stored and _names_kept(body):
        raise _refused("what the model server keeps: it has all callers' under one key")
    if body.get("background"):
        raise _refused("background: answers have to pass through here")
    if any(kind != "text" for kind in _items(body.get("modalities"))):
        raise _refused("modalities: what is not text cannot be judged")
    for tool in _items(body.get("tools")):
        if isinstance(tool, dict) and tool.get("type") in _UNJUDGED_TOOLS:
            raise _refused("image_generation: what is not text cannot be judged")
    return made


def models_of(body: Json) -> set[str]:
    """The names of all models that may answer a request: some servers take others to fall back
    on."""
    named = [body.get("model"), *_items(body.get("models")), *_items(body.get("fallbacks"))]
    names = [one.get("model") if isinstance(one, dict) else one for one in named]
    return {name for name in names if isinstance(name, str)}


def vectors(body: Json) -> Json:
    """An answer with embeddings, and nothing in it but those. Raises TypeError where it is none."""
    made = [
        {"object": "embedding", "index": int(one["index"]), "embedding": _numbers(one["embedding"])}
        for one in body["data"]
    ]
    usage = {key: value for key, value in body.get("usage", {}).items() if isinstance(value, int)}
    return {"object": "list", "data": made, "model": body.get("model"), "usage": usage}


def _numbers(value: Any) -> Any:
    """The numbers of a vector, in a list or in base64."""
    if isinstance(value, str):
        base64.b64decode(value, validate=True)
    elif not all(isinstance(number, (int, float)) for number in value):
        raise TypeError
    return value


def _asks_logprobs(body: Json) -> bool:
    asked = any(body.get(name) not in (None, False) for name in _LOGPROBS)
    return asked or _INCLUDED in _items(body.get("include"))


def _names_kept(body: Json) -> bool:
    """Whether a request names what the model server keeps, which may be another caller's."""
    if any(body.get(name) is not None for name in _KEPT):
        return True
    waiting: list[Any] = [value for name, value in body.items() if name != "metadata"]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if value.get("type") == "item_reference":
                return True
            # A schema of arguments may have such a property; its value is a schema.
            if any(isinstance(value.get(name), (str, list)) for name in _KEPT_ANYWHERE):
                return True
            waiting += value.values()
    return False


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _refused(what: str) -> InvalidRequestError:
    return InvalidRequestError(f"this service does not allow {what}", 400, "not_allowed")
