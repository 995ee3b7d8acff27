"""Sections of bench_overlap.py: the time of a check, and of other ways to the same answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import bench_peers
from bench_report import table
from overlap_inputs import MB, Bench, microseconds

from guardrail.detector import EMPTY_CONTEXT
from guardrail.findings import Action
from guardrail.indexes.grams import hash_grams, roll_grams
from guardrail.indexes.index import Index
from guardrail.indexes.query import make_query
from guardrail.text import canonicalise
from guardrail.views.unmask import unmask


def latency(bench: Bench) -> str:
    """A 2 KB response against the index of the whole corpus."""
    guardrail = bench.guardrail()
    texts = bench.responses()
    passage = next(text for text in bench.documents(50) if len(text) > 3000)[1000:1300]
    assert guardrail.check(texts[0][:1700] + passage).action is Action.REDACT
    for text in texts:  # untimed: the whole index becomes resident
        guardrail.check(text)
    index = Index.open(bench.index(), bench.key, check=False)
    detector = bench.detector(guardrail)
    canonical = {text: canonicalise(text) for text in texts}
    rolled = {
        text: roll_grams(canonical[text].units, index.grid.gram, index.gram_key) for text in texts
    }
    queries = {
        text: make_query(canonical[text].units, index.grid.gram, index.gram_key) for text in texts
    }
    bound = index.grid.bound
    stages: list[tuple[str, Callable[[str], object]]] = [
        ("`Guardrail.check`, everything", guardrail.check),
        (
            "overlap detector, from the string to its findings",
            lambda t: detector.scan(canonicalise(t), EMPTY_CONTEXT),
        ),
        ("of that, canonical text", canonicalise),
        (
            "rolling polynomial",
            lambda t: roll_grams(canonical[t].units, index.grid.gram, index.gram_key),
        ),
        ("SipHash of every gram", lambda t: hash_grams(rolled[t], index.gram_key)),
        ("search: lookups, seeds, tags, chains", lambda t: index.match(queries[t], bound)),
        ("views of disguised text", unmask),
    ]
    measured = [(name, *microseconds(work, texts)) for name, work in stages]
    whole = measured[0][1]
    rows = [
        (name, f"{median:.0f}", f"{high:.0f}", f"{median / whole:.0%}")
        for name, median, high in measured
    ]
    text = table(["2 KB response", "median µs", "p99 µs", "share"], rows)
    size = sum(size for info in index.manifest.segments for size, _ in info.files.values())
    text += (
        f"\n\n{len(texts)} clean responses against {bench.corpus.stat().st_size / MB:.0f} MB of "
        f"JSON Lines ({size / MB:.0f} MB of index, {index.manifest.segments[0].grams:,} grams). "
        "The parts are timed alone and add up to less than the whole, which also makes the "
        "verdict. Two threads at once check "
        f"{two_threads(guardrail.check, texts):.2f} times as many responses as one, and search "
        f"{two_threads(lambda t: index.match(queries[t], bound), texts):.2f} times as many: the "
        "search is compiled and holds no lock, what is around it is Python."
    )
    return text


def two_threads(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """How many times as fast two threads do the work as one; the best of three."""

    def seconds(threads: int) -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(lambda: [work(text) for text in texts]) for _ in range(2)]:
                done.result()
        return time.perf_counter() - began

    return max(seconds(1) / seconds(2) for _ in range(3))


def peers(bench: Bench) -> str:
    """The same for other ways to find text of a corpus, in one run with ours."""
    guardrail, texts = bench.guardrail(), bench.responses()
    detector = bench.detector(guardrail)
    for text in texts:  # untimed: the whole index becomes resident
        guardrail.check(text)
    layer, _ = microseconds(lambda t: detector.scan(canonicalise(t), EMPTY_CONTEXT), texts)
    whole, _ = microseconds(guardrail.check, texts)
    measured_peers = []
    waiting = bench_peers.peers(bench.corpus, bench.corpus.stat().st_size / MB)
    while waiting:
        peer = waiting.pop(0)  # its memory goes before the next one is built
        documents = bench_peers.read_part(bench.corpus, peer.part_mb)
        result = bench_peers.measure(peer, documents, responses=texts[:230])
        bench_peers.check(peer, result)
        measured_peers.append(result)
        sys.stdout.write(f"  {peer.name}\n")
    text = (
        f"Ours in this run, over the whole corpus: {layer:.0f} µs for the overlap detector, from "
        "the string to findings with document and place (every run of 27 units, edited copies); "
        f"{whole:.0f} µs for `Guardrail.check`, which also looks through disguises and makes the "
        "verdict. The same clean answers of models are asked of each. Of the peers, only "
        "`attribute` of infini-gram answers the same question, spans and where they come from; the "
        "others tell whether there is one.\n\n"
    )
    text += table(
        [
            "peer, same run",
            "sure to find",
            "corpus MB",
            "2 KB, µs",
            "times our detector",
            "times our check",
            "index B/B",
        ],
        [
            (
                result.name,
                result.finds,
                f"{result.corpus_mb:.0f}",
                f"{result.latency_ms * 1000:,.0f}",
                f"{result.latency_ms * 1000 / layer:,.1f}",
                f"{result.latency_ms * 1000 / whole:,.1f}",
                f"{result.bytes_per_byte:.3f}",
            )
            for result in measured_peers
        ],
    )
    return text
