"""Reads the service's settings from YAML and the environment; an error names file and line, or the
variable, and what is allowed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from guardrail.errors import SettingsError
from guardrail.server.settings import Settings, Upstream
from guardrail.yaml_file import Document, Place, read_text, shown, unknown_field

PREFIX = "GUARDRAIL_"
SEPARATOR = "__"
# What may hold a password is never quoted.
_SECRET = ("database", "limits", "api_key")


def load_settings(
    path: str | os.PathLike[str] | None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The settings in a file (none: all defaults) with those of the environment over them. Relative
    paths are resolved against the file's folder. Raises SettingsError, which lists every problem.
    """
    source = "settings" if path is None else os.fspath(path)
    text = "{}" if path is None else read_text(path, "settings file", SettingsError)
    document = Document(text, source, "settings file", "guard and listen", SettingsError)
    variables = _overlay(document, environment)
    base = None if path is None else Path(path).resolve().parent
    try:
        settings = Settings.model_validate(document.value, context={"base": base} if base else None)
    except ValidationError as error:
        # The input stays behind: pydantic's own message shows values in full.
        for detail in error.errors(include_url=False):
            place = tuple(part for part in detail["loc"] if part != "[key]")
            message = _explained(detail, place)
            if place in variables:
                message = f"from the variable {variables[place]}: {message}"
            document.add(place, message)
        document.check()
        raise SettingsError(f"{source}: cannot be obeyed") from None
    document.check()
    if settings.listen.workers > 1 and _counts_alone(settings):
        raise SettingsError(
            f"{source}: with listen.workers: {settings.listen.workers}, rate limits in memory are "
            "counted by each process for itself; name redis:// in stores.limits, or say "
            "limits.alone: true"
        )
    return settings


def _counts_alone(settings: Settings) -> bool:
    in_memory = settings.stores.limits.get_secret_value().startswith("memory://")
    return in_memory and not settings.limits.alone


def _overlay(document: Document, environment: Mapping[str, str]) -> dict[Place, str]:
    """Put the environment's values over the document's; the variable behind each place. A variable
    that ends in `_FILE` names a file that holds the value, as secrets of containers are given."""
    variables: dict[Place, str] = {}
    for name in sorted(environment):
        if not name.startswith(PREFIX) or SEPARATOR not in name.removeprefix(PREFIX):
            continue
        place = tuple(name.removeprefix(PREFIX).lower().split(SEPARATOR))
        value: Any = environment[name]
        if place[-1].endswith("_file") and not _is_setting(place):
            place = (*place[:-1], place[-1].removesuffix("_file"))
            value = read_text(value, f"file that {name} names,", SettingsError).strip()
        else:
            with contextlib.suppress(yaml.YAMLError):
                value = yaml.safe_load(value)
        within: Any = document.value
        for part in place[:-1]:
            within = within.setdefault(part, {}) if isinstance(within, dict) else None
        if not isinstance(within, dict) or not all(place):
            document.add((), f"the variable {name} names no setting")
            continue
        within[place[-1]] = value
        variables[place] = name
    return variables


def _is_setting(place: Place) -> bool:
    section = Settings.model_fields.get(str(place[0]))
    model = None if section is None else section.annotation
    fields = getattr(model, "model_fields", {})
    return len(place) == 2 and place[1] in fields


def _explained(detail: ErrorDetails, place: Place) -> str:
    """One of pydantic's errors in the words of policies' errors."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    given = "given a value" if place and place[-1] in _SECRET else f"given {shown(value)}"
    if kind == "extra_forbidden":
        return unknown_field(str(place[-1]), list(_section(place[:-1]).model_fields))
    if kind == "missing":
        return "missing; it has no default"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{given}; a mapping of fields is needed"
    if kind == "greater_than_equal":
        return f"{given}; allowed: {context['ge']} or more"
    if kind == "greater_than":
        return f"{given}; allowed: more than {context['gt']}"
    if kind == "less_than_equal":
        return f"{given}; allowed: {context['le']} or less"
    if kind == "literal_error":
        return f"{given}; allowed: {str(context['expected']).replace(' or ', ', ')}"
    if kind == "string_type":
        return f"{given}; text is needed: put it in quotes"
    return f"{given}; {detail['msg']}"


def _section(place: Place) -> type[BaseModel]:
    """The model whose fields stand at a place."""
    model: type[BaseModel] = Settings
    for part in place:
        if model is Settings and part == "upstreams":
            return Upstream
        annotation = model.model_fields[str(part)].annotation
        # `Section | None` is a section that may be left out.
        [model] = [
            kind
            for kind in (annotation, *get_args(annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
    return model
