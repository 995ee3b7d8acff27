"""Findings of records: which documents hold what a response says, and whether it may be said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from guardrail.detector import Context
from guardrail.findings import Evidence, Finding
from guardrail.indexes.excuses import Cutter, Excuses
from guardrail.indexes.index import Index
from guardrail.indexes.record_table import NOWHERE
from guardrail.indexes.runs import DocumentRow
from guardrail.text import CanonicalText, canonicalise


def record_findings(
    name: str,
    text: CanonicalText,
    context: Context,
    indexes: Iterable[Index],
    excuses: Excuses | None,
) -> Iterator[Finding]:
    """Findings of kind `record` of a detector called `name`: one for each record that a response
    holds and each group (collection and labels) of documents that hold the record.

    A record is excused as a whole or not at all: where the caller may see a document that holds it,
    where all of it lies in a public run, and, if the policy lets the prompt count, where the user
    supplied the very record.
    """
    cutter: Cutter | None = None
    for index in indexes:
        hits = index.records.find(text).tolist()
        if not hits:
            continue
        if excuses is not None and cutter is None:
            cutter = excuses.cutter(text, context)
        said = _said(index, context, excuses)
        holders = _holders(index, {first: last for _, _, first, last in hits})
        for start, end, first, _ in hits:
            places = holders[first]
            excuse = None
            if excuses is not None and any(
                excuses.entitled(context.entitlements, document) for document, _ in places
            ):
                excuse = "entitled"
            elif first in said:
                excuse = "prompt"
            elif cutter is not None:
                left, cut = cutter.cut(start, end)
                excuse = None if left else cut[0].reason
            groups: dict[tuple[str, tuple[str, ...]], list[tuple[DocumentRow, int]]] = {}
            for document, fact in places:
                groups.setdefault((document.collection, document.labels), []).append(
                    (document, fact)
                )
            for group in groups.values():
                yield _finding(name, text, start, end, group, index, excuse)


def _said(index: Index, context: Context, excuses: Excuses | None) -> frozenset[int]:
    """The records that the user supplied, where that excuses: the first row of each."""
    if excuses is None or not excuses.prompt:
        return frozenset()
    return frozenset(
        first
        for supplied in context.prompt
        for first in index.records.find(canonicalise(supplied))[:, 2].tolist()
    )


def _holders(index: Index, ranges: dict[int, int]) -> dict[int, list[tuple[DocumentRow, int]]]:
    """By first row of a range of equal records: the living documents that hold them, each with what
    the table says of the place."""
    places = {first: index.records.places(first, last) for first, last in ranges.items()}
    wanted = np.array(sorted({key for part in places.values() for key, _ in part}), np.uint64)
    documents: dict[int, DocumentRow] = {}
    for segment in index.segments:
        rows = np.flatnonzero(np.isin(segment.table["key"], wanted) & ~segment.dead)
        for row in rows.tolist():
            documents.setdefault(int(segment.table["key"][row]), segment.document(row))
    return {
        first: [(documents[key], place) for key, place in part if key in documents]
        for first, part in places.items()
    }


def _finding(
    name: str,
    text: CanonicalText,
    start: int,
    end: int,
    group: list[tuple[DocumentRow, int]],
    index: Index,
    excuse: str | None,
) -> Finding:
    span = text.span(start, end)
    document, place = group[0]
    offset = place & NOWHERE
    known = offset != NOWHERE
    return Finding(
        detector=name,
        kind="record",
        span=span,
        evidence=Evidence(
            document=document.id,
            collection=document.collection,
            labels=document.labels,
            corpus_start=offset if known else None,
            corpus_end=offset + (place >> 48) if known else None,
            matched=end - start,
            words=len(text.raw[span.start : span.end].split()),
            copies=len(group),
            index=index.path.name,
            record=index.records.names[(place >> 32) & 0xFFFF],
            excuse=excuse,
        ),
    )
