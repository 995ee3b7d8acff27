"""What is put on record: who, when, which rule, which documents by their ids, lengths. No text.

A record has two halves. `body` stays for as long as the record does; `personal` (who it was, and
which documents) can be erased later without breaking the chain, see docs/audit.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guardrail.findings import Finding, Verdict
from guardrail.server.identity import Identity

# Documents that one record names: a response that quotes more is told by their number. At 100
# ids of 50 letters a record stays within 8 KiB.
MAX_DOCUMENTS = 100


def now() -> int:
    """The time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One event. `time` is in microseconds since 1970, UTC; the two halves are JSON-ready."""

    event: str
    body: Mapping[str, Any]
    personal: Mapping[str, Any]
    time: int = field(default_factory=now)

    def body_json(self) -> str:
        return _json(self.body)

    def personal_json(self) -> str:
        return _json(self.personal)


def decision(
    event: str,
    caller: Identity,
    verdict: Verdict,
    *,
    request: str,
    policy: str | None = None,
    model: str | None = None,
    prompt_chars: int = 0,
    response_chars: int = 0,
    **details: str,
) -> AuditRecord:
    """The record of a verdict on a response of `response_chars` code points.

    `request` is the id that the caller is told, `policy` the digest of the policy in force;
    `details` name no person. Of a failed detector the name and coverage are kept; its reason may
    come from a foreign program.
    """
    documents, count = _documents(verdict.findings)
    return AuditRecord(
        event=event,
        body={
            "request": request,
            "action": str(verdict.action),
            "policy": policy,
            "model": model,
            "prompt_chars": prompt_chars,
            "response_chars": response_chars,
            "rules": _rules(verdict.findings),
            "failures": [
                {"detector": f.detector, "covered": round(f.covered, 4)} for f in verdict.failures
            ],
            "documents": count,
            **details,
        },
        personal={"tenant": caller.tenant, "key": caller.key_id, "documents": documents},
    )


def opening(
    event: str, caller: Identity, *, request: str, model: str, prompt_chars: int, upstream: str
) -> AuditRecord:
    """The record of a request that is passed on to a model server."""
    return AuditRecord(
        event=event,
        body={
            "request": request,
            "action": "forward",
            "model": model,
            "prompt_chars": prompt_chars,
            "upstream": upstream,
        },
        personal={"tenant": caller.tenant, "key": caller.key_id},
    )


def refusal(event: str, caller: Identity, reason: str, *, request: str) -> AuditRecord:
    """The record of a request that was refused before anything was judged: `reason` is a word of
    the service's own, such as `model` or `scope`."""
    return AuditRecord(
        event=event,
        body={"request": request, "action": "refuse", "reason": reason},
        personal={"tenant": caller.tenant, "key": caller.key_id},
    )


def administration(
    event: str,
    actor: Identity | str,
    *,
    about: Mapping[str, str] | None = None,
    **details: Any,
) -> AuditRecord:
    """The record of an administrative act: of a key's holder, or of a person at the command line,
    named by the operating system. `about` names the `tenant` and `key` that it concerns;
    `details` are JSON-ready and name no person."""
    who = (
        {"user": actor} if isinstance(actor, str) else {"tenant": actor.tenant, "key": actor.key_id}
    )
    return AuditRecord(
        event=event,
        body=details,
        personal=who if about is None else {**who, "about": dict(about)},
    )


def _rules(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """How often each rule decided, on what kind of finding, and on how many code points."""
    counts: dict[tuple[str | None, str, str, str], list[int]] = {}
    for finding in findings:
        key = (finding.rule, finding.detector, finding.kind, str(finding.action))
        count = counts.setdefault(key, [0, 0])
        count[0] += 1
        count[1] += len(finding.span)
    names = ("rule", "detector", "kind", "action", "findings", "chars")
    return [dict(zip(names, (*key, *count), strict=True)) for key, count in counts.items()]


def _documents(findings: Sequence[Finding]) -> tuple[list[dict[str, Any]], int]:
    """The documents that were found, with the longest match in each, longest first; and how many
    there are."""
    longest: dict[tuple[str | None, str | None, str], int] = {}
    for finding in findings:
        evidence = finding.evidence
        if evidence.document is not None:
            key = (evidence.index, evidence.collection, evidence.document)
            longest[key] = max(longest.get(key, 0), evidence.matched or 0)
    ranked = sorted(longest.items(), key=lambda item: -item[1])
    names = ("index", "collection", "document", "matched")
    told = [
        dict(zip(names, (*key, matched), strict=True)) for key, matched in ranked[:MAX_DOCUMENTS]
    ]
    return told, len(longest)


def _json(value: Mapping[str, Any]) -> str:
    # ASCII, so that lone surrogates and NUL in a document's id survive any database.
    return json.dumps(value, separators=(",", ":"))
