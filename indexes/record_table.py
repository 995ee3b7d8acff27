"""The table of an index's records: keyed hashes of their canonical text, and where each stands.

A response is looked up at each of its units by a filter of how records begin; what passes is
searched for among the beginnings themselves, and a beginning that is one tells the lengths to try.
So the work hardly grows with the number of records, and opening a table reads only the filter.
"""

from __future__ import annotations

import json
import mmap
import secrets
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.errors import IndexDamagedError
from guardrail.indexes.documents import Document
from guardrail.indexes.grams import GramKey, hash_grams, siphash
from guardrail.indexes.manifest import Manifest
from guardrail.indexes.records import LEAST_UNITS, MOST_UNITS, Record, RecordRule
from guardrail.indexes.runs import document_key
from guardrail.indexes.sealed import Sealer, WordKey, Words
from guardrail.indexes.tombstones import check_file, write_durably
from guardrail.jit import grown, kernel
from guardrail.keys import Key
from guardrail.text import CanonicalText, Offsets, Units, canonical_units

# A record of so many units is found inside of longer words too: it does not stand there by chance.
FREE_UNITS = 16
# In place of an offset: the record stands beside the text.
NOWHERE = 0xFFFFFFFF
# At least 32 bits a record: of the units of a text without records, one in 32 passes at most.
_FILTER_BITS = 5
# Columns of a row; see `RecordRows`.
_BEGINNING, _VALUE, _DOCUMENT, _PLACE = range(4)
_COLUMNS = 4
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_BYTE_TOP = np.uint64(56)


@dataclass(frozen=True, slots=True)
class RecordRows:
    """Records in memory. `words`: uint64, shape (4, n). By column: the polynomial of how the record
    begins (16 units, or 6 of a shorter one); its number of units (bits 56-63) and 56 bits of the
    keyed hash of all of them; the key of the document; offset, number of the rule, and length in
    code points (bits 0-31, 32-47, 48-63). A rule is a place in `names`."""

    names: tuple[str, ...]
    words: Words

    @classmethod
    def none(cls) -> RecordRows:
        return cls((), np.zeros((_COLUMNS, 0), np.uint64))

    def __len__(self) -> int:
        return len(self.words[0])

    def without(self, documents: NDArray[np.uint64]) -> RecordRows:
        """The rows of all documents but some, named by their keys."""
        kept = ~np.isin(self.words[_DOCUMENT], documents)
        return RecordRows(self.names, self.words[:, kept])

    @classmethod
    def join(cls, parts: Iterable[RecordRows]) -> RecordRows:
        """All rows of several, each record of a document once, sorted by the columns."""
        names: dict[str, int] = {}
        moved = [cls.none().words]
        for part in parts:
            numbers = np.array([names.setdefault(n, len(names)) for n in part.names], np.uint64)
            words = part.words.copy()
            if len(part):
                old = (words[_PLACE] >> np.uint64(32)) & np.uint64(0xFFFF)
                words[_PLACE] += (numbers[old.astype(np.int64)] - old) << np.uint64(32)
            moved.append(words)
        words = np.concatenate(moved, axis=1)
        words = words[:, np.lexsort(words[::-1])]
        fresh = np.ones(words.shape[1], np.bool_)
        fresh[1:] = (words[:_PLACE, 1:] != words[:_PLACE, :-1]).any(axis=0)
        return cls(tuple(names), words[:, fresh])

    def pack(self) -> bytes:
        """The rows as bytes; `unpack` reads them."""
        return json.dumps(self.names).encode() + b"\n" + self.words.tobytes()

    @classmethod
    def unpack(cls, blob: bytes) -> RecordRows:
        head, _, rows = blob.partition(b"\n")
        return cls(tuple(json.loads(head)), np.frombuffer(rows, np.uint64).reshape(_COLUMNS, -1))


class RecordCollector:
    """Takes records in, one by one, and makes rows of them all at once."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._grams = GramKey.derive(key, "records")
        self._names: dict[str, int] = {}
        self._values: list[str] = []
        self._rows: list[tuple[int, int]] = []
        self._document: tuple[str, str] | None = None
        self._document_key = 0

    def add(self, record: Record, document: Document) -> None:
        """Take one record of a document in; one of too few or too many units is passed over."""
        rule = self._names.setdefault(record.rule, len(self._names))
        offset = NOWHERE if record.offset is None else document.offset + record.offset
        place = min(offset, NOWHERE) | rule << 32 | min(len(record.value), 0xFFFF) << 48
        if self._document != (document.collection, document.id):
            self._document = document.collection, document.id
            self._document_key = document_key(self._key, *self._document)
        self._values.append(record.value)
        self._rows.append((self._document_key, place))

    def rows(self) -> RecordRows:
        """What was taken in."""
        lengths = np.array([len(value) + 1 for value in self._values], np.int64)
        units, offsets = canonical_units("\n".join(self._values))
        starts = np.searchsorted(offsets, np.cumsum(lengths) - lengths)
        counts = np.diff(starts, append=len(units))
        usable = (counts >= LEAST_UNITS) & (counts <= MOST_UNITS)
        rows = np.array(self._rows, np.uint64).reshape(-1, 2)[usable]
        starts, counts = starts[usable], counts[usable]
        first, whole = roll_records(units, starts, counts, self._grams.base)
        value = hash_grams(whole, self._grams) >> np.uint64(8)
        value |= counts.astype(np.uint64) << _BYTE_TOP
        return RecordRows(tuple(self._names), np.stack((first, value, rows[:, 0], rows[:, 1])))


def write_records(
    index: Path,
    manifest: Manifest,
    key: Key,
    parts: Iterable[RecordRows],
    rules: Sequence[RecordRule],
) -> dict[str, tuple[int, str]]:
    """Store an index's records, and the rules for what is added later; returns what the manifest is
    to name."""
    rows = RecordRows.join(parts)
    if not len(rows) and not rules:
        return {}
    name = f"records-{manifest.index_id}-{manifest.generation}.sealed"
    bits = max(12, len(rows).bit_length() + _FILTER_BITS)
    filter_ = np.zeros(1 << (bits - 6), np.uint64)
    places = (rows.words[_BEGINNING] * _SPREAD) >> np.uint64(64 - bits)
    single = np.uint64(1) << (places & np.uint64(63))
    np.bitwise_or.at(filter_, places >> np.uint64(6), single)
    words = np.concatenate((rows.words.ravel(), filter_))
    # Of no other content, nor of an attempt that was interrupted: one mask over two contents would
    # give their difference away.
    nonce = secrets.token_hex(16)
    _mask(nonce, key).mask(words, 0)
    told = {
        "nonce": nonce,
        "names": rows.names,
        "rows": len(rows),
        "bits": bits,
        "rules": list(map(asdict, rules)),
    }
    sealed = _sealer(manifest, key).seal(json.dumps(told).encode(), name)
    head = struct.pack("<Q", len(sealed)) + sealed + b"\0" * (-len(sealed) % 8)
    return {name: write_durably(index / name, head + words.tobytes())}


class RecordTable:
    """The records of an open index. Thread-safe: nothing changes after construction."""

    def __init__(self, index: Path, manifest: Manifest, key: Key) -> None:
        """Raises IndexDamagedError or, for a file that is missing, FileNotFoundError."""
        self._count = 0
        self.names: tuple[str, ...] = ()
        self.rules: tuple[RecordRule, ...] = ()
        grams = GramKey.derive(key, "records")
        powers = [pow(int(grams.base), n, 1 << 64) for n in range(MOST_UNITS + 1)]
        self._powers = np.array(powers, np.uint64)
        for name, (size, digest) in manifest.records.items():
            self._file = index / name, size, digest
            self._words, head = _map(index / name, size, _sealer(manifest, key))
            self._count = int(head["rows"])
            self.names = tuple(head["names"])
            self.rules = tuple(RecordRule(**rule) for rule in head["rules"])
            self._mask = mask = _mask(head["nonce"], key)
            self._filter = self._words[_COLUMNS * self._count :].copy()
            mask.mask(self._filter, _COLUMNS * self._count)
            self._secrets = np.array([grams.k0, grams.k1, mask.k0, mask.k1], np.uint64)

    def __len__(self) -> int:
        return self._count

    def rows(self) -> RecordRows:
        """All rows, for writing them anew: damage would get a fresh digest and pass for sound, so
        it raises IndexDamagedError here."""
        if not self._count:
            return RecordRows.none()
        for problem in check_file(*self._file):
            raise IndexDamagedError(problem)
        words = self._words[: _COLUMNS * self._count].copy()
        self._mask.mask(words, 0)
        return RecordRows(self.names, words.reshape(_COLUMNS, -1))

    def find(self, text: CanonicalText) -> NDArray[np.int64]:
        """The runs that are records: rows of start and end in units, and first and last row
        (exclusive) of the table; int64, shape (n, 4)."""
        if not self._count or len(text) < LEAST_UNITS:
            return np.zeros((0, 4), np.int64)
        raw = text.raw
        points: NDArray[Any] = (
            np.frombuffer(raw.encode("ascii"), np.uint8)
            if raw.isascii()
            else np.frombuffer(raw.encode("utf-32-le", "surrogatepass"), np.uint32)
        )
        found: NDArray[np.int64] = find_records(
            text.units,
            text.offsets,
            points,
            self._words,
            self._count,
            self._filter,
            self._powers,
            self._secrets,
        )
        return found

    def places(self, first: int, last: int) -> list[tuple[int, int]]:
        """The key of the document and the place of some rows; see `RecordRows`."""
        columns = []
        for column in (_DOCUMENT, _PLACE):
            start = column * self._count + first
            words = self._words[start : start + last - first].copy()
            self._mask.mask(words, start)
            columns.append(words.tolist())
        return list(zip(*columns, strict=True))


def _map(path: Path, size: int, sealer: Sealer) -> tuple[Words, dict[str, Any]]:
    """The words of a table, still masked, and its head. Raises IndexDamagedError."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        (length,) = struct.unpack_from("<Q", data)
        head: dict[str, Any] = json.loads(sealer.open(data[8 : 8 + length], path.name))
        words = np.frombuffer(data, np.uint64)[1 + -(-length // 8) :]
        expected = _COLUMNS * int(head["rows"]) + (1 << (int(head["bits"]) - 6))
        if len(data) != size or len(words) != expected:
            raise ValueError
    except (ValueError, struct.error):
        raise IndexDamagedError(
            f"{path} is damaged or belongs to another index; restore it from a backup or build "
            "the index again"
        ) from None
    return words, head


def _sealer(manifest: Manifest, key: Key) -> Sealer:
    return Sealer.derive(key, f"index {manifest.index_id}")


def _mask(nonce: str, key: Key) -> WordKey:
    return WordKey.derive(key, f"records {nonce}")


@kernel()
def roll_records(
    units: Units, starts: NDArray[np.int64], counts: NDArray[np.int64], base: np.uint64
) -> tuple[Words, Words]:
    """The polynomials of how each record begins, and of all of it."""
    first = np.empty(len(starts), np.uint64)
    whole = np.empty(len(starts), np.uint64)
    for row in range(len(starts)):
        begin = FREE_UNITS if counts[row] >= FREE_UNITS else LEAST_UNITS
        value = np.uint64(0)
        for index in range(counts[row]):
            value = value * base + np.uint64(units[starts[row] + index]) + np.uint64(1)
            if index == begin - 1:
                first[row] = value
        whole[row] = value
    return first, whole


@kernel()
def find_records(
    units: Units,
    offsets: Offsets,
    points: NDArray[Any],
    words: Words,
    rows: int,
    filter_: Words,
    powers: Words,
    secrets: Words,
) -> NDArray[np.int64]:
    """See `RecordTable.find`. `points`: the code points of the text; `powers`: those of the
    polynomial's base, from 0 to `MOST_UNITS`; `secrets`: the words of the hash's and the mask's
    keys."""
    total = len(units)
    base = powers[1]
    # The polynomial of all units before each one, from which that of any run follows.
    sums = np.empty(total + 1, np.uint64)
    sums[0] = np.uint64(0)
    edges = np.empty(total + 1, np.bool_)
    for index in range(total):
        sums[index + 1] = sums[index] * base + np.uint64(units[index]) + np.uint64(1)
        edges[index] = index == 0 or is_edge(offsets, points, index)
    edges[total] = True
    found = np.empty((8, 4), np.int64)
    count = 0
    for kind in range(2):
        begin = FREE_UNITS if kind == 0 else LEAST_UNITS
        starts = candidates(sums, edges, kind == 0, begin, powers[begin], filter_)
        for start in starts:
            first = sums[start + begin] - sums[start] * powers[begin]
            row = bound(words, rows, secrets, first, np.uint64(0))
            while row < rows and unmasked(words, row, secrets) == first:
                length = np.int64(unmasked(words, rows + row, secrets) >> _BYTE_TOP)
                top = np.uint64(length) << _BYTE_TOP
                end = start + length
                # A length that no record can have would be the work of damage.
                fits = begin <= length <= MOST_UNITS and end <= total
                if fits and (kind == 0 or (length < FREE_UNITS and edges[end])):
                    run = sums[end] - sums[start] * powers[length]
                    wanted = top | (siphash(run, secrets[0], secrets[1]) >> np.uint64(8))
                    low = bound(words, rows, secrets, first, wanted)
                    high = bound(words, rows, secrets, first, wanted + np.uint64(1))
                    if low < high:
                        if count == len(found):
                            found = grown(found)
                        found[count, 0] = start
                        found[count, 1] = end
                        found[count, 2] = low
                        found[count, 3] = high
                        count += 1
                following = bound(words, rows, secrets, first, top + (np.uint64(1) << _BYTE_TOP))
                # Damaged words need not be sorted, and the search has to end all the same.
                row = max(row + 1, following)
    return found[:count]


@kernel()
def candidates(
    sums: Words,
    edges: NDArray[np.bool_],
    anywhere: bool,
    begin: int,
    power: np.uint64,
    filter_: Words,
) -> NDArray[np.int64]:
    """Where a record may begin, by the filter of beginnings of `begin` units: at word edges, or
    anywhere. A place is written in any case, and the next one moves on or does not: no branch."""
    bits = 6
    while 1 << (bits - 6) < len(filter_):
        bits += 1
    shift = np.uint64(64 - bits)
    total = max(0, len(sums) - begin)
    starts = np.empty(total + 1, np.int64)
    count = np.int64(0)
    for start in range(total):
        place = ((sums[start + begin] - sums[start] * power) * _SPREAD) >> shift
        bit = (filter_[place >> np.uint64(6)] >> (place & np.uint64(63))) & np.uint64(1)
        starts[count] = start
        count += np.int64(bit) & np.int64(anywhere | edges[start])
    return starts[:count]


@kernel(inline=True)
def unmasked(words: Words, position: np.int64, secrets: Words) -> np.uint64:
    """A word of the table."""
    return np.uint64(words[position] ^ siphash(np.uint64(position), secrets[2], secrets[3]))


@kernel()
def bound(words: Words, rows: int, secrets: Words, first: np.uint64, second: np.uint64) -> np.int64:
    """The first row that does not come before a beginning and a value."""
    low, high = np.int64(0), np.int64(rows)
    while low < high:
        middle = (low + high) >> 1
        begins = unmasked(words, middle, secrets)
        if begins < first or (begins == first and unmasked(words, rows + middle, secrets) < second):
            low = middle + 1
        else:
            high = middle
    return low


@kernel(inline=True)
def is_edge(offsets: Offsets, points: NDArray[Any], index: int) -> bool:
    """Whether a word may begin with a unit, or end before it: something stands in between in the
    raw text, or a digit meets another sign, or ideographs meet, which no space parts."""
    before, here = np.int64(offsets[index - 1]), np.int64(offsets[index])
    if here - before != 1:
        return bool(here != before)
    one, other = np.int64(points[before]), np.int64(points[here])
    if one >= 0x2E80 or other >= 0x2E80:
        return True
    return bool((48 <= one < 58) != (48 <= other < 58))
