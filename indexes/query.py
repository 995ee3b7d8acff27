"""What an index is asked about a response: hashes of its grams, and tags of its units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guardrail.indexes.grams import GramKey, Hashes, hash_all, roll, write_tags
from guardrail.indexes.sealed import Words
from guardrail.jit import kernel
from guardrail.text import Units


@dataclass(slots=True)  # not frozen, as `CanonicalText`
class Query:
    """`hashes`: keyed, of the gram at each unit; shape (max(0, units - gram + 1),). `tags`: 32 a
    word, behind one empty word, so that a window may begin before the first, and before three."""

    units: int
    hashes: Hashes
    tags: Words


def make_query(units: Units, gram: int, key: GramKey) -> Query:
    """The query of some canonical units, for indexes of this gram length and key."""
    return Query(len(units), *_make(units, gram, key.base, key.k0, key.k1))


@kernel()
def _make(
    units: Units, gram: int, base: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[Hashes, Words]:
    tags = np.zeros((len(units) >> 5) + 4, np.uint64)
    write_tags(units, base, tags, 32)
    hashes = roll(units, gram, base)
    hash_all(hashes, k0, k1)
    return hashes, tags
