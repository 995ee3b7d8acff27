#!/usr/bin/env python3
"""Measure what is found of leaked passages that were edited, spliced, encoded or disguised.

    python scripts/bench_evasion.py --corpus corpus.jsonl --corpus notes.jsonl.gz \\
        --answers answers.jsonl.gz [--jobs 2] [--work FOLDER] [--programs ...] [SECTION ...]

Plants passages of the corpora in clean answers, in every way of tests/cases/evasions.py, and checks
the responses with the default policy and with other ways to find known text. Corpora and answers
are JSON Lines with a field "text", plain or gzip. Writes docs/benchmarks/evasion.md, its charts and
evasion.json, way by way: what was cut off goes on where it is called again with --resume, and a run
of some sections, ways or programs leaves what the JSON holds of the others. With --work the indexes
and their key stay in a folder for the next run.

A passage counts as found when the verdict is not `allow` and at least half of the signs it was
written in (all but white space) no longer stand in `verdict.text`. For other programs: when what
they report covers at least half of those signs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bench_peers  # noqa: E402
import numpy as np  # noqa: E402
from bench_report import machine  # noqa: E402
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
from evasion_report import (  # noqa: E402
    AIMS,
    BY_LENGTH,
    CHARTED,
    LENGTHS,
    OURS,
    WITH_PASSAGES,
    WORDS,
    charts,
    document,
    interval,
    percent,
)
from numpy.typing import NDArray  # noqa: E402

from guardrail import Guardrail, load_key, new_key, write_key  # noqa: E402
from guardrail.detector import EMPTY_CONTEXT  # noqa: E402
from guardrail.errors import CorpusIndexError  # noqa: E402
from guardrail.filter import Filter  # noqa: E402
from guardrail.findings import Action, Verdict  # noqa: E402
from guardrail.indexes.build import DEFAULT_GRID, build  # noqa: E402
from guardrail.text import canonicalise  # noqa: E402
from guardrail.views.unmask import unmask  # noqa: E402
from tests.cases.evasions import GROUPS, Material, Parts, Way  # noqa: E402

OUT = ROOT / "docs" / "benchmarks"
LSH_MB = 4.0  # datasketch takes a second and 33 MB for each
# Of each length, those whose sentences stand in deny lists: others are not asked of such lists.
DENIED_PASSAGES = 20
HOST_CHARS = 4000
Place = tuple[str, str, int]
# Kinds of findings that name a document of a corpus.
OVERLAP = {"verbatim", "near-verbatim", "passage", "phrase", "record"}


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
        self.seed, self.count, self.jobs = options.seed, options.passages, options.jobs
        self.corpora = [read_texts(path, options.limit) for path in options.corpus]
        self.names = [path.name.partition(".")[0] for path in options.corpus]
        with gzip.open(options.answers, "rt", encoding="utf-8") as lines:
            self.answers = [json.loads(line)["text"] for line in lines]
        self.words = bench_peers.vocabulary([d for corpus in self.corpora for d in corpus])
        self.passages = {words: self._passages(words) for words in LENGTHS}
        self.corpus_mb = sum(len(d.encode()) for c in self.corpora for d in c) / 1e6
        self.guardrails: dict[str, Guardrail] = {}
        self.index_mb: dict[str, float] = {}
        self.peers = [] if options.programs == "ours" else list(self._peers())
        if options.programs != "peers":
            self._build(work)

    def _build(self, work: Path) -> None:
        key = work / "key"
        if not key.exists():
            work.mkdir(parents=True, exist_ok=True)
            write_key(str(key), new_key())
        self.key = load_key(str(key))
        for name, out, passages in (
            (OURS, work / "index", False),
            (WITH_PASSAGES, work / "passages", True),
        ):
            self.guardrails[name] = self._opened(work, out, passages)
            files = (file for file in out.rglob("*") if file.is_file())
            self.index_mb[name] = sum(file.stat().st_size for file in files) / 1e6

    def _opened(self, work: Path, out: Path, passages: bool) -> Guardrail:
        """A guardrail over an index, which is built where there is none that can be read."""
        if out.exists():
            try:
                return Guardrail.from_policy(indexes=[out], key=self.key)
            except CorpusIndexError as error:
                say(f"{error}: built again")
                shutil.rmtree(out)
        self._write(work / "corpus.jsonl")
        grid = replace(DEFAULT_GRID, passages=passages)
        build([str(work / "corpus.jsonl")], out, self.key, grid=grid, jobs=self.jobs)
        return Guardrail.from_policy(indexes=[out], key=self.key)

    def _write(self, path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            for name, corpus in zip(self.names, self.corpora, strict=True):
                for number, text in enumerate(corpus):
                    row = {"id": f"{name}/{number}", "collection": name, "text": text}
                    file.write(json.dumps(row) + "\n")

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
        planted = [p for passages in self.passages.values() for p in passages[:DENIED_PASSAGES]]
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
        for text in random.Random(self.seed).sample(self.corpora[0], len(self.corpora[0])):
            part.append(text[:20_000])
            left -= len(part[-1])
            if left < 0:
                break
        return part

    def planted(self, words: int) -> int:
        """Passages for a figure: half of them where it is one of many lengths."""
        return self.count if words == WORDS else self.count // 2

    def asked(self, way: str, words: int) -> list[Peer]:
        """The programs compared with: by length, of the ways that a chart shows."""
        return self.peers if words == WORDS or way in CHARTED else []

    def passages_of(self, place: Place) -> dict[str, int]:
        """How many passages each program is measured with."""
        count = self.planted(place[2])
        peers = {peer.name: min(peer.at_most, count) for peer in self.asked(place[1], place[2])}
        return dict.fromkeys(self.guardrails, count) | peers

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
        low, high = interval(self.found, self.passages)
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
    responses = bench.responses(GROUPS[group][way], words, bench.planted(words))
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
    for peer in bench.asked(way, words):
        cell = Cell(group, way, words, peer.name)
        for planted in responses[: peer.at_most]:
            spans = peer.find(planted.text)
            cell.add(planted, covered(planted.text, spans), bool(spans))
        cells.append(cell)
    return [cell.to_dict() for cell in cells]


Counts = dict[str, Counter[str]]


def clean(bench: Bench, answers: Sequence[str]) -> Counts:
    """Clean answers flagged by each program, and of ours by layer, kind and corpus."""
    counts: Counts = {name: Counter() for name in ("flagged", "by_layer", "by_kind", "by_corpus")}
    for name, guardrail in bench.guardrails.items():
        for answer in answers:
            verdict = guardrail.check(answer)
            acted = [f for f in verdict.findings if f.action is not Action.ALLOW]
            counts["flagged"][name] += verdict.action is not Action.ALLOW
            if name == OURS:
                counts["by_kind"].update({f.kind for f in acted})
                counts["by_layer"].update(
                    {"overlap" if f.kind in OVERLAP else "personal data, secrets" for f in acted}
                )
                named = {f.evidence.document for f in acted} - {None}
                counts["by_corpus"].update({str(d).partition("/")[0] for d in named})
    for peer in bench.peers:
        counts["flagged"][peer.name] += sum(bool(peer.find(answer)) for answer in answers)
    return counts


def latency(bench: Bench) -> dict[str, float]:
    """Medians over clean responses of 2 KB, in microseconds; the least of five rounds each.

    `search` is the search in the index alone; `verbatim` a check by it, `disguises` the same with
    views, `passages` the same with the detector of passages besides; the others are all of the
    default policy.
    """
    joined = "\n\n".join(bench.answers)
    texts = [joined[n : n + 2048] for n in range(0, len(joined) - 2048, 2048)][:400]
    medians: dict[str, list[float]] = {}
    default, more = (bench.guardrails[name] for name in (OURS, WITH_PASSAGES))
    overlap = next(d for d in default.detectors if d.name == "overlap")
    similar = [d for d in more.detectors if d.name in ("overlap", "passages")]
    by_overlap = Filter(default.policy, [overlap]).check
    checks: dict[str, Callable[[str], object]] = {
        "search": lambda text: overlap.scan(canonicalise(text), EMPTY_CONTEXT),
        "verbatim": by_overlap,
        "disguises": by_overlap,
        "passages": Filter(more.policy, similar).check,
        "default": default.check,
        "default, --passages": more.check,
    }
    for _ in range(5):
        for name, check in checks.items():
            seen = (lambda raw: None) if name == "verbatim" else unmask
            with patch("guardrail.filter.unmask", seen):
                medians.setdefault(name, []).append(statistics.median(_timed(check, texts)))
    return {name: min(values) for name, values in medians.items()}


def _timed(check: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    times = []
    for text in texts:
        began = time.perf_counter_ns()
        check(text)
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


# --- the run --------------------------------------------------------------------------------------

CLEAN_PART = 100
SECTIONS = (*GROUPS, "lengths", "clean", "latency")

# What the processes that measure share; they are forks of this one.
_bench: Bench | None = None


def _measured(place: Place) -> list[dict[str, Any]]:
    assert _bench is not None
    return measure(_bench, *place)


def _cleaned(part: slice) -> Counts:
    assert _bench is not None
    return clean(_bench, _bench.answers[part])


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


class Results:
    """What was measured, in evasion.json: new cells take the place of those of the same name."""

    def __init__(self, path: Path, dry: bool) -> None:
        self.path, self.dry = path, dry
        self.found: dict[str, Any] = {"cells": []}
        if path.exists():
            self.found = json.loads(path.read_text("utf-8"))
        self.cells = {self._key(cell): cell for cell in self.found["cells"]}

    @staticmethod
    def _key(cell: dict[str, Any]) -> tuple[str, int, str]:
        return cell["way"], cell["words"], cell["program"]

    def has(self, place: Place, passages: dict[str, int]) -> bool:
        """Whether these programs were measured, each with its number of passages."""
        found = {name: self.cells.get((place[1], place[2], name)) for name in passages}
        return all(cell and cell["passages"] == passages[name] for name, cell in found.items())

    def add(self, cells: list[dict[str, Any]]) -> None:
        self.cells.update({self._key(cell): cell for cell in cells})
        self.write()

    def write(self) -> None:
        if not self.dry:
            # In the order of the table of ways, whoever was first.
            names = [(way, group) for group in GROUPS for way in GROUPS[group]]
            rank = {way: number for number, (way, _) in enumerate(names)}
            kept = [cell for cell in self.cells.values() if cell["way"] in rank]
            self.found["cells"] = sorted(kept, key=lambda c: (rank[c["way"]], c["words"]))
            self.path.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")


def _told(cells: list[dict[str, Any]]) -> str:
    first = cells[0]
    aim = AIMS.get(first["way"]) if first["words"] == WORDS else None
    parts = [f"{first['way']:<32} {first['words']:>4} words "]
    for cell in cells:
        if cell["program"] == OURS:
            short = "*" if aim is not None and cell["found"] < aim else ""
            parts.append(
                f"found {percent(cell['found'])}{short} noticed {percent(cell['noticed'])} recall "
                f"{percent(cell['recall'])} precision {percent(cell['precision'])} aim "
                f"{percent(aim)};"
            )
        else:
            parts.append(f"{cell['program']} {percent(cell['found'])};")
    return " ".join(parts)


def run(options: argparse.Namespace, work: Path) -> None:
    global _bench
    bench = _bench = Bench(options, work)
    wanted = options.sections or SECTIONS
    places: list[Place] = [(g, w, WORDS) for g in GROUPS if g in wanted for w in GROUPS[g]]
    if "lengths" in wanted:
        places += [(g, w, n) for g, w in BY_LENGTH for n in LENGTHS if (g, w, n) not in places]
    if options.only:
        places = [place for place in places if any(word in place[1] for word in options.only)]
    results = Results(OUT / "evasion.json", options.dry)
    if options.resume:
        places = [place for place in places if not results.has(place, bench.passages_of(place))]
    about = results.found.get("run", {})
    results.found["run"] = {
        "corpora": bench.names,
        "corpus_mb": bench.corpus_mb,
        "index_mb": bench.index_mb or about.get("index_mb", {}),
        "passages": bench.count,
        "seed": bench.seed,
        "machine": machine(),
    }
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for cells in pool.imap(_measured, places):
            say(_told(cells))
            results.add(cells)
        if "clean" in wanted:
            total: Counts = {}
            parts = [slice(n, n + CLEAN_PART) for n in range(0, len(bench.answers), CLEAN_PART)]
            for counts in pool.imap(_cleaned, parts):
                for name, counter in counts.items():
                    # Counters are added by hand: their sum forgets what is none.
                    total.setdefault(name, Counter()).update(counter)
            say(json.dumps(total))
            before = results.found.get("clean", {})
            flagged = before.get("flagged", {}) | total["flagged"]
            ours = total if bench.guardrails else {}
            answers = {"answers": len(bench.answers), "flagged": flagged}
            results.found["clean"] = before | ours | answers
    if "latency" in wanted and bench.guardrails:
        results.found["latency"] = latency(bench)
        say(json.dumps(results.found["latency"]))
    results.write()
    if not options.dry:
        charts(results.found, OUT)
        (OUT / "evasion.md").write_text(document(results.found), encoding="utf-8")
        say(f"{OUT / 'evasion.md'} written")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, action="append", required=True)
    parser.add_argument("--answers", type=Path, required=True, help="clean texts, .jsonl.gz")
    parser.add_argument("--limit", type=float, default=30.0, help="MB of each corpus (30)")
    parser.add_argument("--passages", type=int, default=200, help="for each figure (200)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--work", type=Path, help="a folder in which the indexes stay")
    parser.add_argument("--programs", choices=("all", "ours", "peers"), default="all")
    parser.add_argument("--only", action="append", help="only ways whose name holds this word")
    parser.add_argument("--resume", action="store_true", help="leave out what was measured")
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    options = parser.parse_args()
    for path in (*options.corpus, options.answers):
        if not path.is_file():
            say(f"{path} is not there: nothing measured")
            return 2
    if options.work:
        run(options, options.work)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            run(options, Path(temporary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
