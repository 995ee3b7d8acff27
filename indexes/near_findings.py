"""Near-verbatim findings: what chains of runs say of a response."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardrail.findings import Evidence, Finding
from guardrail.indexes.chain_weight import repeated, weight_of
from guardrail.indexes.chaining import DRIFT, LEAST, Runs, chains
from guardrail.indexes.excuses import Cutter
from guardrail.indexes.index import Index
from guardrail.indexes.segment import Group, Segment
from guardrail.text import CanonicalText, Units

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
class Chain:
    """One chain: its pieces in the response as units (start, end), and where it comes from."""

    weight: int
    pieces: tuple[tuple[int, int], ...]
    covered: int
    left_out: int
    row: int
    start: int
    end: int
    segment: Segment
    index: Index

    @property
    def group(self) -> Group:
        return self.segment.groups[self.segment.group_of(self.row)]


def near_chains(
    text: CanonicalText, found: Sequence[Chained], passes: Callable[[int, int], bool]
) -> list[Chain]:
    """The chains, heaviest first, that `passes` does not let through."""
    every = [chain for part in found for chain in _chains(text.units, part)]
    every.sort(key=lambda chain: -chain.weight)
    return [chain for chain in every if not passes(chain.weight, _words(text, chain.pieces))]


def near_findings(
    name: str,
    text: CanonicalText,
    chains: Sequence[Chain],
    known: Sequence[tuple[Group, int, int]],
    cutter: Cutter | None,
) -> Iterator[Finding]:
    """Findings of kind `near-verbatim`, one for each piece of the response that a chain covers.

    `known`: verbatim runs that are reported, as group, start and end in units: a chain inside one
    of the same group says nothing new, nor does one inside a heavier chain. `matched` is the weight
    of the whole chain, less the units that `cutter` excuses; `score` the share of the passage that
    is covered.
    """
    told: dict[Group, NDArray[np.bool_]] = {}
    for group, start, end in known:
        told.setdefault(group, np.zeros(len(text), np.bool_))[start:end] = True
    for chain in chains:
        seen = told.setdefault(chain.group, np.zeros(len(text), np.bool_))
        if all(seen[start:end].all() for start, end in chain.pieces):
            continue
        for start, end in chain.pieces:
            seen[start:end] = True
        pieces: Sequence[tuple[int, int]] = chain.pieces
        excused = 0
        if cutter is not None:
            pieces = []
            for start, end in chain.pieces:
                left, cut = cutter.cut(start, end)
                pieces += left
                excused += sum(excuse.end - excuse.start for excuse in cut)
        if not pieces or chain.weight <= excused:
            continue
        place = chain.segment.place(chain.row, chain.start, chain.end - chain.start)
        evidence = Evidence(
            document=place.document,
            collection=place.collection,
            labels=place.labels,
            corpus_start=place.start,
            corpus_end=place.end,
            matched=chain.weight - excused,
            words=_words(text, pieces),
            copies=1,
            index=chain.index.path.name,
            excused=excused,
        )
        score = round(chain.covered / (chain.covered + chain.left_out), 3)
        for start, end in pieces:
            yield Finding(name, "near-verbatim", text.span(start, end), score, evidence)


def _words(text: CanonicalText, pieces: Sequence[tuple[int, int]]) -> int:
    spans = [text.span(start, end) for start, end in pieces]
    return sum(len(text.raw[span.start : span.end].split()) for span in spans)


def _chains(units: Units, found: Chained) -> Iterator[Chain]:
    runs = found.runs
    for members in chains(runs, LEAST):
        rows = runs[members]
        lengths = rows[:, 1] - rows[:, 0]
        weight = weight_of(rows, repeated(units, rows))
        if weight < LEAST:
            continue
        start, end = int(rows[:, 3].min()), int((rows[:, 3] + lengths).max())
        covered = _covered(rows[:, 3], rows[:, 3] + lengths)
        yield Chain(
            weight=weight,
            pieces=_pieces(rows),
            covered=covered,
            left_out=end - start - covered,
            row=int(rows[0, 2]),
            start=start,
            end=end,
            segment=found.segment,
            index=found.index,
        )


def _covered(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
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
