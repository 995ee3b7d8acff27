"""The detector of passages: windows of a response that are alike with windows of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from guardrail.detector import Context, Entitlements, Progress
from guardrail.errors import IndexDamagedError, UsageError
from guardrail.findings import Evidence, Finding, Span
from guardrail.indexes.excuses import Excuse, Excuses
from guardrail.indexes.index import Index
from guardrail.indexes.passages import Hit
from guardrail.indexes.segment import Segment
from guardrail.indexes.signatures import (
    BLOCK_WORDS,
    HOP_WORDS,
    WINDOW_WORDS,
    LongWords,
    long_words,
)
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import CanonicalText

# A window of a response and one of a document are alike from so many different words on that
# both have.
LEAST_SHARED = 9


class PassageDetector:
    """Finds passages of a response that share most of their long words with a passage of a document
    of the indexes that hold passages; findings of kind `passage`.

    The score is the estimated similarity, the span reaches from the first to the last shared word.
    """

    window = None

    def __init__(
        self, name: str, indexes: Sequence[WatchedIndex], excuses: Excuses | None = None
    ) -> None:
        """`excuses`: what may be said all the same (none: nothing). Raises UsageError for an index
        without passages."""
        self.name = name
        self._excuses = excuses
        self._indexes = tuple(indexes)
        for watched in self._indexes:
            _check(watched.current())

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`. Raises IndexDamagedError where an index turned out to be damaged,
        and UsageError where one without passages has taken its place."""
        return [self._finding(text, likeness) for likeness in self._likenesses(text, context)]

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress:
        """See `WholeDetector`: what is open are the words of windows that are not complete, and
        what windows to come may be joined to. The words before are counted in hops, so that the
        windows are those of the whole text."""
        likenesses = self._likenesses(text, context)
        words = long_words(text, self._indexes[0].current().signature_key)
        count = len(words.hashes)
        incomplete = first = max(0, count // HOP_WORDS - WINDOW_WORDS // HOP_WORDS + 1) * HOP_WORDS
        for likeness in sorted(likenesses, key=lambda likeness: -likeness.last):
            if likeness.last + BLOCK_WORDS >= first:
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

    def _likenesses(self, text: CanonicalText, context: Context) -> list[_Likeness]:
        found: list[_Likeness] = []
        for watched in self._indexes:
            index = watched.current()
            _check(index)
            words = long_words(text, index.signature_key)
            found += _search(index, words)
        if found and self._excuses is not None:
            if excused := self._excuses.find(text.units, context):
                found = [
                    likeness
                    for index in {id(one.index): one.index for one in found}.values()
                    for likeness in _search(index, _without(found[0].words, excused))
                ]
            if self._excuses.entitlements and context.entitlements:
                found = _others(found, context.entitlements)
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


def _search(index: Index, words: LongWords) -> list[_Likeness]:
    found: list[_Likeness] = []
    for segment in index.segments:
        assert segment.passages is not None  # as the grid says
        hits = segment.passages.find(words.hashes, LEAST_SHARED)
        found += _joined(hits, words, segment, index)
    return found


def _without(words: LongWords, excused: Sequence[Excuse]) -> LongWords:
    """The same without the hashes of words inside of what may be said."""
    hashes = words.hashes.copy()
    for excuse in excused:
        hashes[(words.firsts >= excuse.start) & (words.ends <= excuse.end)] = 0
    return replace(words, hashes=hashes)


def _others(found: Sequence[_Likeness], entitled: Entitlements) -> list[_Likeness]:
    """Likenesses without those most of whose words stand in documents that may be seen."""
    seen = np.zeros(max(likeness.last for likeness in found) + 1, np.bool_)
    for likeness in found:
        segment = likeness.segment
        collection, labels = segment.groups[segment.group_of(likeness.row)]
        if entitled.cover(collection, labels) or (
            entitled.documents
            and (collection, segment.document(likeness.row).id) in entitled.documents
        ):
            seen[likeness.first : likeness.last + 1] = True
    return [one for one in found if not seen[one.first : one.last + 1].mean() > 0.5]


def _joined(
    hits: Sequence[Hit], words: LongWords, segment: Segment, index: Index
) -> list[_Likeness]:
    rows = segment.dead
    alive = [hit for hit in hits if hit.row < len(rows) and not rows[hit.row]]
    alive.sort(key=lambda hit: (hit.row, hit.first))
    joined: list[_Likeness] = []
    for hit in alive:
        before = joined[-1] if joined else None
        if before and before.row == hit.row and hit.first <= before.last + BLOCK_WORDS:
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
