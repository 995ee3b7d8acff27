"""What the service is told: one YAML file, and the environment over it.

Every field stands in a section, and the variable `GUARDRAIL_SECTION__FIELD` sets it
(`GUARDRAIL_LISTEN__PORT`), so that no variable that an orchestrator makes of a service's name
(`GUARDRAIL_PORT`) is taken for a setting.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from guardrail.policy_fields import Name, Paths, PolicyPath

Count = Annotated[int, Field(strict=True, ge=1)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=3600, allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listen(Section):
    """Where the service listens."""

    host: str = Field(default="127.0.0.1", description="The address.")
    port: int = Field(
        strict=True, default=8080, ge=0, le=65535, description="The port; 0: any free one."
    )
    workers: int = Field(
        strict=True, default=1, ge=1, le=64, description="Processes that answer requests."
    )
    tls_cert: PolicyPath | None = Field(default=None, description="Certificate chain (PEM).")
    tls_key: PolicyPath | None = Field(default=None, description="Its private key (PEM).")

    @model_validator(mode="after")
    def _both(self) -> Listen:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise PydanticCustomError("tls", "TLS needs both tls_cert and tls_key, or neither")
        return self


class Guard(Section):
    """What responses are checked against."""

    policy: PolicyPath | None = Field(default=None, description="A policy; none: the built-in one.")
    indexes: Paths = Field(
        default=(), description="Indexes searched besides those that the policy names."
    )
    background: Paths = Field(default=(), description="Public indexes whose text is excused.")
    key_file: PolicyPath | None = Field(
        default=None, description="The key of the indexes; none: GUARDRAIL_KEY, or the policy's."
    )


class Bounds(Section):
    """What one request, and all of them together, may take."""

    body_bytes: Count = Field(default=4 << 20, description="Bytes of one request's body.")
    held_bytes: Count = Field(default=256 << 20, description="Bytes of all bodies being held.")
    text_chars: Count = Field(default=1_000_000, description="Characters of one text.")
    batch_texts: Count = Field(default=256, description="Texts of one request.")
    header_bytes: Count = Field(default=32 << 10, description="Bytes of one request's headers.")
    header_seconds: Seconds = Field(default=10, description="Time for the headers to arrive.")
    body_seconds: Seconds = Field(
        default=30, description="Time for the body to arrive, and for an answer to be taken."
    )
    connections: Count = Field(default=2000, description="Connections of one process.")
    threads: Count = Field(default=2, description="Checks at once in one process.")
    queue: Count = Field(default=256, description="Checks that wait for a thread.")
    check_seconds: Seconds = Field(
        default=10, description="Time for one check, waiting and judging; then 503."
    )
    drain_seconds: Seconds = Field(
        default=30, description="Time for requests to end when the service is stopped."
    )


class Stores(Section):
    """Where keys, the audit log and rate limits are kept."""

    database: SecretStr = Field(
        default=SecretStr("sqlite:///guardrail.db"),
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
    )
    limits: SecretStr = Field(
        default=SecretStr("memory://"), description="memory:// or redis://HOST:PORT/NUMBER."
    )


class RateSettings(Section):
    """So much within so many seconds."""

    amount: Count = Field(description="How much.")
    seconds: Count = Field(default=60, description="Within so many seconds.")
    burst: Count | None = Field(default=None, description="Of it, within one second.")


class LimitSettings(Section):
    """What one party may use; what is not named has no limit."""

    requests: RateSettings | None = None
    characters: RateSettings | None = Field(default=None, description="Characters to judge.")
    tokens: RateSettings | None = Field(default=None, description="Tokens of proxied answers.")


class Limits(Section):
    """How much may be asked for."""

    per_key: LimitSettings = Field(
        default=LimitSettings(), description="Of keys that have no limits of their own."
    )
    per_tenant: LimitSettings = Field(
        default=LimitSettings(), description="Of all keys of a tenant together."
    )
    sensitive: LimitSettings = Field(
        default=LimitSettings(requests=RateSettings(amount=5, burst=1)),
        description="Of a key, on endpoints that tell much with each answer: embeddings.",
    )
    alone: bool = Field(
        default=False,
        description="Whether, without Redis, each process counts for itself and goes on.",
    )


class Upstream(Section):
    """A model server that the proxy stands in front of."""

    url: Annotated[str, Field(pattern=r"^https?://")] = Field(
        description="Where its OpenAI-compatible interface begins, with /v1."
    )
    api_key: SecretStr | None = Field(default=None, description="The key that it wants.")
    models: tuple[str, ...] = Field(
        default=(), description="The models it serves; none: all that no other upstream names."
    )
    connect_seconds: Seconds = Field(default=5, description="Time to reach it.")
    read_seconds: Seconds = Field(default=120, description="Longest silence between two pieces.")
    answer_seconds: Seconds = Field(default=1800, description="Time for a whole answer.")


class Outputs(Section):
    """What a model's answer may carry besides its text."""

    max_n: Count = Field(default=1, description="Answers to one request (n, best_of).")
    logprobs: Literal["strip", "refuse"] = Field(
        default="strip", description="What is done with a request for log-probabilities."
    )
    logit_bias: bool = Field(default=False, description="Whether logit_bias is passed on.")
    echo: bool = Field(default=False, description="Whether echo is passed on.")
    embeddings: bool = Field(default=False, description="Whether embeddings are served.")
    stored: bool = Field(
        default=False,
        description="Whether requests may name what the model server keeps for all callers.",
    )
    refusal_as_content: bool = Field(
        default=False, description="Whether refusals stand where the answer would."
    )


class Observe(Section):
    """What the service tells about itself."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info")
    metrics: bool = Field(default=True, description="Whether /metrics is served, to anyone.")
    otlp_endpoint: str | None = Field(
        default=None, description="Where traces go (OTLP over HTTP); needs the extra otel."
    )


class Settings(Section):
    """All settings of the service. Read them with `guardrail.server.settings_file`."""

    listen: Listen = Listen()
    guard: Guard = Guard()
    bounds: Bounds = Bounds()
    stores: Stores = Stores()
    limits: Limits = Limits()
    upstreams: dict[Name, Upstream] = Field(default={}, description="Model servers, by name.")
    outputs: Outputs = Outputs()
    observe: Observe = Observe()
