"""Walks along a diagonal: how far response and corpus agree, by their tags, 32 units at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from guardrail.indexes.grams import siphash
from guardrail.indexes.sealed import Words
from guardrail.jit import kernel

# Tags of a window that stand before the place that is looked at: as many as behind a gram of 16.
BEFORE = 9


@intrinsic
def trailing_zeros(context: Any, value: Any) -> Any:
    """How many of the lowest bits of a word are zero; 64 for zero."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), emit


@intrinsic
def leading_zeros(context: Any, value: Any) -> Any:
    """How many of the highest bits of a word are zero; 64 for zero."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), emit


@kernel(inline=True)
def window(low: np.uint64, high: np.uint64, position: np.int64) -> np.uint64:
    """The 32 tags from `position` on, of the word that holds its tag and the next one."""
    shift = np.uint64(2 * (position & 31))
    # In two steps, as a shift by 64 is undefined.
    return np.uint64((low >> shift) | ((high << np.uint64(1)) << (np.uint64(63) - shift)))


@kernel(inline=True)
def tags_at(words: Words, position: np.int64) -> np.uint64:
    """The 32 tags from `position` of a response on; at least -32."""
    word = (position >> 5) + 1
    return window(words[word], words[word + 1], position)


@kernel(inline=True)
def corpus_tags(tags: Words, position: np.int64, parameters: NDArray[np.uint64]) -> np.uint64:
    """The 32 tags from `position` of the corpus on, unmasked; zeros beyond either end."""
    word = position >> 5
    low = high = np.uint64(0)
    if 0 <= word < len(tags):
        low = tags[word] ^ siphash(np.uint64(word), parameters[7], parameters[8])
    word += 1
    if 0 <= word < len(tags):
        high = tags[word] ^ siphash(np.uint64(word), parameters[7], parameters[8])
    return window(low, high, position)


@kernel(inline=True)
def around(
    near: Words, tags: Words, parameters: NDArray[np.uint64], at: np.int64, diagonal: np.int64
) -> tuple[np.int64, np.int64]:
    """The first and the last position up to which tags agree on both sides of `at`, as far as a
    window tells: from BEFORE tags before it on. The last is `at - 1` where its own do not agree."""
    position = at - BEFORE
    differ: Any = tags_at(near, position) ^ corpus_tags(tags, position + diagonal, parameters)
    forth = trailing_zeros(differ >> np.uint64(2 * BEFORE)) >> 1  # type: ignore[call-arg]
    back = leading_zeros(differ << np.uint64(64 - 2 * BEFORE)) >> 1
    return at - min(back, BEFORE), at - 1 + min(forth, 32 - BEFORE)


@kernel()
def walk_on(
    near: Words,
    tags: Words,
    parameters: NDArray[np.uint64],
    at: np.int64,
    diagonal: np.int64,
    limit: np.int64,
) -> np.int64:
    """The last position, from `at` on to `limit`, up to which tags agree."""
    while at < limit:
        position = at + 1
        differ: Any = tags_at(near, position) ^ corpus_tags(tags, position + diagonal, parameters)
        agree = trailing_zeros(differ) >> 1  # type: ignore[call-arg]
        at += agree
        if agree < 32:
            break
    return min(at, limit)


@kernel()
def walk_back(
    near: Words,
    tags: Words,
    parameters: NDArray[np.uint64],
    at: np.int64,
    diagonal: np.int64,
    limit: np.int64,
) -> np.int64:
    """The first position, from `at` back to `limit`, from which on tags agree."""
    while at > limit:
        position = at - 32
        differ: Any = tags_at(near, position) ^ corpus_tags(tags, position + diagonal, parameters)
        agree = leading_zeros(differ) >> 1  # type: ignore[call-arg]
        at -= agree
        if agree < 32:
            break
    return max(at, limit)


@kernel(inline=True)
def row_of(starts: NDArray[np.uint32], ordinal: np.int64) -> int:
    """The document that a gram belongs to: the last one that starts at or before it."""
    row, above = 0, len(starts)
    while above - row > 1:
        middle = (row + above) >> 1
        if np.int64(starts[middle]) <= ordinal:
            row = middle
        else:
            above = middle
    return row
