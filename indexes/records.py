"""Records: short identifying values of documents, such as account numbers, diagnoses and keys.

They are protected although they are shorter than the bound of the index. Rules mark them while a
corpus is read: by a pattern, by a field of JSON, CSV and the like, or by a label of the document,
of which each line is a record then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from guardrail.errors import UsageError
from guardrail.indexes.documents import Document
from guardrail.text import canonical_units

# Limits of the table of records. What is longer is a matter of overlap.
LEAST_UNITS = 6
MOST_UNITS = 128

# Six digits (20 bits) are a record, five are not; three words (24) are, two are not.
DEFAULT_BITS = 18.0
_DIGIT_BITS = 3.3
_LETTER_BITS = 4.0
_WORD_BITS = 8.0
_IDEOGRAPHS = 0x2E80

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the name of its rule, its text, and where in the document's text it stands, in
    code points (None: it is in a field beside the text)."""

    rule: str
    value: str
    offset: int | None = None


Identify = Callable[[str], Iterable[tuple[str, str, int, int]]]
"""Kind, value, start and end (code points) of each identifier in a text. A function of a module:
worker processes import it."""


class RecordFinder(Protocol):
    """Finds the records of documents while a corpus is read, in worker processes.

    `fields`: the fields of records that readers are to hand over in `Document.fields`. Two finders
    that find the same have the same `repr`.
    """

    @property
    def fields(self) -> tuple[str, ...]: ...

    def find(self, document: Document) -> Iterable[Record]: ...


def information(value: str) -> float:
    """About how many bits it takes to guess a value: 3.3 for a digit, 4 for a letter in a word with
    digits or inner capitals, 2 for a letter of any other word and 8 at most for the word, 8 for
    an ideograph. The third and later of equal characters in a row count nothing."""
    bits = 0.0
    for word in _WORD.findall(value):
        fresh = [char for at, char in enumerate(word) if word[max(0, at - 2) : at] != 2 * char]
        digits = sum(char.isdigit() for char in fresh)
        ideographs = sum(ord(char) >= _IDEOGRAPHS for char in fresh)
        letters = len(fresh) - digits - ideographs
        plain = word.islower() or word.isupper() or word.istitle() or not word.isascii()
        if digits or not plain:
            bits += digits * _DIGIT_BITS + letters * _LETTER_BITS
        else:
            bits += min(_WORD_BITS, 2.0 * letters)
        bits += ideographs * _WORD_BITS
    return bits


def identifying(
    value: str, *, min_units: int = LEAST_UNITS, min_bits: float = DEFAULT_BITS
) -> bool:
    """Whether a value says enough to be protected: "yes" and "New York" do not, a number of six
    digits does."""
    units = len(canonical_units(value)[0])
    return min_units <= units <= MOST_UNITS and information(value) >= min_bits


@dataclass(frozen=True, slots=True)
class RecordRule:
    """One rule, of exactly one of three kinds. Raises UsageError where it cannot be obeyed.

    Of a `pattern` (a regular expression), the group called `record`, else the first group, else
    all that matches is the record. `field` is found like the fields of text. `label`: each line of
    a document with this label. A value counts from `min_units` canonical units and `min_bits` of
    `information` on.
    """

    name: str
    pattern: str | None = None
    field: str | None = None
    label: str | None = None
    min_units: int = LEAST_UNITS
    min_bits: float = DEFAULT_BITS

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"the name of a record rule is {self.name!r}; it takes up to 64 letters, digits, "
                "_, . and -"
            )
        if sum(kind is not None for kind in (self.pattern, self.field, self.label)) != 1:
            raise UsageError(
                f"the record rule {self.name} needs exactly one of pattern, field and label"
            )
        if not LEAST_UNITS <= self.min_units <= MOST_UNITS:
            raise UsageError(
                f"the record rule {self.name} has min_units {self.min_units}; it must be from "
                f"{LEAST_UNITS} to {MOST_UNITS}: shorter values stand everywhere by chance"
            )
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise UsageError(
                f"the pattern of the record rule {self.name} is no regular expression: {error.msg} "
                f"at character {error.pos}"
            ) from None


@dataclass(frozen=True)
class RecordRules:
    """A `RecordFinder` by rules. Raises UsageError where two have one name."""

    rules: tuple[RecordRule, ...]

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two record rules are called {name}; give each its own name")

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(rule.field for rule in self.rules if rule.field is not None)

    @cached_property
    def _compiled(self) -> Sequence[tuple[RecordRule, re.Pattern[str] | None]]:
        return [(r, None if r.pattern is None else re.compile(r.pattern)) for r in self.rules]

    def find(self, document: Document) -> Iterator[Record]:
        """See `RecordFinder.find`."""
        for rule, pattern in self._compiled:
            for value, offset in _values(rule, pattern, document):
                if identifying(value, min_units=rule.min_units, min_bits=rule.min_bits):
                    yield Record(rule.name, value, offset)


@dataclass(frozen=True, repr=False)
class Identifiers:
    """A `RecordFinder` by a function, such as one that finds personal data and secrets: each is a
    record of a rule that is named as its kind."""

    identify: Identify
    fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Identifiers({self.identify.__module__}.{self.identify.__qualname__})"

    def find(self, document: Document) -> Iterator[Record]:
        """See `RecordFinder.find`."""
        for kind, value, start, _ in self.identify(document.text):
            yield Record(kind, value, start)


def rules_of(finders: Iterable[RecordFinder]) -> tuple[RecordRule, ...]:
    """The rules among finders, which an index remembers."""
    sets = [finder.rules for finder in finders if isinstance(finder, RecordRules)]
    return join_rules(*sets)


def join_rules(*sets: Sequence[RecordRule]) -> tuple[RecordRule, ...]:
    """All rules of several sets. Raises UsageError where two of one name differ."""
    joined: dict[str, RecordRule] = {}
    for rule in (rule for rules in sets for rule in rules):
        if joined.setdefault(rule.name, rule) != rule:
            raise UsageError(
                f"there is another record rule called {rule.name} already; give this one another "
                "name"
            )
    return tuple(joined.values())


def _values(
    rule: RecordRule, pattern: re.Pattern[str] | None, document: Document
) -> Iterator[tuple[str, int | None]]:
    text = document.text
    if pattern is not None:
        group: str | int = "record" if "record" in pattern.groupindex else min(pattern.groups, 1)
        for match in pattern.finditer(text):
            if match.group(group):
                yield match.group(group), match.start(group)
    elif rule.field is not None:
        for name, value in document.fields:
            if name == rule.field:
                offset = text.find(value)
                yield value, None if offset < 0 else offset
    elif rule.label in document.labels:
        offset = 0
        for line in text.splitlines(keepends=True):
            yield line.strip(), offset + len(line) - len(line.lstrip())
            offset += len(line)
