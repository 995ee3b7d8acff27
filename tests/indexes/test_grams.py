"""Hashes, tags and the filter of grams against what they are by definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guardrail.indexes.gram_filter import FilterWriter, filter_words, passing
from guardrail.indexes.grams import TAG, GramKey, hash_grams, roll_grams, write_tags
from guardrail.indexes.query import make_query
from guardrail.text import Units

WORD = 1 << 64
KEY = GramKey(np.uint64(0x9B5F3A7C11D2E64D), np.uint64(0x0706050403020100), np.uint64(0x0F0E << 48))


def as_units(values: bytes) -> Units:
    return np.frombuffer(values, np.uint8)


def rolled(values: bytes, gram: int) -> list[int]:
    base = int(KEY.base)
    return [
        sum((values[at + i] + 1) * pow(base, gram - 1 - i, WORD) for i in range(gram)) % WORD
        for at in range(len(values) - gram + 1)
    ]


def tag(values: bytes) -> int:
    mixed = int.from_bytes(values, "big") * int(KEY.base) % WORD
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ mixed >> 33) * multiplier % WORD
    return mixed >> 62


def test_the_hash_is_siphash() -> None:
    """The published vector of SipHash-2-4 for a message of eight bytes."""
    words = np.frombuffer(bytes(range(16)), "<u8")
    message = np.frombuffer(bytes(range(8)), "<u8").copy()
    (hashed,) = hash_grams(message, GramKey(np.uint64(1), words[0], words[1]))
    assert int(hashed) == 0x93F5F5799A932462
    assert message.tobytes() == bytes(range(8))


@given(st.binary(max_size=200), st.integers(1, 24))
def test_polynomials(values: bytes, gram: int) -> None:
    assert roll_grams(as_units(values), gram, KEY).tolist() == rolled(values, gram)


@given(st.binary(max_size=200), st.integers(0, 100))
def test_tags_at_any_place(values: bytes, place: int) -> None:
    tags = np.zeros(12, np.uint64)
    write_tags(as_units(values), KEY.base, tags, place)
    wanted = sum(
        tag(values[at : at + TAG]) << 2 * (place + at) for at in range(len(values) - TAG + 1)
    )
    assert int.from_bytes(tags.tobytes(), "little") == wanted


@given(st.binary(max_size=200))
def test_a_query_holds_both(values: bytes) -> None:
    query = make_query(as_units(values), 16, KEY)
    assert (query.hashes == hash_grams(roll_grams(as_units(values), 16, KEY), KEY)).all()
    tags = np.zeros(len(query.tags), np.uint64)
    write_tags(as_units(values), KEY.base, tags, 32)
    assert query.units == len(values)
    assert (query.tags == tags).all()


@given(st.sets(st.integers(0, WORD - 1), max_size=300), st.integers(0, 24), st.integers(1, 4))
def test_what_passes_the_filter(numbers: set[int], unknown: int, parts: int) -> None:
    hashes = np.array([number >> unknown << unknown for number in sorted(numbers)], np.uint64)
    writer = FilterWriter(len(hashes), 64 - unknown)
    words = np.concatenate([*map(writer.add, np.array_split(hashes, parts)), writer.finish()])
    total = filter_words(len(hashes))
    wanted = [0] * total
    for place, marks in (mark(value, unknown, total) for value in hashes.tolist()):
        wanted[place] |= marks
    assert words.tolist() == wanted
    asked = np.concatenate((hashes, hashes ^ np.uint64(1 << 63), hashes + np.uint64(1 << 30)))
    buffer, hits = np.empty(len(asked), np.uint64), np.empty(len(asked), np.uint32)
    found = hits[: passing(asked, words, np.uint64(unknown), buffer, hits)].tolist()
    marked = [mark(value, unknown, total) for value in asked.tolist()]
    assert found == [at for at, (place, marks) in enumerate(marked) if not marks & ~wanted[place]]
    assert found[: len(hashes)] == list(range(len(hashes)))


def mark(value: int, unknown: int, total: int) -> tuple[int, int]:
    """The word of a hash in a filter of so many, and its bits."""
    mixed = (value >> unknown) * 0x9E3779B97F4A7C15 % WORD
    bits = {mixed >> shift & 63 for shift in (58, 52, 46, 40)}
    return (value >> 32) * total >> 32, sum(1 << bit for bit in bits)
