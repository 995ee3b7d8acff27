"""Letters in blocks: what each weighs as language and in its order, and what that is a sign of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.views.view import Int, Points
from guardrail.views.weights import SCALE, Kinds, Weights

Blocks = NDArray[np.int64]

# Letters weighed together. In 2 KB of prose there are about 50 such blocks.
BLOCK = 32

# Bits a pair, of two blocks together and of one. In clean answers of models 1 block of 200 weighs
# less than 0.38 as language and 0.03 in its order, 1 of 2000 less than -0.31 and -0.28; of ROT13
# 98 of 100 weigh less than 0.2, and of reversed text less than -0.2.
ODD, VERY_ODD = 0.35, -0.3
BACKWARD, VERY_BACKWARD = -0.05, -0.3
# What weighs more as language is plain; what weighs less has no order.
PLAIN, NO_LANGUAGE = 0.65, -1.0
# Letters of a block that equal the one before (or the one before that) where letters are doubled
# (or one is put between all); in clean text at most 8, 1 block of 1000.
STUFFED = 13
# Letters of other scripts that are worth a look.
FOREIGN = 32

# What a block shows, as bits.
IS_ODD, IS_BACKWARD, HAS_TWINS, IS_STUFFED = 1, 2, 4, 8

# Columns of what `weigh` returns.
START, END, LANGUAGE, ORDER, PAIRS, TWINS, NEXT_BUT_ONE, SHIFTED, FOREIGN_LETTERS = range(9)


@kernel(inline=True)
def is_foreign(point: Int) -> Int:
    """Whether a code point is of another script: no punctuation, symbol, selector or emoji."""
    return (
        0x370 <= point < 0x2000
        or 0x2C00 <= point < 0x3000
        or 0x3040 <= point < 0xD800
        or 0x20000 <= point < 0x40000
    )


@kernel(inline=True)
def block_signs(
    language: float,
    order: float,
    language_before: float,
    order_before: float,
    pairs: Int,
    shifted: Int,
    foreign: Int,
) -> tuple[int, int]:
    """The signs of a block from its weights and those of the block before, and signs that the two
    together give to the one before. A few letters, or some among those of another script, have no
    weight that means something."""
    sign = before = 0
    if pairs < BLOCK // 2 or foreign > BLOCK // 4:
        return sign, before
    if language < VERY_ODD or shifted > BLOCK // 2:
        sign |= IS_ODD
    if order < VERY_BACKWARD and language > NO_LANGUAGE:
        sign |= IS_BACKWARD
    # Two blocks that weigh too little together; what is plain of one stays out.
    if language + language_before < 2 * ODD:
        if language < PLAIN:
            sign |= IS_ODD
        if language_before < PLAIN:
            before |= IS_ODD
    if order + order_before < 2 * BACKWARD:
        if language > NO_LANGUAGE:
            sign |= IS_BACKWARD
        if language_before > NO_LANGUAGE:
            before |= IS_BACKWARD
    return sign, before


@kernel()
def weigh(points: Points, kinds: Kinds, language: Weights, order: Weights) -> NDArray[np.int64]:
    """A row for each `BLOCK` letters (the last for fewer): where they start and end; the weight of
    their pairs as language and in this order, and the number of pairs; letters equal to the one
    before, and to the one before that; signs that ROT47 makes of small letters; letters of other
    scripts."""
    out = np.zeros((len(points) // BLOCK + 2, 9), np.int64)
    block = letters = 0
    before = np.int64(26)
    one = two = np.int64(-1)
    for index in range(len(points)):
        point = np.int64(points[index])
        kind = np.int64(26)
        if point < 0x250:
            kind = np.int64(kinds[point])
        if kind == 26:
            if 50 <= point <= 64:
                out[block, SHIFTED] += 1
            if is_foreign(point):
                out[block, FOREIGN_LETTERS] += 1
            if before == 26:
                continue
        out[block, LANGUAGE] += language[before, kind]
        out[block, ORDER] += order[before, kind]
        out[block, PAIRS] += 1
        before = kind
        if kind == 26:
            continue
        if letters == 0:
            out[block, START] = index
        letters += 1
        out[block, TWINS] += kind == one
        out[block, NEXT_BUT_ONE] += kind == two
        two = one
        one = kind
        out[block, END] = index + 1
        if letters == BLOCK:
            block += 1
            letters = 0
    return out[: block + 1]


@kernel()
def signs_of_blocks(blocks: Blocks) -> tuple[NDArray[np.uint8], int]:
    """The signs of each block, and all of them together."""
    signs = np.zeros(len(blocks), np.uint8)
    together = np.int64(0)
    language = order = 0.0
    for index in range(len(blocks)):
        row = blocks[index]
        before, order_before = language, order
        size = max(row[PAIRS], 1) * SCALE
        language, order = row[LANGUAGE] / size, row[ORDER] / size
        if index == 0:
            before, order_before = language, order
        sign, sign_before = block_signs(
            language,
            order,
            before,
            order_before,
            row[PAIRS],
            row[SHIFTED],
            row[FOREIGN_LETTERS],
        )
        if index:
            signs[index - 1] |= np.uint8(sign_before)
        if row[TWINS] >= STUFFED:
            sign |= HAS_TWINS
        if row[NEXT_BUT_ONE] >= STUFFED:
            sign |= IS_STUFFED
        signs[index] |= np.uint8(sign)
    for index in range(len(blocks)):
        together |= np.int64(signs[index])
    return signs, together  # type: ignore[return-value]
