"""The detectors over indexes: verbatim overlap with documents, and protected phrases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardrail.detector import Context, Progress
from guardrail.findings import Evidence, Finding, Span
from guardrail.indexes.covers import (
    COPIES,
    CUT,
    END,
    FIRST,
    GROUP,
    LAST,
    NO_RUNS,
    OPEN,
    ROW,
    SEGMENT,
    START,
    UNCUT,
    WORDS,
    Shared,
    described,
    needed,
)
from guardrail.indexes.excuses import Cutter, Excuse, Excuses
from guardrail.indexes.extending import BEFORE
from guardrail.indexes.index import Index
from guardrail.indexes.matching import Matches
from guardrail.indexes.near_findings import Chain, Chained, near_chains, near_findings
from guardrail.indexes.phrases import PhraseMatch, PhraseSet, read_phrase_file
from guardrail.indexes.query import Query, make_query
from guardrail.indexes.record_findings import record_findings
from guardrail.indexes.segment import Group, Segment
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import STRAY, CanonicalText, Units

Passes = Callable[[int, int], bool]
# More units, or words, than any text has.
_ANY = 1 << 40
# By gram length and identifier of the key.
Queries = Mapping[tuple[int, str], Query]


def _nothing(matched: int, words: int) -> bool:
    return False


class OverlapDetector:
    """Finds what a response shares with documents of indexes.

    Findings are of kind `verbatim`; `near-verbatim` for a passage that was edited, taken apart or
    put in another order; `record` for a short value that was marked when the index was built.
    Evidence names document and place. Every run of at least an index's bound (gram + stride - 1
    units) is found, and reported unless the policy lets it through wherever it comes from; and
    every record.
    """

    window = None

    def __init__(
        self,
        name: str,
        indexes: Sequence[WatchedIndex],
        excuses: Excuses | None = None,
        passes: Callable[[str], Passes] = lambda kind: _nothing,
    ) -> None:
        """`excuses`: what may be said all the same (none: nothing). `passes` gives for a kind of
        findings what tells, by length in canonical units and number of words, which ones need not
        be reported."""
        self.name = name
        self._indexes = tuple(indexes)
        self._excuses = excuses
        # Runs of clean text have few lengths: remembered, one costs a tenth.
        self._passes = lru_cache(maxsize=4096)(passes("verbatim"))
        self._near_passes = passes("near-verbatim")

    @property
    def problems(self) -> tuple[str, ...]:
        """Why newer states of indexes are not in use."""
        return tuple(index.problem for index in self._indexes if index.problem)

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`. Raises IndexDamagedError where an index turned out to be damaged."""
        search = self._search(text, all_runs=False)
        runs = search.needed()
        chains = near_chains(text, search.chained, self._near_passes) if search.chained else []
        shared: list[_Run | Chain] = [*runs, *chains]
        cutter = self._cutter(text.units, context, shared, search.queries) if shared else None
        if cutter is not None and len(runs):
            search.shared[:, CUT] = cutter.effects(search.shared[:, : END + 1])
            runs = search.needed()
        found: list[Finding] = []
        if holding := [index for index in search.indexes if len(index.records)]:
            found += record_findings(self.name, text, context, holding, self._excuses, cutter)
        for run in runs:
            found += self._cut(text, run, cutter)
        if chains:
            known = [(run.group, run.start, run.end) for run in runs]
            found += near_findings(self.name, text, chains, known, cutter)
        return found

    def scan_live(self, text: CanonicalText, context: Context) -> Progress:
        """See `LiveDetector`, for verbatim runs. A run that reaches the end of the text may go on.
        One that is not found yet is shorter than the bound: any `bound` units of a document hold a
        gram of it that the index knows. Excuses count when a run is complete, as far as they lie
        within it: what stands around it may not be here yet, or no longer."""
        search = self._search(text, all_runs=True)
        total, bound = len(text), max(index.grid.bound for index in search.indexes)
        first = max(0, total - bound + 1)
        settled = text.word_start(int(text.offsets[first])) if total else len(text.raw)
        shared = search.shared
        if not len(shared):
            return Progress((), (), settled)
        goes_on = (shared[:, END] == total) | (shared[:, LAST] == len(text.raw))
        goes_on |= shared[:, FIRST] >= settled
        shared[goes_on, CUT] = OPEN
        search.shared = shared = shared[goes_on | ~self._are_let_through(shared)]
        complete = shared[:, CUT] == UNCUT
        if complete.any():
            # What no excuse touches here is cut by none of those that lie within it.
            runs = search.runs(needed(shared[complete]))
            cutter = self._cutter(text.units, context, runs, search.queries)
            if cutter is not None:
                shared[complete, CUT] = cutter.effects(shared[complete, : END + 1])
        shared = needed(shared)
        findings: list[Finding] = []
        for run, cut in zip(search.runs(shared), shared[:, CUT].tolist(), strict=True):
            if cut != OPEN:
                inner = self._inner_cutter(text, context, run, search) if cut != UNCUT else None
                findings += self._cut(text, run, inner)
        # Of those of a group, a stream waits for the first.
        live = shared[shared[:, CUT] == OPEN]
        live = live[
            np.unique(live[np.argsort(live[:, FIRST], kind="stable"), GROUP], return_index=True)[1]
        ]
        open_ = [self._finding(text, run, run.start, run.end) for run in search.runs(live)]
        return Progress(findings, open_, settled)

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress:
        """See `WholeDetector`: edited copies and records. What is open are chains, also those that
        are too short to be found yet; the last units may begin one, or be what one is followed back
        to. A record ends with its word."""
        found = [finding for finding in self.scan(text, context) if finding.kind != "verbatim"]
        if self._near_passes(_ANY, _ANY):
            return Progress(found, (), len(text.raw))
        bound = max(watched.current().grid.bound for watched in self._indexes)
        known = max(0, len(text) - bound + 1 - BEFORE)
        settled = text.word_start(int(text.offsets[known])) if len(text) else len(text.raw)
        return Progress(found, list(self._growing(text, known)), settled)

    def _growing(self, text: CanonicalText, known: int) -> Iterator[Finding]:
        """What may become a copy, as findings up to the end of the text; `known`: what begins after
        this unit waits in any case."""
        for watched in self._indexes:
            index = watched.current()
            query = make_query(text.units, index.grid.gram, index.gram_key)
            for segment in index.segments:
                for start, row in segment.live(query, known):
                    collection, labels = segment.groups[segment.group_of(row)]
                    evidence = Evidence(collection=collection, labels=labels)
                    span = Span(text.word_start(int(text.offsets[start])), len(text.raw))
                    yield Finding(self.name, "near-verbatim", span, evidence=evidence)

    def _search(self, text: CanonicalText, *, all_runs: bool) -> _Search:
        """What is shared: without `all_runs`, no runs that are let through at their full length,
        which are most of those in clean text."""
        indexes = [watched.current() for watched in self._indexes]
        search = _Search(indexes)
        for index in indexes:
            shape = (index.grid.gram, index.manifest.key_id)
            if shape not in search.queries:
                search.queries[shape] = make_query(text.units, index.grid.gram, index.gram_key)
            query = search.queries[shape]
            bound = index.grid.bound
            for segment, matches, links in index.match(query, bound):
                if len(links):
                    search.chained.append(Chained(index, segment, links))
                if len(matches) and not all_runs:
                    matches = self._judged(matches, bound, text)
                if len(matches):
                    segment.anchor(matches, query, index.manifest.max_postings)
                    search.add(described(matches, bound, text), segment, index)
        return search

    def _judged(self, matches: Matches, bound: int, text: CanonicalText) -> Matches:
        """Those of at least `bound` units that the policy does not let through."""
        runs = described(matches, bound, text)
        judged = ~self._are_let_through(runs)
        return np.ascontiguousarray(runs[judged, : COPIES + 1]) if judged.any() else NO_RUNS

    def _are_let_through(self, runs: Shared) -> NDArray[np.bool_]:
        """Which runs the policy lets through at their full length."""
        passes = self._passes
        return np.array(
            [passes(row[END] - row[START], row[WORDS]) for row in runs.tolist()], np.bool_
        )

    def _inner_cutter(
        self, text: CanonicalText, context: Context, run: _Run, search: _Search
    ) -> Cutter | None:
        """What cuts a run, made from its units alone."""
        part = replace(run, start=0, end=run.end - run.start)
        units = text.units[run.start : run.end]
        shape = (run.index.grid.gram, run.index.manifest.key_id)
        inner = {shape: make_query(units, run.index.grid.gram, run.index.gram_key)}
        cutter = self._cutter(units, context, [part], inner)
        return None if cutter is None else cutter.shifted(run.start)

    def _cutter(
        self, units: Units, context: Context, shared: Sequence[_Run | Chain], queries: Queries
    ) -> Cutter | None:
        """What cuts the runs and chains; None where nothing excuses."""
        if self._excuses is None:
            return None
        found = self._excuses.find(units, context)
        entitlements = context.entitlements
        if self._excuses.entitlements and entitlements:
            for part in shared:
                if entitlements.cover(*part.group):
                    found += [Excuse(start, end, "entitled") for start, end in part.pieces]
            for index in {id(part.index): part.index for part in shared}.values():
                shape = (index.grid.gram, index.manifest.key_id)
                found += self._excuses.entitled_documents(index, queries[shape], entitlements)
        return Cutter(found, self._excuses.least) if found else None

    def _cut(self, text: CanonicalText, run: _Run, cutter: Cutter | None) -> Iterator[Finding]:
        """The findings of a run: what is left of it, if that is enough, and what is excused."""
        if cutter is None:
            yield self._finding(text, run, run.start, run.end)
            return
        left, cut = cutter.cut(run.start, run.end)
        for excuse in cut:
            yield self._finding(text, run, excuse.start, excuse.end, excuse=excuse.reason)
        if cut:
            # A run goes on past its ends by chance: what an excuse leaves of that is no match.
            left = [
                (start, end)
                for start, end in left
                if end - start > STRAY or (start > run.start and end < run.end)
            ]
        units = sum(end - start for start, end in left)
        if units < run.index.grid.bound:
            return
        pieces = [self._finding(text, run, start, end) for start, end in left]
        words = sum(piece.evidence.words or 0 for piece in pieces)
        excused = run.end - run.start - units
        for piece in pieces:
            whole = replace(piece.evidence, matched=units, words=words, excused=excused)
            yield replace(piece, evidence=whole)

    def _finding(
        self, text: CanonicalText, run: _Run, start: int, end: int, excuse: str | None = None
    ) -> Finding:
        """The finding of the units start..end, a part of a run or all of it."""
        span = text.span(start, end)
        place = run.segment.place(run.row, run.origin + start - run.start, end - start)
        return Finding(
            detector=self.name,
            kind="verbatim",
            span=span,
            evidence=Evidence(
                document=place.document,
                collection=place.collection,
                labels=place.labels,
                corpus_start=place.start,
                corpus_end=place.end,
                matched=end - start,
                words=text.words(start, end),
                copies=run.copies,
                index=run.index.path.name,
                excuse=excuse,
            ),
        )


@dataclass(slots=True)
class _Run:
    start: int
    end: int
    row: int
    origin: int
    copies: int
    segment: Segment
    index: Index

    @property
    def group(self) -> Group:
        return self.segment.groups[self.segment.group_of(self.row)]

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        return ((self.start, self.end),)


@dataclass(slots=True)
class _Search:
    """What the indexes hold of a text."""

    indexes: list[Index]
    queries: dict[tuple[int, str], Query] = field(default_factory=dict)
    chained: list[Chained] = field(default_factory=list)
    shared: Shared = field(default_factory=lambda: NO_RUNS)
    segments: list[tuple[Segment, Index]] = field(default_factory=list)
    groups: dict[Group, int] = field(default_factory=dict)

    def add(self, shared: Shared, segment: Segment, index: Index) -> None:
        """More runs, of another segment."""
        if not len(shared):
            return
        numbers, places = np.unique(segment.groups_of(shared[:, ROW]), return_inverse=True)
        names = (segment.groups[number] for number in numbers.tolist())
        groups = [self.groups.setdefault(name, len(self.groups)) for name in names]
        shared[:, GROUP] = np.array(groups)[places]
        shared[:, SEGMENT] = len(self.segments)
        self.segments.append((segment, index))
        self.shared = np.concatenate((self.shared, shared)) if len(self.shared) else shared

    def runs(self, shared: Shared) -> list[_Run]:
        rows = zip(shared[:, : COPIES + 1].tolist(), shared[:, SEGMENT].tolist(), strict=True)
        return [_Run(*row, *self.segments[number]) for row, number in rows]

    def needed(self) -> list[_Run]:
        return self.runs(needed(self.shared)) if len(self.shared) else []


class PhraseDetector:
    """Finds protected phrases, from files or stored with indexes (kind `phrase`)."""

    def __init__(
        self,
        name: str,
        files: Sequence[Path] = (),
        indexes: Sequence[WatchedIndex] = (),
        *,
        whole_words: bool = False,
    ) -> None:
        """Raises UsageError for a list that cannot be read or holds an unusable phrase."""
        self.name = name
        self.window: int | None = None
        self._indexes = tuple(indexes)
        self._whole_words = whole_words
        self._listed = [pair for path in files for pair in read_phrase_file(path)]
        self._built = self._build([index.current() for index in self._indexes])

    def _build(self, states: list[Index]) -> tuple[list[Index], PhraseSet]:
        stored = [
            (f"{index.path.name}:phrase {number}", phrase)
            for index in states
            for number, phrase in enumerate(index.phrases, 1)
        ]
        return states, PhraseSet([*self._listed, *stored], whole_words=self._whole_words)

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`."""
        return [self._finding(match) for match in self._current().find(text)]

    def scan_live(self, text: CanonicalText, context: Context) -> Progress:
        """See `LiveDetector`: what is open is the longest end of the text that begins a phrase."""
        phrases = self._current()
        first = phrases.unfinished(text)
        settled = int(text.offsets[first]) if first < len(text) else len(text.raw)
        findings: list[Finding] = []
        open_: list[Finding] = []
        for finding in map(self._finding, phrases.find(text)):
            live = finding.span.end == len(text.raw) or finding.span.start >= settled
            (open_ if live else findings).append(finding)
        return Progress(findings, open_, settled)

    def _current(self) -> PhraseSet:
        built = self._built
        now = [index.current() for index in self._indexes]
        if any(new is not old for new, old in zip(now, built[0], strict=True)):
            built = self._built = self._build(now)
        return built[1]

    def _finding(self, match: PhraseMatch) -> Finding:
        return Finding(
            detector=self.name,
            kind="phrase",
            span=match.span,
            evidence=Evidence(document=match.place, matched=match.units),
        )
