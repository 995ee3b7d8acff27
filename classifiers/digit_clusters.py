"""Digits of a text that stand near each other: where a rule for numbers can match."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

DIGIT_GAP = 3
"""Digits parted by at most so many other characters are one cluster."""

# Not `\d+`: only what begins with one of some characters is searched for quickly.
_RUN, _ASCII_RUN = re.compile(r"\d\d*"), re.compile(r"[0-9][0-9]*")


class Cluster(NamedTuple):
    """Digits near each other: where the first stands and the last ends, how many they are, and
    where each run of them starts."""

    start: int
    end: int
    digits: int
    runs: tuple[int, ...]


def digit_clusters(text: str, known: Sequence[Sequence[int]] | None = None) -> list[Cluster]:
    """The clusters of digits in a text, in order; `known`: where its runs start and end."""
    clusters: list[Cluster] = []
    runs: list[int] = []
    digits, end = 0, -DIGIT_GAP - 1
    if known is None:
        form = _ASCII_RUN if text.isascii() else _RUN
        known = [match.span() for match in form.finditer(text)]
    for start, after in known:
        if start - end > DIGIT_GAP and runs:
            clusters.append(Cluster(runs[0], end, digits, tuple(runs)))
            runs, digits = [], 0
        runs.append(start)
        digits += after - start
        end = after
    if runs:
        clusters.append(Cluster(runs[0], end, digits, tuple(runs)))
    return clusters


def windows(
    clusters: Sequence[Cluster], digits: int, reach: int, length: int
) -> Iterable[tuple[int, int]]:
    """Where a match with so many digits can lie, and a character more to look at on each side."""
    first = last = -1
    for start, end, count, _ in clusters:
        if count < digits:
            continue
        if start - reach <= last:
            last = end + reach + 1
            continue
        if last >= 0:
            yield first, min(last, length)
        first, last = max(0, start - reach), end + reach + 1
    if last >= 0:
        yield first, min(last, length)
