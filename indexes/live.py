"""What may still become a near-verbatim copy: chains near the end of a text that goes on.

A chain links runs that are too short to be reported by themselves. At the end of a text, every run
of a gram or more may be part of one, as long as a link may still reach it: however long it is, as
what comes may weigh more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.candidates import BATCH, REPEATED, gather, verify
from guardrail.indexes.chaining import BACK, GAP, Runs
from guardrail.indexes.crowd import longer
from guardrail.indexes.extending import BEFORE
from guardrail.indexes.grams import Hashes
from guardrail.indexes.sealed import Words
from guardrail.indexes.seeds import find_seeds, mark_repeats
from guardrail.jit import kernel

# The longest stretch of the response between two runs that still waits for the second: otherwise a
# text would wait to its end for what its first run may be part of. With 200, of 14 passages of 60
# words in shuffled pieces of 8, 6 had words out before they showed; with 400, none; clean text of
# other subjects waits no longer.
WITHIN = 400
# Runs before one in the order of the corpus that it may come to be linked with: more than a chain
# looks back at, as what is seen here has more seeds.
NEIGHBOURS = 4 * BACK


@kernel()
def live_seeds(
    near: Words,
    hashes: Hashes,
    parameters: NDArray[np.uint64],
    filter_: Words,
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
    ordinals: Words,
    tags: Words,
) -> Hashes:
    """All seeds but chance ones and those of grams that come often in the response, as `find_runs`
    takes them, sorted."""
    seeds = find_seeds(hashes, parameters, filter_, directory, remainders)
    keys = np.empty(64, np.uint64)
    found = 0
    if len(seeds) == 0:
        return keys[:0]
    mark_repeats(seeds)
    candidates = np.empty((3, BATCH), np.int64)
    seed = np.int64(0)
    entry = seeds[0, 1]
    while seed < len(seeds):
        filled, seed, entry = gather(candidates, seeds, seed, entry, ordinals, parameters)
        kept = verify(candidates, filled, near, tags, parameters, np.int64(0))
        if found + kept > len(keys):
            keys = longer(keys, int(found + kept))
        for index in range(kept):
            if not candidates[2, index] & REPEATED:
                ordinal = np.uint64(candidates[1, index] + 1)
                keys[found] = (ordinal << np.uint64(31)) | np.uint64(candidates[0, index])
                found += 1
    keys = keys[:found]
    keys.sort()
    return keys


@kernel()
def open_runs(runs: Runs, total: int) -> NDArray[np.int64]:
    """Rows of first unit and document's row of what may go on behind unit `total`, to where all
    runs are known: runs in the order of the corpus that a link may reach, each with those that are,
    or may come to be, linked with it, and with what a copy is followed back to before it."""
    part = np.arange(len(runs))
    for index in range(len(runs)):
        for back in range(index - 1, max(-1, index - 1 - NEIGHBOURS), -1):
            if runs[back, 2] != runs[index, 2]:
                break
            skipped = runs[index, 3] - runs[back, 3] - (runs[back, 1] - runs[back, 0])
            apart = max(runs[index, 0] - runs[back, 1], runs[back, 0] - runs[index, 1])
            if skipped > GAP or apart > WITHIN:
                continue
            one, other = root(part, index), root(part, back)
            part[max(one, other)] = min(one, other)
    first, last = runs[:, 0].copy(), runs[:, 1].copy()
    for index in range(len(runs)):
        top = root(part, index)
        first[top] = min(first[top], runs[index, 0])
        last[top] = max(last[top], runs[index, 1])
    found = np.empty((len(runs), 2), np.int64)
    count = 0
    for index in range(len(runs)):
        if part[index] == index and last[index] + WITHIN > total:
            found[count, 0] = max(0, first[index] - BEFORE)
            found[count, 1] = runs[index, 2]
            count += 1
    return found[:count]


@kernel()
def root(part: NDArray[np.int64], index: int) -> int:
    """The first run of those that a run is joined with."""
    while part[index] != index:
        part[index] = part[part[index]]
        index = part[index]
    return index
