"""Where a run is anchored: at a gram that the index holds for it.

A run is followed from unit to unit by tags of two bits, so that it goes on past its true ends by
chance: by one unit at one end in four. To the left that must not reach past a place where the index
would hold a gram of the run and does not: a stream could not have known of the run in time. What a
run truly shares with a document begins less than a stride before such a gram.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.indexes.grams import Hashes, siphash
from guardrail.indexes.matching import Matches
from guardrail.indexes.sealed import Words
from guardrail.jit import kernel


@kernel()
def anchor(
    matches: Matches,
    hashes: Hashes,
    parameters: NDArray[np.uint64],
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
    ordinals: Words,
    starts: NDArray[np.uint32],
    most: int,
) -> None:
    """Move the start of each match, in the response and in its document, to the first unit that
    belongs to it. `hashes` are those of the response's grams, `most` is how many places of one gram
    an index holds; for the others see `find_matches`."""
    gram, stride = np.int64(parameters[0]), np.int64(parameters[1])
    for index in range(len(matches)):
        start, origin = matches[index, 0], matches[index, 3]
        at = start + -origin % stride
        ordinal = np.int64(starts[matches[index, 2]]) + (origin + at - start) // stride
        while at <= matches[index, 1] - gram:
            if _holds(hashes[at], ordinal, parameters, directory, remainders, ordinals, most):
                moved = max(np.int64(0), at - stride + 1 - start)
                matches[index, 0] += moved
                matches[index, 3] += moved
                break
            at += stride
            ordinal += 1


@kernel()
def _holds(
    hashed: np.uint64,
    ordinal: np.int64,
    parameters: NDArray[np.uint64],
    directory: NDArray[np.uint32],
    remainders: NDArray[np.uint16],
    ordinals: Words,
    most: int,
) -> bool:
    """Whether an index holds a gram for a place; a gram too frequent to be held for each counts."""
    bucket_bits, hash_bits = np.int64(parameters[2]), np.int64(parameters[3])
    bits = np.int64(parameters[4])
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    spare = max(np.int64(0), bucket_bits + 16 - hash_bits)
    wanted = np.int64((hashed >> np.uint64(48 - bucket_bits)) & np.uint64(0xFFFF)) >> spare
    bucket = hashed >> np.uint64(64 - bucket_bits)
    same = 0
    for entry in range(np.int64(directory[bucket]), np.int64(directory[bucket + np.uint64(1)])):
        if np.int64(remainders[entry]) >> spare != wanted:
            continue
        same += 1
        place = np.uint64(entry * bits)
        word, shift = place >> np.uint64(6), place & np.uint64(63)
        low = ordinals[word] ^ siphash(word, parameters[5], parameters[6])
        word += np.uint64(1)
        high = ordinals[word] ^ siphash(word, parameters[5], parameters[6])
        both = (low >> shift) | ((high << np.uint64(1)) << (np.uint64(63) - shift))
        if same >= most or np.int64(both & mask) == ordinal:
            return True
    return False
