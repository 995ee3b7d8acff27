"""The types of fields in a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from guardrail.findings import Action

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class PolicyPart(BaseModel):
    """A part of a policy file: frozen, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _action(value: Any) -> Any:
    if isinstance(value, Action):
        return value
    if isinstance(value, str) and value in _ACTIONS:
        return _ACTIONS[value]
    raise PydanticCustomError("action", "{allowed}", {"allowed": f"allowed: {', '.join(_ACTIONS)}"})


def _failure_action(value: Any) -> Any:
    if value == "redact" or value is Action.REDACT:
        raise PydanticCustomError(
            "failure_action",
            "a failure has no span that could be redacted; allowed: allow, flag, refuse",
        )
    if isinstance(value, Action) or (isinstance(value, str) and value in _ACTIONS):
        return _action(value)
    raise PydanticCustomError("failure_action", "allowed: allow, flag, refuse")


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_ONE_OR_MANY = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
_ACTIONS = {str(action): action for action in Action}

Name = Annotated[str, Field(pattern=_NAME)]

RuleAction = Annotated[
    Action,
    BeforeValidator(_action),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "enum": list(_ACTIONS)}),
]
FailureAction = Annotated[
    Action,
    BeforeValidator(_failure_action),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "enum": ["allow", "flag", "refuse"]}),
]
Words = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    BeforeValidator(_one_or_many),
    Field(min_length=1),
    WithJsonSchema(_ONE_OR_MANY),
]
Count = Annotated[int, Field(strict=True, ge=0)]
Score = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise PydanticCustomError("path", "a file or folder name is needed")
    base = (info.context or {}).get("base")
    return Path(base) / value if base is not None else Path(value)


PolicyPath = Annotated[
    Path,
    BeforeValidator(_path),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
Paths = Annotated[
    tuple[PolicyPath, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema(_ONE_OR_MANY),
]
