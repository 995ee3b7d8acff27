"""In views that pieces were put together for, only what is certain is searched for."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.pii.rules import engine
from guardrail.classifiers.secrets import secrets_engine
from guardrail.detector import SURE
from tests.cases.pii import CASES
from tests.cases.secrets import CLEAN, structures

TEXTS = [*(case.text for case in CASES), *CLEAN, *(case.text for case in structures(3))]


@pytest.mark.parametrize("rules", [engine, secrets_engine])
def test_what_is_certain_is_found_as_among_all_rules(rules: Callable[[], PatternEngine]) -> None:
    found = rules()
    dice = random.Random(4)
    certain = 0
    for _ in range(200):
        text = "\n\n".join(dice.sample(TEXTS, 3))
        hits = [hit for hit in found.scan(text) if hit.score >= SURE]
        sure = [hit for hit in found.scan_pieces(text, 0) if hit.score >= SURE]
        assert sure == hits
        assert found.scan_pieces(text, len(text)) == found.scan(text)
        certain += len(hits)
    assert certain > 0
