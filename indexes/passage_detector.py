"""The detector of passages: windows of a response that are alike with windows of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardrail.detector import Context
from guardrail.errors import IndexDamagedError
from guardrail.findings import Evidence, Finding
from guardrail.indexes.index import Index
from guardrail.indexes.passages import Hit
from guardrail.indexes.segment import Segment
from guardrail.indexes.signatures import (
    HOP_WORDS,
    PERMUTATIONS,
    STEP_WORDS,
    LongWords,
    long_words,
    window_minima,
)
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import CanonicalText

# Below a similarity of 0.25 nothing is reported: that many different texts have by chance.
LEAST_EQUAL = PERMUTATIONS // 4
# A similarity of few words means little: a table of two words is like any other.
LEAST_SHARED = 9


class PassageDetector:
    """Finds passages of a response that share most of their long words with a passage of a document
    of the indexes that hold passages; findings of kind `passage`.

    The score is the estimated similarity, the span reaches from the first to the last shared word.
    """

    window = None

    def __init__(self, name: str, indexes: Sequence[WatchedIndex]) -> None:
        self.name = name
        self._indexes = tuple(indexes)

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`. Raises IndexDamagedError where an index turned out to be damaged."""
        found: list[_Likeness] = []
        for watched in self._indexes:
            index = watched.current()
            if index.damage is not None:
                raise IndexDamagedError(index.damage)
            if not index.grid.passages:
                continue
            key = index.signature_key
            words = long_words(text, key)
            minima = window_minima(words.hashes, HOP_WORDS, key)
            for segment in index.segments:
                assert segment.passages is not None  # as the grid says
                found += _joined(segment.passages.find(minima, LEAST_EQUAL), words, segment, index)
        return [self._finding(text, likeness) for likeness in _best(found)]

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
