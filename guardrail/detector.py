"""What a detector is: the extension point of the filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from guardrail.findings import Finding
from guardrail.text import CanonicalText


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about the response besides its text.

    `entitlements`: collections that the one who asks may see. `logprobs`: the natural logarithms of
    the probabilities of the response's tokens, as the model gave them. `deadline`: the value of
    `time.monotonic()` past which no detector starts, and a slow one should give up. The detectors
    over indexes need only the text; the rest is for those that judge by more.
    """

    prompt: str | None = None
    identity: str | None = None
    entitlements: frozenset[str] = frozenset()
    model: str | None = None
    logprobs: Sequence[float] | None = None
    deadline: float | None = None


EMPTY_CONTEXT = Context()


class Detector(Protocol):
    """Finds spans in a text. Implementations are thread-safe.

    `name` is unique in a filter. `window` is the longest span, in code points, that the detector
    needs to see at once, or None where it needs a whole segment. An exception from `scan` becomes
    a `Failure`: a detector that cannot judge raises, and never returns nothing instead.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int | None: ...

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]: ...


@runtime_checkable
class CostlyDetector(Detector, Protocol):
    """A detector that runs after the others, and only where its findings could change the verdict.

    `kinds` are the kinds of all its findings. Where it does not run, the verdict's coverage says 0
    for it, without a failure. A redacted text is not shown to it again.
    """

    @property
    def kinds(self) -> frozenset[str]: ...
