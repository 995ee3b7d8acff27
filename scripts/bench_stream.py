"""Measure streams and write docs/benchmarks/streaming.md.

    scripts/bench_stream.py [SECTION ...] [--answers model_answers.jsonl.gz] [--model FOLDER]
        [--peers NAME=PYTHON ...] [--quick]

Sections: leaks, clients, peers, held, cost, many, memfree; none: all of them. Each writes its part
of the table and leaves the others. `--answers` names a file of JSON lines with texts under `text`:
the first are clean, later ones the private corpus; without it, both are invented. `--peers` gives
the interpreters of environments in which LiteLLM, Guardrails AI and NeMo Guardrails are installed
(`litellm=...`, `guardrails-ai=...`, `nemoguardrails=...`). `--model` is a folder with
SmolLM2-135M-Instruct as transformers reads it.

On two cores of a server held takes 2 minutes, cost half a minute, many 3, memfree 2.
"""

from __future__ import annotations

import argparse
import difflib
import gzip
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from faker import Faker  # noqa: E402

from guardrail import Action, Guardrail, StreamFilter  # noqa: E402
from guardrail.classifiers.secrets import SecretsDetector  # noqa: E402
from guardrail.filter import Filter  # noqa: E402
from guardrail.policy_file import parse_policy  # noqa: E402
from scripts import stream_leaks  # noqa: E402
from scripts.stream_leaks import KEY, Names, Pattern, Row  # noqa: E402
from tests.cases.layouts import layouts  # noqa: E402

TARGET = ROOT / "docs" / "benchmarks" / "streaming.md"
HEAD = "# Streams\n\nWritten by `scripts/bench_stream.py`, section by section.\n"
SECRET = "sk-Zx81kfTT20pQw9Lm3RtV8"  # 24 characters
PATTERN = r"sk-[A-Za-z0-9]{20,}"
# Runs of a secret that stand in other text as well: one letter or two.
BY_CHANCE = 2


def texts(path: Path | None, clean: int, private: int) -> tuple[list[str], list[str], str]:
    """Clean texts, those of the corpus, and what they are."""
    if path is None:
        made = []
        for locale, count in (("en_US", clean), ("en_GB", private)):
            fake = Faker(locale)
            fake.seed_instance(11)
            made.append(["\n\n".join(fake.paragraphs(8)) for _ in range(count)])
        return made[0], made[1], "invented prose"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line)["text"] for line in file]
    return rows[:clean], rows[clean : clean + private], "answers of models"


# --- leaks ----------------------------------------------------------------------------------------


def leak_rows(rows: list[Row], first: str) -> Iterator[str]:
    yield f"| {first} | planted | streams | unlike | leaked characters | in |"
    yield "|---|---|---|---|---|---|"
    names = ("found", "chunkings", "unlike", "leaked", "leaking")
    for row in rows:
        yield f"| {row['name']} | " + " | ".join(f"{row[name]:,}" for name in names) + " |"
    sums = (f"{sum(row[name] for row in rows):,}" for name in names)
    yield "| **all** | " + " | ".join(sums) + " |\n"


def leaks(settings: Any) -> Iterator[str]:
    yield "Spans planted in clean text, at any place; each text is cut at random into pieces of"
    yield "one character up to 300, several times. `planted`: those that a check acts on. `unlike`:"
    yield "outputs that depend on how the text was cut. A character is leaked where a check masks"
    yield "it"
    yield "within the planted span and the stream let it go; `in`: of so many plantings.\n"
    total = 300 if settings.quick else settings.chunkings
    folder, clean, corpus = settings.folder, settings.clean, settings.corpus
    rows = stream_leaks.measure(folder, corpus, clean, total, "sentence", settings.jobs)
    yield "Pace `sentence`, the built-in policy:\n"
    yield from leak_rows(rows, "what")
    worst = [row for row in rows if row["leaked"]]
    only = {row["name"] for row in worst}
    if only:
        yield "Those that leak, at pace `response`:\n"
        again = [
            row
            for name in sorted(only)
            for row in stream_leaks.measure(folder, corpus, clean, 25, "response", 1, name)
            if row["name"] == name
        ]
        yield from leak_rows(again, "what")


def clients(settings: Any) -> Iterator[str]:
    from scripts import stream_clients

    total = 60 if settings.quick else 600
    rows = stream_clients.measure(settings.folder, settings.corpus, settings.clean, total)
    yield "Through each integration as its users call it, over sockets where there are any; in turn"
    yield "a verbatim passage, one edited, one in base64, one with invisible characters, a secret"
    yield "and a"
    yield "phrase. `unlike`: outputs other than a check of the text gives; arguments are judged as"
    yield "the JSON that they are, in which invisible characters are long escapes.\n"
    yield from leak_rows(rows, "integration")


# --- peers ----------------------------------------------------------------------------------------


def peer_streams(count: int) -> list[list[str]]:
    """The secret in the midst of prose of 1,200 to 2,400 characters, in tokens."""
    rng = random.Random(5)
    prose = "Mix the flour with milk and two eggs, and fry the batter in butter until it is brown. "
    streams = []
    for _ in range(count):
        before = (prose * 20)[: rng.randint(300, 1500)].rpartition(" ")[0]
        text = f"{before} The key is {SECRET}. Keep it well. {prose * 10}"
        chunks, at = [], 0
        while at < len(text):
            size = rng.randint(1, 6)
            chunks.append(text[at : at + size])
            at += size
        streams.append(chunks)
    return streams


def through(out: str) -> int:
    """How many characters of the secret came out in a row."""
    match = difflib.SequenceMatcher(None, out, SECRET, autojunk=False).find_longest_match()
    return match.size if match.size > BY_CHANCE else 0


def peers(settings: Any) -> Iterator[str]:
    streams = peer_streams(5 if settings.quick else 40)
    keys = Filter(
        parse_policy("version: 1\nrules: [{name: a, action: redact}]"), [SecretsDetector("secrets")]
    )
    refusing = Filter(
        parse_policy("version: 1\nrules: [{name: a, action: refuse}]"), [SecretsDetector("secrets")]
    )
    found: list[tuple[str, str, list[str]]] = [
        ("this program", f"secrets, {word}", ["".join(StreamFilter(f).over(s)) for s in streams])
        for word, f in (("redacted", keys), ("refused", refusing))
    ]
    asked = json.dumps({"secret": SECRET, "pattern": PATTERN, "streams": streams})
    script = str(ROOT / "scripts" / "stream_peers.py")
    missing = []
    for name in ("litellm", "guardrails-ai", "nemoguardrails"):
        python = settings.peers.get(name)
        if python is None:
            missing.append(name)
            continue
        done = subprocess.run(
            [python, script, name], input=asked, capture_output=True, text=True, timeout=500
        )
        if done.returncode:
            sys.exit(f"{name} failed: {done.stderr[-2000:]}")
        told = json.loads(done.stdout)
        found += [(f"{name} {told['version']}", *item) for item in told["ways"].items()]
    yield f"A secret of {len(SECRET)} characters in {len(streams)} answers of 1,200 to 2,400, in"
    yield "pieces of one to six; each program has a rule that matches it. How many of its"
    yield "characters"
    yield "the user had by the end, in a row (`got`: what they had of the text around it as"
    yield "well).\n"
    yield "| program | how | most | mean | answers with any | text got |"
    yield "|---|---|---|---|---|---|"
    for program, way, outs in found:
        counts = [through(out) for out in outs]
        got = sum(map(len, outs)) / sum(len("".join(chunks)) for chunks in streams)
        any_ = sum(count > 0 for count in counts)
        yield (
            f"| {program} | {way} | {max(counts)} | {statistics.mean(counts):.1f} | {any_} of "
            f"{len(counts)} | {100 * got:.0f} % |"
        )
    yield ""
    if missing:
        yield f"Not measured, as no interpreter was given: {', '.join(missing)}.\n"


# --- what waits -----------------------------------------------------------------------------------


def held(settings: Any) -> Iterator[str]:
    rail = settings.rail
    by_name = {detector.name: detector for detector in rail.detectors}
    runs = [by_name["overlap"], by_name["phrases"]]
    named = [by_name["pii"], by_name["secrets"]]

    def opened(detectors: list[Any], pace: Any) -> Callable[[], StreamFilter]:
        filter_ = Filter(rail.policy, detectors)
        return lambda: StreamFilter(filter_, pace=pace)

    sets = [
        ("verbatim runs and phrases, pace `token`", opened(runs, "token")),
        ("and one with a window of 64, `token`", opened([*runs, Pattern()], "token")),
        ("and one of sentences, `token`", opened([*runs, Names()], "token")),
        ("personal data and secrets, `sentence`", opened(named, "sentence")),
        ("overlap, edited and disguised, `sentence`", opened(runs, "sentence")),
        *(
            (f"the built-in policy, `{pace}`", opened(list(rail.detectors), pace))
            for pace in ("token", "sentence", "paragraph", "response")
        ),
    ]
    answers = settings.clean[: 4 if settings.quick else 40]
    yield f"Clean text ({settings.source}), in tokens of four characters; the delay is what they"
    yield "take at 50 tokens a second.\n"
    yield "| detectors and pace | median | 90th | 99th | median delay | delay, 99th |"
    yield "|---|---|---|---|---|---|"
    medians = []
    for name, open_ in sets:
        counts = []
        for text in answers:
            stream = open_()
            for at in range(0, len(text), 4):
                stream.feed(text[at : at + 4])
                counts.append(stream.held)
        counts.sort()
        low, most, high = (counts[int(q * (len(counts) - 1))] for q in (0.5, 0.9, 0.99))
        medians.append(low)
        yield (
            f"| {name} | {low:,} | {most:,} | {high:,} | {low / 200:.2f} s | {high / 200:.2f} s |"
        )
    reached = "reached" if medians[0] <= 40 else "missed"
    yield f"\nGoal: a median of 40 with verbatim runs: {reached}.\n"


def cost(settings: Any) -> Iterator[str]:
    yield from cost_of_layouts(settings)
    yield from cost_of_chunks(settings)
    yield from cost_by_length(settings)


def spent(rail: Guardrail, text: str, step: int) -> tuple[float, list[float]]:
    """Seconds of the processor for a stream, and for each of its pieces; nothing may be lost."""
    began = time.process_time()
    stream = rail.open_stream()
    times, out = [], []
    for at in range(0, len(text), step):
        before = time.process_time()
        out.append(stream.feed(text[at : at + step]))
        times.append(time.process_time() - before)
    out.append(stream.flush())
    total = time.process_time() - began
    if "".join(out) != rail.check(text).text:
        sys.exit("a stream in the section of costs is unlike the check")
    return total, times


def cost_of_layouts(settings: Any) -> Iterator[str]:
    size = 4_000
    prose = " ".join(settings.clean)[:size]
    yield "Milliseconds of the processor for 1,000 characters in pieces of 100, the least of three"
    yield f"streams of {size:,} characters, `sentence`; every stream gives what a check gives.\n"
    yield "| text | ms for 1,000 characters |"
    yield "|---|---|"
    for name, text in {"prose": prose, **layouts(size)}.items():
        best = min(spent(settings.rail, text, 100)[0] for _ in range(2 if settings.quick else 3))
        each = best * 1e6 / len(text)
        yield f"| {name} | {each:.1f} |"
    yield ""


def cost_of_chunks(settings: Any) -> Iterator[str]:
    firsts, chunks = [], []
    for text in settings.clean[: 4 if settings.quick else 40]:
        _, times = spent(settings.rail, text, 4)
        firsts.append(times[0] * 1e6)
        chunks += [one * 1e6 for one in times[1:]]
    chunks.sort()
    middle, high = (chunks[int(q * (len(chunks) - 1))] for q in (0.5, 0.99))
    yield "Microseconds of the processor for a chunk of four characters of clean text, `sentence`:"
    yield f"the first {statistics.median(firsts):.0f}, the median {middle:.0f}, the 99th"
    yield f"percentile {high:.0f}. Goal: 1,000 for the first and 300 in the median:"
    yield "reached.\n" if statistics.median(firsts) <= 1000 and middle <= 300 else "missed.\n"


def cost_by_length(settings: Any) -> Iterator[str]:
    text = " ".join(settings.clean)
    text = (text * (110_000 // len(text) + 1))[: 12_000 if settings.quick else 110_000]
    marks = [mark for mark in (1_000, 10_000, 100_000) if mark < len(text)]
    yield "Microseconds of the processor for a chunk of four characters, in the mean over the same"
    yield "text, the least of three times, after so many characters of a stream; what is looked at"
    yield "again for what may begin before it is all there from about 3,000 on.\n"
    yield "| pace | " + " | ".join(f"after {mark:,}" for mark in marks) + " |"
    yield "|---|" + "---|" * len(marks)
    part = text[:4000]
    for pace in ("token", "sentence", "paragraph"):
        cells = []
        for mark in marks:
            best = float("inf")
            for _ in range(3):
                stream = settings.rail.open_stream(pace=pace)
                for at in range(0, mark, 400):
                    stream.feed(text[at : at + 400])
                began = time.process_time()
                for at in range(0, len(part), 4):
                    stream.feed(part[at : at + 4])
                best = min(best, (time.process_time() - began) / (len(part) // 4))
            cells.append(f"{best * 1e6:.0f}")
        yield f"| `{pace}` | " + " | ".join(cells) + " |"
    yield ""


def many(settings: Any) -> Iterator[str]:
    """A thousand streams in turn, and the growth of the process."""
    count = 50 if settings.quick else 1000
    text = " ".join(settings.clean)
    streams = [settings.rail.open_stream() for _ in range(count)]
    sizes, began, chunks = [], time.perf_counter(), 0
    before = memory()
    for at in range(0, 9600, 400):
        for number, stream in enumerate(streams):
            place = (at + 37 * number) % (len(text) - 400)
            stream.feed(text[place : place + 400])
            chunks += 1
        if at + 400 in (2400, 4800, 9600):
            sizes.append((memory() - before) / count * 1024)
    spent = (time.perf_counter() - began) / chunks * 1e3
    held_ = sorted(stream.held for stream in streams)
    yield f"{count:,} streams in one process, each fed 400 characters in turn, {spent:.1f} ms a"
    yield "time."
    yield "The process grows, in KiB a stream, by " + ", ".join(
        f"{size:.1f} after {length:,} characters"
        for size, length in zip(sizes, (2400, 4800, 9600), strict=True)
    )
    yield f"(pace `sentence`; {held_[-1]:,} characters wait in the one that waits most).\n"


def memory() -> float:
    """MiB that the process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


# --- MemFree --------------------------------------------------------------------------------------


def memfree(settings: Any) -> Iterator[str]:
    if settings.model is None:
        yield "Not measured: no `--model` was given.\n"
        return
    from scripts.stream_memfree import measure

    yield from measure(settings.model, settings.corpus, settings.quick)


SECTIONS: dict[str, tuple[str, Callable[[Any], Iterator[str]]]] = {
    "leaks": ("Leaked characters", leaks),
    "clients": ("Through the integrations", clients),
    "peers": ("One secret through other guardrails", peers),
    "held": ("Held back on clean text", held),
    "cost": ("Cost of a chunk", cost),
    "many": ("Many streams in one process", many),
    "memfree": ("MemFree decoding", memfree),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=[])
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--peers", nargs="*", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--chunkings", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="few runs; prints and writes nothing")
    settings = parser.parse_args()
    settings.peers = dict(pair.split("=", 1) for pair in settings.peers)
    size = (60, 60) if settings.quick else (100, 300)
    settings.clean, settings.corpus, settings.source = texts(settings.answers, *size)
    parts = written()
    with tempfile.TemporaryDirectory() as name:
        settings.folder = Path(name)
        stream_leaks.make_corpus(settings.folder, settings.corpus)
        rail = settings.rail = Guardrail.from_policy(indexes=[settings.folder / "index"], key=KEY)
        # Answers to one question have passages in common.
        settings.clean = [t for t in settings.clean if rail.check(t).action is Action.ALLOW]
        for section in settings.sections or SECTIONS:
            title, run = SECTIONS[section]
            began = time.perf_counter()
            parts[title] = "\n".join(run(settings))
            sys.stderr.write(f"{section}: {time.perf_counter() - began:.0f} s\n")
            if settings.quick:
                sys.stdout.write(f"## {title}\n\n{parts[title]}\n")
                continue
            kept = [title for title, _ in SECTIONS.values() if title in parts]
            body = "\n".join(f"## {title}\n\n{parts[title].strip()}\n" for title in kept)
            TARGET.write_text(f"{HEAD}\n{body}")


def written() -> dict[str, str]:
    """The sections of the table as it is, by title."""
    if not TARGET.exists():
        return {}
    pieces = re.split(r"^## (.*)\n", TARGET.read_text(), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


if __name__ == "__main__":
    main()
