"""Other ways to find leaked passages, by the spans that they find, for bench_evasion.py.

Each takes documents and says which code points of a text it finds in them. They answer by their own
rules: no policy, no redaction. What is not installed says so in `missing` and is left out.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import bench_peers
import numpy as np

from guardrail.indexes.grams import GramKey, roll_grams

WORD = re.compile(r"\w+")
# A deny list is compared entry by entry or as one alternation: 10,000 entries take a second a text.
DENIED = 1_000

Spans = list[tuple[int, int]]


class Peer(Protocol):
    name: str
    at_most: int  # passages a cell: fewer where one text takes long

    def find(self, text: str) -> Spans: ...


class RawCharacters:
    """Runs of 50 equal characters, as they stand."""

    name = "50 raw characters"
    at_most = 10_000
    width = 50

    def __init__(self, documents: Sequence[str]) -> None:
        # A rolling polynomial modulo 2^64; a base of any odd value serves where nobody attacks.
        self._key = GramKey(np.uint64(0x9E3779B97F4A7C15), np.uint64(0), np.uint64(0))
        hashes = [self._hashes(document) for document in documents]
        self._known = np.unique(np.concatenate(hashes))

    def _hashes(self, text: str) -> Any:
        # One byte a character: beyond Latin-1 all are one, which the width makes up for.
        units = np.frombuffer(text.encode("latin-1", "replace"), np.uint8)
        return roll_grams(units, self.width, self._key)

    def find(self, text: str) -> Spans:
        hashes = self._hashes(text)
        places = np.minimum(np.searchsorted(self._known, hashes), len(self._known) - 1)
        hits = np.flatnonzero(self._known[places] == hashes)
        return [(int(hit), int(hit) + self.width) for hit in hits]


class WordShingles:
    """Runs of 8 equal words, in lower case."""

    name = "8-word shingles"
    at_most = 10_000

    def __init__(self, documents: Sequence[str]) -> None:
        self._known: set[int] = set()
        for document in documents:
            self._known.update(map(hash, self._shingles(bench_peers.words(document))))

    @staticmethod
    def _shingles(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
        return zip(*(words[n:] for n in range(bench_peers.SHINGLE)), strict=False)

    def find(self, text: str) -> Spans:
        found = list(WORD.finditer(text))
        words = [match[0].lower() for match in found]
        return [
            (found[n].start(), found[n + bench_peers.SHINGLE - 1].end())
            for n, shingle in enumerate(self._shingles(words))
            if hash(shingle) in self._known
        ]


class MinHashWindows:
    """datasketch's MinHashLSH over windows of 60 words, every 30, by their 3-word shingles."""

    # The windows of a planted passage are as long as it: the kindest setting for 60 words.
    name = "datasketch LSH"
    at_most = 100
    width, step, shingle = 60, 30, 3

    def __init__(self, documents: Sequence[str]) -> None:
        import zlib

        import datasketch

        self._lsh: Any = datasketch.MinHashLSH(threshold=0.3, num_perm=64)
        self._empty: Any = datasketch.MinHash(num_perm=64, hashfunc=zlib.crc32)
        number = 0
        with self._lsh.insertion_session() as session:
            for document in documents:
                words = [match[0].lower().encode() for match in WORD.finditer(document)]
                for _, _, signature in self._windows(words):
                    session.insert(number, signature, check_duplication=False)
                    number += 1

    def _windows(self, words: list[bytes]) -> Iterator[tuple[int, int, Any]]:
        for start in range(0, max(len(words) - self.step, 1), self.step):
            window = words[start : start + self.width]
            shingles = [b" ".join(window[n : n + 3]) for n in range(len(window) - 2)]
            if shingles:
                signature = self._empty.copy()
                signature.update_batch(shingles)
                yield start, start + len(window), signature

    def find(self, text: str) -> Spans:
        found = list(WORD.finditer(text))
        words = [match[0].lower().encode() for match in found]
        return [
            (found[start].start(), found[end - 1].end())
            for start, end, signature in self._windows(words)
            if self._lsh.query(signature)
        ]


def _denied(documents: Sequence[str]) -> list[str]:
    """Sentences and lines of some length, the first that there are."""
    pieces = (
        " ".join(piece.split())
        for document in documents
        for piece in re.split(r"(?<=[.!?])\s+|\n+", document)
    )
    return list(dict.fromkeys(piece for piece in pieces if len(piece) >= 20))[:DENIED]


class PresidioDenyList:
    """A Presidio recogniser with sentences of the planted passages as its deny list."""

    name = "Presidio deny list"
    at_most = 20

    def __init__(self, documents: Sequence[str]) -> None:
        from presidio_analyzer import PatternRecognizer  # type: ignore[import-not-found]

        self._recogniser: Any = PatternRecognizer("PRIVATE", deny_list=_denied(documents))

    def find(self, text: str) -> Spans:
        results = self._recogniser.analyze(text, ["PRIVATE"], None)
        return [(result.start, result.end) for result in results]


class LlmGuardSubstrings:
    """LLM Guard's BanSubstrings with the same list, which it finds without telling where: each
    entry is scanned for alone where all together are found."""

    name = "LLM Guard deny list"
    at_most = 20

    def __init__(self, documents: Sequence[str]) -> None:
        import structlog  # type: ignore[import-not-found]
        from llm_guard.input_scanners import BanSubstrings  # type: ignore[import-not-found]

        # It logs what it finds.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

        self._denied = _denied(documents)
        self._scanner: Any = BanSubstrings(self._denied, case_sensitive=False)

    def find(self, text: str) -> Spans:
        _, valid, _ = self._scanner.scan(text)
        if valid:
            return []
        lowered = text.lower()
        return [
            (at, at + len(entry))
            for entry in self._denied
            if (at := lowered.find(entry.lower())) >= 0
        ]


def missing(module: str) -> bool:
    return importlib.util.find_spec(module) is None
