"""The table of all rules for personal data, and the engine over it."""

from __future__ import annotations

from functools import cache

from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.pii.addresses import ADDRESSES
from guardrail.classifiers.pii.contact import CONTACT
from guardrail.classifiers.pii.money import MONEY
from guardrail.classifiers.pii.names import NAMES
from guardrail.classifiers.pii.national import NATIONAL
from guardrail.classifiers.pii.people import PEOPLE

RULES = (*CONTACT, *MONEY, *PEOPLE, *NAMES, *ADDRESSES, *NATIONAL)

KINDS = tuple(sorted({rule.kind for rule in RULES}))


@cache
def engine() -> PatternEngine:
    """The engine over `RULES`, compiled at the first call."""
    return PatternEngine(RULES)
