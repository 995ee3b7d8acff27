"""Cutting long texts into rows that a model takes at once."""

from __future__ import annotations

from collections.abc import Sequence


def rows_for(
    start: int, prompt: Sequence[int], ids: Sequence[int], context: int
) -> list[tuple[list[int], int]]:
    """Rows with the place from which each is scored, so that each of `ids` is scored once, in
    order, and after the start token, the prompt, and all that is before it; or, where that does
    not fit into `context`, after at least half a context of it."""
    before = [start, *prompt]
    whole = [*before, *ids]
    if len(whole) <= context:
        return [(whole, len(before))]
    half = context // 2
    rows = []
    at = len(before)
    while at < len(whole):
        low = max(0, at - half)
        high = min(len(whole), low + context)
        # A row begins with the start token, as in training, in place of the token there.
        row = whole[low:high] if low == 0 else [start, *whole[low + 1 : high]]
        rows.append((row, at - low))
        at = high
    return rows
