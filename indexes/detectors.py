"""The detectors over indexes: verbatim overlap with documents, and protected phrases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrail.detector import Context
from guardrail.findings import Evidence, Finding, Span
from guardrail.indexes.grams import Hashes, hash_grams, roll_grams
from guardrail.indexes.index import Index
from guardrail.indexes.near_findings import Chained, near_findings
from guardrail.indexes.phrases import PhraseSet, read_phrase_file
from guardrail.indexes.segment import Segment
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import CanonicalText

Passes = Callable[[int, int], bool]


def _nothing(matched: int, words: int) -> bool:
    return False


class OverlapDetector:
    """Finds runs of canonical text that a response shares with documents of indexes.

    A finding is of kind `verbatim`, or `near-verbatim` for a passage that was edited, taken apart
    or put in another order; its evidence names document and place. Every run of at least an
    index's bound (gram + stride - 1 units) is found, and reported unless the policy lets it
    through wherever it comes from.
    """

    window = None

    def __init__(
        self,
        name: str,
        indexes: Sequence[WatchedIndex],
        passes: Callable[[str], Passes] = lambda kind: _nothing,
    ) -> None:
        """`passes` gives for a kind of findings what tells, by length in canonical units and number
        of words, which ones need not be reported."""
        self.name = name
        self._indexes = tuple(indexes)
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
        for watched in self._indexes:
            index = watched.current()
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
                        runs.append(
                            _Run(start, end, row, origin, copies, segment, index, span, words)
                        )
        if not runs and not chained:
            return ()
        runs = _maximal(runs)
        findings = [self._finding(run) for run in runs]
        if chained:
            known = [
                (run.segment.groups[run.segment.group_of(run.row)], run.start, run.end)
                for run in runs
            ]
            findings += near_findings(self.name, text, chained, known, self._near_passes)
        return findings

    def _finding(self, run: _Run) -> Finding:
        place = run.segment.place(run.row, run.origin, run.end - run.start)
        return Finding(
            detector=self.name,
            kind="verbatim",
            span=run.span,
            evidence=Evidence(
                document=place.document,
                collection=place.collection,
                labels=place.labels,
                corpus_start=place.start,
                corpus_end=place.end,
                matched=run.end - run.start,
                words=run.words,
                copies=run.copies,
                index=run.index.path.name,
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
    span: Span
    words: int


def _maximal(runs: list[_Run]) -> list[_Run]:
    """Runs in order, without those inside another of the same collection and labels: a policy may
    treat groups apart, so each group keeps its own."""
    if len(runs) < 2:
        return runs
    runs.sort(key=lambda run: (run.start, -run.end))
    last: dict[tuple[str, tuple[str, ...]], _Run] = {}
    kept: list[_Run] = []
    for run in runs:
        group = run.segment.groups[run.segment.group_of(run.row)]
        before = last.get(group)
        if before is not None and run.end <= before.end:
            before.copies += run.copies
            continue
        last[group] = run
        kept.append(run)
    return kept


class PhraseDetector:
    """Finds protected phrases, from files or stored with indexes; findings of kind `phrase`."""

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
        pairs = [*self._listed, *stored]
        return states, PhraseSet(pairs, whole_words=self._whole_words)

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`."""
        states, phrases = self._built
        now = [index.current() for index in self._indexes]
        if any(new is not old for new, old in zip(now, states, strict=True)):
            self._built = states, phrases = self._build(now)
        return [
            Finding(
                detector=self.name,
                kind="phrase",
                span=match.span,
                evidence=Evidence(document=match.place, matched=match.units),
            )
            for match in phrases.find(text)
        ]
