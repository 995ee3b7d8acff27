"""What may still become a near-verbatim copy: chains near the end of a text that goes on.

A chain links runs that are too short to be reported by themselves. At the end of a text, every run
of a gram or more may be the first of one, as long as a link still reaches it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.candidates import BATCH, REPEATED, gather, verify
from guardrail.indexes.chaining import GAP, Runs
from guardrail.indexes.crowd import longer
from guardrail.indexes.grams import Hashes
from guardrail.indexes.sealed import Words
from guardrail.indexes.seeds import find_seeds, mark_repeats
from guardrail.jit import kernel

# Units before a run in which a copy is followed back at least (see `extending`): three windows.
BEFORE = 80


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
    candidates = np.empty((BATCH, 3), np.int64)
    seed = np.int64(0)
    entry = seeds[0, 1]
    while seed < len(seeds):
        filled, seed, entry = gather(candidates, seeds, seed, entry, ordinals, parameters)
        kept = verify(candidates, filled, near, tags, parameters, np.int64(0))
        if found + kept > len(keys):
            keys = longer(keys, int(found + kept))
        for index in range(kept):
            if not candidates[index, 2] & REPEATED:
                ordinal = np.uint64(candidates[index, 1] + 1)
                keys[found] = (ordinal << np.uint64(31)) | np.uint64(candidates[index, 0])
                found += 1
    keys = keys[:found]
    keys.sort()
    return keys


def open_chains(runs: Runs, total: int) -> list[tuple[int, int]]:
    """First unit and document's row of each chain that may go on behind unit `total`, the end of
    the text: a link that keeps the order costs what it leaves out, so that it reaches no further
    than the chain weighs. `runs` are chained."""
    reach = np.minimum(runs[:, 5], GAP)
    found: list[tuple[int, int]] = []
    for last in np.flatnonzero(runs[:, 1] + reach > total).tolist():
        first, row = total, int(runs[last, 2])
        while last >= 0:
            first, last = min(first, int(runs[last, 0])), int(runs[last, 4])
        found.append((first, row))
    return found
