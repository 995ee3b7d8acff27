"""Where literals stand in a text: an automaton (Aho and Corasick 1975) as one compiled table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import grown, kernel

Points = NDArray[np.uint8] | NDArray[np.uint32]
# Where something ends or starts, and what or where it ends.
Places = NDArray[np.int64]


class Literals:
    """Finds literals of lower case in texts of any case. Thread-safe."""

    def __init__(self, literals: Sequence[str]) -> None:
        signs = sorted(set("".join(literals)))
        # Each code point up to the last one in a literal, as a column; 0: it is in none.
        self._columns = np.zeros(max((ord(sign) for sign in signs), default=0) + 129, np.uint8)
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
        self._ends = np.array([bool(numbers) for numbers in self.ending])

    def find(self, text: str) -> tuple[list[list[int]], list[list[int]] | None]:
        """The last character of each literal and the state it ends in (see `ending`), in order of
        place; and start and end of each run of digits, None where these may be of any script."""
        if text.isascii():
            points: Points = np.frombuffer(text.encode(), np.uint8)
        else:
            data = lowered(text).encode("utf-32-le", "surrogatepass")
            points = np.frombuffer(data, np.uint32)
        found, runs = find_literals(points, self._columns, self._steps, self._ends)
        return found.tolist(), runs.tolist() if text.isascii() else None


def lowered(text: str) -> str:
    """The text in lower case, each character for itself."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few capitals become two characters
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return lowered


@kernel()
def find_literals(
    points: Points, columns: NDArray[np.uint8], steps: NDArray[np.uint16], ends: NDArray[np.bool_]
) -> tuple[Places, Places]:
    found, runs = np.empty((64, 2), np.int64), np.empty((16, 2), np.int64)
    count = digits = 0
    state = np.uintp(0)
    inside = False
    for index in range(len(points)):
        point = np.uintp(points[np.uintp(index)])
        column = columns[point] if point < len(columns) else np.uint8(0)
        state = np.uintp(steps[state, np.uintp(column)])
        if ends[state]:
            if count == len(found):
                found = grown(found)
            found[count, 0], found[count, 1] = index, state
            count += 1
        digit = 48 <= point <= 57
        if digit != inside:
            if digit:
                if digits == len(runs):
                    runs = grown(runs)
                runs[digits, 0] = index
            else:
                runs[digits, 1] = index
                digits += 1
            inside = digit
    if inside:
        runs[digits, 1] = len(points)
        digits += 1
    return found[:count], runs[:digits]
