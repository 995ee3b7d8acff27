"""Where literals stand in a text: an automaton (Aho and Corasick 1975) as one compiled table."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_letters, digits
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import grown, kernel

Points = NDArray[np.uint8] | NDArray[np.uint32]
# Where something ends or starts, and what or where it ends.
Places = NDArray[np.int64]


# What keys and tokens are made of, and the bit of it in a column.
_CODE = f"{ascii_letters}{digits}+/=._~:-"
_IN_CODE = 1 << 15
# More than any run.
_NEVER = 1 << 40


class Found(NamedTuple):
    """`literals`: the last character of each and the state it ends in (see `Literals.ending`), in
    order of place. `digits`: start and end of each run of digits; None where these may be of any
    script. `run`: how many characters of a code, or letters of any script, stand in a row at most;
    `mixed`: the same with a digit among them."""

    literals: list[list[int]]
    digits: list[list[int]] | None
    run: int
    mixed: int


class Literals:
    """Finds literals of lower case in texts of any case. Thread-safe."""

    def __init__(self, literals: Mapping[str, tuple[int, int]]) -> None:
        """With each literal, how long runs of a code must be in the text for it to count: any run,
        and one with a digit (see `find_literals`)."""
        signs = sorted(set("".join(literals)))
        # Each code point up to the last one in a literal, as a column; 0: it is in none.
        self._columns = np.zeros(max((ord(sign) for sign in signs), default=0) + 129, np.uint16)
        for number, sign in enumerate(signs, 1):
            self._columns[ord(sign)] = number
            if sign.isascii():
                self._columns[ord(sign.upper())] = number
        children: list[dict[int, int]] = [{}]
        # The numbers of the literals that end in each state, the longest first.
        self.ending: list[list[int]] = [[]]
        for number, literal in enumerate(literals):
            state = 0
            for sign in literal:
                column = int(self._columns[ord(sign)])
                if column not in children[state]:
                    children[state][column] = len(children)
                    children.append({})
                    self.ending.append([])
                state = children[state][column]
            self.ending[state].append(number)
        self._steps = np.zeros((len(children), len(signs) + 1), np.uint16)
        row = list(children[0].items())
        self._steps[0, [column for column, _ in row]] = [child for _, child in row]
        queue = [(child, 0) for _, child in row]
        for state, shorter in queue:
            self.ending[state] += self.ending[shorter]
            self._steps[state] = self._steps[shorter]
            for column, child in children[state].items():
                queue.append((child, int(self._steps[shorter, column])))
                self._steps[state, column] = child
        self._columns[[ord(sign) for sign in _CODE]] |= _IN_CODE
        needed = list(literals.values())
        self._needed = np.array(
            [
                [min((needed[n][kind] for n in numbers), default=_NEVER) for kind in range(2)]
                for numbers in self.ending
            ]
        )

    def find(self, text: str, *, going_on: bool = False) -> Found:
        """What there is in a text. With `going_on`, literals count whatever runs there are yet."""
        if text.isascii():
            points: Points = np.frombuffer(text.encode(), np.uint8)
        else:
            data = lowered(text).encode("utf-32-le", "surrogatepass")
            points = np.frombuffer(data, np.uint32)
        found, numbers, run, mixed = find_literals(
            points, self._columns, self._steps, self._needed, going_on
        )
        return Found(found.tolist(), numbers.tolist() if text.isascii() else None, run, mixed)


def lowered(text: str) -> str:
    """The text in lower case, each character for itself."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few capitals become two characters
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return lowered


@kernel()
def find_literals(
    points: Points,
    columns: NDArray[np.uint16],
    steps: NDArray[np.uint16],
    needed: NDArray[np.int64],
    going_on: bool,
) -> tuple[Places, Places, int, int]:
    """See `Found`. What is no ASCII is taken for a letter."""
    found, digits = np.empty((64, 2), np.int64), np.empty((16, 2), np.int64)
    count = number = longest = mixed = run = with_digit = 0
    state = np.uintp(0)
    inside = False
    for index in range(len(points)):
        point = np.int64(points[np.uintp(index)])
        column = np.int64(columns[np.uintp(point)]) if point < len(columns) else _IN_CODE
        state = np.uintp(steps[state, np.uintp(column & (_IN_CODE - 1))])
        if needed[state, 0] < _NEVER:
            if count == len(found):
                found = grown(found)
            found[count, 0], found[count, 1] = index, state
            count += 1
        digit = bool(48 <= point <= 57)
        if digit != inside:
            if digit:
                if number == len(digits):
                    digits = grown(digits)
                digits[number, 0] = index
            else:
                digits[number, 1] = index
                number += 1
            inside = digit
        in_code = int(column >= _IN_CODE or point >= 128)
        run = (run + 1) * in_code
        with_digit = with_digit * in_code | int(digit)
        longest = max(longest, run)
        mixed = max(mixed, run * with_digit)
    if inside:
        digits[number, 1] = len(points)
        number += 1
    kept = 0
    for row in range(count):
        least = needed[found[row, 1]]
        if going_on or (least[0] <= longest and least[1] <= mixed):
            found[kept, 0], found[kept, 1] = found[row, 0], found[row, 1]
            kept += 1
    return found[:kept], digits[:number], longest, mixed
