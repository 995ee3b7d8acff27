#!/usr/bin/env python3
"""Other ways to find text of a corpus in a response, behind one Protocol, for the benchmarks.

    python scripts/bench_peers.py CORPUS            CORPUS: JSON Lines with a field "text"

Each peer is set up as fast as its usual use allows. They answer slightly different questions, so
each carries in ``finds`` the shortest passage that it is sure to find. Those that work on words
see lowercased ``\\w+`` words. The self-test builds every peer on a part of the corpus, checks that
passages planted in other text are found and that random words are not, and prints index size,
build speed and latency.

Needs rbloom, datasketch, pyahocorasick and infini-gram.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

MEGABYTE = 1_000_000
SHINGLE = 8  # words

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


class Peer(Protocol):
    name: str
    finds: str
    exact: bool  # no passage of 60 words is missed
    part_mb: float  # how much of the corpus it is built on

    def build(self, documents: Sequence[str]) -> None: ...

    def find(self, text: str) -> bool: ...

    @property
    def bytes_used(self) -> int: ...


# --- Memory ---------------------------------------------------------------------------------------


def _allocated(size: int) -> int:
    """What the allocator takes for an object of this size."""
    return -(-size // 16) * 16


def deep_size(root: object) -> int:
    """Bytes of an object and of everything it holds, each object counted once."""
    seen: set[int] = set()
    stack: list[object] = [root]
    total = 0
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, type) or callable(item):
            continue
        seen.add(id(item))
        total += _allocated(sys.getsizeof(item))
        if isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        elif hasattr(item, "__dict__"):
            stack.append(vars(item))
    return total


# --- The peers ------------------------------------------------------------------------------------


def _shingles(tokens: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(tokens[i:] for i in range(SHINGLE)), strict=False)


class WordSet:
    """A Python set of the hashes of all 8-word shingles."""

    # hash() of a tuple: str objects keep their hash, which makes this several times as fast as
    # joining the words and calling blake2b. Salted per process, so such a set cannot be stored.
    name = "Python set, 8-word hashes"
    finds = "8 words"
    exact = True

    def __init__(self, part_mb: float) -> None:
        self.part_mb = part_mb
        self._grams: set[int] = set()

    def build(self, documents: Sequence[str]) -> None:
        for document in documents:
            self._grams.update(map(hash, _shingles(words(document))))

    def find(self, text: str) -> bool:
        return not self._grams.isdisjoint(map(hash, _shingles(words(text))))

    @property
    def bytes_used(self) -> int:
        sample = list(itertools.islice(self._grams, 1000))
        each = sum(_allocated(sys.getsizeof(value)) for value in sample) / max(len(sample), 1)
        return sys.getsizeof(self._grams) + round(each * len(self._grams))


class AhoCorasick:
    """pyahocorasick over all 8-word shingles."""

    name = "pyahocorasick, 8-word shingles"
    finds = "8 words"
    exact = True

    def __init__(self, part_mb: float) -> None:
        import ahocorasick

        self.part_mb = part_mb
        self._automaton: Any = ahocorasick.Automaton(ahocorasick.STORE_LENGTH)

    def build(self, documents: Sequence[str]) -> None:
        add = self._automaton.add_word
        for document in documents:
            for shingle in _shingles(words(document)):
                add(f" {' '.join(shingle)} ")  # the spaces keep a hit from starting inside a word
        self._automaton.make_automaton()

    def find(self, text: str) -> bool:
        return next(self._automaton.iter(f" {' '.join(words(text))} "), None) is not None

    @property
    def bytes_used(self) -> int:
        # Its own account; the process grows by about a fifth more.
        return int(self._automaton.get_stats()["total_size"])


class MinHashWindows:
    """datasketch MinHashLSH over windows of 100 words, every 50 words, by their 3-word shingles."""

    # A passage of 60 words is part of a window on each side, so that its similarity is at most
    # 0.42: the threshold lies below that, and some passages are missed all the same.
    name = "datasketch LSH, 100-word windows"
    finds = "similar windows"
    exact = False

    def __init__(self, part_mb: float, permutations: int = 64, threshold: float = 0.3) -> None:
        import datasketch  # type: ignore[import-untyped]

        self.part_mb = part_mb
        self._lsh: Any = datasketch.MinHashLSH(threshold=threshold, num_perm=permutations)
        # crc32 in place of the default SHA-1: the same answers, faster.
        self._empty: Any = datasketch.MinHash(num_perm=permutations, hashfunc=zlib.crc32)

    def _signatures(self, text: str) -> Iterator[Any]:
        tokens = [word.encode() for word in words(text)]
        threes = [b" ".join(three) for three in zip(tokens, tokens[1:], tokens[2:], strict=False)]
        for start in range(0, max(len(tokens) - 50, 1), 50):
            window = threes[start : start + 98]
            if window:
                signature = self._empty.copy()
                signature.update_batch(window)
                yield signature

    def build(self, documents: Sequence[str]) -> None:
        number = itertools.count()
        with self._lsh.insertion_session() as session:
            for document in documents:
                for signature in self._signatures(document):
                    session.insert(next(number), signature, check_duplication=False)

    def find(self, text: str) -> bool:
        return any(self._lsh.query(signature) for signature in self._signatures(text))

    @property
    def bytes_used(self) -> int:
        return deep_size([self._lsh.keys, self._lsh.hashtables])


class StridedBloom:
    """A Bloom filter of 50-character grams at stride 50, queried at every position.

    The arrangement of Data Portraits, over text in lower case with single spaces. A hit counts when
    the gram 50 characters on is a hit too, because with some 2,000 positions a response and one
    false positive in 1,000, single hits mean nothing.
    """

    name = "Bloom, 50-char grams, stride 50"
    finds = "149 characters"
    exact = True
    width = 50

    def __init__(self, part_mb: float, false_positives: float = 0.001) -> None:
        self.part_mb = part_mb
        self._rate = false_positives
        self._bloom: Any = None

    @staticmethod
    def _normalised(text: str) -> str:
        return " ".join(text.lower().split())

    def build(self, documents: Sequence[str]) -> None:
        import rbloom

        width = self.width
        expected = sum(map(len, documents)) // width + 1
        self._bloom = rbloom.Bloom(expected, self._rate)
        for document in documents:
            text = self._normalised(document)
            self._bloom.update(
                [text[i : i + width] for i in range(0, len(text) - width + 1, width)]
            )

    def find(self, text: str) -> bool:
        normalised, width, bloom = self._normalised(text), self.width, self._bloom
        positions = range(len(normalised) - width + 1)
        hits = {i for i in positions if normalised[i : i + width] in bloom}
        return any(i + width in hits for i in hits)

    @property
    def bytes_used(self) -> int:
        return int(self._bloom.size_in_bits) // 8


class InfiniGram:
    """infini-gram's suffix array over hashed words.

    Its usual tokenizers have to be fetched from elsewhere, and bytes as tokens take 4 index bytes
    for each corpus byte. 16-bit hashes of words need no vocabulary and are smaller and faster than
    both; 8 of them match by accident once in 2**128 pairs.

    With ``spans`` it asks ``attribute`` for all maximal spans; otherwise ``find`` for an 8-word
    window at every 8th word, the fastest question that finds every passage of 15 words.
    """

    exact = True
    _SEPARATOR = b"\xff\xff"
    _TOKENS = 65_533  # below the separator and the two values that the engine asks for

    def __init__(self, part_mb: float, spans: bool = False) -> None:
        self.part_mb = part_mb
        self.name = f"infini-gram, {'attribute' if spans else 'find, 8-word windows'}"
        self.finds = "8 words" if spans else "15 words"
        self._spans = spans
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._engine: Any = None

    def _tokens(self, text: str) -> list[int]:
        return [zlib.crc32(word.encode()) % self._TOKENS for word in words(text)]

    def build(self, documents: Sequence[str]) -> None:
        import numpy
        from infini_gram.engine import InfiniGramEngine

        self._folder = tempfile.TemporaryDirectory(prefix="infini-gram-")
        folder = Path(self._folder.name)
        # The files of its own tokenizing step, which it then skips.
        offsets: list[int] = []
        with (folder / "tokenized.0").open("wb") as out:
            for document in documents:
                offsets.append(out.tell())
                out.write(self._SEPARATOR)
                out.write(numpy.array(self._tokens(document), dtype="<u2").tobytes())
        numpy.array(offsets, dtype="<u8").tofile(folder / "offset.0")
        open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        command = [sys.executable, "-m", "infini_gram.indexing", "--data_dir", str(folder)]
        command += ["--save_dir", str(folder), "--token_dtype", "u16", "--cpus", "1", "--mem", "2"]
        command += ["--ulimit", str(open_files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not (folder / "table.0").exists():
            raise RuntimeError(f"infini-gram could not build its index: {done.stderr[-300:]}")
        self._engine = InfiniGramEngine(
            str(folder), eos_token_id=65_533, vocab_size=65_534, token_dtype="u16"
        )

    def find(self, text: str) -> bool:
        tokens = self._tokens(text)
        if self._spans:
            # The fourth argument is no cap on what is returned: spans that occur more often in
            # the corpus are left out altogether, and 1 misses a tenth of the planted passages.
            found = self._engine.attribute(tokens, [], SHINGLE, 1_000_000, False)
            return bool(found["spans"])
        return any(
            self._engine.find(tokens[i : i + SHINGLE])["cnt"]
            for i in range(0, len(tokens) - SHINGLE + 1, SHINGLE)
        )

    @property
    def bytes_used(self) -> int:
        assert self._folder is not None, "build first"
        return sum(entry.stat().st_size for entry in os.scandir(self._folder.name))


_SMALL_PART_MB = 10.0  # for peers that take gigabytes or hours on more


def peers(corpus_path: Path | str, limit_mb: float) -> list[Peer]:
    """All peers, none of them built; ``part_mb`` says how much of the corpus each is meant for."""
    whole = min(limit_mb, Path(corpus_path).stat().st_size / MEGABYTE)
    small = min(whole, _SMALL_PART_MB)
    return [
        WordSet(whole),
        AhoCorasick(small),
        MinHashWindows(small),
        StridedBloom(whole),
        InfiniGram(whole),
        InfiniGram(small, spans=True),
        InfiniGram(whole, spans=True),
    ]


# --- Corpus and queries ---------------------------------------------------------------------------


def read_part(corpus_path: Path | str, part_mb: float) -> list[str]:
    """Documents from all over the corpus, ``part_mb`` of UTF-8 or all there is; always the same."""
    path = Path(corpus_path)
    limit = int(part_mb * MEGABYTE)
    # 1.2: a line is a little longer than its text, and a sample may fall short of its share.
    share = min(1.0, 1.2 * limit / max(path.stat().st_size, 1))
    threshold = int(share * 2**32)
    documents: list[str] = []
    left = limit
    with path.open("rb") as lines:
        for line in lines:
            # Long documents are sampled in pieces: a few of a megabyte would fill a small part.
            if threshold >= 2**32:
                pieces = [json.loads(line)["text"]]
            else:
                if len(line) < 40_000 and zlib.crc32(line) >= threshold:
                    continue
                text = json.loads(line)["text"]
                pieces = [text[i : i + 20_000] for i in range(0, len(text), 20_000)]
                if len(line) >= 40_000:
                    pieces = [p for p in pieces if zlib.crc32(p.encode()) < threshold]
            for piece in pieces:
                encoded = piece.encode()[:left]
                left -= len(encoded)
                documents.append(encoded.decode(errors="ignore"))
                if left <= 0:
                    return documents
    return documents


def vocabulary(documents: Iterable[str], size: int = 20_000) -> list[str]:
    found: dict[str, None] = {}
    for document in documents:
        found.update(dict.fromkeys(word for word in words(document) if word.isalpha()))
        if len(found) >= size:
            break
    return sorted(found)[:size]


def random_response(vocabulary: Sequence[str], rng: random.Random, length: int = 2048) -> str:
    return " ".join(rng.choices(vocabulary, k=length // 3))[:length]


def passage(documents: Sequence[str], rng: random.Random, count: int = 60) -> str:
    """``count`` words of a document as they stand there, case and punctuation included."""
    for _ in range(10_000):
        document = rng.choice(documents)
        at = rng.randrange(len(document) + 1)
        found = list(itertools.islice(_WORD.finditer(document, at), count + 1))
        if len(found) == count + 1:
            chosen = document[found[1].start() : found[-1].end()]
            if len(set(words(chosen))) >= count // 2 and len(chosen) >= 5 * count:
                return chosen
    raise ValueError(f"the corpus has no passage of {count} words")


def planted(host: str, chosen: str, rng: random.Random) -> str:
    """The passage in a host text whose length stays the same."""
    room = host[: max(len(host) - len(chosen) - 2, 0)]
    at = room.find(" ", rng.randrange(max(len(room) - 40, 1)))
    at = len(room) if at < 0 else at
    return f"{room[:at]} {chosen} {room[at:]}"


def latency_ms(
    find: Callable[[str], object], texts: Sequence[str], seconds: float = 20.0
) -> tuple[float, int]:
    """Median over the texts, each asked once; stops early after ``seconds``. A tenth warms up."""
    warm = max(len(texts) // 10, 3)
    for text in texts[:warm]:
        find(text)
    times: list[int] = []
    deadline = time.perf_counter() + seconds
    for text in texts[warm:]:
        began = time.perf_counter_ns()
        find(text)
        times.append(time.perf_counter_ns() - began)
        if time.perf_counter() > deadline and len(times) >= 20:
            break
    return statistics.median(times) / 1e6, len(times)


@dataclass(frozen=True, slots=True)
class Measurement:
    name: str
    finds: str
    corpus_mb: float
    bytes_per_byte: float
    build_mb_per_s: float
    latency_ms: float
    calls: int
    found: float  # share of planted 60-word passages
    false: float  # share of texts of random words


def measure(
    peer: Peer,
    documents: Sequence[str],
    seed: int = 0,
    trials: int = 20,
    responses: Sequence[str] = (),
) -> Measurement:
    """Build a peer, check its answers, time it: on `responses`, or on texts of random words."""
    rng = random.Random(seed)
    known = vocabulary(documents)
    size = sum(len(document.encode()) for document in documents)
    began = time.perf_counter()
    peer.build(documents)
    seconds = time.perf_counter() - began
    hits = sum(
        peer.find(planted(random_response(known, rng), passage(documents, rng), rng))
        for _ in range(trials)
    )
    false = sum(peer.find(random_response(known, rng)) for _ in range(trials))
    texts = responses or [random_response(known, rng) for _ in range(230)]
    # Clean texts, because a peer may stop at its first hit and nearly all responses are clean.
    median, calls = latency_ms(peer.find, texts)
    return Measurement(
        name=peer.name,
        finds=peer.finds,
        corpus_mb=size / MEGABYTE,
        bytes_per_byte=peer.bytes_used / size,
        build_mb_per_s=size / MEGABYTE / seconds,
        latency_ms=median,
        calls=calls,
        found=hits / trials,
        false=false / trials,
    )


def check(peer: Peer, measured: Measurement) -> None:
    """Exact peers find every planted passage; none mistakes random words for the corpus."""
    least = 1.0 if peer.exact else 0.25
    if measured.found < least:
        raise AssertionError(
            f"{peer.name}: {measured.found:.0%} of the planted passages found, at least "
            f"{least:.0%} expected"
        )
    if measured.false > 0:
        raise AssertionError(f"{peer.name}: {measured.false:.0%} of random texts matched")


def table(rows: Iterable[Measurement]) -> str:
    lines = [
        f"| {'peer':<34} | {'finds':<15} |    MB | index B/B | build MB/s | 2 KB, ms | calls "
        "| found | false |",
        f"|{'-' * 36}|{'-' * 17}|------:|----------:|-----------:|---------:|------:|------:"
        "|------:|",
    ]
    lines += [
        f"| {row.name:<34} | {row.finds:<15} | {row.corpus_mb:>5.1f} | {row.bytes_per_byte:>9.3f} "
        f"| {row.build_mb_per_s:>10.2f} | {row.latency_ms:>8.3f} | {row.calls:>5} "
        f"| {row.found:>5.0%} | {row.false:>5.0%} |"
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build, check and time the peers on a corpus.")
    parser.add_argument("corpus", type=Path, metavar="CORPUS", help='JSON Lines with "text"')
    parser.add_argument("--limit-mb", type=float, default=_SMALL_PART_MB, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not options.corpus.is_file():
        print(f"error: {options.corpus} is not a file", file=sys.stderr)
        return 1
    rows: list[Measurement] = []
    waiting = peers(options.corpus, options.limit_mb)
    waiting.reverse()
    while waiting:
        peer = waiting.pop()
        measured = measure(peer, read_part(options.corpus, peer.part_mb), options.seed)
        check(peer, measured)
        print(f"  {peer.name}: done", file=sys.stderr)
        rows.append(measured)
        del peer  # its memory goes before the next one is built
        gc.collect()
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
