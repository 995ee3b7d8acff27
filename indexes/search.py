"""The search: what a segment and a response share, in one call into compiled code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.chaining import LEAST, Runs, chain, find_runs
from guardrail.indexes.extending import extend
from guardrail.indexes.grams import Hashes
from guardrail.indexes.matching import Matches, find_matches
from guardrail.indexes.sealed import Words
from guardrail.jit import kernel


@kernel()
def search(
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
) -> tuple[Matches, Runs, Runs]:
    """Matches of at least `least` units; runs that lie close together in the corpus; and runs that
    continue these. Without the last the others are chained, or left out where no chain is heavy
    enough. For the arguments see `find_matches` and `chain`."""
    none = np.empty((0, 6), np.int64)
    matches, crowd = find_matches(
        near,
        units,
        hashes,
        parameters,
        filter_,
        directory,
        remainders,
        ordinals,
        tags,
        starts,
        facts,
        least,
    )
    if len(crowd) == 0:
        return matches, none, none
    crowd.sort()
    runs = find_runs(crowd, near, units, parameters, tags, starts, facts)
    more = extend(runs, near, units, parameters, tags, starts, facts)
    if len(more) == 0 and chain(runs, int(np.int64(parameters[0]))) < 4 * LEAST:
        return matches, none, none
    return matches, runs, more
