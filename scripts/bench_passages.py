#!/usr/bin/env python3
"""Measure what passages cost: building, size, opening up to ten million, and searching them.

    python scripts/bench_passages.py --corpus corpus.jsonl --answers answers.jsonl.gz

CORPUS is JSON Lines with a field "text", ANSWERS the same in gzip. Writes
docs/benchmarks/passages.md. What passages find is measured by scripts/bench_evasion.py.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_peers  # noqa: E402
import numpy as np  # noqa: E402
from bench_report import machine, table  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from guardrail.detector import EMPTY_CONTEXT  # noqa: E402
from guardrail.indexes.build import DEFAULT_GRID, build  # noqa: E402
from guardrail.indexes.passage_detector import LEAST_SHARED, PassageDetector  # noqa: E402
from guardrail.indexes.passages import Blocks, Passages, write_passages  # noqa: E402
from guardrail.indexes.signatures import (  # noqa: E402
    BLOCK_WORDS,
    HOP_WORDS,
    SignatureKey,
    WordHashes,
    block_minima,
    long_words,
)
from guardrail.indexes.watched import WatchedIndex  # noqa: E402
from guardrail.keys import Key  # noqa: E402
from guardrail.text import CanonicalText, canonicalise  # noqa: E402

KEY = Key(bytes(range(32)))
MILLION = 1_000_000


def write(path: Path, chunks: Iterator[NDArray[Any]]) -> tuple[int, str]:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk).tobytes())
    return path.stat().st_size, ""


def map_in(folder: Path) -> Callable[[str, type], NDArray[Any]]:
    return lambda name, dtype: np.memmap(folder / name, dtype, "r")


def invented(folder: Path, windows: int, words: WordHashes) -> float:
    """Passages of words drawn from real ones, in chunks; the seconds that writing them took."""
    dice = np.random.default_rng(1)

    def parts() -> Iterator[Blocks]:
        for first in range(0, windows, 100_000):
            count = min(100_000, windows - first)
            rows = np.arange(first, first + count, dtype=np.uint32)
            drawn = words[dice.integers(0, len(words), (count, BLOCK_WORDS))]
            yield Blocks(rows // np.uint32(50), rows * np.uint32(3), drawn)

    began = time.perf_counter()
    write_passages(folder, "invented", parts(), KEY, write)
    return time.perf_counter() - began


def open_once(folder: Path, answers: Path) -> None:
    """In a fresh process: what opening takes, and searches of pages that were not touched yet and
    of those that were, as JSON."""
    secret = SignatureKey.derive(KEY)
    asked = [long_words(canonicalise(text), secret).hashes for text in clean(answers, 200)]
    before = resident()
    began = time.perf_counter()
    passages = Passages("invented", KEY, map_in(folder))
    told = {"windows": len(passages), "ms": (time.perf_counter() - began) * 1e3}
    told["mb"] = resident() - before
    passages.find(np.ones(1, np.uint16), LEAST_SHARED)  # loads the machine code
    told["first_us"] = statistics.median(_each_us(passages, asked))
    told["searched_mb"] = resident() - before
    told["us"] = min(statistics.median(_each_us(passages, asked)) for _ in range(5))
    sys.stdout.write(json.dumps(told) + "\n")


def _each_us(passages: Passages, asked: list[WordHashes]) -> list[float]:
    times = []
    for words in asked:
        began = time.perf_counter_ns()
        passages.find(words, LEAST_SHARED)
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def clean(path: Path, most: int) -> list[str]:
    """Clean responses of 2 KB."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        joined = "\n\n".join(json.loads(line)["text"] for line in lines)
    return [joined[n : n + 2048] for n in range(0, len(joined) - 2048, 2048)][:most]


def median_us(work: Callable[[CanonicalText], object], texts: list[CanonicalText]) -> float:
    """The least of five medians over the texts."""
    medians = []
    for _ in range(5):
        times = []
        for text in texts:
            began = time.perf_counter_ns()
            work(text)
            times.append((time.perf_counter_ns() - began) / 1000)
        medians.append(statistics.median(times))
    return min(medians)


def building(corpus: Path, work: Path, most_mb: float) -> tuple[str, Path]:
    documents = bench_peers.read_part(corpus, most_mb)
    size = sum(len(document.encode()) for document in documents)
    source = work / "corpus.jsonl"
    with source.open("w", encoding="utf-8") as file:
        for number, text in enumerate(documents):
            file.write(json.dumps({"id": str(number), "text": text}) + "\n")
    rows = []
    out = work / "index"
    for passages in (False, True):
        times = []
        for _ in range(3):  # the first compiles
            grid = replace(DEFAULT_GRID, passages=passages)
            report = build([str(source)], out, KEY, grid=grid, jobs=1, replace_existing=True)
            times.append(report.seconds)
        share = f"{report.index_bytes / size:.3f}"
        rows.append(("yes" if passages else "no", f"{size / 1e6 / min(times):.1f}", share))
    return table(["passages", "MB/s, one job", "index bytes a byte of text"], rows), out


def searching(index: Path, answers: Path) -> str:
    watched = WatchedIndex(index, KEY)
    texts = [canonicalise(text) for text in clean(answers, 300)]
    secret = SignatureKey.derive(KEY)
    detector = PassageDetector("passages", [watched])
    words = {id(text): long_words(text, secret).hashes for text in texts}
    parts = [segment.passages for segment in watched.current().segments]
    windows = sum(len(part) for part in parts if part is not None)
    least, other = secret.permutations
    rows = [
        ("long words", median_us(lambda t: long_words(t, secret), texts)),
        ("minima", median_us(lambda t: block_minima(words[id(t)], HOP_WORDS, least, other), texts)),
        (
            "the search, with minima",
            median_us(lambda t: [p.find(words[id(t)], LEAST_SHARED) for p in parts if p], texts),
        ),
        ("the detector", median_us(lambda t: detector.scan(t, EMPTY_CONTEXT), texts)),
    ]
    head = [f"clean response of 2 KB, {windows:,} windows", "median µs"]
    return table(head, [(name, f"{value:.0f}") for name, value in rows])


def opening(index: Path, work: Path, answers: Path) -> str:
    blocks = [
        block.words
        for segment in WatchedIndex(index, KEY).current().segments
        if segment.passages is not None
        for block in segment.passages.blocks()
    ]
    words = np.concatenate(blocks).reshape(-1)
    rows = []
    for windows in (MILLION // 10, MILLION, 10 * MILLION):
        folder = work / f"{windows}"
        folder.mkdir()
        seconds = invented(folder, windows, words[words > 0])
        command = [sys.executable, __file__, "--answers", str(answers), "--open", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        assert told["windows"] == windows
        disk = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        figures = (f"{told['ms']:.1f}", f"{told['mb']:.1f}", f"{told['searched_mb']:.0f}")
        times = (f"{told['first_us']:.0f}", f"{told['us']:.0f}")
        rows.append((f"{windows:,}", f"{disk:.0f}", f"{seconds:.1f}", *figures, *times))
        shutil.rmtree(folder)
    head = ["windows", "MB on disk", "s to write", "ms to open", "MB more resident"]
    head += ["the same after 200 searches", "median µs of these", "of the same again"]
    return table(head, rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--limit", type=float, default=30.0, help="MB of the corpus (30)")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open is not None:
        open_once(options.open, options.answers)
        return 0
    for path in (options.corpus, options.answers):
        if path is None or not path.is_file():
            sys.stderr.write(f"{path} is not there: nothing measured\n")
            return 2
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        built, index = building(options.corpus, work, options.limit)
        text = "\n\n".join(
            (
                "# Passages: what they cost",
                "Written by `scripts/bench_passages.py`; what passages find is in "
                "[Evasion](evasion.md).",
                f"## Building\n\n{options.limit:.0f} MB of text.\n\n{built}",
                "## Searching\n\n" + searching(index, options.answers),
                "## Opening\n\nWindows of words drawn from those of the index above; in a fresh "
                "process, without its imports; files are in the system's cache.\n\n"
                + opening(index, work, options.answers),
                machine() + ".",
            )
        )
    (ROOT / "docs" / "benchmarks" / "passages.md").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
