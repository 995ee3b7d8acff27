"""Matching: from the gram hashes of a response to maximal shared runs.

Seeds are looked up for all positions at once; the places that they name are verified; around each,
the run is walked along its diagonal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.candidates import BATCH, LONG, gather, verify
from guardrail.indexes.crowd import find_crowd, longer
from guardrail.indexes.grams import TAG, Hashes
from guardrail.indexes.sealed import Words
from guardrail.indexes.seeds import MAX_SLOTS, find_seeds, mark_repeats
from guardrail.indexes.walks import row_of, walk_back, walk_on
from guardrail.jit import grown, kernel

# Rows of int64: start and end in units of the response; document row; unit of the document where
# the run starts; documents of the same group that hold the same run (at least).
Matches = NDArray[np.int64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
# In `facts`, the bit of a document's group word that says the document is forgotten.
DEAD = 1 << 31


@kernel()
def find_matches(
    near: Words,
    units: int,
    hashes: Hashes,
    parameters: NDArray[np.uint64],
    filter_: Words,
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
    ordinals: Words,
    tags: Words,
    starts: NDArray[np.uint32],
    facts: NDArray[np.uint32],
    least: int,
) -> tuple[Matches, Hashes]:
    """Maximal runs of at least `least` units; see `Matches`. A run inside another of the same
    group is counted there and not listed. `near`, `units` and `hashes`: see `Query`.
    And the seeds that have others close by in the corpus or stand in a run of `STRONG` units, for
    `chaining`: ((ordinal + 1) << 31) | position, in no order, some of them twice.

    `parameters`: gram, stride, bucket bits, known hash bits, ordinal bits, the two words of the
    ordinal key and of the tag key, number of groups. `facts`: shape (documents, 2), canonical
    length and group.
    """
    gram = np.int64(parameters[0])
    stride = np.int64(parameters[1])
    # Tags of the response; places where a run may go on.
    total = np.int64(units - TAG + 1)
    out = np.empty((8, 5), np.int64)
    crowd = np.empty(64, np.uint64)
    if len(starts) == 0 or len(hashes) == 0:
        return out[:0], crowd[:0]
    seeds = find_seeds(hashes, parameters, filter_, directory, remainders)
    if len(seeds) == 0:
        return out[:0], crowd[:0]
    crowded = np.int64(0)
    postings = mark_repeats(seeds)
    wide = 1024
    while wide < 4 * postings and wide < MAX_SLOTS:
        wide *= 2
    tiles = np.zeros(wide, np.uint64)
    lengths = np.zeros(wide, np.int16)

    # Diagonals walked lately, and how far: a seed on a run that was already walked is skipped. Two
    # diagonals that fall on one slot cost a repeated walk, not an answer.
    slots = 256
    while slots < 2 * len(seeds) and slots < 65536:
        slots *= 2
    diagonals = np.zeros(slots, np.int64)
    reached = np.full(slots, -1, np.int64)
    latest = np.full(np.int64(parameters[9]), -1, np.int64)
    anchors = np.zeros(len(latest), np.int64)
    horizon = np.int64(0)
    found = 0
    candidates = np.empty((3, BATCH), np.int64)
    seed = np.int64(0)
    entry = seeds[0, 1]
    while seed < len(seeds):
        filled, seed, entry = gather(candidates, seeds, seed, entry, ordinals, parameters)
        kept = verify(candidates, filled, near, tags, parameters, np.int64(least) - gram)
        if len(crowd) < crowded + 3 * kept:
            crowd = longer(crowd, int(crowded + 3 * kept))
        crowded = find_crowd(candidates, kept, stride, tiles, lengths, crowd, crowded)
        for index in range(kept):
            if not candidates[2, index] & LONG:
                continue
            at = candidates[0, index]
            ordinal = candidates[1, index]
            diagonal = ordinal * stride - at
            slot = np.int64((np.uint64(diagonal) * _MIX) >> np.uint64(40))
            slot &= slots - 1
            if diagonals[slot] == diagonal and reached[slot] >= at:
                continue
            row = -1
            if at + gram + stride <= horizon:
                # Inside a run that was found: a run that goes on past its end has later seeds, so
                # only one that begins before it is news. Without this, a text that repeats itself
                # is walked from each of its units.
                row = row_of(starts, ordinal)
                group = np.int64(facts[row, 1]) & (DEAD - 1)
                last = latest[group]
                if last >= 0 and anchors[group] < at and at + gram + stride <= out[last, 1]:
                    before = out[last, 0] - 1
                    origin = np.int64(starts[row]) * stride
                    if before < 0 or before + diagonal < origin:
                        continue
                    if walk_back(near, tags, parameters, before + 1, diagonal, before) > before:
                        continue
            right = walk_on(near, tags, parameters, at, diagonal, total - 1)
            left = walk_back(near, tags, parameters, at, diagonal, np.int64(0))
            diagonals[slot] = diagonal
            if right - left + TAG < least:
                reached[slot] = right
                continue
            if row < 0:
                row = row_of(starts, ordinal)
            origin = np.int64(starts[row]) * stride
            left = max(left, origin - diagonal)
            right = min(right, origin + np.int64(facts[row, 0]) - TAG - diagonal)
            # Not further: what agrees past the end of the document is another's, or chance.
            reached[slot] = right
            if facts[row, 1] & np.uint32(DEAD) or right - left + TAG < least:
                continue
            end = right + TAG
            group = np.int64(facts[row, 1])
            last = latest[group]
            if last >= 0 and out[last, 0] <= left and out[last, 1] >= end:
                out[last, 4] += 1
                continue
            if last >= 0 and left <= out[last, 0] and end >= out[last, 1]:
                copies = out[last, 4] + 1
                target = last
            else:
                copies = 1
                if found == len(out):
                    out = grown(out)
                target = found
                latest[group] = found
                found += 1
            anchors[group] = at
            horizon = max(horizon, end)
            out[target, 0] = left
            out[target, 1] = end
            out[target, 2] = row
            out[target, 3] = left + diagonal - origin
            out[target, 4] = copies
    return out[:found], crowd[:crowded]
