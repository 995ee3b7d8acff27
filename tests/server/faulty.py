"""`guardrail serve` with one detector more, which does what no detector should."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from guardrail.assembly import Guardrail
from guardrail.cli import main
from guardrail.detector import Context
from guardrail.filter import Filter
from guardrail.findings import Finding
from guardrail.text import CanonicalText

COMMAND = f"import {__name__} as faulty; faulty.serve()"
HANG, DAWDLE, CRASH = "please hang", "please dawdle", "please crash"


class Faulty:
    name = "faulty"
    window = None

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        if HANG in text.raw:
            time.sleep(1_000_000)
        if DAWDLE in text.raw:
            time.sleep(0.5)
        if CRASH in text.raw:
            raise RuntimeError(text.raw)
        return ()


def serve() -> None:
    original = Guardrail.from_policy.__func__  # type: ignore[attr-defined]

    def from_policy(cls: type[Guardrail], *given: Any, **options: Any) -> Guardrail:
        rail: Guardrail = original(cls, *given, **options)
        rail._filter = Filter(rail.policy, [*rail.detectors, Faulty()])
        return rail

    Guardrail.from_policy = classmethod(from_policy)  # type: ignore[assignment, method-assign]
    main()
