"""Where a run is anchored: at a gram that the index holds for it.

A run is followed from unit to unit by tags of two bits, so that it goes on past its true ends by
chance: by one unit at one end in four. To the left that must not reach past a place where the index
would hold a gram of the run and does not: a stream could not have known of the run in time. What a
run truly shares with a document begins less than a stride before such a gram.
"""

from __future__ import annotations

import numpy as np

from guardrail.indexes.grams import Hashes
from guardrail.indexes.segment import Segment


def anchored_start(
    segment: Segment,
    max_postings: int,
    hashes: Hashes,
    run: tuple[int, int, int, int],
) -> int:
    """The first unit of a run that belongs to it, given its first and last unit, the document's row
    and the unit of the document that it starts at. `hashes` are those of the response's grams."""
    start, end, row, origin = run
    stride, gram = segment.grid.stride, segment.grid.gram
    first = start + -origin % stride
    ordinal = int(segment.table["start"][row]) + (origin + first - start) // stride
    for at in range(first, end - gram + 1, stride):
        if _holds(segment, max_postings, int(hashes[at]), ordinal):
            return max(start, at - stride + 1)
        ordinal += 1
    return start


def _holds(segment: Segment, max_postings: int, hashed: int, ordinal: int) -> bool:
    """Whether an index holds a gram for a place; a gram too frequent to be held for each counts."""
    bits = segment.info.bucket_bits
    spare = max(0, bits + 16 - segment.info.hash_bits)
    middle, ordinals = segment.entries(hashed >> (64 - bits), 1 << bits)
    remainders = (middle >> np.uint64(24 - bits)) & np.uint64(0xFFFF)
    same = ordinals[remainders >> np.uint64(spare) == ((hashed >> (48 - bits)) & 0xFFFF) >> spare]
    return len(same) >= max_postings or bool((same == ordinal).any())
