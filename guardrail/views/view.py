"""A view: a string derived from a text, whose every code point knows where it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.text import Offsets, canonical_table

Points = NDArray[np.uint32]
# A number in a kernel, of whatever width.
Int = Any

Kind = Literal["code", "escape", "letters", "layout"]

# Between two pieces that did not stand together.
GAP = " "
# Between two that were far apart, or two views: nothing matches across it but letters.
SEAM = "\n\n"


@dataclass(slots=True, eq=False)  # not frozen, as `CanonicalText`
class View:
    """What a reader of a disguised text sees. Nobody changes it.

    `text` has n code points; `starts` and `ends` (uint32, shape (n,)) are the half-open range of
    the text it was derived from that each of them came from, never empty. `name` says how, and
    `kind` what kind of disguise that is: a code that was read, escapes among plain text, letters
    that were changed or turned round, or pieces that were put together from where they lay.
    `pieced` tells whether pieces were put together in any layer of it; `plain`, whether it is known
    that no view can be found in it.
    """

    name: str
    text: str
    starts: Offsets
    ends: Offsets
    kind: Kind
    outer_pieced: bool = False
    plain: bool = False

    @property
    def pieced(self) -> bool:
        return self.outer_pieced or self.kind == "layout"

    @property
    def first(self) -> int:
        """The first code point of the text that is in it."""
        return int(self.starts.min())

    @property
    def last(self) -> int:
        """Where what is in it ends in the text."""
        return int(self.ends.max())

    def behind(self, place: int) -> View | None:
        """What holds all of it that comes from behind a place of the text, if anything does."""
        first, last = _behind(self.ends, place)
        if first == last:
            return None
        if last - first == len(self.text):
            return self
        part = slice(first, last)
        return replace(self, text=self.text[part], starts=self.starts[part], ends=self.ends[part])

    def together_from(self, end: int, reach: int) -> int:
        """The first code point of the text from which on no more than `reach` of it are left out in
        a row up to `end`, where it ends; `end` if there is none."""
        if self.is_forward:
            return _together_from(self.starts, self.ends, end, reach)
        order = np.argsort(self.starts, kind="stable")
        return _together_from(self.starts[order], self.ends[order], end, reach)

    @property
    def is_forward(self) -> bool:
        """Whether it reads in the order of the text: what follows adds to its end."""
        return _is_sorted(self.starts)


@kernel()
def _behind(ends: Offsets, place: int) -> tuple[int, int]:
    """From the first to the last (and one) that end behind a place."""
    first, last = 0, len(ends)
    while first < last and ends[first] <= place:
        first += 1
    while last > first and ends[last - 1] <= place:
        last -= 1
    return first, last


@kernel()
def _is_sorted(starts: Offsets) -> bool:
    return bool(np.all(starts[1:] >= starts[:-1]))


@kernel()
def _together_from(starts: Offsets, ends: Offsets, end: int, reach: int) -> int:
    first = np.int64(starts[0]) if len(starts) else np.int64(end)
    reached = first
    for index in range(len(starts) + 1):
        start = np.int64(starts[index]) if index < len(starts) else np.int64(end)
        if start - reached > reach:
            first = start
        if index < len(starts):
            reached = max(reached, np.int64(ends[index]))
    return int(first)


class Source:
    """A text in which views are searched for, and what several searches need of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._points: Points | None = None
        # The code points with letters that look like one of ASCII as that one; as bytes where all
        # of them are ASCII.
        self.letters: NDArray[np.uint8] | Points
        if text.isascii():
            self.letters = np.frombuffer(text.encode(), np.uint8)
        else:
            _, pages, table, _ = canonical_table()
            self.letters = _look_alikes(self.points, pages, table)

    @property
    def points(self) -> Points:
        """The code points, uint32, shape (n,)."""
        if self._points is None:
            data = self.text.encode("utf-32-le", "surrogatepass")
            self._points = np.frombuffer(data, np.uint32)
        return self._points


@kernel()
def _look_alikes(points: Points, pages: NDArray[np.uint16], table: NDArray[np.uint32]) -> Points:
    out = points.copy()
    for index in range(len(points)):
        point = points[index]
        if point >= 0x250:
            entry = table[np.int64(pages[point >> 8]) << 8 | np.int64(point & 255)]
            unit = entry & 255
            if entry >> 24 == 1 and 97 <= unit <= 122:
                out[index] = unit
    return out


class Draft:
    """A view that is being put together from pieces of a source, in any order."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._texts: list[str] = []
        # For each piece: where its first code point came from, how much further each next one
        # did, and how many code points of the source each stands for.
        self._laws: list[tuple[int, int, int]] = []
        self._maps: list[tuple[int, Offsets, Offsets]] = []
        self._last = 1

    def keep(self, start: int, end: int) -> None:
        """The source from `start` to `end` as it stands."""
        self.step(self.source[start:end], start, 1)

    def step(self, text: str, start: int, width: int) -> None:
        """Derived text, each code point of which came from so many of the source."""
        if text:
            self._texts.append(text)
            self._laws.append((start, width, width))
            self._last = start + width * len(text)

    def stand(self, text: str, start: int, end: int) -> None:
        """Derived text that stands for all of the source from `start` to `end`."""
        if text:
            self._texts.append(text)
            self._laws.append((start, 0, end - start))
            self._last = end

    def put(self, text: str, starts: Offsets, ends: Offsets) -> None:
        """Derived text with the range of the source for each code point of it."""
        if text:
            self._maps.append((len(self._texts), starts, ends))
            self.stand(text, int(starts[-1]), int(ends[-1]))

    def gap(self, text: str = GAP) -> None:
        """Something between two pieces; it belongs to the end of the piece before."""
        self.stand(text, self._last - 1, self._last)

    def extend(self, other: Draft) -> None:
        """All that was put into another draft of the same source."""
        number = len(self._texts)
        self._maps += [(number + place, starts, ends) for place, starts, ends in other._maps]
        self._texts += other._texts
        self._laws += other._laws
        self._last = other._last

    def view(self, name: str, kind: Kind) -> View:
        sizes = np.fromiter(map(len, self._texts), np.int64, len(self._texts))
        firsts = np.cumsum(sizes) - sizes
        laws = np.array(self._laws, np.int64).reshape(-1, 3)
        origin, width, length = np.repeat(laws, sizes, axis=0).T
        starts = (origin + width * (np.arange(len(origin)) - np.repeat(firsts, sizes))).astype(
            np.uint32
        )
        ends = (starts + length).astype(np.uint32)
        for number, given_starts, given_ends in self._maps:
            first = int(firsts[number])
            starts[first : first + len(given_starts)] = given_starts
            ends[first : first + len(given_ends)] = given_ends
        return View(name, "".join(self._texts), starts, ends, kind)


def string(points: Points, is_ascii: bool = False) -> str:
    """Code points as a string; at once where they are known to be ASCII."""
    if is_ascii:
        return points.astype(np.uint8).tobytes().decode("ascii")
    return points.tobytes().decode("utf-32-le", "surrogatepass")


def pick(source: Source, places: NDArray[np.int64], name: str, kind: Kind) -> View:
    """The code points of the source at `places`, in that order."""
    text = string(source.points[places], source.text.isascii())
    starts = places.astype(np.uint32)
    return View(name, text, starts, starts + np.uint32(1), kind)


Spans = NDArray[np.int64]


def through(outer: View, inner: View) -> View:
    """A view that was found in the text of another, with ranges of what the outer one came from."""
    if not len(inner.text):
        return inner
    first = inner.starts.astype(np.int64)
    last = inner.ends.astype(np.int64) - 1
    starts, ends = outer.starts[first].copy(), outer.ends[first].copy()
    # A code point's range holds a few others, in whatever order these stand in the source.
    wide = np.flatnonzero(last > first)
    step = 1
    while len(wide):
        place = first[wide] + step
        starts[wide] = np.minimum(starts[wide], outer.starts[place])
        ends[wide] = np.maximum(ends[wide], outer.ends[place])
        step += 1
        wide = wide[last[wide] - first[wide] >= step]
    name = f"{outer.name}>{inner.name}"
    return View(name, inner.text, starts, ends, inner.kind, outer.pieced, inner.plain)
