"""The detector of passages: windows of a response that are alike with windows of documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from guardrail.detector import Context, Progress
from guardrail.errors import IndexDamagedError, UsageError
from guardrail.findings import Evidence, Finding, Span
from guardrail.indexes.index import Index
from guardrail.indexes.passages import Hit
from guardrail.indexes.sealed import Words
from guardrail.indexes.segment import Segment
from guardrail.indexes.signatures import (
    HOP_WORDS,
    PERMUTATIONS,
    STEP_WORDS,
    WINDOW_WORDS,
    LongWords,
    SignatureKey,
    long_words,
    window_minima,
)
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import CanonicalText

# Below a similarity of 0.25 nothing is reported: that many different texts have by chance.
LEAST_EQUAL = PERMUTATIONS // 4
# A similarity of few words means little: a table of two words is like any other. From 8, 9, 10
# different words on, 0.57 %, 0.08 %, 0.08 % of 1,218 clean answers have a finding against 63 MB of
# documents, and 92, 92, 88 % of passages of 60 words, one word in four replaced, are found.
LEAST_SHARED = 9
# Long words whose minima are held at once: 4,096 windows are 4 MB.
CHUNK_WORDS = 4096 * HOP_WORDS


class PassageDetector:
    """Finds passages of a response that share most of their long words with a passage of a document
    of the indexes that hold passages; findings of kind `passage`.

    The score is the estimated similarity, the span reaches from the first to the last shared word.
    """

    window = None

    def __init__(self, name: str, indexes: Sequence[WatchedIndex]) -> None:
        """Raises UsageError for an index without passages."""
        self.name = name
        self._indexes = tuple(indexes)
        for watched in self._indexes:
            _check(watched.current())

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`. Raises IndexDamagedError where an index turned out to be damaged,
        and UsageError where one without passages has taken its place."""
        return [self._finding(text, likeness) for likeness in self._likenesses(text)]

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress:
        """See `WholeDetector`: what is open are the words of windows that are not complete, and
        what windows to come may be joined to. The words before are counted in hops, so that the
        windows are those of the whole text."""
        likenesses = self._likenesses(text)
        words = long_words(text, self._indexes[0].current().signature_key)
        count = len(words.hashes)
        incomplete = first = max(0, count // HOP_WORDS - WINDOW_WORDS // HOP_WORDS + 1) * HOP_WORDS
        for likeness in sorted(likenesses, key=lambda likeness: -likeness.last):
            if likeness.last + STEP_WORDS >= first:
                first = min(first, likeness.first)

        def place(word: int) -> int:
            return int(text.offsets[words.firsts[word]]) if word < count else len(text.raw)

        open_ = [Finding(self.name, "passage", Span(place(first), len(text.raw)))]
        needed = max(0, first - WINDOW_WORDS) // HOP_WORDS * HOP_WORDS
        found = [self._finding(text, likeness) for likeness in likenesses]
        return Progress(
            found,
            open_ if first < incomplete else (),
            place(incomplete),
            place(needed) if needed else 0,
        )

    def _likenesses(self, text: CanonicalText) -> list[_Likeness]:
        found: list[_Likeness] = []
        for watched in self._indexes:
            index = watched.current()
            _check(index)
            words = long_words(text, index.signature_key)
            hits: list[list[Hit]] = [[] for _ in index.segments]
            for begin, minima in _chunks(words, index.signature_key):
                for segment, known in zip(index.segments, hits, strict=True):
                    assert segment.passages is not None  # as the grid says
                    known += [
                        replace(hit, first=hit.first + begin, last=hit.last + begin)
                        for hit in segment.passages.find(minima, LEAST_EQUAL)
                    ]
            for segment, known in zip(index.segments, hits, strict=True):
                found += _joined(known, words, segment, index)
        return _best(found)

    def _finding(self, text: CanonicalText, likeness: _Likeness) -> Finding:
        segment, words = likeness.segment, likeness.words
        first, end = int(words.firsts[likeness.first]), int(words.ends[likeness.last])
        span = text.span(first, end)
        units = int(segment.table["units"][likeness.row]) - likeness.start
        place = segment.place(likeness.row, likeness.start, min(end - first, units))
        return Finding(
            detector=self.name,
            kind="passage",
            span=span,
            score=likeness.score,
            evidence=Evidence(
                document=place.document,
                collection=place.collection,
                labels=place.labels,
                corpus_start=place.start,
                corpus_end=place.end,
                words=len(text.raw[span.start : span.end].split()),
                index=likeness.index.path.name,
            ),
        )


@dataclass(slots=True)
class _Likeness:
    """Hits of one document that follow one another in the response: words `first` to `last`."""

    first: int
    last: int
    row: int
    start: int
    score: float
    words: LongWords
    segment: Segment
    index: Index


def _check(index: Index) -> None:
    if index.damage is not None:
        raise IndexDamagedError(index.damage)
    if not index.grid.passages:
        raise UsageError(
            f"the index {index.path} holds no passages to look for; build it with --passages, or "
            "leave it out of this detector"
        )


def _chunks(words: LongWords, key: SignatureKey) -> Iterator[tuple[int, Words]]:
    """The minima of all windows, some at a time, each with the word that they count from."""
    overlap = WINDOW_WORDS - HOP_WORDS
    for begin in range(0, max(1, len(words.hashes) - overlap), CHUNK_WORDS):
        part = words.hashes[begin : begin + CHUNK_WORDS + overlap]
        yield begin, window_minima(part, HOP_WORDS, key)


def _joined(
    hits: Sequence[Hit], words: LongWords, segment: Segment, index: Index
) -> list[_Likeness]:
    rows = segment.dead
    alive = [hit for hit in hits if hit.shared >= LEAST_SHARED and hit.row < len(rows)]
    alive = [hit for hit in alive if not rows[hit.row]]
    alive.sort(key=lambda hit: (hit.row, hit.first))
    joined: list[_Likeness] = []
    for hit in alive:
        before = joined[-1] if joined else None
        if before and before.row == hit.row and hit.first <= before.last + STEP_WORDS:
            before.last = max(before.last, hit.last)
            before.start = min(before.start, hit.start)
            before.score = max(before.score, hit.similarity)
        else:
            place = (hit.first, hit.last, hit.row, hit.start, hit.similarity)
            joined.append(_Likeness(*place, words, segment, index))
    return joined


def _best(found: list[_Likeness]) -> list[_Likeness]:
    """Likenesses in order, without those most of whose words a better one of the same collection
    and labels has covered: copies and neighbours of a passage are alike with it as well."""
    found.sort(key=lambda likeness: -likeness.score)
    covered: dict[tuple[str, tuple[str, ...]], NDArray[np.bool_]] = {}
    kept = []
    for likeness in found:
        group = likeness.segment.groups[likeness.segment.group_of(likeness.row)]
        words = covered.setdefault(group, np.zeros(len(likeness.words.hashes), np.bool_))
        part = words[likeness.first : likeness.last + 1]
        if 2 * int(part.sum()) < len(part):
            part[:] = True
            kept.append(likeness)
    kept.sort(key=lambda likeness: (likeness.first, likeness.last))
    return kept
