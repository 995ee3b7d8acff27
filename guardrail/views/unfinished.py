"""Where a disguise may begin that a text, as far as it has come, does not show yet.

A view needs so many characters, letters or pieces before it shows. What could be the first of them
is the end of a text that is no plain words: codes, letters that are no language, words that do not
stand in their order. Of lists, tables and pieces in marks, what there is of the view is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.between import PIECE
from guardrail.views.blocks import LANGUAGE, ORDER, PAIRS, START, weigh
from guardrail.views.dumps import find_dumps
from guardrail.views.layout import open_layouts
from guardrail.views.marks import open_marks
from guardrail.views.numerals import find_numerals
from guardrail.views.signs import COUNTED
from guardrail.views.tallies import LONGEST_PIECE
from guardrail.views.view import SEAM, Points, Source, View, through
from guardrail.views.weights import SCALE, Kinds, Weights, tables
from guardrail.views.wordings import open_words

# What stands between blanks, read backwards.
_TOKEN = re.compile(r"\S+")
# A word that no code is made of: letters, not only those of hexadecimal digits; and a letter of
# another script, which none is made of either.
_WORD = re.compile(
    r"[^\w\s]*(?=[^\W\d_]*[^\W\d_a-fA-F])[^\W\d_]{2,23}(?:['\u2019-][^\W\d_]{1,23})*[^\w\s]*"
)
_FOREIGN = re.compile(r"[\u0370-\u1fff\u3040-\ud7ff]")
# Bits a pair of letters, as `letters` has it, from which on a block of letters is surely plain.
_PLAIN, _FORWARD = 0.5, 0.0
# Codes show by then: binary takes 9 characters for a letter, and a passage 64 letters. And letters.
_LONGEST_CODE, _BLOCKS = 600, 12
# What a mark may hold that is not closed yet, and so many more code points.
_OPENING = re.compile(r"[\"'`*(\[<#/-]")
# Bytes of a dump that has only begun.
_BEGUN = 2
# Digits of a number that may count.
_LONGEST_NUMBER = 3


def open_views(raw: str) -> Iterator[View]:
    """The views of a text that may go on, for which there are too few pieces yet among them."""
    source = Source(raw)
    yield from find_dumps(source, _BEGUN)
    for family in (open_layouts, open_marks):
        for view in family(source):
            yield view
            if not view.plain:
                inner = Source(view.text)
                yield from (through(view, found) for found in find_numerals(inner))
                yield from (through(view, found) for found in find_dumps(inner, _BEGUN))


def together(views: Sequence[View], end: int, reach: int) -> View | None:
    """What is hidden in several places that are no further apart than `reach`, up to the end of the
    text, in their order: a passage may go on from one to the next. None where there are not two."""
    near: list[View] = []
    first = end
    hidden = [view for view in views if view.text and view.kind != "layout"]
    for view in sorted(hidden, key=lambda view: -view.last):
        if view.last + reach >= first:
            near.append(view)
            first = min(first, view.first)
    if len(near) < 2:
        return None
    near.sort(key=lambda view: view.first)
    starts = np.concatenate([np.append(view.starts, (view.last - 1,) * len(SEAM)) for view in near])
    # Where views overlap, what comes from one place on comes from all that are behind.
    starts = np.minimum.accumulate(starts[::-1])[::-1].astype(np.uint32)
    text = "".join(view.text + SEAM for view in near)
    return View("together", text, starts, starts + np.uint32(1), near[0].kind)


def unfinished(raw: str) -> int:
    """The code point from which on a text may be part of a disguise that does not show yet."""
    source = Source(raw)
    return min(
        _codes(raw), _letters(source), open_words(source), _marks(raw), _numbers(source.letters)
    )


def _codes(raw: str) -> int:
    """The end of the last word that no code is made of."""
    first = max(0, len(raw) - _LONGEST_CODE)
    backwards = raw[first:][::-1]
    for token in _TOKEN.finditer(backwards):
        start, end = len(raw) - token.end(), len(raw) - token.start()
        is_cut = start == first > 0 and not raw[first - 1].isspace()
        if not is_cut and _WORD.fullmatch(raw, start, end):
            return end
        if foreign := _FOREIGN.search(backwards, *token.span()):
            return len(raw) - foreign.start()
    return first


def _letters(source: Source) -> int:
    """The start of the last blocks of letters that weigh too little as language, and of two before:
    what is odd begins in the midst of one, and a view takes one more."""
    known = tables()
    points = source.letters.astype(np.uint32)
    return int(_plain_until(points, known.kinds, known.language, known.order))


@kernel()
def _plain_until(points: Points, kinds: Kinds, language: Weights, order: Weights) -> int:
    blocks = weigh(points, kinds, language, order)
    # The last one is not full.
    count = len(blocks) - 1
    while count > max(len(blocks) - _BLOCKS, 0):
        row = blocks[count - 1]
        size = max(row[PAIRS], 1) * SCALE
        if row[LANGUAGE] >= _PLAIN * size and row[ORDER] >= _FORWARD * size:
            break
        count -= 1
    return int(blocks[max(count - 2, 0), START])


def _marks(raw: str) -> int:
    """Where the line ends, or so much of it as a mark may hold."""
    first = max(raw.rfind("\n") + 1, len(raw) - LONGEST_PIECE - 2)
    match = _OPENING.search(raw, first)
    return len(raw) if match is None else match.start()


@kernel()
def _numbers(points: NDArray[np.uint8] | Points) -> int:
    """The start of what stands around the last numbers, if there are too few to count."""
    first = end = len(points)
    found = 0
    # Back over each run of digits.
    while end and end >= first - PIECE and found < 2 * COUNTED:
        start = end
        while start and 48 <= points[start - 1] <= 57:
            start -= 1
        if 0 < end - start <= _LONGEST_NUMBER:
            first = max(start - PIECE, 0)
            found += 1
        end = start - (start == end)
    return first
