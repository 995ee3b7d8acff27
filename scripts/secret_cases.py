"""The test cases of other scanners, read from checkouts of them: (rule, text, should be found).

Nothing of theirs is part of this project: `scripts/bench_secrets.py` is given their folders.
Cases that a scanner makes while its tests run are made here, from its own expressions and a seed.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Case = tuple[str, str, bool]

_GO_STRING = r'(?:`[^`]*`|"(?:[^"\\\n]|\\.)*")'


def detect_secrets_cases(checkout: Path) -> list[Case]:
    """The parametrised cases of its plugins' tests, but those of public IP addresses, which are no
    secrets here. Needs detect-secrets, pytest and responses."""
    sys.path.insert(0, str(checkout))
    cases: list[Case] = []
    for path in sorted((checkout / "tests" / "plugins").glob("*_test.py")):
        if path.stem in ("ip_public_test", "base_test"):
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for marks in _parametrised(module):
            if {mark.args[0] for mark in marks} & {"status_code, validation_result"}:
                continue
            cases += [(path.stem, text, flag) for text, flag in _rows(marks)]
    return cases


def _parametrised(holder: Any, outer: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for name in vars(holder):
        member = getattr(holder, name)
        if not name.lower().startswith("test"):
            continue
        own = tuple(m for m in getattr(member, "pytestmark", []) if m.name == "parametrize")
        if inspect.isclass(member):
            yield from _parametrised(member, (*outer, *own))
        elif inspect.isfunction(member) and (own or outer):
            yield (*outer, *own)


def _rows(marks: tuple[Any, ...]) -> Iterator[tuple[str, bool]]:
    """Texts and whether they are to be flagged; a format over secrets is filled in."""
    tables = []
    for mark in marks:
        names = mark.args[0]
        names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
        rows = [row if isinstance(row, (tuple, list)) else (row,) for row in mark.args[1]]
        tables.append([dict(zip(names, row, strict=False)) for row in rows])
    joined: list[dict[str, Any]] = [{}]
    for table in tables:
        joined = [one | two for one in joined for two in table]
    for row in joined:
        if "format" in row:
            text = row["format"].format(secret=row["secret"], non_secret=row["non_secret"])
            yield text, bool(row.get("should_be_caught", row.get("num_results")))
            continue
        text = row.get("payload") or row.get("line") or row.get("file_content")
        if isinstance(text, str):
            flag = row.get("should_flag", row.get("expected_secret", True))
            yield text, bool(flag)


# --- gitleaks ---------------------------------------------------------------------------------


def gitleaks_cases(checkout: Path, seed: int = 5) -> list[Case]:
    """True and false positives of its rules. What few of them build with code of their own is left
    out. Needs rstr."""
    import rstr

    maker = rstr.Rstr(random.Random(seed))
    config = checkout / "cmd" / "generate" / "config"
    forms = _forms((config / "utils" / "generate.go").read_text("utf-8"))

    def secret(expression: str, *_: object) -> str:
        expression = re.sub(r"\(\?-?[is]+\)|\\b", "", expression)
        expression = re.sub(r"\(\?-?[is]+:", "(?:", expression)
        # Counts above its maximum of 100 would not be made.
        expression = re.sub(
            r"((?:\[(?:\\.|[^\]])+\]))\{(\d{3,})(?:,\d*)?\}",
            lambda m: f"(?:{m[1]}{{100}}{m[1]}{{{int(m[2]) - 100}}})",
            expression,
        )
        made = maker.xeger(re.compile(expression.replace("[[:alnum:]]", "[a-zA-Z0-9]")))
        return str(made)

    names = _GoNames(forms, secret)
    cases: list[Case] = []
    for path in sorted((config / "rules").glob("*.go")):
        for function in re.split(r"(?m)^func ", path.read_text("utf-8"))[1:]:
            if rule := re.search(r'RuleID:\s*"([^"]+)"', function):
                cases += [(rule[1], *row) for row in names.cases(_as_python(function))]
    return [case for case in cases if case[1]]


def _forms(source: str) -> list[str]:
    """The ways in which its tests write an assignment."""
    body = source[source.index("func GenerateSampleSecrets") :]
    rows = re.findall(rf'(?m)^\s*"[^"]+":\s+({_GO_STRING}),', body)
    return [_go_value(row) for row in rows]


class _GoNames:
    """What the expressions of its rules refer to."""

    def __init__(self, forms: list[str], secret: Callable[..., str]) -> None:
        def samples(name: str, value: str) -> list[str]:
            return [
                form.replace("{i}", name).replace("{I}", name.upper()).replace("{s}", value)
                for form in forms
            ]

        def chars(some: str) -> Callable[[str], str]:
            return lambda count: f"[{some}]{{{count}}}"

        hexed = "[0-9a-f]"
        self._names = {
            "GenerateSampleSecret": lambda name, value: f'{name}_api_token = "{value}"',
            "GenerateSampleSecrets": samples,
            "Numeric": chars("0-9"),
            "Hex": chars("a-f0-9"),
            "AlphaNumeric": chars("a-z0-9"),
            "AlphaNumericExtendedShort": chars("a-z0-9_-"),
            "AlphaNumericExtended": chars(r"a-z0-9=_\-"),
            "AlphaNumericExtendedLong": chars(r"a-z0-9\/=_\+\-"),
            "Hex8_4_4_4_12": lambda: rf"{hexed}{{8}}-(?:{hexed}{{4}}-){{3}}{hexed}{{12}}",
            "NewSecret": secret,
            "NewSecretWithEntropy": secret,
            "newPlausibleSecret": secret,
            "Sprintf": lambda form, *values: form % values,
            "append": _flat,
        }

    def cases(self, function: str) -> Iterator[tuple[str, bool]]:
        function = re.sub(r"\b(?:utils|secrets|fmt)\.(?=[A-Z])", "", function)
        names = dict(self._names)
        for name, expression in _assignments(function):
            flag = {"tps": True, "fps": False}.get(name)
            try:
                value = eval(expression, names)
            except Exception:
                continue
            if flag is not None:
                names[name] = []
                for text in _flat(value):
                    if isinstance(text, str):
                        yield text, flag
            elif isinstance(value, (str, list)):
                names[name] = value


def _flat(*values: Any) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        flat += _flat(*value) if isinstance(value, list) else [value]
    return flat


def _as_python(source: str) -> str:
    """Go without comments, with its strings as Python writes them."""
    pattern = re.compile(rf"//[^\n]*|/\*.*?\*/|{_GO_STRING}", re.DOTALL)
    return pattern.sub(lambda m: "" if m[0][0] == "/" else repr(_go_value(m[0])), source)


def _assignments(source: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"(?m)^\s*(?:var\s+)?(\w+)\s*:?=\s*", source):
        start = match.end()
        if source.startswith("map[string]string{", start):
            end = _closing(source, start + 17)
            yield match[1], f"list({{{source[start + 18 : end]}}}.values())"
        elif source.startswith("[]string{", start):
            yield match[1], f"[{source[start + 9 : _closing(source, start + 8)]}]"
        else:
            end = _closing(source, start, line=True)
            yield match[1], source[start:end].replace("...", "")


def _closing(source: str, start: int, *, line: bool = False) -> int:
    """Where the bracket at `start` closes, or with `line` where the expression's line ends."""
    depth, quote, at = 0, "", start
    while at < len(source):
        char = source[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0 and not line:
                return at
        elif char == "\n" and line and depth == 0:
            return at
        at += 1
    return at


# --- trufflehog -------------------------------------------------------------------------------


def trufflehog_cases(checkout: Path) -> list[Case]:
    """Inputs of its detectors' pattern tests. Its negatives are inputs that one detector is not to
    take; most of them hold a credential all the same."""
    cases: list[Case] = []
    for path in sorted((checkout / "pkg" / "detectors").rglob("*_test.go")):
        if "integration" in path.name:
            continue
        source = path.read_text("utf-8")
        names = {
            name: _go_value(value)
            for name, value in re.findall(
                rf"(?m)^\s*(?:var\s+|const\s+)?(\w+)\s*:?=\s*({_GO_STRING})$", source
            )
        }
        rows = re.finditer(
            r'\{\s*name:\s*"[^"]+",\s*(.*?)\bwant:\s*(.*?)\n\s*\},?\n', source, re.DOTALL
        )
        for row in rows:
            given = re.search(r"(?:input|data):\s*(.*)", row[1], re.DOTALL)
            text = _input(given[1].strip().rstrip(",").strip(), names) if given else None
            if text is not None:
                none = re.match(r"nil|\[\]\w+\{\s*\}|map\[string\]struct\{\}\{\}", row[2].strip())
                cases.append((path.parent.name, text, none is None))
    return cases


def _input(expression: str, names: dict[str, str]) -> str | None:
    if re.fullmatch(_GO_STRING, expression):
        return _go_value(expression)
    form = re.fullmatch(rf"fmt\.Sprintf\(({_GO_STRING}),(.*)\)", expression, re.DOTALL)
    if form is None:
        return names.get(expression)
    values = [names.get(word.strip()) for word in form[2].split(",") if word.strip()]
    try:
        return _go_value(form[1]).replace("%v", "%s") % tuple(values) if all(values) else None
    except (TypeError, ValueError):
        return None


def _go_value(literal: str) -> str:
    if literal[0] == "`":
        return literal[1:-1]
    try:
        return str(json.loads(literal))
    except ValueError:
        return literal[1:-1]
