"""Near-verbatim findings: what chains of runs say of a response."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from guardrail.findings import Evidence, Finding
from guardrail.indexes.chaining import DRIFT, Runs, chains
from guardrail.indexes.index import Index
from guardrail.indexes.segment import Segment
from guardrail.text import CanonicalText

# The least weight of a chain, in units, that is looked at. Measured over 1,218 clean answers and
# 268 MB of documentation: one in 100 has a chain of 50, one in 1,000 one of 67.
LEAST = 40
# Runs of a chain that are no further apart in the response are one span: what stands between them
# is what was put in the place of the original.
JOIN = 60


@dataclass(frozen=True, slots=True)
class Chained:
    """The chained runs of one segment."""

    index: Index
    segment: Segment
    runs: Runs


@dataclass(frozen=True, slots=True)
class _Chain:
    """One chain: its pieces in the response as units (start, end), and where it comes from."""

    weight: int
    pieces: tuple[tuple[int, int], ...]
    covered: int
    left_out: int
    row: int
    start: int
    end: int
    found: Chained

    @property
    def group(self) -> tuple[str, tuple[str, ...]]:
        segment = self.found.segment
        return segment.groups[segment.group_of(self.row)]


def near_findings(
    name: str,
    text: CanonicalText,
    found: Sequence[Chained],
    known: Sequence[tuple[tuple[str, tuple[str, ...]], int, int]],
    passes: Callable[[int, int], bool],
) -> Iterator[Finding]:
    """Findings of kind `near-verbatim`, one for each piece of the response that a chain covers.

    `known`: verbatim runs that are reported, as group, start and end in units: a chain inside one
    of the same group says nothing new, nor does one inside a heavier chain. `matched` is the weight
    of the whole chain; `score` the share of the passage that is covered.
    """
    told: dict[tuple[str, tuple[str, ...]], np.ndarray] = {}
    every = [chain for part in found for chain in _chains(part)]
    every.sort(key=lambda chain: -chain.weight)
    for group, start, end in known:
        told.setdefault(group, np.zeros(len(text), np.bool_))[start:end] = True
    for chain in every:
        seen = told.setdefault(chain.group, np.zeros(len(text), np.bool_))
        if all(seen[start:end].all() for start, end in chain.pieces):
            continue
        for start, end in chain.pieces:
            seen[start:end] = True
        spans = [text.span(start, end) for start, end in chain.pieces]
        words = sum(len(text.raw[span.start : span.end].split()) for span in spans)
        if passes(chain.weight, words):
            continue
        place = chain.found.segment.place(chain.row, chain.start, chain.end - chain.start)
        finding = Finding(
            detector=name,
            kind="near-verbatim",
            span=spans[0],
            score=round(chain.covered / (chain.covered + chain.left_out), 3),
            evidence=Evidence(
                document=place.document,
                collection=place.collection,
                labels=place.labels,
                corpus_start=place.start,
                corpus_end=place.end,
                matched=chain.weight,
                words=words,
                copies=1,
                index=chain.found.index.path.name,
            ),
        )
        for span in spans:
            yield replace(finding, span=span)


def _chains(found: Chained) -> Iterator[_Chain]:
    runs = found.runs
    for members in chains(runs, LEAST):
        rows = runs[members]
        lengths = rows[:, 1] - rows[:, 0]
        start, end = int(rows[:, 3].min()), int((rows[:, 3] + lengths).max())
        covered = _covered(rows[:, 3], rows[:, 3] + lengths)
        yield _Chain(
            weight=int(runs[members[-1], 5]) // 4,
            pieces=_pieces(rows),
            covered=covered,
            left_out=end - start - covered,
            row=int(rows[0, 2]),
            start=start,
            end=end,
            found=found,
        )


def _covered(starts: np.ndarray, ends: np.ndarray) -> int:
    """How many units the intervals cover together."""
    total, reached = 0, -1
    for start, end in sorted(zip(starts.tolist(), ends.tolist(), strict=True)):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _pieces(rows: Runs) -> tuple[tuple[int, int], ...]:
    """The stretches of the response that runs cover, joined over small gaps where the corpus goes
    on at about the same distance."""
    pieces: list[tuple[int, int, int]] = []
    for start, end, _, place, *_ in sorted(rows.tolist()):
        if pieces:
            first, last, diagonal = pieces[-1]
            along = abs(place - start - diagonal) <= DRIFT and start - last <= JOIN
            if along or start <= last:
                pieces[-1] = (first, max(last, end), place - start)
                continue
        pieces.append((start, end, place - start))
    return tuple((start, end) for start, end, _ in pieces)
