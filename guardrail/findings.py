"""What detectors report and what a check returns: frozen records, never the text that matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Action(IntEnum):
    """What happens to a text, mildest first, so that `max` of several is the one to obey."""

    ALLOW = 0
    FLAG = 1
    REDACT = 2
    REFUSE = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of code points of the raw text."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a finding comes from; it names places and lengths, never text.

    `matched` is the length of the match in canonical units, `words` the number of words (runs
    without white space) of the response that it covers. `corpus_start` and `corpus_end` are code
    points of the named document as it was read, exact to a few. `copies` is the number of
    documents of the same collection and labels that hold the passage: at least so many.

    `record` is the name of the rule that marked a record when the index was built. `in_prompt` says
    that the value stands in the prompt as well, for detectors that look there.

    `excuse` says why the span may be said (`background`, `prompt` or `entitled`). Of a span that
    is left of a longer match, `matched` and `words` count all that is left of that match, and
    `excused` the units that were not counted.

    `view` says through which disguise it was seen, the outer one first (`base64>rot13`); None for
    what stands in the text as it is.
    """

    document: str | None = None
    collection: str | None = None
    labels: tuple[str, ...] = ()
    corpus_start: int | None = None
    corpus_end: int | None = None
    matched: int | None = None
    words: int | None = None
    copies: int | None = None
    index: str | None = None
    record: str | None = None
    excuse: str | None = None
    excused: int = 0
    view: str | None = None
    in_prompt: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One span that one detector found.

    `detector` is the instance name, unique in a filter; `kind` what was found (`verbatim`,
    `phrase`, ...); `score` is in 0..1. `action` and `rule` are what the policy decided:
    detectors leave them at their defaults.
    """

    detector: str
    kind: str
    span: Span
    score: float = 1.0
    evidence: Evidence = field(default_factory=Evidence)
    action: Action = Action.ALLOW
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A detector could not judge: `covered` is the share (0..1) of the text that it did judge."""

    detector: str
    reason: str
    covered: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a check. `text` is safe to send; `action` is the strongest that applied.

    `coverage` maps each detector's name to the share (0..1) of the text that it judged;
    `timings` maps detectors and stages to seconds.
    """

    action: Action
    text: str
    findings: tuple[Finding, ...] = ()
    failures: tuple[Failure, ...] = ()
    coverage: Mapping[str, float] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON-ready values, in the form that `guardrail check --json` prints."""
        return {
            "action": str(self.action),
            "text": self.text,
            "findings": [_finding_dict(finding) for finding in self.findings],
            "failures": [
                {"detector": f.detector, "reason": f.reason, "covered": f.covered}
                for f in self.failures
            ],
            "coverage": dict(self.coverage),
            "timings": dict(self.timings),
        }


def _finding_dict(finding: Finding) -> dict[str, Any]:
    evidence = finding.evidence
    return {
        "detector": finding.detector,
        "kind": finding.kind,
        "start": finding.span.start,
        "end": finding.span.end,
        "score": finding.score,
        "action": str(finding.action),
        "rule": finding.rule,
        "evidence": {
            "document": evidence.document,
            "collection": evidence.collection,
            "labels": list(evidence.labels),
            "corpus_start": evidence.corpus_start,
            "corpus_end": evidence.corpus_end,
            "matched": evidence.matched,
            "words": evidence.words,
            "copies": evidence.copies,
            "index": evidence.index,
            "record": evidence.record,
            "excuse": evidence.excuse,
            "excused": evidence.excused,
            "view": evidence.view,
            "in_prompt": evidence.in_prompt,
        },
    }


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """The union of spans as sorted, disjoint spans; touching spans are joined."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        if merged and span.start <= merged[-1].end:
            if span.end > merged[-1].end:
                merged[-1] = Span(merged[-1].start, span.end)
        else:
            merged.append(span)
    return merged
