"""Findings of records: which documents hold what a response says, and whether it may be said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from guardrail.detector import Context, Entitlements
from guardrail.findings import Evidence, Finding
from guardrail.indexes.excuses import Cutter, Excuses
from guardrail.indexes.index import Index
from guardrail.indexes.record_table import NOWHERE
from guardrail.indexes.runs import document_key
from guardrail.indexes.segment import Segment
from guardrail.text import CanonicalText, canonicalise


def record_findings(
    name: str,
    text: CanonicalText,
    context: Context,
    indexes: Iterable[Index],
    excuses: Excuses | None,
    cutter: Cutter | None,
) -> Iterator[Finding]:
    """Findings of kind `record` of a detector called `name`: one for each record that a response
    holds and each group (collection and labels) of documents that hold the record, but for records
    inside of a longer one of their group.

    A record is excused as a whole or not at all: where the caller may see a document that holds it,
    where all of it lies in a run that is excused (`cutter`, made here where it is None), and, if
    the policy lets the prompt count, where the user supplied the very record.
    """
    for index in indexes:
        hits = index.records.find(text).tolist()
        if not hits:
            continue
        if excuses is not None and cutter is None:
            cutter = excuses.cutter(text, context)
        entitlements = context.entitlements
        if excuses is None or not excuses.entitlements:
            entitlements = Entitlements()
        said = _said(index, context) if excuses is not None and excuses.prompt else frozenset()
        holders = _holders(index, {first: last for _, _, first, last in hits}, entitlements)
        reached: dict[tuple[str, tuple[str, ...]], int] = {}
        for start, end, first, _ in sorted(hits, key=lambda hit: (hit[0], -hit[1])):
            groups, entitled = holders[first]
            excuse = "entitled" if entitled else "prompt" if first in said else None
            if excuse is None and cutter is not None:
                left, cut = cutter.cut(start, end)
                excuse = None if left else cut[0].reason
            for group, holder in groups.items():
                if end > reached.get(group, 0):
                    reached[group] = end
                    yield _finding(name, text, start, end, holder, index, excuse)


@dataclass(slots=True)
class _Group:
    """Documents of one collection and the same labels that hold a record: the first of them, what
    the table says of its place in it, and how many they are."""

    segment: Segment
    row: int
    place: int
    copies: int


def _said(index: Index, context: Context) -> frozenset[int]:
    """The records that the user supplied: the first row of each."""
    return frozenset(
        first
        for supplied in context.prompt
        for first in index.records.find(canonicalise(supplied))[:, 2].tolist()
    )


def _holders(
    index: Index, ranges: dict[int, int], entitlements: Entitlements
) -> dict[int, tuple[dict[tuple[str, tuple[str, ...]], _Group], bool]]:
    """By first row of a range of equal records: the groups of living documents that hold them, and
    whether the caller may see one of the documents. Only the first of a group is looked up by name:
    a record may stand in a hundred thousand documents."""
    places = {first: dict(index.records.places(first, last)) for first, last in ranges.items()}
    wanted = np.array(sorted({key for part in places.values() for key in part}), np.uint64)
    visible = np.array(
        [document_key(index.key, *name) for name in entitlements.documents], np.uint64
    )
    found: dict[int, tuple[dict[tuple[str, tuple[str, ...]], _Group], bool]] = {
        first: ({}, False) for first in ranges
    }
    for segment in index.segments:
        rows = np.flatnonzero(np.isin(segment.table["key"], wanted) & ~segment.dead)
        keys, numbers = segment.table["key"][rows], segment.table["group"][rows]
        for first, part in places.items():
            groups, entitled = found[first]
            held = np.isin(keys, np.fromiter(part, np.uint64, len(part)))
            entitled = entitled or bool(np.isin(keys[held], visible).any())
            unique, firsts, counts = np.unique(numbers[held], return_index=True, return_counts=True)
            for number, at, count in np.stack((unique, firsts, counts), axis=1).tolist():
                name = segment.groups[number]
                entitled = entitled or entitlements.cover(*name)
                row = int(rows[held][at])
                place = part[int(segment.table["key"][row])]
                group = groups.setdefault(name, _Group(segment, row, place, 0))
                group.copies += count
            found[first] = groups, entitled
    return found


def _finding(
    name: str,
    text: CanonicalText,
    start: int,
    end: int,
    group: _Group,
    index: Index,
    excuse: str | None,
) -> Finding:
    span = text.span(start, end)
    document = group.segment.document(group.row)
    offset = group.place & NOWHERE
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
            corpus_end=offset + (group.place >> 48) if known else None,
            matched=end - start,
            words=text.words(start, end),
            copies=group.copies,
            index=index.path.name,
            record=index.records.names[(group.place >> 32) & 0xFFFF],
            excuse=excuse,
        ),
    )
