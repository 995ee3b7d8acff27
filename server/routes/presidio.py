"""Presidio's REST interface: what is found in a text, and a text without what was found.

`/analyze` judges by the policy in force: personal data and secrets under Presidio's names (a kind
in capitals), leaks of the corpus as `LEAK_VERBATIM` and so on. Where a detector fails and the
policy refuses, it answers with an error, never with an empty list. Recognizers sent along are not
run, as a caller's expression could keep the service busy for ever: the policy is their place.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field, JsonValue
from pydantic_core import to_json

from guardrail.findings import Action, Finding, Verdict
from guardrail.server.auth import require
from guardrail.server.errors import InvalidRequestError, Told, UnavailableError
from guardrail.server.identity import Identity, Scope
from guardrail.server.routing import open_router
from guardrail.server.service import Question, Service

# Operators of presidio-anonymizer that a request may name; `custom` would run code of the caller.
OPERATORS = frozenset(("encrypt", "hash", "keep", "mask", "redact", "replace"))

# presidio-anonymizer compares each result with all others: a second for so many.
MOST_RESULTS = 1000


class PresidioError(BaseModel):
    error: str


router = open_router("presidio", PresidioError)

Caller = Annotated[Identity, Depends(require(Scope.MODERATE))]


class AnalyzeRequest(BaseModel):
    """A text to look through, or several."""

    text: str | list[str]
    language: str = Field(description="Taken and not used: the policy says which model reads.")
    entities: list[str] | None = Field(default=None, description="Only these.")
    score_threshold: float | None = None
    correlation_id: str | None = None
    return_decision_process: bool | None = None
    ad_hoc_recognizers: list[JsonValue] | None = Field(default=None, description="Refused.")
    context: list[str] | None = Field(default=None, description="Taken and not used.")
    allow_list: list[str] | None = Field(
        default=None, description="Values of personal data and secrets that are left out."
    )
    allow_list_match: Literal["exact"] | str | None = None
    regex_flags: int | None = None


class Entity(BaseModel):
    """A span, in code points."""

    entity_type: str
    start: int
    end: int
    score: float
    analysis_explanation: None = None


class Recognized(BaseModel):
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    score: float = 1.0
    entity_type: str


class AnonymizeRequest(BaseModel):
    """A text, what was found in it, and what is to stand in its place."""

    text: str
    analyzer_results: list[Recognized]
    anonymizers: dict[str, dict[str, JsonValue]] | None = None


class Item(BaseModel):
    operator: str
    entity_type: str
    start: int
    end: int
    text: str | None


class AnonymizedBody(BaseModel):
    text: str
    items: list[Item]


@router.post("/analyze", response_model=list[Entity] | list[list[Entity]])
async def analyze(body: AnalyzeRequest, caller: Caller, request: Request) -> Response:
    """Find what the policy does not let pass unmarked."""
    if body.ad_hoc_recognizers:
        raise InvalidRequestError("ad_hoc_recognizers are not run here; put them into the policy")
    if body.allow_list and body.allow_list_match not in (None, "exact"):
        raise InvalidRequestError("allow_list_match is exact here; expressions are not run")
    service: Service = request.state.service
    texts = [body.text] if isinstance(body.text, str) else body.text
    if not texts:
        raise InvalidRequestError("text is an empty list; give at least one text")
    verdicts = await service.judge(
        caller,
        [Question(text) for text in texts],
        event="analyze",
        request=request.state.request_id,
    )
    found = [_entities(text, verdict, body) for text, verdict in zip(texts, verdicts, strict=True)]
    return _json(found[0] if isinstance(body.text, str) else found)


@router.post("/anonymize", response_model=AnonymizedBody)
async def anonymize(body: AnonymizeRequest, caller: Caller, request: Request) -> Response:
    """Put something in the place of what was found. Nothing is judged."""
    service: Service = request.state.service
    service.bound([Question(body.text)])
    most = service.settings.bounds.text_chars
    longest = max(
        (len(str(a.get("new_value", ""))) for a in (body.anonymizers or {}).values()), default=0
    )
    if len(body.analyzer_results) > MOST_RESULTS or len(body.analyzer_results) * longest > most:
        raise InvalidRequestError(
            f"up to {MOST_RESULTS} results can be replaced, by {most} characters in all",
            413,
            "too_large",
        )
    await service.admit(caller, len(body.text))
    # The first import of it takes seconds, which are not of the time of a check.
    await asyncio.to_thread(_import)
    return _json(await service.pool.run(lambda deadline: _anonymized(body)))


def presidio_shape(error: Told) -> dict[str, Any]:
    """The shape of Presidio's errors."""
    return {"error": error.message}


def _entities(text: str, verdict: Verdict, asked: AnalyzeRequest) -> list[dict[str, Any]]:
    if verdict.failures and verdict.action is Action.REFUSE:
        raise UnavailableError("the text could not be judged")
    allowed = frozenset(asked.allow_list or ())
    found = []
    for finding in verdict.findings:
        name = entity_name(finding)
        if finding.action < Action.FLAG:
            continue
        if asked.entities is not None and name not in asked.entities:
            continue
        if asked.score_threshold is not None and finding.score < asked.score_threshold:
            continue
        start, end = finding.span.start, finding.span.end
        if not name.startswith("LEAK_") and text[start:end] in allowed:
            continue
        entity = {"entity_type": name, "start": start, "end": end, "score": finding.score}
        found.append({**entity, "analysis_explanation": None})
    return found


def entity_name(finding: Finding) -> str:
    """The kind of a finding as Presidio would write it."""
    name = finding.kind.upper().replace("-", "_")
    return name if finding.evidence.document is None else f"LEAK_{name}"


def _import() -> None:
    try:
        import presidio_anonymizer  # noqa: F401
    except ImportError:
        raise UnavailableError("the service runs without the extra `pii`") from None


def _anonymized(asked: AnonymizeRequest) -> dict[str, Any]:
    from presidio_anonymizer import AnonymizerEngine
    from presidio_anonymizer.entities import InvalidParamError, OperatorConfig, RecognizerResult

    operators = {}
    for entity, settings in (asked.anonymizers or {}).items():
        kind = settings.get("type")
        if kind not in OPERATORS:
            raise InvalidRequestError(
                f"an anonymizer has an unknown type; allowed: {', '.join(sorted(OPERATORS))}"
            )
        given = {name: value for name, value in settings.items() if name != "type"}
        operators[entity] = OperatorConfig(str(kind), given)
    length = len(asked.text)
    results = []
    for one in asked.analyzer_results:
        if not one.start < one.end <= length:
            raise InvalidRequestError(f"a result lies outside the text of {length} characters")
        results.append(RecognizerResult(one.entity_type, one.start, one.end, one.score))
    try:
        engine = AnonymizerEngine()  # type: ignore[no-untyped-call]
        made = engine.anonymize(asked.text, results, operators)
    except (InvalidParamError, ValueError, TypeError):
        # Their messages may hold what was sent.
        raise InvalidRequestError("an anonymizer's parameters are not what it needs") from None
    items = [
        {
            "operator": item.operator,
            "entity_type": item.entity_type,
            "start": item.start,
            "end": item.end,
            "text": item.text,
        }
        for item in made.items
    ]
    return {"text": made.text, "items": items}


def _json(value: Any) -> Response:
    return Response(to_json(value), media_type="application/json")
