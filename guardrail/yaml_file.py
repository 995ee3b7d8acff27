"""Files of settings in YAML, with the line of each value, so that a problem can name it.

Plain YAML only: no tags that build objects, no aliases (a few lines of them can stand for
gigabytes), no key twice, one document.
"""

from __future__ import annotations

import difflib
import os
from typing import Any

import yaml

from guardrail.errors import GuardrailError

MAX_BYTES = 1 << 18
MAX_DEPTH = 20
MAX_PROBLEMS = 20

Place = tuple[str | int, ...]


def read_text(path: str | os.PathLike[str], noun: str, error: type[GuardrailError]) -> str:
    """The text of a file that is a `noun`. Raises `error`."""
    source = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not a usable file name"
        raise error(f"cannot read the {noun} {source}: {reason}") from None
    if len(data) > MAX_BYTES:
        raise error(f"{source}: larger than {MAX_BYTES} bytes, the most a {noun} may have")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise error(
            f"{source}:{line}: byte {problem.start} is not UTF-8; save the file as UTF-8"
        ) from None


class Document:
    """The values of a YAML text, the line of each, and the problems found so far."""

    def __init__(
        self, text: str, source: str, noun: str, fields: str, error: type[GuardrailError]
    ) -> None:
        """`noun` says what the text is (`policy`), `fields` names some that it has. Raises `error`,
        here and in `check`."""
        self.source, self._error = source, error
        self.problems: list[tuple[int, Place, str]] = []
        self._lines: dict[Place, int] = {(): 1}
        try:
            _refuse_tricks(text, source, noun, error)
            loader = yaml.SafeLoader(text)
            try:
                root = loader.get_single_node()
                self.value = None if root is None else self._value(loader, root, ())
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            line = mark.line + 1 if mark else 1
            reason = clip(problem.problem or problem.context or "unreadable")
            raise error(f"{source}:{line}: not YAML: {reason}") from None
        except yaml.reader.ReaderError as problem:
            line = text.count("\n", 0, problem.position) + 1
            raise error(
                f"{source}:{line}: holds the character U+{ord(text[problem.position]):04X}, which "
                "YAML does not allow"
            ) from None
        if self.value is None:
            raise error(f"{source}: empty; a {noun} needs fields such as {fields}")
        if not isinstance(self.value, dict):
            raise error(
                f"{source}:1: given {shown(self.value)}; a {noun} is a mapping of fields such as "
                f"{fields}"
            )

    def _value(self, loader: yaml.SafeLoader, node: yaml.Node, place: Place) -> Any:
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
            self.add(place, f"given {shown(node.value)}; put it in quotes")
        except (ValueError, OverflowError):
            self.add(place, "given a number or date that cannot be read")
        return None

    def _mapping(
        self, loader: yaml.SafeLoader, node: yaml.MappingNode, place: Place
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

    def add(self, place: Place, message: str) -> None:
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
            f"{self.source}:{line}: {spelled(place)}{message}"
            for line, place, message in sorted(self.problems, key=lambda problem: problem[0])
        ]
        if len(lines) > MAX_PROBLEMS:
            lines[MAX_PROBLEMS:] = [f"{self.source}: and {len(lines) - MAX_PROBLEMS} more problems"]
        raise self._error("\n".join(lines))


def _refuse_tricks(text: str, source: str, noun: str, error: type[GuardrailError]) -> None:
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
                problem = f"a second document starts here; a {noun} is one document"
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise error(f"{source}:{line}: {problem}")


def unknown_field(name: str, allowed: list[str]) -> str:
    """What is said of a field that there is not."""
    close = difflib.get_close_matches(name, allowed, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown field{hint}; allowed: {', '.join(allowed)}"


def spelled(place: Place) -> str:
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{clip(part)}" if text else clip(part)
    return f"{text}: " if text else ""


def shown(value: Any) -> str:
    """A value as messages show it: its own words where they are short, else what it is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(clip(value))
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a very large number"
    return clip(str(value))


def clip(text: str) -> str:
    """At most 60 characters of a text, all printable."""
    clipped = "".join(char if char.isprintable() else "?" for char in text[:60])
    return clipped if len(text) <= 60 else clipped + "…"
