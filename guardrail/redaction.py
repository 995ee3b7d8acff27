"""What stands in the place of redacted text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from guardrail.errors import UsageError

DEFAULT_LABEL = "[REDACTED]"
MASK = "█"
MAX_LABEL = 200

Style = Literal["label", "mask", "remove"]
STYLES: tuple[Style, ...] = ("label", "mask", "remove")

Operator = Callable[[str], str]
"""Makes what stands in the place of one value from the value itself."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What stands in the place of a redacted span.

    `label` puts `text` there, in which `{kind}` becomes the kinds of the findings; `mask` puts
    one █ for each code point and so reveals the length; `remove` puts nothing, or the default
    label where nothing would change a code fence or an inline code span. `operators` make the
    replacement of a span from what it holds, by kind, where all of it is of one kind.
    Raises UsageError for an unknown style or a text that could break what surrounds it.
    """

    style: Style = "label"
    text: str = DEFAULT_LABEL
    operators: Mapping[str, Operator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise UsageError(f"unknown redaction style; allowed: {', '.join(STYLES)}")
        problem = label_problem(self.text)
        if problem is not None:
            raise UsageError(f"redaction text {problem}")

    def uses_kind(self) -> bool:
        """Whether the replacement depends on the kind of what was found."""
        return bool(self.operators) or (self.style == "label" and "{kind}" in self.text)

    def operator(self, kinds: Iterable[str]) -> Operator | None:
        """What makes the replacement of a span of these kinds, if not the style."""
        if not self.operators:
            return None
        one, *more = [*kinds] or [""]
        return None if more else self.operators.get(one)

    def replacement(self, value: str, kinds: Iterable[str] = ()) -> str:
        """What replaces this text, in which findings of these kinds lie."""
        operator = self.operator(kinds)
        if operator is not None:
            made = operator(value)
            # What is made of private text must not open a block or break a line either.
            if made.isprintable() and made.strip() and "`" not in made and "~" not in made:
                return made
            return DEFAULT_LABEL
        if self.style == "mask":
            return MASK * len(value)
        if self.style == "remove":
            return ""
        if "{kind}" not in self.text:
            return self.text
        # A kind is a detector's own word, but a plug-in's word could hold a quote or a backtick.
        named = "+".join(sorted({_NOT_IN_KIND.sub("_", kind)[:64] for kind in kinds}))
        return self.text.replace("{kind}", named or "match")


def label_problem(text: str) -> str | None:
    """Why a text cannot be a redaction label, or None if it can."""
    if not text.strip():
        return "is empty; to leave nothing behind use the style remove"
    if len(text) > MAX_LABEL:
        return f"has {len(text)} characters; allowed: up to {MAX_LABEL}"
    if not text.isprintable():
        return "holds a line break or another character that does not print"
    if "`" in text or "~" in text:
        return "holds ` or ~, which could open or close a code block"
    if _PLACEHOLDER.search(text.replace("{kind}", "")):
        return "holds an unknown placeholder; allowed: {kind}"
    return None


_NOT_IN_KIND = re.compile(r"[^\w.-]")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
