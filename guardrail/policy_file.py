"""Reads policies from YAML, and names file, line and allowed values where one cannot be obeyed.

Plain YAML only: no tags that build objects, no aliases (a few lines of them can stand for
gigabytes), no key twice, one document.
"""

from __future__ import annotations

import difflib
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

MAX_BYTES = 1 << 18
MAX_DEPTH = 20
MAX_PROBLEMS = 20

_Place = tuple[str | int, ...]


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in a file, with paths in it resolved against the file's folder.

    Raises PolicyError, which lists every problem, each with file, line and what is allowed.
    """
    source = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable file name"
        raise PolicyError(f"cannot read the policy {source}: {reason}") from None
    if len(data) > MAX_BYTES:
        raise PolicyError(f"{source}: larger than {MAX_BYTES} bytes, the most a policy may have")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyError(
            f"{source}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    return parse_policy(text, source, base=Path(path).parent)


def parse_policy(
    text: str, source: str = "<policy>", *, base: str | os.PathLike[str] | None = None
) -> Policy:
    """The policy in a YAML text. `source` names it in errors; `base` is the folder against which
    relative paths in it are resolved (none: they stay relative). Raises PolicyError."""
    document = _Document(text, source)
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


# --- YAML with lines --------------------------------------------------------------------------


class _Document:
    """The values of a YAML text, the line of each, and the problems found so far."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.problems: list[tuple[int, _Place, str]] = []
        self._lines: dict[_Place, int] = {(): 1}
        try:
            _refuse_tricks(text, source)
            loader = yaml.SafeLoader(text)
            try:
                root = loader.get_single_node()
                self.value = None if root is None else self._value(loader, root, ())
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            reason = _clip(error.problem or error.context or "unreadable")
            raise PolicyError(f"{source}:{line}: not YAML: {reason}") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise PolicyError(
                f"{source}:{line}: holds the character U+{ord(text[error.position]):04X}, which "
                "YAML does not allow"
            ) from None
        if self.value is None:
            raise PolicyError(f"{source}: empty; a policy needs at least version and rules")
        if not isinstance(self.value, dict):
            raise PolicyError(
                f"{source}:1: given {_given(self.value)}; a policy is a mapping of fields such as "
                "version and rules"
            )

    def _value(self, loader: yaml.SafeLoader, node: yaml.Node, place: _Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [
                self._value(loader, item, (*place, number))
                for number, item in enumerate(node.value)
            ]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(loader, node, place)
        try:
            return loader.construct_object(node, deep=True)
        except yaml.YAMLError:
            self.add(place, f"given {_given(node.value)}; put it in quotes")
        except (ValueError, OverflowError):
            self.add(place, "given a number or date that cannot be read")
        return None

    def _mapping(
        self, loader: yaml.SafeLoader, node: yaml.MappingNode, place: _Place
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.tag.endswith(":str"):
                self.problems.append(
                    (line, place, "given a field name that is not text; put it in quotes")
                )
                continue
            key = key_node.value
            if key in values:
                first = self._lines[(*place, key)]
                self.problems.append(
                    (line, (*place, key), f"given twice, first on line {first}; keep one of them")
                )
                continue
            self._lines[(*place, key)] = line
            values[key] = self._value(loader, value_node, (*place, key))
        return values

    def add(self, place: _Place, message: str) -> None:
        """Note a problem at a place, or at what stands around it where it has no line."""
        known = place
        while known not in self._lines:
            known = known[:-1]
        if not any(
            other == place and line == self._lines[known] for line, other, _ in self.problems
        ):
            self.problems.append((self._lines[known], place, message))

    def check(self) -> None:
        """Raise PolicyError if there were problems."""
        if not self.problems:
            return
        lines = [
            f"{self.source}:{line}: {_spelled(place)}{message}"
            for line, place, message in sorted(self.problems, key=lambda problem: problem[0])
        ]
        if len(lines) > MAX_PROBLEMS:
            lines[MAX_PROBLEMS:] = [f"{self.source}: and {len(lines) - MAX_PROBLEMS} more problems"]
        raise PolicyError("\n".join(lines))


def _refuse_tricks(text: str, source: str) -> None:
    """Refuse, before anything is built, what only makes a policy hard to read or to load."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        problem = ""
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not supported; write the value out"
        elif isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) is not None:
            problem = "tags (!name) are not supported; write plain values"
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                problem = f"nested deeper than {MAX_DEPTH} levels"
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                problem = "a second document starts here; a policy is one document"
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise PolicyError(f"{source}:{line}: {problem}")


# --- messages ---------------------------------------------------------------------------------

_TEXTS = (
    *("detector", "kind", "collection", "label", "overlaps"),
    *("files", "indexes", "background", "shards", "kinds", "allow_list"),
)
_DETECTORS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(DetectorSettings)[0])
}


def _explained(detail: ErrorDetails, document: Any) -> tuple[_Place, str]:
    """The place of one of pydantic's errors in the document, and a message about it."""
    place = _place(detail["loc"], document)
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    given = f"given {_given(value)}"
    if kind == "missing":
        return place, "missing; it has no default"
    if kind == "extra_forbidden":
        return place, _unknown_field(place, document)
    if kind in ("key_source", "no_source", "order", "empty", "unused_text"):
        return place, detail["msg"]
    if kind == "union_tag_not_found":
        return (*place, "type"), f"missing; allowed: {', '.join(_DETECTORS)}"
    if kind == "union_tag_invalid":
        tag = value.get("type") if isinstance(value, dict) else value
        return (*place, "type"), f"given {_given(tag)}; allowed: {', '.join(_DETECTORS)}"
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


def _place(loc: _Place, document: Any) -> _Place:
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


def _unknown_field(place: _Place, document: Any) -> str:
    allowed = list(_model(place[:-1], document).model_fields)
    name = str(place[-1])
    close = difflib.get_close_matches(name, allowed, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown field{hint}; allowed: {', '.join(allowed)}"


def _model(place: _Place, document: Any) -> type[BaseModel]:
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


def _pattern(place: _Place) -> str:
    if place and place[-1] == "hook":
        return "package.module:function"
    if place and place[-1] == "env":
        return "letters, digits and _"
    return "up to 64 letters, digits, _, . and -, the first a letter or digit"


def _between_parts(document: Any) -> list[tuple[_Place, str]]:
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


def _spelled(place: _Place) -> str:
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{_clip(part)}" if text else _clip(part)
    return f"{text}: " if text else ""


def _given(value: Any) -> str:
    """A value as messages show it: its own words where they are short, else what it is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(_clip(value))
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a very large number"
    return _clip(str(value))


def _clip(text: str) -> str:
    """At most 60 characters of a text, all printable."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:60])
    return shown if len(text) <= 60 else shown + "…"
