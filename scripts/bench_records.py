#!/usr/bin/env python3
"""Measure tables of records against protected phrases, and write docs/benchmarks/records.md.

    python scripts/bench_records.py --answers answers.jsonl.gz [--phrases-up-to N]

ANSWERS are clean texts, JSON Lines with a field "text". For each number of records: writing, the
size on disk, opening, and a clean response of 2 KB; the same for phrases (sealed
text, an Aho-Corasick automaton in memory), which could hold the values too. Answers are asserted.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from guardrail.indexes.documents import Document  # noqa: E402
from guardrail.indexes.manifest import Manifest  # noqa: E402
from guardrail.indexes.phrases import PhraseSet, read_phrases, write_phrases  # noqa: E402
from guardrail.indexes.record_table import (  # noqa: E402
    RecordCollector,
    RecordTable,
    write_records,
)
from guardrail.indexes.records import Record  # noqa: E402
from guardrail.indexes.runs import Grid  # noqa: E402
from guardrail.keys import new_key  # noqa: E402
from guardrail.text import canonicalise  # noqa: E402

TARGET = ROOT / "docs" / "benchmarks" / "records.md"
COUNTS = (1_000, 10_000, 100_000, 1_000_000)
SYLLABLES = ["ka", "ro", "mi", "ten", "sal", "vor", "dun", "esh", "lio", "pra", "gan", "tur"]


def values(count: int, dice: random.Random) -> list[str]:
    """Half account numbers, half lines of words, all different."""
    made: dict[str, None] = {}
    while len(made) < count:
        if len(made) % 2:
            made[f"{dice.randrange(10**9, 10**10)}"] = None
        else:
            words = ("".join(dice.choices(SYLLABLES, k=3)) for _ in range(4))
            made[" ".join(words)] = None
    return list(made)


def microseconds(work, texts) -> float:  # type: ignore[no-untyped-def]
    """The median over the texts of the best of five."""
    for text in texts[:50]:
        work(text)
    best = []
    for text in texts:
        times = []
        for _ in range(5):
            began = time.perf_counter_ns()
            work(text)
            times.append(time.perf_counter_ns() - began)
        best.append(min(times))
    return statistics.median(best) / 1000


def records(folder: Path, made: list[str], texts: list) -> list[str]:  # type: ignore[type-arg]
    key = new_key()
    manifest = Manifest.new(key, Grid(16, 12), 64)
    began = time.perf_counter()
    collector = RecordCollector(key)
    for number, value in enumerate(made):
        collector.add(Record("rule", value), Document(str(number), ""))
    files = write_records(folder, manifest, key, [collector.rows()], ())
    wrote = time.perf_counter() - began
    del collector
    manifest = manifest.next(records=files)
    began = time.perf_counter()
    table = RecordTable(folder, manifest, key)
    opened = time.perf_counter() - began
    hits = table.find(canonicalise(f"It is {made[0]}, or {made[-1]}."))
    assert len(hits) == 2, hits
    took = microseconds(table.find, texts)
    size = next(iter(files.values()))[0]
    return _row("records", len(made), wrote, size, opened, took)


def phrases(folder: Path, made: list[str], texts: list) -> list[str]:  # type: ignore[type-arg]
    key = new_key()
    manifest = Manifest.new(key, Grid(16, 12), 64)
    began = time.perf_counter()
    files = write_phrases(folder, manifest, key, made)
    wrote = time.perf_counter() - began
    manifest = manifest.next(phrases=files)
    began = time.perf_counter()
    stored = read_phrases(folder, manifest, key)
    built = PhraseSet(((str(n), value) for n, value in enumerate(stored)), whole_words=True)
    opened = time.perf_counter() - began
    assert len(built.find(canonicalise(f"It is {made[0]}, or {made[-1]}."))) == 2
    took = microseconds(built.find, texts)
    size = next(iter(files.values()))[0]
    return _row("phrases", len(made), wrote, size, opened, took)


def case(what: str, count: int, answers: Path) -> list[str]:
    """One row of the table; in a process of its own, whose memory nothing else has used."""
    with gzip.open(answers, "rt", encoding="utf-8") as lines:
        joined = "\n\n".join(json.loads(line)["text"] for line in lines)
    texts = [canonicalise(joined[at : at + 2048]) for at in range(0, 200 * 2048, 2048)]
    with tempfile.TemporaryDirectory() as folder:
        measure = records if what == "records" else phrases
        return measure(Path(folder), values(count, random.Random(count)), texts)


def _row(what: str, count: int, wrote: float, size: int, opened: float, took: float) -> list[str]:
    return [
        what,
        f"{count:,}",
        f"{wrote:.1f}",
        f"{size / 1e6:.1f}",
        f"{opened * 1000:,.0f}",
        f"{took:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--up-to", type=int, default=COUNTS[-1])
    parser.add_argument("--phrases-up-to", type=int, default=100_000)
    arguments = parser.parse_args()
    cases = [("records", count) for count in COUNTS if count <= arguments.up_to]
    cases += [("phrases", count) for count in COUNTS if count <= arguments.phrases_up_to]
    rows = []
    for what, count in cases:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rows.append(pool.submit(case, what, count, arguments.answers).result())
    head = ["", "number", "write s", "MB on disk", "open ms", "2 KB, µs"]
    table = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    table += ["| " + " | ".join(row) + " |" for row in rows]
    text = (
        "## Records\n\nValues of documents: half numbers of ten digits, half lines of four "
        "invented words. Clean responses of 2 KB; opening without the check of the digest.\n\n"
    )
    TARGET.write_text(text + "\n".join(table) + "\n", encoding="utf-8")
    sys.stdout.write(TARGET.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
