"""The detectors over indexes: verbatim overlap with documents, and protected phrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrail.detector import Context, Progress
from guardrail.findings import Evidence, Finding
from guardrail.indexes.anchors import anchored_start
from guardrail.indexes.grams import Hashes, hash_grams, roll_grams
from guardrail.indexes.index import Index
from guardrail.indexes.phrases import PhraseMatch, PhraseSet, read_phrase_file
from guardrail.indexes.segment import Segment
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import CanonicalText


class OverlapDetector:
    """Finds runs of canonical text that a response shares with documents of indexes.

    Each finding is of kind `verbatim`; its evidence names document and place. Every run of at
    least an index's bound (gram + stride - 1 units) is found.
    """

    window = None

    def __init__(self, name: str, indexes: Sequence[WatchedIndex]) -> None:
        self.name = name
        self._indexes = tuple(indexes)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why newer states of indexes are not in use."""
        return tuple(index.problem for index in self._indexes if index.problem)

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`. Raises IndexDamagedError where an index turned out to be damaged."""
        return [self._finding(text, run) for run in self._runs(text)]

    def scan_live(self, text: CanonicalText, context: Context) -> Progress:
        """See `LiveDetector`. A run that reaches the end of the text may go on. One that is not
        found yet is shorter than the bound: any `bound` units of a document hold a gram of it that
        the index knows."""
        total, bound = len(text), max(watched.current().grid.bound for watched in self._indexes)
        first = max(0, total - bound + 1)
        settled = text.word_start(int(text.offsets[first])) if total else len(text.raw)
        findings: list[Finding] = []
        open_: list[Finding] = []
        for run in self._runs(text):
            finding = self._finding(text, run)
            live = run.end == total or finding.span.end == len(text.raw)
            (open_ if live or finding.span.start >= settled else findings).append(finding)
        return Progress(findings, open_, settled)

    def _runs(self, text: CanonicalText) -> list[_Run]:
        hashed: dict[tuple[int, str], tuple[Hashes, Hashes]] = {}
        runs: list[_Run] = []
        for watched in self._indexes:
            index = watched.current()
            shape = (index.grid.gram, index.manifest.key_id)
            if shape not in hashed:
                rolled = roll_grams(text.units, index.grid.gram, index.gram_key)
                hashed[shape] = rolled, hash_grams(rolled, index.gram_key)
            rolled, hashes = hashed[shape]
            bound, most = index.grid.bound, index.manifest.max_postings
            for segment, matches in index.match(rolled, hashes, bound):
                for start, end, row, origin, copies in matches.tolist():
                    first = anchored_start(segment, most, hashes, (start, end, row, origin))
                    if end - first >= bound:
                        origin += first - start
                        runs.append(_Run(first, end, row, origin, copies, segment, index))
        return _maximal(runs)

    def _finding(self, text: CanonicalText, run: _Run) -> Finding:
        span = text.span(run.start, run.end)
        place = run.segment.place(run.row, run.origin, run.end - run.start)
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
                matched=run.end - run.start,
                words=len(text.raw[span.start : span.end].split()),
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
        return [self._finding(match) for match in self._phrases().find(text)]

    def scan_live(self, text: CanonicalText, context: Context) -> Progress:
        """See `LiveDetector`: what is open is the longest end of the text that begins a phrase."""
        phrases = self._phrases()
        first = phrases.unfinished(text)
        settled = int(text.offsets[first]) if first < len(text) else len(text.raw)
        findings: list[Finding] = []
        open_: list[Finding] = []
        for match in phrases.find(text):
            live = match.span.end == len(text.raw) or match.span.start >= settled
            (open_ if live else findings).append(self._finding(match))
        return Progress(findings, open_, settled)

    def _phrases(self) -> PhraseSet:
        states, phrases = self._built
        now = [index.current() for index in self._indexes]
        if any(new is not old for new, old in zip(now, states, strict=True)):
            self._built = states, phrases = self._build(now)
        return phrases

    def _finding(self, match: PhraseMatch) -> Finding:
        return Finding(
            detector=self.name,
            kind="phrase",
            span=match.span,
            evidence=Evidence(document=match.place, matched=match.units),
        )
