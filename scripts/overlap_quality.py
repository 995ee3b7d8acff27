"""Sections of bench_overlap.py: what is found, and what of clean text."""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections.abc import Sequence

import bench_peers
from bench_report import table
from overlap_inputs import MB, Bench, microseconds

from guardrail.detector import EMPTY_CONTEXT
from guardrail.findings import Action
from guardrail.indexes.build import DEFAULT_GRID, build
from guardrail.indexes.detectors import OverlapDetector
from guardrail.indexes.readers import ReadOptions
from guardrail.indexes.runs import Grid
from guardrail.indexes.watched import WatchedIndex
from guardrail.text import canonicalise
from tests.cases.disguises import DISGUISES

WORD = re.compile(r"\S+")


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
