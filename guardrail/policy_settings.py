"""What a policy sets besides detectors and rules: the key, excuses and redaction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from guardrail.policy_fields import Paths, PolicyPart, PolicyPath
from guardrail.redaction import DEFAULT_LABEL, MAX_LABEL, Redaction, Style, label_problem
from guardrail.segments import Pace


class KeySource(PolicyPart):
    """Where the secret key comes from: exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("file", "env", "hook")]}
    )

    file: PolicyPath | None = Field(default=None, description="A key file, relative to this file.")
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="The environment variable that holds the key."
    )
    hook: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = Field(
        default=None, description="A function that returns the key, as package.module:function."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> KeySource:
        given = [name for name in ("file", "env", "hook") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError(
                "key_source",
                "{given}; exactly one of file, env, hook is needed",
                {"given": f"{' and '.join(given)} given" if given else "none given"},
            )
        return self


class ExcuseSettings(PolicyPart):
    """Which shared text may be said."""

    background: Paths = Field(
        default=(), description="Folders of public indexes, relative to this file."
    )
    builtin: bool = Field(
        default=True, strict=True, description="Whether common public phrases are excused."
    )
    prompt: bool = Field(
        default=False, strict=True, description="Whether text that the user supplied is excused."
    )
    entitlements: bool = Field(
        default=True,
        strict=True,
        description="Whether documents that the request is entitled to are excused.",
    )
    min_length: Annotated[int, Field(strict=True, ge=16, le=1000)] = Field(
        default=27, description="Shortest run that excuses, in canonical units."
    )


class OperatorSettings(PolicyPart):
    """How one kind of finding is anonymised, by the names of Presidio's anonymizer."""

    operator: Literal["replace", "mask", "hash", "encrypt", "pseudonym"] = Field(
        description="replace: a fixed text; mask: signs in place of characters; hash: a keyed "
        "digest; encrypt: what the key restores; pseudonym: one name for one value in a "
        "conversation."
    )
    new_value: str | None = Field(
        default=None, min_length=1, max_length=MAX_LABEL, description="The text of replace."
    )
    masking_char: str = Field(
        default="*", min_length=1, max_length=1, description="The sign of mask."
    )
    chars_to_mask: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="How many characters are masked; none: all."
    )
    from_end: bool = Field(
        default=False, strict=True, description="Whether mask starts at the end."
    )

    @field_validator("new_value")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        problem = None if value is None else label_problem(value)
        if problem is not None:
            raise PydanticCustomError("label", "{problem}", {"problem": problem})
        return value

    @model_validator(mode="after")
    def _has_value(self) -> OperatorSettings:
        if (self.operator == "replace") != (self.new_value is not None):
            raise PydanticCustomError(
                "order", "new_value is needed by the operator replace, and used by no other"
            )
        return self


class RedactionSettings(PolicyPart):
    """What stands in the place of redacted text."""

    style: Style = Field(
        default="label",
        description="label: a fixed text; mask: one █ a character; remove: nothing.",
    )
    text: str = Field(
        default=DEFAULT_LABEL,
        max_length=MAX_LABEL,
        description="The label; {kind} in it becomes the kind of finding.",
    )
    operators: dict[str, OperatorSettings] = Field(
        default_factory=dict, description="How findings of single kinds are anonymised instead."
    )

    @field_validator("text")
    @classmethod
    def _usable(cls, value: str) -> str:
        problem = label_problem(value)
        if problem is not None:
            raise PydanticCustomError("label", "{problem}", {"problem": problem})
        return value

    @model_validator(mode="after")
    def _text_is_used(self) -> RedactionSettings:
        if self.style != "label" and self.text != DEFAULT_LABEL:
            raise PydanticCustomError(
                "unused_text",
                "text is used by the style label only, not by {style}",
                {"style": self.style},
            )
        return self

    def build(self) -> Redaction:
        """The same as the plain record that `guardrail.redact` takes."""
        return Redaction(self.style, self.text)


class StreamSettings(PolicyPart):
    """How long text that is streamed waits."""

    pace: Pace = Field(
        default="sentence",
        description="What text waits for at least: the end of its sentence, of its paragraph, or "
        "of the response; token: only for what is found token by token.",
    )
    max_wait: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="Seconds that a sentence or paragraph may take; none: any time.",
    )
