"""What rare characters and those beside them are signs of: escapes, marks, letters in disguise.

Each is counted as it has to stand for the search behind it to find something.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Points

Tallies = NDArray[np.int32]

# The characters that are counted.
RARE = "%&\\=#!$+@|\"'`/-*([<"

# Escapes that are worth a look although they say nothing.
MANY = 12
# Equals signs that are worth a look: a line that ends in one is no escape by itself.
EQUALS = 2
# Signs for letters that are worth a look.
SIGNS = 6
# Pieces that may hold a passage together: with fewer, the pieces are long enough by themselves.
PIECES = 8
# Longer pieces are long enough by themselves.
LONGEST_PIECE = 100

# Behind the counts of ASCII characters, those of some that stand as they have to: escapes; equals
# signs before a code or the end of a line; signs between letters; quotes that open; asterisks
# before another; the ends of tags; comments of C; and runs of #, - and /.
_ESCAPES, _QUOTED, _LEET, _OPENED, _BOLD, _TAGS, _COMMENTS, _HASHES, _DASHES, _SLASHES = range(
    128, 138
)
ROOM = 138

# Letters that mean something behind a backslash, as bits.
_ESCAPED = sum(1 << ord(letter) - ord("a") for letter in "abfnrtuvx")


@kernel(inline=True)
def _letter(point: Int) -> bool:
    return bool(97 <= point | 32 <= 122)


@kernel(inline=True)
def _blank(point: Int) -> bool:
    return bool(9 <= point <= 13 or point == 32)


@kernel(inline=True)
def _hexadecimal(point: Int) -> bool:
    return bool(48 <= point <= 57 or 97 <= point | 32 <= 102)


@kernel()
def tally(points: NDArray[np.uint8] | Points, index: Int, tallies: Tallies) -> None:
    """Count one of them that stands at a place."""
    point = np.int64(points[index])
    before = np.int64(points[index - 1]) if index else np.int64(32)
    after = np.int64(points[index + 1]) if index + 1 < len(points) else np.int64(32)
    tallies[point] += 1
    if point == 39:
        word = _letter(before) or 48 <= before <= 57 or before >= 0xC0
        tallies[_OPENED] += not word
    elif point == 45:
        tallies[_DASHES] += after == 45 and before != 45
    elif point == 42:
        tallies[_BOLD] += after == 42
    elif point == 47:
        tallies[_COMMENTS] += after == 42
        tallies[_SLASHES] += after == 47 and before != 47
    elif point == 35:
        tallies[_HASHES] += before != 35
    elif point == 60:
        tallies[_TAGS] += after == 47
    elif point == 92:
        known = 48 <= after < 56 or after in (10, 13, 34, 39, 47, 78, 85)
        tallies[_ESCAPES] += known or (97 <= after < 123 and _ESCAPED >> after - 97 & 1)
    elif point == 37:
        both = index + 2 < len(points) and _hexadecimal(points[index + 2])
        tallies[_ESCAPES] += both and _hexadecimal(after)
    elif point == 38:
        tallies[_ESCAPES] += after == 35 or _letter(after)
    elif point == 61:
        place = index + 1
        while place < min(index + 9, len(points)) and points[place] in (32, 9):
            place += 1
        ends = place < len(points) and (points[place] == 10 or points[place] == 13)
        tallies[_QUOTED] += ends or _hexadecimal(after)
    elif point in (33, 36, 43, 64, 124):
        between = not _blank(before) and not _blank(after)
        tallies[_LEET] += between and (_letter(before) or _letter(after))


@kernel(inline=True)
def has_escapes(tallies: Tallies) -> bool:
    return bool(tallies[_ESCAPES] or tallies[_QUOTED] >= EQUALS)


@kernel(inline=True)
def has_many_escapes(tallies: Tallies) -> bool:
    """Whether there are so many marks of escapes that their letters may have been changed."""
    some = tallies[37] or tallies[38] or tallies[92] or tallies[61]
    return bool(some and max(tallies[37], tallies[35], tallies[92]) >= MANY)


@kernel(inline=True)
def has_leet(tallies: Tallies) -> bool:
    return bool(tallies[_LEET] >= SIGNS)


@kernel(inline=True)
def has_marks(tallies: Tallies) -> bool:
    """Whether there may be enough pieces in one kind of mark. Two marks a piece but for brackets
    and comments; and a run of #, - or / begins one, or one more in so many of them."""
    return bool(
        max(tallies[34], tallies[96], tallies[_BOLD]) >= 2 * PIECES
        or max(tallies[_OPENED], tallies[40], tallies[91]) >= PIECES
        or max(tallies[_TAGS], tallies[_COMMENTS]) >= PIECES
        or tallies[_HASHES] + tallies[35] // LONGEST_PIECE >= PIECES
        or tallies[_DASHES] + tallies[45] // LONGEST_PIECE >= PIECES
        or tallies[_SLASHES] + tallies[47] // LONGEST_PIECE >= PIECES
    )
