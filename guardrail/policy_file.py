"""Reads policies from YAML, and names file, line and allowed values where one cannot be obeyed."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from guardrail.detector_settings import DetectorSettings
from guardrail.errors import PolicyError
from guardrail.policy import Policy
from guardrail.policy_settings import ExcuseSettings, KeySource, OperatorSettings, RedactionSettings
from guardrail.rules import Condition, Rule, When, rule_problems
from guardrail.yaml_file import Document, Place, read_text, shown, unknown_field


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in a file, with paths in it resolved against the file's folder.

    Raises PolicyError, which lists every problem, each with file, line and what is allowed.
    """
    text = read_text(path, "policy", PolicyError)
    return parse_policy(text, os.fspath(path), base=Path(path).parent)


def parse_policy(
    text: str, source: str = "<policy>", *, base: str | os.PathLike[str] | None = None
) -> Policy:
    """The policy in a YAML text. `source` names it in errors; `base` is the folder against which
    relative paths in it are resolved (none: they stay relative). Raises PolicyError."""
    document = Document(text, source, "policy", "version and rules", PolicyError)
    try:
        policy = Policy.model_validate(
            document.value, context=None if base is None else {"base": base}
        )
    except ValidationError as error:
        # The input stays behind: pydantic's own message shows values in full.
        details = error.errors(include_url=False)
    else:
        document.check()
        return policy
    for detail in details:
        # A list that lost its wrong items counts as too short, and what is wrong between parts is
        # looked for below, where it gets a line.
        if detail["type"] != "policy" and not (detail["type"] == "too_short" and detail["input"]):
            document.add(*_explained(detail, document.value))
    for place, message in _between_parts(document.value):
        document.add(place, message)
    document.check()
    raise PolicyError(f"{source}: not a policy")


def default_policy() -> Policy:
    """The policy that applies where none is given."""
    file = resources.files("guardrail").joinpath("default_policy.yaml")
    return parse_policy(file.read_text(encoding="utf-8"), "default_policy.yaml")


def policy_schema() -> dict[str, Any]:
    """The JSON schema of a policy file, for editors that check and complete while one types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Policy.model_json_schema(),
        "title": "Policy of corpus-guardrail",
        "description": "What happens to a response, given what detectors found in it.",
    }


def show(policy: Policy) -> str:
    """The policy as YAML with every default filled in. Reading it again gives an equal policy."""
    values = policy.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=96)


# --- messages ---------------------------------------------------------------------------------

_TEXTS = (
    *("detector", "kind", "collection", "label", "overlaps"),
    *("files", "indexes", "background", "shards", "kinds", "allow_list"),
)
_DETECTORS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(DetectorSettings)[0])
}


def _explained(detail: ErrorDetails, document: Any) -> tuple[Place, str]:
    """The place of one of pydantic's errors in the document, and a message about it."""
    place = _place(detail["loc"], document)
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    given = f"given {shown(value)}"
    if kind == "missing":
        return place, "missing; it has no default"
    if kind == "extra_forbidden":
        allowed = list(_model(place[:-1], document).model_fields)
        return place, unknown_field(str(place[-1]), allowed)
    if kind in ("key_source", "no_source", "order", "empty", "unused_text"):
        return place, detail["msg"]
    if kind == "union_tag_not_found":
        return (*place, "type"), f"missing; allowed: {', '.join(_DETECTORS)}"
    if kind == "union_tag_invalid":
        tag = value.get("type") if isinstance(value, dict) else value
        return (*place, "type"), f"given {shown(tag)}; allowed: {', '.join(_DETECTORS)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return place, f"{given}; a mapping of fields is needed"
    if kind == "tuple_type":
        texts = place and place[-1] in _TEXTS
        return place, f"{given}; {'a text or a list of texts' if texts else 'a list'} is needed"
    if kind == "string_type":
        return place, f"{given}; text is needed: put it in quotes"
    if kind == "string_pattern_mismatch":
        return place, f"{given}; allowed: {_pattern(place)}"
    if kind == "string_too_long":
        return place, f"given {len(value)} characters; allowed: up to {context['max_length']}"
    if kind == "string_too_short":
        return place, "given an empty text; at least one character is needed"
    if kind == "too_short":
        return place, "given an empty list; at least one entry is needed"
    if kind == "int_type":
        return place, f"{given}; a whole number is needed"
    if kind in ("float_type", "finite_number"):
        return place, f"{given}; a number from 0 to 1 is needed"
    if kind == "bool_type":
        return place, f"{given}; allowed: true, false"
    if kind == "greater_than_equal":
        return place, f"{given}; allowed: {context['ge']} or more"
    if kind == "less_than_equal":
        return place, f"{given}; allowed: {context['le']} or less"
    if kind == "literal_error":
        return place, f"{given}; allowed: {str(context['expected']).replace(' or ', ', ')}"
    if kind == "label":
        return place, detail["msg"]
    return place, f"{given}; {detail['msg']}"


def _place(loc: Place, document: Any) -> Place:
    """A pydantic location without what it adds to the document's own keys and numbers."""
    place: list[str | int] = []
    value = document
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if part == "[key]":
            break
        within: Any = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(within, dict) and part in within:
            value = within[part]
            place.append(part)
        elif last and part not in _DETECTORS:
            place.append(part)
    return tuple(place)


def _model(place: Place, document: Any) -> type[BaseModel]:
    """The model whose fields stand at a place."""
    match place:
        case ("rules", _, "when", "any", *_):
            return Condition
        case ("rules", _, "when", *_):
            return When
        case ("rules", *_):
            return Rule
        case ("key", *_):
            return KeySource
        case ("excuses", *_):
            return ExcuseSettings
        case ("redaction", "operators", _, *_):
            return OperatorSettings
        case ("redaction", *_):
            return RedactionSettings
        case ("detectors", name, *_):
            return _DETECTORS[document["detectors"][name]["type"]]
    return Policy


def _pattern(place: Place) -> str:
    if place and place[-1] == "hook":
        return "package.module:function"
    if place and place[-1] == "env":
        return "letters, digits and _"
    return "up to 64 letters, digits, _, . and -, the first a letter or digit"


def _between_parts(document: Any) -> list[tuple[Place, str]]:
    """Problems between rules and detectors, as far as single rules can be read."""
    rules: list[Rule | None] = []
    for value in document.get("rules") if isinstance(document.get("rules"), list) else ():
        try:
            rules.append(Rule.model_validate(value))
        except ValidationError:
            rules.append(None)
    detectors, failures = (
        value if isinstance(value, dict) else {}
        for value in (document.get("detectors"), document.get("failures"))
    )
    return rule_problems(rules, detectors, failures)
