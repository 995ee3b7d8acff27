"""The detectors over indexes: verbatim overlap with documents, and protected phrases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from guardrail.detector import Context
from guardrail.findings import Evidence, Finding
from guardrail.indexes.excuses import Cutter, Excuse, Excuses
from guardrail.indexes.grams import Hashes, hash_grams, roll_grams
from guardrail.indexes.identifiers import Identifier
from guardrail.indexes.index import Index
from guardrail.indexes.near_findings import Chain, Chained, near_chains, near_findings
from guardrail.indexes.phrases import PhraseMatch, PhraseSet, read_phrase_file
from guardrail.indexes.record_findings import record_findings
from guardrail.indexes.segment import Group, Segment
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import STRAY, CanonicalText

Passes = Callable[[int, int], bool]
Hashed = Mapping[tuple[int, str], tuple[Hashes, Hashes]]


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
        self._passes = passes("verbatim")
        self._near_passes = passes("near-verbatim")

    @property
    def problems(self) -> tuple[str, ...]:
        """Why newer states of indexes are not in use."""
        return tuple(index.problem for index in self._indexes if index.problem)

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`. Raises IndexDamagedError where an index turned out to be damaged."""
        hashed: dict[tuple[int, str], tuple[Hashes, Hashes]] = {}
        runs: list[_Run] = []
        chained: list[Chained] = []
        indexes = [watched.current() for watched in self._indexes]
        for index in indexes:
            shape = (index.grid.gram, index.manifest.key_id)
            if shape not in hashed:
                rolled = roll_grams(text.units, index.grid.gram, index.gram_key)
                hashed[shape] = rolled, hash_grams(rolled, index.gram_key)
            for segment, matches, links in index.match(*hashed[shape], index.grid.bound):
                if len(links):
                    chained.append(Chained(index, segment, links))
                for start, end, row, origin, copies in matches.tolist():
                    span = text.span(start, end)
                    words = len(text.raw[span.start : span.end].split())
                    if not self._passes(end - start, words):
                        runs.append(_Run(start, end, row, origin, copies, segment, index))
        runs = _maximal(runs)
        chains = near_chains(text, chained, self._near_passes) if chained else []
        cutter = self._cutter(text, context, [*runs, *chains], hashed) if runs or chains else None
        found = list(record_findings(self.name, text, context, indexes, self._excuses, cutter))
        for run in runs:
            if cutter is None:
                found.append(self._finding(text, run, run.start, run.end))
            else:
                found += self._cut(text, run, cutter)
        if chains:
            known = [(run.group, run.start, run.end) for run in runs]
            found += near_findings(self.name, text, chains, known, cutter)
        return found

    def _cutter(
        self, text: CanonicalText, context: Context, shared: Sequence[_Run | Chain], hashed: Hashed
    ) -> Cutter | None:
        """What cuts the runs and chains; None where nothing excuses."""
        if self._excuses is None:
            return None
        found = self._excuses.find(text, context)
        entitlements = context.entitlements
        if self._excuses.entitlements and entitlements:
            for part in shared:
                if entitlements.cover(*part.group):
                    found += [Excuse(start, end, "entitled") for start, end in part.pieces]
            for index in {id(part.index): part.index for part in shared}.values():
                shape = (index.grid.gram, index.manifest.key_id)
                found += self._excuses.entitled_documents(index, *hashed[shape], entitlements)
        return Cutter(found, self._excuses.least) if found else None

    def _cut(self, text: CanonicalText, run: _Run, cutter: Cutter) -> Iterator[Finding]:
        """The findings of a run: what is left of it, if that is enough, and what is excused."""
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
                words=len(text.raw[span.start : span.end].split()),
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


def _maximal(runs: list[_Run]) -> list[_Run]:
    """Runs in order, without those inside another of the same collection and labels: a policy may
    treat groups apart, so each group keeps its own."""
    if len(runs) < 2:
        return runs
    runs.sort(key=lambda run: (run.start, -run.end))
    last: dict[Group, _Run] = {}
    kept: list[_Run] = []
    for run in runs:
        group = run.group
        before = last.get(group)
        if before is not None and run.end <= before.end:
            before.copies += run.copies
            continue
        last[group] = run
        kept.append(run)
    return kept


class PhraseDetector:
    """Finds protected phrases, from files or stored with indexes (kind `phrase`), and identifiers
    that stand in documents of indexes (kind `known-identifier`)."""

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

    def _build(
        self, states: list[Index]
    ) -> tuple[list[Index], PhraseSet, PhraseSet, list[tuple[Index, Identifier]]]:
        stored = [
            (f"{index.path.name}:phrase {number}", phrase)
            for index in states
            for number, phrase in enumerate(index.phrases, 1)
        ]
        pairs = [*self._listed, *stored]
        known = [(index, one) for index in states for one in index.identifiers]
        numbered = ((str(number), one.value) for number, (_, one) in enumerate(known))
        return (
            states,
            PhraseSet(pairs, whole_words=self._whole_words),
            PhraseSet(numbered, whole_words=True),
            known,
        )

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`."""
        states, phrases, identifiers, known = self._built
        now = [index.current() for index in self._indexes]
        if any(new is not old for new, old in zip(now, states, strict=True)):
            self._built = states, phrases, identifiers, known = self._build(now)
        return [
            _known(self.name, match, *known[int(match.place)]) for match in identifiers.find(text)
        ] + [
            Finding(
                detector=self.name,
                kind="phrase",
                span=match.span,
                evidence=Evidence(document=match.place, matched=match.units),
            )
            for match in phrases.find(text)
        ]


def _known(detector: str, match: PhraseMatch, index: Index, identifier: Identifier) -> Finding:
    collection, document = identifier.documents[0]
    return Finding(
        detector=detector,
        kind="known-identifier",
        span=match.span,
        evidence=Evidence(
            document=document,
            collection=collection,
            matched=match.units,
            copies=len(identifier.documents),
            index=index.path.name,
        ),
    )
