"""What identifies somebody or opens something in a document: personal data and secrets by rules."""

from __future__ import annotations

from collections.abc import Iterator

from guardrail.classifiers.pii.rules import engine
from guardrail.classifiers.secrets import secrets_engine

# Names, places, dates and links stand in public text as well, and what only looks random may be a
# digest: they say nothing of a corpus by themselves.
COMMON = frozenset(
    {"age", "date_time", "high-entropy", "organization", "location", "person", "postal_code"}
    | {"swift_code", "url"}
)
LEAST_SCORE = 0.6
"""Hits below it are guesses: half of the numbers of a ledger would be telephone numbers."""


def values(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Kind, value, start and end (code points) of all personal data and secrets in a text."""
    for scan in (engine().scan, secrets_engine().scan):
        for hit in scan(text):
            yield hit.kind, text[hit.start : hit.end], hit.start, hit.end


def identifiers(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Those of the values that point to one person, account or door."""
    for scan in (engine().scan, secrets_engine().scan):
        for hit in scan(text):
            if hit.kind not in COMMON and hit.score >= LEAST_SCORE:
                yield hit.kind, text[hit.start : hit.end], hit.start, hit.end
