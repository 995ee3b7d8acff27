"""What a detector is: the extension point of the filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard, TypeVar

from guardrail.errors import DetectorError
from guardrail.findings import Finding
from guardrail.text import CanonicalText

T = TypeVar("T")

# The score from which on a finding counts that names no document, where pieces of a text were put
# together: such pieces of clean text make addresses, telephone numbers and passwords (scores to
# 0.9): 16 in 1,218 answers of models.
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Entitlements:
    """Which documents the one who asks may see: whole collections, all documents with one of some
    labels, and single documents as pairs of collection and id.

    They come from what the service knows of its caller, never from what the caller says.
    """

    collections: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    documents: frozenset[tuple[str, str]] = frozenset()

    def cover(self, collection: str, labels: Iterable[str]) -> bool:
        """Whether all documents of a collection with some labels may be seen."""
        return collection in self.collections or not self.labels.isdisjoint(labels)

    def __bool__(self) -> bool:
        return bool(self.collections or self.labels or self.documents)


# Of a caller who may see nothing besides what all may see.
NOBODY = Entitlements()


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about the response besides its text.

    `prompt`: the texts that the user supplied, oldest first. The assistant's turns, the system's
    instructions and retrieved passages do not belong there: they may hold what must not leave.
    `logprobs`: the natural logarithms of the probabilities of the response's tokens, as the model
    gave them. `deadline`: the value of `time.monotonic()` past which no detector starts, and a slow
    one should give up. `conversation` names what the response belongs to: within it, one value has
    one pseudonym.
    """

    prompt: tuple[str, ...] = ()
    identity: str | None = None
    entitlements: Entitlements = NOBODY
    model: str | None = None
    logprobs: Sequence[float] | None = None
    deadline: float | None = None
    conversation: str | None = None
    made: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, what: object, make: Callable[[], T]) -> T:
        """What `make` makes of this context, once for all texts that are checked in it, such as the
        pieces of a stream."""
        if what not in self.made:
            self.made[what] = make()
        made: T = self.made[what]
        return made


EMPTY_CONTEXT = Context()


class Unfinished(DetectorError):
    """What a detector raises that judged a text in part: the policy decides on `findings` as on any
    others, besides the failure. `covered` is the share (0..1) of the text that was judged."""

    def __init__(self, reason: str, findings: Sequence[Finding], covered: float = 0.0) -> None:
        super().__init__(reason)
        self.findings, self.covered = tuple(findings), covered


class Detector(Protocol):
    """Finds spans in a text. Implementations are thread-safe.

    `name` is unique in a filter. `window` is the longest span, in code points, that the detector
    needs to see at once, or None where it needs a whole segment. An exception from `scan` becomes
    a `Failure`: a detector that cannot judge raises, and never returns nothing instead. One that
    found something before it failed raises `Unfinished`.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int | None: ...

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What a detector knows of a text that goes on.

    `findings` are final: whatever follows, they stay as they are. `open` may still grow, change or
    vanish. Whatever else will be found starts at code point `settled` or later. `needed` is where
    the text has to begin that is looked at next; None: shortly before what is not settled.
    """

    findings: Sequence[Finding]
    open: Sequence[Finding]
    settled: int
    needed: int | None = None


class PiecesDetector(Detector, Protocol):
    """A detector that is quicker where only what is certain counts.

    `scan_pieces` gives what `scan` does, but that of what begins at code point `first` or later it
    may leave out what has a score under `SURE`; nothing reaches over that place. `open_pieces`
    gives what is open of what `scan_whole` gives, with the same left out.
    """

    def scan_pieces(
        self, text: CanonicalText, context: Context, first: int
    ) -> Sequence[Finding]: ...

    def open_pieces(self, text: CanonicalText, context: Context) -> Progress: ...


class LiveDetector(Detector, Protocol):
    """A detector that can tell at any time what may still become a finding, so that a stream holds
    back that and nothing else."""

    def scan_live(self, text: CanonicalText, context: Context) -> Progress: ...


class WholeDetector(Detector, Protocol):
    """A detector that can tell at the end of a segment, such as a sentence, what may still become a
    finding with those that follow.

    `scan_whole` gives what `scan` does, but for what a `scan_live` beside it gives already. The
    text begins with segments that were looked at before.
    """

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress: ...


class CostlyDetector(Detector, Protocol):
    """A detector that runs after the others, and only where its findings could change the verdict.

    `kinds` are the kinds of all its findings. Where it does not run, the verdict's coverage says 0
    for it, without a failure. It sees the text as it was written: neither what disguises in it say,
    nor the redacted text. In a stream it judges every sentence.
    """

    @property
    def kinds(self) -> frozenset[str]: ...


class FollowingDetector(Detector, Protocol):
    """A detector that judges the segments of a stream with what it remembers of those before.

    What `follow` returns is given one stream's segments in order, each once, and gives the findings
    in each, like `scan`.
    """

    def follow(self, context: Context) -> Callable[[CanonicalText], Sequence[Finding]]: ...


# By what tells them apart: asking whether a class has all that its protocol names takes 30
# microseconds, and every stream asks.


def is_pieces(detector: Detector) -> TypeGuard[PiecesDetector]:
    return hasattr(detector, "scan_pieces")


def is_live(detector: Detector) -> TypeGuard[LiveDetector]:
    return hasattr(detector, "scan_live")


def is_whole(detector: Detector) -> TypeGuard[WholeDetector]:
    return hasattr(detector, "scan_whole")


def is_costly(detector: Detector) -> TypeGuard[CostlyDetector]:
    return hasattr(detector, "kinds")


def is_following(detector: Detector) -> TypeGuard[FollowingDetector]:
    return hasattr(detector, "follow")


def is_segmented(detector: Detector) -> bool:
    """Whether a detector judges segments, so that a stream waits for the ends of sentences."""
    return detector.window is None and not is_live(detector)
