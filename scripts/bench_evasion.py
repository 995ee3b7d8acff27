#!/usr/bin/env python3
"""Measure what is found of leaked passages that were edited, spliced, encoded or disguised.

    python scripts/bench_evasion.py --corpus corpus.jsonl --corpus notes.jsonl.gz \\
        --answers answers.jsonl.gz [--no-peers] [--only WORD] [SECTION ...]

Plants passages of the corpora in clean answers, in every way of tests/cases/evasions.py, and checks
the responses with the default policy and with other ways to find known text. Corpora and answers
are JSON Lines with a field "text", plain or gzip. Writes docs/benchmarks/evasion.md, its charts and
evasion.json; a run of some sections leaves what the JSON holds of the others.

A passage counts as found when the verdict is not `allow` and at least half of the signs it was
written in (all but white space) no longer stand in `verdict.text`. For other programs: when what
they report covers at least half of those signs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_peers  # noqa: E402
import numpy as np  # noqa: E402
from bench_overlap import machine, table  # noqa: E402
from evasion_peers import (  # noqa: E402
    LlmGuardSubstrings,
    MinHashWindows,
    Peer,
    PresidioDenyList,
    RawCharacters,
    Spans,
    WordShingles,
    missing,
)
from line_charts import Series, line_charts  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from guardrail import Guardrail, default_policy, new_key  # noqa: E402
from guardrail.findings import Action, Verdict  # noqa: E402
from guardrail.indexes.build import DEFAULT_GRID, build  # noqa: E402
from guardrail.indexes.detectors import OverlapDetector  # noqa: E402
from guardrail.indexes.watched import WatchedIndex  # noqa: E402
from tests.cases.evasions import GROUPS, RATES, Material, Parts, Way  # noqa: E402

OUT = ROOT / "docs" / "benchmarks"
LENGTHS = (20, 40, 60, 100, 300)
WORDS = 60
OURS, WITH_PASSAGES = "guardrail", "guardrail, --passages"
LSH_MB = 4.0  # datasketch takes a second and 33 MB for each
HOST_CHARS = 4000

# What is aimed at, as shares of 60-word passages; ways that are not named have no aim.
_RATE_AIMS = {
    "replaced": (0.995, 0.99, 0.97, 0.85),
    "dropped": (0.995, 0.98, 0.97, 0.82),
    "inserted": (0.995, 0.98, 0.97, 0.82),
}
_AIMED_AT_99 = (
    "sentences shuffled",
    "list items",
    "numbered list items",
    "20 words, then 20 others",
    "12 words, then 8 others",
    "8 words, then 6 others",
    "base64",
    "hex",
    "URL",
    "URL, every letter",
    "ROT13",
    "ROT-n",
    "reversed",
    "words in reverse",
    "each word reversed",
    "one word a line",
    "one word a line, numbered",
    "base64 of base64",
    "base64 of hex",
    "hex of base64",
    "base64 of ROT13",
    "reversed ROT13",
)
AIMS: dict[str, float] = {
    **dict.fromkeys(GROUPS["writings"], 0.999),
    **{
        f"{name}, 1 in {rate}": aim
        for name, aims in _RATE_AIMS.items()
        for rate, aim in zip(RATES, aims, strict=False)
    },
    **dict.fromkeys(_AIMED_AT_99, 0.99),
}
BY_LENGTH = (
    ("writings", "plain"),
    *(("edits", f"replaced, 1 in {rate}") for rate in RATES),
    ("edits", "dropped, 1 in 6"),
    ("edits", "inserted, 1 in 6"),
    ("edits", "moved, 1 in 6"),
    ("splices", "sentences shuffled"),
    ("splices", "list items"),
    ("splices", "12 words, then 8 others"),
    ("splices", "8 words, then 6 others"),
    ("encodings", "base64"),
    ("encodings", "words in reverse"),
    ("containers", "one word a line"),
)
TITLES = {
    "writings": "Written differently",
    "edits": "Edited",
    "splices": "In pieces",
    "encodings": "Encoded",
    "containers": "Among other signs",
}


# --- what is planted -----------------------------------------------------------------------------


def read_texts(path: Path, most_mb: float) -> list[str]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in lines]
        return texts
    return bench_peers.read_part(path, most_mb)


@dataclass(frozen=True, slots=True)
class Planted:
    """A response, and which of its signs are a leaked passage's."""

    text: str
    leaked: NDArray[np.bool_]


def plant(parts: Parts, host: str, dice: random.Random) -> Planted:
    """Parts in a host: between two words, or as a paragraph where they have lines of their own."""
    written = "".join(text for text, _ in parts)
    around = "\n\n" if "\n" in written else " "
    places = [n for n, sign in enumerate(host) if sign.isspace()] or [len(host)]
    at = dice.choice(places)
    pieces = [(host[:at] + around, False), *parts, (around + host[at:], False)]
    text = "".join(piece for piece, _ in pieces)
    leaked = np.concatenate([np.full(len(piece), flag, np.bool_) for piece, flag in pieces])
    return Planted(text, leaked & _visible(text))


def _visible(text: str) -> NDArray[np.bool_]:
    return np.fromiter((not sign.isspace() for sign in text), np.bool_, len(text))


class Bench:
    """The inputs, the same passages and hosts for every way, and the programs that search."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.seed, self.count = options.seed, options.passages
        self.corpora = [read_texts(path, options.limit) for path in options.corpus]
        self.names = [path.name.partition(".")[0] for path in options.corpus]
        with gzip.open(options.answers, "rt", encoding="utf-8") as lines:
            self.answers = [json.loads(line)["text"] for line in lines]
        self.words = bench_peers.vocabulary([d for corpus in self.corpora for d in corpus])
        self.passages = {words: self._passages(words) for words in LENGTHS}
        self.index, self.key = work / "index", new_key()
        self.index_mb: dict[str, float] = {}
        with (work / "corpus.jsonl").open("w", encoding="utf-8") as file:
            for name, corpus in zip(self.names, self.corpora, strict=True):
                for number, text in enumerate(corpus):
                    row = {"id": f"{name}/{number}", "collection": name, "text": text}
                    file.write(json.dumps(row) + "\n")
        self.guardrails: dict[str, Guardrail] = {}
        for name, out, passages in (
            (OURS, self.index, False),
            (WITH_PASSAGES, work / "passages", True),
        ):
            grid = replace(DEFAULT_GRID, passages=passages)
            report = build([str(work / "corpus.jsonl")], out, self.key, grid=grid, jobs=2)
            self.guardrails[name] = Guardrail.from_policy(indexes=[out], key=self.key)
            self.index_mb[name] = report.index_bytes / 1e6
        self.corpus_mb = sum(len(d.encode()) for c in self.corpora for d in c) / 1e6
        self.peers = [] if options.no_peers else list(self._peers())

    def _passages(self, words: int) -> list[str]:
        """Passages of so many words, from each corpus in turn."""
        dice = random.Random(f"{self.seed} passages {words}")
        return [
            bench_peers.passage(self.corpora[n % len(self.corpora)], dice, words)
            for n in range(self.count)
        ]

    def _peers(self) -> Iterable[Peer]:
        documents = [document for corpus in self.corpora for document in corpus]
        yield RawCharacters(documents)
        yield WordShingles(documents)
        planted = [p for passages in self.passages.values() for p in passages[:20]]
        for module, make in (
            ("datasketch", lambda: MinHashWindows(self._part(LSH_MB))),
            ("presidio_analyzer", lambda: PresidioDenyList(planted)),
            ("llm_guard", lambda: LlmGuardSubstrings(planted)),
        ):
            if missing(module):
                say(f"{module} is not installed: left out")
            else:
                yield make()

    def _part(self, most_mb: float) -> list[str]:
        """The passages themselves, and other documents up to a size."""
        part = [p for passages in self.passages.values() for p in passages]
        left = int(most_mb * 1e6)
        for document in random.Random(self.seed).sample(self.corpora[0], len(self.corpora[0])):
            part.append(document[:20_000])
            left -= len(part[-1])
            if left < 0:
                break
        return part

    def responses(self, way: Way, words: int, count: int) -> list[Planted]:
        planted = []
        for number, passage in enumerate(self.passages[words][:count]):
            dice = random.Random(f"{self.seed} {words} {number}")
            host = self.answers[dice.randrange(len(self.answers))][:HOST_CHARS]
            filler = self.answers[dice.randrange(len(self.answers))].split()
            parts = way(passage, Material(dice, self.words, filler))
            planted.append(plant(parts, host, dice))
        return planted


# --- what is measured ----------------------------------------------------------------------------


@dataclass(slots=True)
class Cell:
    """What one program found of the passages written in one way. `noticed`: reported at all, which
    for the guardrail includes what is flagged and let through. Recall and precision count signs."""

    group: str
    way: str
    words: int
    program: str
    passages: int = 0
    found: int = 0
    noticed: int = 0
    leaked: int = 0
    gone: int = 0
    hidden: int = 0
    by_corpus: list[float] = field(default_factory=list)

    def add(self, planted: Planted, gone: NDArray[np.bool_], noticed: bool) -> bool:
        gone = gone & _visible(planted.text)
        both, leaked = int((gone & planted.leaked).sum()), int(planted.leaked.sum())
        found = noticed and 2 * both >= leaked
        self.passages += 1
        self.found += found
        self.noticed += noticed
        self.leaked += leaked
        self.gone += both
        self.hidden += int(gone.sum())
        return found

    def to_dict(self) -> dict[str, Any]:
        low, high = wilson(self.found, self.passages)
        return {
            "group": self.group,
            "way": self.way,
            "words": self.words,
            "program": self.program,
            "passages": self.passages,
            "found": self.found / self.passages,
            "low": low,
            "high": high,
            "noticed": self.noticed / self.passages,
            "recall": self.gone / self.leaked,
            "precision": self.gone / self.hidden if self.hidden else None,
            "found_by_corpus": self.by_corpus,
        }


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    z, share = 1.959964, hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def removed(text: str, verdict: Verdict, label: str) -> NDArray[np.bool_]:
    """Which code points of a response do not stand in its verdict's text any more."""
    gone = np.ones(len(text), np.bool_)
    if verdict.action is Action.REFUSE:
        return gone
    if verdict.text == text:
        return ~gone
    at = 0
    for piece in verdict.text.split(label):
        place = text.find(piece, at)
        if place < 0:
            # Redaction mended JSON or Markdown around a span: what the findings say then counts.
            gone[:] = False
            for finding in verdict.findings:
                if finding.action >= Action.REDACT:
                    gone[finding.span.start : finding.span.end] = True
            return gone
        gone[place : place + len(piece)] = False
        at = place + len(piece)
    return gone


def covered(text: str, spans: Spans) -> NDArray[np.bool_]:
    mask = np.zeros(len(text), np.bool_)
    for start, end in spans:
        mask[start:end] = True
    return mask


def measure(bench: Bench, group: str, way: str, words: int = WORDS) -> list[dict[str, Any]]:
    """The cells of one way: ours and each peer's."""
    responses = bench.responses(GROUPS[group][way], words, bench.count)
    cells = []
    for name, guardrail in bench.guardrails.items():
        label = guardrail.policy.redaction.text
        ours = Cell(group, way, words, name)
        share: list[list[bool]] = [[] for _ in bench.corpora]
        for number, planted in enumerate(responses):
            verdict = guardrail.check(planted.text)
            if verdict.failures and verdict.action is not Action.REFUSE:
                raise AssertionError(f"{way}: {verdict.failures[0].reason}")
            gone = removed(planted.text, verdict, label)
            found = ours.add(planted, gone, verdict.action is not Action.ALLOW)
            share[number % len(share)].append(found)
        ours.by_corpus = [sum(hits) / len(hits) for hits in share if hits]
        cells.append(ours)
    for peer in bench.peers:
        cell = Cell(group, way, words, peer.name)
        for planted in responses[: peer.at_most]:
            spans = peer.find(planted.text)
            cell.add(planted, covered(planted.text, spans), bool(spans))
        cells.append(cell)
    return [cell.to_dict() for cell in cells]


def clean(bench: Bench) -> dict[str, Any]:
    """Clean answers flagged: by us, with the kinds that flagged them where all are looked for, and
    by each peer."""
    flagged: dict[str, int] = {}
    kinds: dict[str, int] = {}
    for name, guardrail in bench.guardrails.items():
        verdicts = [guardrail.check(answer) for answer in bench.answers]
        flagged[name] = sum(verdict.action is not Action.ALLOW for verdict in verdicts)
        kinds = dict(
            Counter(
                kind
                for verdict in verdicts
                for kind in {f.kind for f in verdict.findings if f.action is not Action.ALLOW}
            )
        )
    for peer in bench.peers:
        flagged[peer.name] = sum(bool(peer.find(answer)) for answer in bench.answers)
    count = len(bench.answers)
    return {
        "answers": count,
        "flagged": {name: hits / count for name, hits in flagged.items()},
        "interval": wilson(flagged[OURS], count),
        "kinds": kinds,
    }


def latency(bench: Bench) -> dict[str, float]:
    """Medians over clean responses of 2 KB, in microseconds; the least of five rounds each."""
    joined = "\n\n".join(bench.answers)
    texts = [joined[n : n + 2048] for n in range(0, len(joined) - 2048, 2048)][:400]
    detector = OverlapDetector("overlap", [WatchedIndex(bench.index, bench.key)])
    alone = Guardrail(default_policy(), [detector])
    medians: dict[str, list[float]] = {}
    for _ in range(5):
        for name, check in (
            ("default", bench.guardrails[OURS].check),
            ("passages", bench.guardrails[WITH_PASSAGES].check),
            ("verbatim", alone.check),
        ):
            medians.setdefault(name, []).append(statistics.median(_timed(check, texts)))
    least = {name: min(values) for name, values in medians.items()}
    return {
        **least,
        "ratio": least["default"] / least["verbatim"],
        "passages_ratio": least["passages"] / least["verbatim"],
    }


def _timed(check: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    times = []
    for text in texts:
        began = time.perf_counter_ns()
        check(text)
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


# --- what is written -----------------------------------------------------------------------------


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def document(results: dict[str, Any]) -> str:
    run, fp = results["run"], results["clean"]
    cells = {(c["way"], c["words"], c["program"]): c for c in results["cells"]}
    programs = list(dict.fromkeys(c["program"] for c in results["cells"]))
    low, high = fp["interval"]
    times = results["latency"]
    sizes = ", ".join(f"{mb:.0f} MB of index for {name}" for name, mb in run["index_mb"].items())
    flagged = ", ".join(f"{kind} {count}" for kind, count in fp["kinds"].items()) or "none"
    parts = [
        "# Evasion\n\nWritten by `scripts/bench_evasion.py`. Passages of "
        f"{' and '.join(run['corpora'])} ({run['corpus_mb']:.0f} MB; {sizes}), "
        f"{run['passages']} for each figure, are planted in real answers of language "
        "models and checked with the default policy. *Found*: the verdict is not `allow`, and at "
        "least half of the signs in which the passage was written are gone from `verdict.text`. "
        "In brackets: the 95 % interval (Wilson). *Noticed*: the verdict is not `allow`. *Recall*: "
        "the share of leaked signs that are gone; *precision*: the share of what is gone that was "
        "leaked, where a refusal takes the whole response. All figures are per cent. Other "
        "programs find a passage where their spans cover half of it.",
        f"Clean answers flagged: {percent(fp['flagged'][OURS])} % "
        f"[{percent(low)}, {percent(high)}] of {fp['answers']:,} (by kind: {flagged}). The same "
        "for each program stands in the head of its column.",
        f"Median time of a clean response of 2 KB: {times['default']:.0f} µs, "
        f"{times['ratio']:.2f} times that of verbatim overlap alone ({times['verbatim']:.0f} µs); "
        f"with passages {times['passages']:.0f} µs, {times['passages_ratio']:.2f} times.",
        *(f"Left out: {reason}" for reason in run["left_out"]),
    ]

    def head(name: str) -> str:
        share = fp["flagged"].get(name)
        return name if share is None else f"{name} ({percent(share)} % of clean)"

    for group, title in TITLES.items():
        ways = [w for w in GROUPS[group] if (w, WORDS, OURS) in cells]
        if not ways:
            continue
        rows = []
        for way in ways:
            ours = cells[way, WORDS, OURS]
            others = (cells.get((way, WORDS, name)) for name in programs if name != OURS)
            rows.append(
                (
                    way,
                    percent(AIMS.get(way)),
                    f"{percent(ours['found'])} [{percent(ours['low'])}, {percent(ours['high'])}]",
                    percent(ours["noticed"]),
                    percent(ours["recall"]),
                    percent(ours["precision"]),
                    *(percent(cell["found"]) if cell else "" for cell in others),
                )
            )
        columns = ["way", "aim", head(OURS), "noticed", "recall", "precision"]
        columns += [head(name) for name in programs if name != OURS]
        parts.append(f"## {title}\n\nPassages of {WORDS} words.\n\n" + table(columns, rows))
    if rows := _by_length(cells):
        columns = [f"{head(OURS)}, words", *map(str, LENGTHS)]
        parts.append("## By length\n\n" + table(columns, rows))
        parts.append("![By length](evasion-lengths.svg)")
    if ("replaced, 1 in 4", WORDS, OURS) in cells:
        parts.append("![By rate of edits](evasion-edits.svg)")
    parts.append(run["machine"] + ".")
    return "\n\n".join(parts) + "\n"


def _by_length(cells: dict[tuple[str, int, str], dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = []
    for _, way in BY_LENGTH:
        found = [cells.get((way, words, OURS)) for words in LENGTHS]
        if all(found):
            rows.append((way, *(percent(cell["found"]) for cell in found if cell)))
    return rows


def charts(results: dict[str, Any]) -> None:
    cells = {(c["way"], c["words"], c["program"]): c["found"] for c in results["cells"]}
    programs = list(dict.fromkeys(c["program"] for c in results["cells"]))

    def panel(places: Sequence[tuple[str, int]]) -> Series:
        lines = {n: [cells.get((way, words, n)) for way, words in places] for n in programs}
        return {n: line for n, line in lines.items() if any(v is not None for v in line)}

    edits = {
        edit: panel([(f"{edit}, 1 in {rate}", WORDS) for rate in RATES])
        for edit in ("replaced", "dropped", "inserted", "moved")
    }
    line_charts(
        OUT / "evasion-edits.svg", edits, [str(r) for r in RATES], "one word in so many; 60 words"
    )
    lengths = {
        way: panel([(way, words) for words in LENGTHS])
        for way in ("plain", "replaced, 1 in 8", "sentences shuffled", "base64")
    }
    line_charts(
        OUT / "evasion-lengths.svg", lengths, [str(n) for n in LENGTHS], "words of the passage"
    )


SECTIONS = (*GROUPS, "lengths")


def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options, Path(temporary))
        wanted = options.sections or SECTIONS
        places = [(g, w, WORDS) for g in GROUPS if g in wanted for w in GROUPS[g]]
        if "lengths" in wanted:
            places += [(g, w, n) for g, w in BY_LENGTH for n in LENGTHS if (g, w, n) not in places]
        cells: list[dict[str, Any]] = []
        for group, way, words in places:
            if options.only and not any(word in way for word in options.only):
                continue
            cells += measure(bench, group, way, words)
            ours, more = cells[-2 - len(bench.peers) : len(cells) - len(bench.peers)]
            aim = AIMS.get(way) if words == WORDS else None
            short = " *" if aim is not None and ours["found"] < aim else ""
            say(
                f"{way:<32} {words:>4} words  found {percent(ours['found']):>5}  noticed "
                f"{percent(ours['noticed']):>5}  recall {percent(ours['recall']):>5}  precision "
                f"{percent(ours['precision']):>5}  aim {percent(aim):>5}  passages "
                f"{percent(more['found']):>5}{short}"
            )
        results: dict[str, Any] = {
            "run": {
                "corpora": bench.names,
                "corpus_mb": bench.corpus_mb,
                "index_mb": bench.index_mb,
                "passages": bench.count,
                "seed": bench.seed,
                "machine": machine(),
                "left_out": [
                    f"{name}, which was not run (not installed, or `--no-peers`)."
                    for name, module in (
                        ("datasketch", "datasketch"),
                        ("Presidio", "presidio_analyzer"),
                        ("LLM Guard", "llm_guard"),
                    )
                    if missing(module) or options.no_peers
                ],
            },
            "clean": clean(bench),
            "latency": latency(bench),
            "cells": cells,
        }
    flagged, times = results["clean"]["flagged"][OURS], results["latency"]
    say(f"clean answers flagged {percent(flagged)} %: {results['clean']['kinds']}")
    say(f"with passages {percent(results['clean']['flagged'][WITH_PASSAGES])} %")
    say(
        f"2 KB {times['default']:.0f} µs, {times['ratio']:.2f} times verbatim overlap alone; with "
        f"passages {times['passages']:.0f} µs"
    )
    if options.dry:
        return
    path = OUT / "evasion.json"
    if path.exists() and set(wanted) != set(SECTIONS):

        def key(cell: dict[str, Any]) -> tuple[Any, ...]:
            return cell["way"], cell["words"], cell["program"]

        measured = set(map(key, cells))
        before = json.loads(path.read_text("utf-8"))
        results["cells"] = cells + [c for c in before["cells"] if key(c) not in measured]
        flagged_before = before["clean"]["flagged"]
        results["clean"]["flagged"] = flagged_before | results["clean"]["flagged"]
    OUT.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    charts(results)
    (OUT / "evasion.md").write_text(document(results), encoding="utf-8")
    say(f"{OUT / 'evasion.md'} written")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, action="append", required=True)
    parser.add_argument("--answers", type=Path, required=True, help="clean texts, .jsonl.gz")
    parser.add_argument("--limit", type=float, default=30.0, help="MB of each corpus (30)")
    parser.add_argument("--passages", type=int, default=200, help="for each figure (200)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--no-peers", action="store_true", help="the guardrail alone")
    parser.add_argument("--only", action="append", help="only ways whose name holds this word")
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    options = parser.parse_args()
    for path in (*options.corpus, options.answers):
        if not path.is_file():
            say(f"{path} is not there: nothing measured")
            return 2
    run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
