"""Chains of runs: near-verbatim copies, from seeds that lie close together in the corpus.

Seed, chain, cover, as read mappers do it for genomes (Li 2018, minimap2), with the tags in place of
the bases: a seed is extended to its exact run, and runs are linked along the corpus. A link that
keeps the order and roughly the diagonal, as an edit leaves them, costs what it leaves out; one that
does not, as a splice or a shuffle makes them, costs `JUMP` units besides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import TAG
from guardrail.indexes.matching import DEAD
from guardrail.indexes.sealed import Words
from guardrail.indexes.walks import BEFORE, around, row_of, walk_back, walk_on
from guardrail.jit import kernel

# Columns of a table of runs, int64: start and end in the response; document row; unit of the
# document where the run starts; the run before it in its chain, or -1; four times the chain's
# weight so far. A chain's weight is the units that it covers less a quarter of those it leaves out.
Runs = NDArray[np.int64]
NO_RUNS: Runs = np.empty((0, 6), np.int64)

# Longest stretch that a link leaves out: of a document; of the response where it keeps the order.
GAP = 200
# How far a link that keeps the order may leave the diagonal: some words more or less.
DRIFT = 40
# What a link costs that does not keep the order, in units.
JUMP = 8
# The least weight of a chain, in units, that is looked at. Measured over 1,218 clean answers and
# 268 MB of documentation: one in 100 has a chain of 50, one in 1,000 one of 67.
LEAST = 40
# Runs looked back at for a link: those before are further away or of another copy.
BACK = 16


@kernel()
def find_runs(
    seeds: NDArray[np.uint64],
    near: Words,
    units: int,
    parameters: NDArray[np.uint64],
    tags: Words,
    starts: NDArray[np.uint32],
    facts: NDArray[np.uint32],
) -> Runs:
    """The runs on which seeds lie, in the order of the corpus. `seeds`: as `find_matches` gives
    them, sorted."""
    gram = np.int64(parameters[0])
    stride = np.int64(parameters[1])
    total = np.int64(units - TAG + 1)
    runs = np.empty((len(seeds), 6), np.int64)
    count = 0
    for index in range(len(seeds)):
        at = np.int64(seeds[index] & np.uint64(0x7FFFFFFF))
        ordinal = np.int64(seeds[index] >> np.uint64(31)) - 1
        diagonal = ordinal * stride - at
        row = row_of(starts, ordinal)
        if facts[row, 1] & np.uint32(DEAD):
            continue
        origin = np.int64(starts[row]) * stride
        known = False
        for back in range(max(0, count - BACK), count):
            same = runs[back, 2] == row and runs[back, 3] + origin - runs[back, 0] == diagonal
            known = known or (same and runs[back, 1] >= at + gram)
        if known:
            continue
        # One window tells both ends of most runs.
        left, right = around(near, tags, parameters, at, diagonal)
        if right == at - BEFORE + 31:
            right = walk_on(near, tags, parameters, right, diagonal, total - 1)
        right = min(right, total - 1)
        if right < at + gram - TAG:
            continue
        if left == at - BEFORE:
            left = walk_back(near, tags, parameters, left, diagonal, np.int64(0))
        left = max(left, np.int64(0))
        left = max(left, origin - diagonal)
        right = min(right, origin + np.int64(facts[row, 0]) - TAG - diagonal)
        if right < left + gram - TAG:
            continue
        runs[count, 0] = left
        runs[count, 1] = right + TAG
        runs[count, 2] = row
        runs[count, 3] = left + diagonal - origin
        count += 1
    return runs[:count]


@kernel()
def chain(runs: Runs, gram: int) -> np.int64:
    """Fill in the last two columns of runs in the order of the corpus; returns the greatest weight
    of a chain of two runs or more, times four. Linear in the number of runs."""
    best = np.int64(0)
    for index in range(len(runs)):
        start, end, row, place = runs[index, 0], runs[index, 1], runs[index, 2], runs[index, 3]
        length = end - start
        runs[index, 4] = -1
        runs[index, 5] = 4 * length
        for back in range(index - 1, max(-1, index - 1 - BACK), -1):
            if runs[back, 2] != row:
                break
            before = runs[back, 1] - runs[back, 0]
            skipped = place - runs[back, 3] - before
            if skipped > GAP:
                continue
            ahead = start - runs[back, 1]
            drift = abs(ahead - skipped)
            ordered = runs[back, 0] < start and ahead <= GAP and drift <= DRIFT
            cost = max(np.int64(0), skipped)
            if ordered:
                cost = max(cost, ahead)
            else:
                cost += 4 * JUMP
            new = length - max(np.int64(0), -skipped)
            # What the chain already covers of the response does not count twice.
            member = np.int64(back)
            for _ in range(BACK):
                shared = min(end, runs[member, 1]) - max(start, runs[member, 0])
                new -= max(
                    np.int64(0), shared - (max(np.int64(0), -skipped) if member == back else 0)
                )
                member = runs[member, 4]
                if member < 0:
                    break
            if new < gram // 2:
                continue
            weight = runs[back, 5] + 4 * new - cost
            if weight > runs[index, 5]:
                runs[index, 4] = back
                runs[index, 5] = weight
        if runs[index, 4] >= 0:
            best = max(best, runs[index, 5])
    return best


def chains(runs: Runs, least: int) -> list[list[int]]:
    """The chains of two runs or more whose weight is at least `least`, heaviest first: each the
    numbers of its runs, in the order of the corpus. No run is in two."""
    ends = np.flatnonzero((runs[:, 4] >= 0) & (runs[:, 5] >= 4 * least))
    taken: set[int] = set()
    found = []
    for end in ends[np.argsort(-runs[ends, 5], kind="stable")].tolist():
        members: list[int] = []
        while end >= 0 and end not in taken:
            members.append(end)
            end = int(runs[end, 4])
        if end < 0:
            taken.update(members)
            found.append(members[::-1])
    return found
