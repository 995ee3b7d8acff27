#!/usr/bin/env python3
"""Measure the overlap index, check its answers while doing so, and write docs/benchmarks.md.

    python scripts/bench_overlap.py --corpus corpus.jsonl --answers answers.jsonl.gz [SECTION ...]

CORPUS is what scripts/make_debian_corpus.py writes; ANSWERS are clean texts, JSON Lines with a
field "text"; --large is the varied corpus for the section `large`. Each section writes its
part of the document to docs/benchmarks/, so that one can be measured again alone; a run of all that
was interrupted goes on with the section that it was in, if it is started again. Ratios are
between figures of one run; absolute figures depend on the machine, which each part names.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_peers  # noqa: E402

from guardrail import Guardrail, default_policy  # noqa: E402
from guardrail.detector import EMPTY_CONTEXT  # noqa: E402
from guardrail.findings import Action  # noqa: E402
from guardrail.indexes.build import DEFAULT_GRID, build  # noqa: E402
from guardrail.indexes.detectors import OverlapDetector  # noqa: E402
from guardrail.indexes.grams import hash_grams, roll_grams  # noqa: E402
from guardrail.indexes.index import Index  # noqa: E402
from guardrail.indexes.manifest import FORMAT_VERSION  # noqa: E402
from guardrail.indexes.query import make_query  # noqa: E402
from guardrail.indexes.readers import ReadOptions  # noqa: E402
from guardrail.indexes.runs import Grid  # noqa: E402
from guardrail.indexes.watched import WatchedIndex  # noqa: E402
from guardrail.keys import Key, new_key, write_key  # noqa: E402
from guardrail.text import canonicalise  # noqa: E402
from guardrail.views.unmask import unmask  # noqa: E402
from tests.cases.disguises import DISGUISES  # noqa: E402

OUT = ROOT / "docs" / "benchmarks"
MB = 1_000_000
WORD = re.compile(r"\S+")
# Programs find the package, and keep its bytecode: without, each would compile the sources anew.
AS_USERS_DO = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


class Bench:
    """What the sections share: the inputs, and the index of the whole corpus, built once."""

    def __init__(self, corpus: Path, large: Path | None, answers: Path, work: Path) -> None:
        self.corpus, self.large, self.work = corpus, large, work
        with gzip.open(answers, "rt", encoding="utf-8") as lines:
            self.answers = [json.loads(line)["text"] for line in lines]
        self.key_file = work / "key"
        if not self.key_file.exists():
            write_key(self.key_file, new_key())

    @property
    def key(self) -> Key:
        from guardrail import load_key

        return load_key(self.key_file)

    def index(self) -> Path:
        # One for each format: an older one could not be opened.
        out = self.work / f"whole-{FORMAT_VERSION}.index"
        if not (out / "manifest.json").exists():
            build([str(self.corpus)], out, self.key, jobs=2)
        return out

    def guardrail(self) -> Guardrail:
        """With the default policy's rules, and overlap and phrases alone."""
        policy = default_policy().model_copy(update={"detectors": {}})
        return Guardrail.from_policy(policy, indexes=[self.index()], key=self.key)

    def detector(self, guardrail: Guardrail) -> OverlapDetector:
        watched = WatchedIndex(self.index(), self.key, check=False)
        return OverlapDetector(
            "overlap", [watched], passes=partial(guardrail.policy.passes, "overlap")
        )

    def responses(self, length: int = 2048) -> list[str]:
        """Clean responses of one length: answers one after the other, cut."""
        joined = "\n\n".join(self.answers)
        return [joined[i : i + length] for i in range(0, len(joined) - length, length)]

    def documents(self, every: int = 1) -> Iterator[str]:
        with self.corpus.open("rb") as lines:
            for number, line in enumerate(lines):
                if number % every == 0:
                    yield json.loads(line)["text"]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def machine() -> str:
    name = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    load = os.getloadavg()[0]
    return f"{name}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, load {load:.1f}"


def microseconds(work: Callable[[str], object], texts: Sequence[str]) -> tuple[float, float]:
    """Median and 99th percentile over the texts, after a warm-up."""
    for text in texts[:100]:
        work(text)
    times = []
    for text in texts:
        began = time.perf_counter_ns()
        work(text)
        times.append(time.perf_counter_ns() - began)
    times.sort()
    return statistics.median(times) / 1000, times[int(len(times) * 0.99)] / 1000


# --- sections ------------------------------------------------------------------------------------


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


def building(bench: Bench) -> str:
    """Build speed and memory at the corpus's size, on one core and two: from the start of the
    command to its end, the least of three runs."""
    return _builds(bench, [(bench.corpus, 1), (bench.corpus, 2)], runs=3)


def large(bench: Bench) -> str:
    """The same for the varied corpus, eight times as large."""
    if bench.large is None:
        raise SystemExit("the section `large` needs --large")
    return _builds(bench, [(bench.large, 1), (bench.large, 2)])


def _builds(bench: Bench, cases: Sequence[tuple[Path, int]], runs: int = 1) -> str:
    _build_once(bench, bench.corpus, 2)  # kernels are compiled, files are in the page cache
    rows = []
    first = 0.0
    for source, jobs in cases:
        results = [_build_once(bench, source, jobs) for _ in range(runs)]
        wall, seconds, _, report = min(results, key=lambda result: result[0])
        peak = max(result[2] for result in results)
        first = first or wall
        size = source.stat().st_size
        rows.append(
            (
                f"{size / MB:,.0f}",
                jobs,
                f"{wall:.1f}",
                f"{seconds:.1f}",
                f"{size / MB / wall:.1f}",
                f"{first / wall:.2f}",
                f"{size / MB / seconds:.1f}",
                f"{peak / MB:,.0f}",
                f"{report['index_bytes'] / size:.3f}",
                f"{report['dropped_postings'] / report['grams']:.2%}",
            )
        )
    head = ["MB of JSON Lines", "jobs", "wall s", "CPU s", "MB/s", "times one job"]
    head += ["MB per CPU s", "peak memory MB", "index B/B", "places not searched"]
    return table(head, rows)


def _build_once(bench: Bench, source: Path, jobs: int) -> tuple[float, float, int, dict[str, Any]]:
    """Seconds by the clock, CPU seconds, peak memory and report of one build."""
    with tempfile.TemporaryDirectory(dir=bench.work) as folder:
        command = [sys.executable, str(ROOT / "scripts" / "build_index.py"), str(source)]
        command += ["--out", f"{folder}/index", "--key-file", str(bench.key_file)]
        command += ["--collection-field", "collection", "--jobs", str(jobs), "--json"]
        began = time.perf_counter()
        seconds, peak, printed = _watched(command)
        return time.perf_counter() - began, seconds, peak, json.loads(printed)


def _watched(command: Sequence[str]) -> tuple[float, int, str]:
    """CPU seconds of a command and its children, their highest total of resident memory (shared
    pages counted once, as PSS), and what it printed."""
    environment = {**os.environ, **AS_USERS_DO}
    before = os.times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.1)
    assert process.stdout is not None
    printed = process.stdout.read()
    after = os.times()
    assert process.returncode == 0, process.returncode
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system, peak, printed


def _resident(pid: int) -> int:
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            # Pages of files can be dropped at any time; what a process holds is the rest.
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                total += _resident(int(child))
    except OSError:
        return total
    return total


def starting(bench: Bench) -> str:
    """What a fresh process waits for."""
    index, key = str(bench.index()), str(bench.key_file)
    programs = {
        "`import guardrail`": "import guardrail",
        "opening the index (imports and kernels loaded before)": (
            "from guardrail.indexes.index import Index; from guardrail import load_key;"
            f"k = load_key({key!r}); Index.open({index!r}, k, check=False)\n"
            "began = time.perf_counter()\n"
            f"Index.open({index!r}, k)"
        ),
        "import, open and first check, kernels cached": (
            "from guardrail import Guardrail\n"
            f"Guardrail.from_policy(indexes=[{index!r}], key={key!r}).check({'x y z ' * 300!r})"
        ),
    }
    rows = []
    for name, program in programs.items():
        times = [_timed(program, {}) for _ in range(7)]
        rows.append((name, f"{statistics.median(times) * 1000:.0f}"))
    last = programs["import, open and first check, kernels cached"]
    with tempfile.TemporaryDirectory() as folder:
        # Installed as users do it; no other cache is in reach.
        venv, nothing = Path(folder) / "venv", {"XDG_CACHE_HOME": folder, "PYTHONPATH": ""}
        python = str(venv / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--quiet", str(ROOT)]
        began = time.perf_counter()
        subprocess.run([*install, "-c", str(ROOT / "constraints.txt")], check=True, cwd=folder)
        took = time.perf_counter() - began
        first = _timed(last, nothing, python)
        (compiled,) = venv.glob("lib/*/site-packages/guardrail/compiled")
        shutil.rmtree(compiled)
        cold = _timed(last, nothing, python)
    rows.append(("the same, the first process after `pip install .`", f"{first * 1000:.0f}"))
    rows.append(("the same with another processor or numba than installed", f"{cold * 1000:.0f}"))
    note = f"\n\n`pip install .` took {took:.0f} s, most of it to compile the kernels."
    return table(["fresh process", "ms"], rows) + note


def _timed(program: str, environment: dict[str, str], python: str = sys.executable) -> float:
    code = (
        f"import time\nbegan = time.perf_counter()\n{program}\nprint(time.perf_counter() - began)"
    )
    result = subprocess.run(
        [python, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **AS_USERS_DO, **environment},
    )
    return float(result.stdout)


def exactness(bench: Bench) -> str:
    """Verbatim spans of 13 words and more, plain and in every disguise."""
    guardrail = bench.guardrail()
    dice = random.Random(13)
    spans = []
    for document in bench.documents(7):
        words = list(WORD.finditer(document))
        if len(words) < 60:
            continue
        count = dice.choice([13, 13, 20, 40])
        first = dice.randrange(len(words) - count)
        spans.append(document[words[first].start() : words[first + count - 1].end()])
    spans = dice.sample(spans, 2000)
    hosts = bench.responses(700)
    rows = []
    for name, disguise in DISGUISES.items():
        missed = short = covered = total = wide = public = 0
        for number, span in enumerate(spans):
            written = disguise(span)
            host = hosts[number % len(hosts)]
            cut = host.find(" ", 300) + 1
            response = f"{host[:cut]}\n\n{written}\n\n{host[cut:]}"
            start, end = cut + 2, cut + 2 + len(written)
            verdict = guardrail.check(response)
            there = [f for f in verdict.findings if f.span.start < end and f.span.end > start]
            reach = [f.span for f in there if f.action >= Action.REDACT]
            # Shorter than what the policy acts on: a sign between blanks is a word to `WORD` alone.
            plain = canonicalise(span)
            words = plain.words(0, len(plain))
            if len(plain) < DEFAULT_GRID.bound or (len(plain) < 48 and words < 12):
                short += 1
                continue
            missed += not reach
            if not reach:
                public += any(finding.evidence.excuse is not None for finding in there)
                continue
            inside = sum(
                any(s.start <= place < s.end for s in reach)
                for place in range(start, end)
                if response[place].isalnum()
            )
            covered += inside
            total += sum(char.isalnum() for char in written)
            before = response[min(s.start for s in reach) : start]
            after = response[end : max(s.end for s in reach)]
            wide += max(len(re.findall(r"\w+", before)), len(re.findall(r"\w+", after))) > 1
        judged = len(spans) - short
        rows.append(
            (
                name,
                f"{(judged - missed) / judged:.2%}",
                f"{public / judged:.2%}",
                f"{covered / max(1, total):.2%}",
                f"{wide / judged:.2%}",
            )
        )
    head = ["written", "found", "public", "letters covered", "over by more than a word"]
    text = table(head, rows)
    return text + (
        f"\n\n{len(spans)} spans of 13 to 40 words and signs, of which {short} are shorter than "
        "what the policy acts on (48 letters and digits, 12 words) and are left out; planted in "
        "real answers, default policy, found means redacted. `public`: let through, as the text "
        "stands in the background that ships (licences, idioms); what it holds is not covered "
        "either. Edited copies may go on into the answer around a span."
    )


def thresholds(bench: Bench) -> str:
    """How much clean text is flagged as verbatim, by the length that counts."""
    rows = []
    detector = OverlapDetector("overlap", [WatchedIndex(bench.index(), bench.key)])
    longest = []
    for answer in bench.answers:
        scanned = detector.scan(canonicalise(answer), EMPTY_CONTEXT)
        found = [finding for finding in scanned if finding.kind == "verbatim"]
        longest.append(
            (
                max((f.evidence.matched or 0 for f in found), default=0),
                max((f.evidence.words or 0 for f in found), default=0),
            )
        )
    count = len(longest)
    for units in (27, 32, 40, 48, 56, 64, 96):
        rows.append((f"{units} units", f"{sum(u >= units for u, _ in longest) / count:.2%}"))
    for words in (8, 10, 12, 13, 16, 20):
        rows.append((f"{words} words", f"{sum(w >= words for _, w in longest) / count:.2%}"))
    default = sum(units >= 48 or words >= 12 for units, words in longest) / count
    rows.append(("48 units or 12 words (default policy)", f"{default:.2%}"))
    return table(["a finding counts from", "clean answers flagged"], rows) + (
        f"\n\n{count} real answers of language models against public documentation, which they "
        "quote (definitions, code idioms, configuration): nearly all of the long matches are true "
        "quotations, and a private corpus gives far fewer."
    )


def grids(bench: Bench) -> str:
    """Size, bound and what is found of edited passages, over gram length and stride."""
    part = bench.work / "part.jsonl"
    documents = bench_peers.read_part(bench.corpus, 32)
    if not part.exists():
        with part.open("w") as file:
            for number, document in enumerate(documents):
                file.write(json.dumps({"id": str(number), "text": document}) + "\n")
    size = sum(len(document.encode()) for document in documents)
    dice = random.Random(60)
    passages = [bench_peers.passage(documents, dice) for _ in range(200)]
    vocabulary = bench_peers.vocabulary(documents)
    rows = []
    for gram, stride in [(12, 8), (12, 12), (16, 8), (16, 12), (16, 16), (20, 12), (24, 16)]:
        grid = Grid(gram, stride)
        with tempfile.TemporaryDirectory(dir=bench.work) as folder:
            report = build(
                [str(part)], f"{folder}/index", bench.key, grid=grid, options=ReadOptions(), jobs=2
            )
            watched = WatchedIndex(f"{folder}/index", bench.key)
            detector = OverlapDetector("overlap", [watched])
            found = [
                sum(
                    any(
                        (f.evidence.matched or 0) >= grid.bound
                        for f in detector.scan(
                            canonicalise(_edited(passage, every, vocabulary, dice)), EMPTY_CONTEXT
                        )
                    )
                    for passage in passages
                )
                / len(passages)
                for every in (12, 8, 6, 4)
            ]
            flagged = sum(
                any((f.evidence.matched or 0) >= 48 for f in detector.scan(c, EMPTY_CONTEXT))
                for c in map(canonicalise, bench.answers)
            )
            median, _ = microseconds(
                lambda t, d=detector: d.scan(canonicalise(t), EMPTY_CONTEXT), bench.responses()
            )
        rows.append(
            (
                f"{gram}, {stride}",
                grid.bound,
                f"{report.index_bytes / size:.3f}",
                *(f"{share:.2f}" for share in found),
                f"{flagged / len(bench.answers):.2%}",
                f"{median:.0f}",
            )
        )
    head = ["gram, stride", "bound", "index B/B", "1 in 12", "1 in 8", "1 in 6", "1 in 4"]
    return table([*head, "clean flagged at 48", "2 KB, µs"], rows) + (
        f"\n\n{size / MB:.0f} MB of the corpus; share of 200 passages of 60 words, of which one "
        "word in so many was replaced, with any exact run of at least the bound."
    )


def _edited(passage: str, every: int, vocabulary: Sequence[str], dice: random.Random) -> str:
    words = passage.split()
    offset = dice.randrange(every)
    return " ".join(
        dice.choice(vocabulary) if place % every == offset else word
        for place, word in enumerate(words)
    )


SECTIONS: dict[str, tuple[str, Callable[[Bench], str]]] = {
    "latency": ("Latency of a check", latency),
    "peers": ("Other ways", peers),
    "building": ("Building", building),
    "large": ("Building at eight times the size", large),
    "starting": ("Starting", starting),
    "exactness": ("Verbatim spans", exactness),
    "thresholds": ("Clean text", thresholds),
    "grids": ("Gram and stride", grids),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--large", type=Path)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "bench-overlap")
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    OUT.mkdir(exist_ok=True)
    bench = Bench(arguments.corpus, arguments.large, arguments.answers, arguments.work)
    left = arguments.work / "left"  # the sections that an interrupted run has not measured
    names = arguments.sections or (left.read_text().split() if left.exists() else list(SECTIONS))
    for place, name in enumerate(names):
        if not arguments.sections:
            left.write_text("\n".join(names[place:]))
        title, section = SECTIONS[name]
        if name == "large" and bench.large is None:
            continue
        sys.stdout.write(f"{title} ...\n")
        sys.stdout.flush()
        where = machine()
        lines = " ".join((section.__doc__ or "").split())
        part = f"## {title}\n\n{lines}\n\n{section(bench)}\n\n{where}.\n"
        (OUT / f"{name}.md").write_text(part, encoding="utf-8")
        _write_document()
        sys.stdout.write(part + "\n")
    if not arguments.sections:
        left.unlink()


def _write_document() -> None:
    """Put the parts that there are together."""
    parts = [path.read_text() for name in SECTIONS if (path := OUT / f"{name}.md").exists()]
    head = (
        "# Benchmarks\n\nWritten by `scripts/bench_overlap.py`, which asserts the answers whose "
        "time it takes. The corpus is text of Debian's documentation packages "
        "(`scripts/make_debian_corpus.py`).\n\n"
    )
    (ROOT / "docs" / "benchmarks.md").write_text(head + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
