"""The search for views: what a text may say besides what it says, layer by layer, within bounds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from guardrail.detector import SURE
from guardrail.findings import Finding, Span
from guardrail.text import CanonicalText, Offsets, canonicalise
from guardrail.views import signs
from guardrail.views.alphabets import find_alphabets
from guardrail.views.between import find_counted, find_repeated
from guardrail.views.dense import find_base85, find_uuencoded
from guardrail.views.dumps import find_dumps
from guardrail.views.encodings import find_encodings
from guardrail.views.escapes import find_changed_escapes, find_escapes
from guardrail.views.every import find_every
from guardrail.views.groups import find_grouped
from guardrail.views.joined import find_joined
from guardrail.views.layout import find_layouts
from guardrail.views.leet import find_leet
from guardrail.views.letters import MOVED, ORDERS, find_foreign, find_letters
from guardrail.views.marks import find_marked
from guardrail.views.numerals import find_numerals
from guardrail.views.parameters import find_parameters
from guardrail.views.scrambled import find_scrambled, find_stuffed
from guardrail.views.view import SEAM, Kind, Source, View, through
from guardrail.views.wordings import find_words

Family = Callable[[Source], Iterator[View]]

# Each with the signs of the text without which it finds nothing.
FAMILIES: tuple[tuple[int, Family], ...] = (
    (signs.CODES, find_encodings),
    (signs.BASE85, find_base85),
    (signs.UUENCODED, find_uuencoded),
    (signs.UNBROKEN, find_joined),
    (signs.ESCAPES, find_escapes),
    (signs.ESCAPES, find_parameters),
    (signs.DENSE, find_changed_escapes),
    (signs.NUMBERS, find_numerals),
    (signs.NUMBERS, find_dumps),
    (signs.LETTERS, find_letters),
    (signs.LETTERS, find_grouped),
    (signs.SCRIPTS, find_foreign),
    (signs.SPACED | signs.WIDE, find_alphabets),
    (signs.WORDS, find_words),
    (signs.SCRAMBLED, find_scrambled),
    (signs.STUFFED, find_stuffed),
    (signs.REPEATS, find_repeated),
    (signs.EVERY, find_every),
    (signs.COUNTS, find_counted),
    (signs.LEET, find_leet),
    (signs.MARKS, find_marked),
    (signs.LINES, find_layouts),
)
# What is searched for in pieces that were put together: what one piece cannot hold. Other codes are
# seen where they stand, and letters that are odd in pieces are so by chance.
IN_LAYOUTS = signs.NUMBERS

# Layers of disguise that are taken off, and how many of them of one kind. Codes and escapes show
# for certain; of letters and layouts, what is looked for in what was found by chance is noise.
DEPTH = 4
LIMITS: dict[Kind, int] = {"code": 5, "escape": 2, "letters": 2, "layout": 1}
# Code points of all views of a text: so many times its own, and so many more. A view counts so many
# besides, as it costs some time however short it is. Clean dumps of bytes take up to 13 times their
# length.
FACTOR = 16
SPARE = 1 << 17
EACH = 128
# Earlier findings of one kind that a finding is compared with.
_COMPARED = 32


@dataclass(frozen=True, slots=True, eq=False)
class Unmasked:
    """The views of a text as one more text to be searched, and what could not be looked into.

    `firsts` are where the views begin in `text`. Those in which pieces were put together come last,
    from `pieces` on. `unseen` says why the views are not all there are, or is None.
    """

    text: CanonicalText
    views: Sequence[View]
    firsts: Sequence[int]
    pieces: int
    unseen: str | None


def unmasked_findings(
    masked: Unmasked, found: Iterable[Finding], plain: Sequence[Finding]
) -> list[Finding]:
    """Findings in `masked.text` as findings in the raw text, for each view that they touch.

    Those are left out that the `plain` findings, or those of a view before, say already: the same
    thing from the same place of the corpus, over no less of the raw text; and those that pieces of
    clean text make by chance (`SURE`).
    """
    said: dict[tuple[object, ...], list[Finding]] = {}
    for finding in plain:
        said.setdefault(_subject(finding), []).append(finding)
    out: list[Finding] = []
    for finding in found:
        start, end = finding.span.start, finding.span.end
        number = bisect_right(masked.firsts, start) - 1
        while number < len(masked.views) and masked.firsts[number] < end:
            view, first = masked.views[number], masked.firsts[number]
            span = _range(view, max(start - first, 0), min(end - first, len(view.text)))
            number += 1
            by_chance = finding.evidence.document is None and finding.score < SURE
            if span is None or (view.pieced and by_chance):
                continue
            evidence = replace(finding.evidence, view=view.name)
            seen = replace(finding, span=span, evidence=evidence)
            others = said.setdefault(_subject(seen), [])
            if not any(_says(other, seen) for other in others[-_COMPARED:]):
                others.append(seen)
                out.append(seen)
    return out


def _subject(finding: Finding) -> tuple[object, ...]:
    evidence = finding.evidence
    return finding.detector, finding.kind, evidence.document, evidence.collection, evidence.labels


def _says(one: Finding, other: Finding) -> bool:
    """Whether a finding covers another, in raw text and in what was matched."""
    return (
        one.span.start <= other.span.start
        and one.span.end >= other.span.end
        and (one.evidence.matched or 0) >= (other.evidence.matched or 0)
    )


def unmask(raw: str, since: int = 0) -> Unmasked | None:
    """The views of a text, or None where it shows no sign of a disguise; of each, what holds all
    that comes from the text behind `since`."""
    views, unseen = _search(raw)
    if since > 0:
        views = [part for view in views if (part := view.behind(since)) is not None]
    if not views and unseen is None:
        return None
    views.sort(key=lambda view: view.pieced)
    firsts: list[int] = []
    pieces = place = 0
    for view in views:
        firsts.append(place)
        place += len(view.text) + len(SEAM)
        if not view.pieced:
            pieces = place
    joined = SEAM.join([view.text for view in views])
    return Unmasked(canonicalise(joined), views, firsts, pieces, unseen)


def _search(raw: str) -> tuple[list[View], str | None]:
    """The views of a text, those of the text itself first; and why they are not all, if so."""
    views: list[View] = []
    known = {raw}
    room = FACTOR * len(raw) + SPARE
    # With each view, the kinds of disguise on the way to it.
    layer: list[tuple[View | None, tuple[Kind, ...]]] = [(None, ())]
    for depth in range(DEPTH + 1):
        inner: list[tuple[View | None, tuple[Kind, ...]]] = []
        for outer, kinds in layer:
            for view in _views(raw, outer, kinds):
                if depth == DEPTH:
                    # Signs of letters and layouts are no surprise in what is left of a clean text.
                    codes = kinds.count("code") + (view.kind in ("code", "escape"))
                    if codes >= 2 and view.kind != "layout":
                        return views, f"disguised more than {DEPTH} times over"
                    continue
                if view.text in known:
                    continue
                known.add(view.text)
                room -= len(view.text) + EACH
                if room < 0:
                    return views, f"disguised in more ways than fit {FACTOR} times its length"
                views.append(view)
                if not view.plain:
                    inner.append((view, (*kinds, view.kind)))
        layer = inner
    return views, None


def _views(raw: str, outer: View | None, kinds: tuple[Kind, ...]) -> Iterator[View]:
    source = Source(raw if outer is None else outer.text)
    if outer is not None and outer.kind == "layout":
        seen = IN_LAYOUTS
    else:
        seen = signs.signs_of(source.letters)
    # One layout in another is nothing that was written; what is looked for is found by chance.
    if "layout" in kinds:
        seen &= ~(signs.LINES | signs.MARKS)
    # Other scripts are turned round on no sign: where letters were changed, that was done before.
    if "layout" in kinds or "letters" in kinds:
        seen &= ~signs.SCRIPTS
    for family in _begun(seen):
        for view in family(source):
            # Words in reverse hold no row of numbers that the text does not hold.
            if view.kind == "layout" and view.name in ORDERS and not seen & IN_LAYOUTS:
                view = replace(view, plain=True)
            if outer is None:
                yield view
            elif kinds.count(view.kind) < LIMITS[view.kind] and not _undoes(view, outer):
                yield through(outer, view)


@lru_cache(maxsize=4096)
def _begun(seen: int) -> tuple[Family, ...]:
    """The families that may find something in a text with these signs."""
    return tuple(family for needed, family in FAMILIES if seen & needed)


def _undoes(inner: View, outer: View) -> bool:
    """Whether letters are changed twice in one way, or turned round and back, or by chance."""
    last = outer.name.rpartition(">")[2]
    # Of letters that were changed once, noise is a language when near ones change places.
    if inner.name == MOVED and outer.kind == "letters":
        return True
    both_turned = last.endswith("reversed") and inner.name.endswith("reversed")
    return inner.kind == "letters" and (both_turned or last[:3] == inner.name[:3])


def _range(view: View, start: int, end: int) -> Span | None:
    """The raw range that a part of a view came from; None where it is of the seam."""
    if start >= end:
        return None
    starts: Offsets = view.starts[start:end]
    ends: Offsets = view.ends[start:end]
    return Span(int(np.min(starts)), int(np.max(ends)))
