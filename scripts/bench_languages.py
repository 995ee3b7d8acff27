#!/usr/bin/env python3
"""Measure near-verbatim copies, disguises and false alarms in other genres, languages and scripts.

    python scripts/bench_languages.py [--corpus NAME=FILE.jsonl ...] [--passages 40] [--only WORD]

Genres are those of scripts/genre_samples.py, from a seed, and any corpus given (JSON Lines with a
field "text", plain or gzip). Of each, one half of the documents is indexed with the default
settings; passages of it are planted in text of the other half and checked by the default policy.
False alarms are counted in the other half as it is: text of the same genre, templates and all.
Words of scripts without blanks are two ideographs or kana, or five letters. Writes
docs/benchmarks/languages.md and .json; what is not measured again stays in the latter.

*found* is as in bench_evasion.py: half of the passage's signs are gone from the verdict's text.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_evasion import Cell, Planted, plant, read_texts, removed, say  # noqa: E402
from bench_report import machine, table  # noqa: E402
from evasion_report import LENGTHS, WORDS  # noqa: E402
from genre_samples import GENRES, documents  # noqa: E402

from guardrail import Guardrail  # noqa: E402
from guardrail.filter import Filter  # noqa: E402
from guardrail.findings import Action  # noqa: E402
from guardrail.indexes.build import build  # noqa: E402
from guardrail.keys import Key  # noqa: E402
from tests.cases.evasions import GROUPS, Material, Parts, Way  # noqa: E402
from tests.cases.scripts import WAYS  # noqa: E402

OUT = ROOT / "docs" / "benchmarks"
SAMPLES = 400
FEWEST_HOSTS = 20
HOST_CHARS, LIMIT_MB = 2000, 6.0
OVERLAP = {"verbatim", "near-verbatim"}
ALARMS = ("any", "verbatim", "near-verbatim", "edited copies alone", "personal data, secrets")
# Shares below this are listed.
WEAK = 0.9
# A word: of scripts that write without blanks, so many characters.
_SOLID = "\u3005-\u30ff\u3400-\u9fff"
_RUNS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(f"[{_SOLID}]{{1,2}}|[{_RUNS}]{{1,5}}|[^\\s{_SOLID}{_RUNS}]+")
# Stands behind a word that the next one follows without a blank.
GLUE = "\ue000"
ONE = "replaced, 1 in 8"
WRITINGS = (
    "plain", "upper case", "full width", "no spaces", "wrapped", "punctuation", "Markdown",
    "decomposed", "composed", "letters that show nothing", "apostrophes, tones and stretches",
    "zero width", "letter spacing", "Cyrillic", "digits for letters",
)  # fmt: skip
CODED = (
    "base64", "hex", "URL", "Unicode escapes", "HTML entities", "reversed", "each word reversed",
    "words in reverse", "one word a line", "JSON string", "base64 of base64",
)  # fmt: skip
SPLICED = (
    "sentences shuffled", "12 words at a time, shuffled", "list items", "list items, shuffled",
    "20 words, then 20 others", "12 words, then 8 others", "8 words, then 6 others",
)  # fmt: skip
RATES = (12, 8, 6, 4)
EDITED = tuple(
    f"{how}, 1 in {rate}" for how in ("replaced", "dropped", "inserted") for rate in RATES
)

Results = dict[str, dict[str, Any]]


class Genre:
    """The documents of one genre: a half that is indexed, and the other."""

    def __init__(self, name: str, texts: Sequence[str], others: Sequence[str], seed: int) -> None:
        """`others`: clean text (none: every second of the texts)."""
        self.name, self.seed = name, seed
        dice = random.Random(f"{seed} {name}")
        texts = dice.sample(texts, len(texts))
        self.indexed = texts if others else texts[::2]
        self.others = [t[:HOST_CHARS] for t in dice.sample(others, len(others)) or texts[1::2]]
        self.hosts = self.others
        self.pool = [glued(text) for text in self.indexed]
        self.words = [word for words in self.pool[:400] for word in words]

    def passages(self, words: int, count: int) -> Iterator[str]:
        """Passages of so many words as they stand in documents."""
        dice = random.Random(f"{self.seed} {self.name} {words}")
        long = [n for n, pool in enumerate(self.pool) if len(pool) > words]
        for _ in range(count if long else 0):
            text = self.indexed[dice.choice(long)]
            places = [match.span() for match in _WORD.finditer(text)]
            first = dice.randrange(len(places) - words)
            yield text[places[first][0] : places[first + words - 1][1]]

    def responses(self, way: Way, split: bool, words: int, count: int) -> Iterator[Planted]:
        for number, passage in enumerate(self.passages(words, count)):
            dice = random.Random(f"{self.seed} {words} {number}")
            host = dice.choice(self.hosts)
            material = Material(dice, self.words, glued(dice.choice(self.others)) or ["..."])
            if split:
                parts = [
                    (unglued(t), leaked) for t, leaked in way(" ".join(glued(passage)), material)
                ]
            else:
                parts = way(passage, material)
            yield plant(parts, host, dice)


def glued(text: str) -> list[str]:
    """The words of a text, each marked that the next one follows without a blank."""
    places = [match.span() for match in _WORD.finditer(text)]
    ends = [*(first for first, _ in places[1:]), 0]
    pairs = zip(places, ends, strict=True)
    return [text[a:b] + (GLUE if b == after else "") for (a, b), after in pairs]


def unglued(text: str) -> str:
    return re.sub(f"{GLUE} ?", "", text)


def ways(genre: Genre) -> Iterator[tuple[str, str, Way, bool]]:
    """Group, name, way, and whether it is for words: those that change text of the genre."""
    for group, names in (("edits", EDITED), ("splices", SPLICED)):
        yield from ((group, name, GROUPS[group][name], True) for name in names)
    every = {name: (group, way) for group in GROUPS for name, way in GROUPS[group].items()}
    sample = list(genre.passages(WORDS, 5))
    blank = Material(random.Random(1), ["a"], ["a", "b", "c"])
    for name in WRITINGS + CODED:
        group, way = every[name]
        if name == "plain" or any(way(text, blank)[0][0] != text for text in sample):
            yield group, name, way, False
    for name, (pattern, change) in WAYS.items():
        if any(re.search(pattern, text) and change(text) != text for text in sample):
            yield "scripts", name, _one(change), False


def _one(change: Callable[[str], str]) -> Way:
    def write(passage: str, material: Material) -> Parts:
        return [(change(passage), True)]

    return write


def measure(genre: Genre, guardrail: Guardrail, options: argparse.Namespace) -> dict[str, Any]:
    """Copies are looked for by what knows the corpus alone: what looks like personal data in a
    passage is found wherever it comes from. False alarms are those of all detectors."""
    label = guardrail.policy.redaction.text
    overlap = [d for d in guardrail.detectors if d.name == "overlap"]
    by_overlap = Filter(guardrail.policy, overlap)
    counts: Counter[str] = Counter()
    clean, quiet = genre.others[: options.clean], []
    for text in clean:
        verdict = guardrail.check(text)
        acted = [f for f in verdict.findings if f.action is not Action.ALLOW]
        kinds = {f.kind for f in acted}
        counts.update(kinds)
        counts["any"] += bool(kinds)
        counts["edited copies alone"] += kinds == {"near-verbatim"}
        counts["personal data, secrets"] += bool(kinds - OVERLAP)
        if not kinds:
            quiet.append(text)
        for f in acted if kinds & set(options.show) else ():
            said = text[f.span.start : f.span.end]
            say(f"{genre.name} {f.kind} {f.evidence.matched} {f.evidence.view} {said!r:.300}")
    # Where most clean text quotes the corpus, what is gone beside a passage is another's.
    if len(quiet) >= FEWEST_HOSTS:
        genre.hosts = quiet
    label = guardrail.policy.redaction.text
    cells = []
    places = [(*way, WORDS) for way in ways(genre)]
    every = {name: place for place in places for name in (place[1],)}
    places += [(*every[n][:4], w) for n in ("plain", ONE, "base64") for w in LENGTHS if w != WORDS]
    for group, name, way, split, words in places:
        if options.way and options.way not in name:
            continue
        cell = Cell(group, name, words, genre.name)
        count = options.passages if words == WORDS else options.passages // 2
        for planted in genre.responses(way, split, words, count):
            verdict = by_overlap.check(planted.text)
            if verdict.failures and verdict.action is not Action.REFUSE:
                raise AssertionError(f"{genre.name}, {name}: {verdict.failures[0].reason}")
            gone = removed(planted.text, verdict, label)
            cell.add(planted, gone, verdict.action is not Action.ALLOW)
        if cell.passages:
            cells.append(cell.to_dict())
    size = sum(len(text.encode()) for text in genre.indexed) / 1e6
    return {"cells": cells, "clean": len(clean), "alarms": counts, "mb": size}


def run_genre(name: str, source: str, options: argparse.Namespace) -> dict[str, Any]:
    genre = _genre(name, source, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        with corpus.open("w", encoding="utf-8") as file:
            for number, text in enumerate(genre.indexed):
                file.write(json.dumps({"id": str(number), "text": text}) + "\n")
        key = Key(bytes(range(32)))
        build([str(corpus)], Path(folder) / "index", key, jobs=1)
        guardrail = Guardrail.from_policy(indexes=[Path(folder) / "index"], key=key)
        return measure(genre, guardrail, options)


def _genre(name: str, source: str, seed: int) -> Genre:
    if source in GENRES:
        return Genre(name, documents(source, SAMPLES, seed), (), seed)
    texts, _, others = source.partition(",")
    clean = read_texts(Path(others), LIMIT_MB) if others else ()
    return Genre(name, read_texts(Path(texts), LIMIT_MB), clean, seed)


def _run(job: tuple[str, str, argparse.Namespace]) -> tuple[str, dict[str, Any]]:
    name, source, options = job
    return name, run_genre(name, source, options)


def _share(cells: list[dict[str, Any]], ways: Sequence[str], what: str = "found") -> str:
    found = [cell[what] for cell in cells if cell["way"] in ways and cell["words"] == WORDS]
    found = [value for value in found if value is not None]
    return f"{100 * sum(found) / len(found):.1f}" if found else ""


def _by_length(cells: list[dict[str, Any]], way: str) -> str:
    found = {cell["words"]: cell["found"] for cell in cells if cell["way"] == way}
    return " / ".join(f"{100 * found[n]:.0f}" if n in found else "-" for n in LENGTHS)


def copies(results: Results) -> str:
    """Of each genre the shares found, and of the signs those redacted."""
    head = ["genre", "MB", *(f"1 in {rate}" for rate in RATES), "in pieces", "written otherwise"]
    head += ["by the script", "encoded", "recall", "precision", f"plain, {_lengths()} words"]
    head += [f"one word in 8 replaced, {_lengths()} words"]
    rows = []
    for name, result in results.items():
        cells = result["cells"]
        edited = [[way for way in EDITED if way.endswith(f" {rate}")] for rate in RATES]
        groups = [*edited, SPLICED, WRITINGS, tuple(WAYS), CODED]
        every = [cell["way"] for cell in cells]
        row = [name, f"{result['mb']:.1f}", *(_share(cells, names) for names in groups)]
        row += [_share(cells, every, what) for what in ("recall", "precision")]
        rows.append([*row, _by_length(cells, "plain"), _by_length(cells, ONE)])
    return table(head, rows)


def _lengths() -> str:
    return " / ".join(map(str, LENGTHS))


def alarms(results: Results) -> str:
    """How many clean texts of each genre are not let through as they are, and by what."""
    head = ["genre", "clean texts", *ALARMS]
    rows = [
        [name, result["clean"], *(_percent(result, kind) for kind in ALARMS)]
        for name, result in results.items()
    ]
    return table(head, rows)


def _percent(result: dict[str, Any], kind: str) -> str:
    return f"{100 * result['alarms'].get(kind, 0) / result['clean']:.1f}"


def weakest(results: Results) -> str:
    rows = [
        [name, cell["way"], f"{100 * cell['found']:.0f}", f"{100 * cell['recall']:.0f}"]
        for name, result in results.items()
        for cell in result["cells"]
        if cell["words"] == WORDS and cell["found"] < WEAK
    ]
    return table(["genre", "way", "found", "recall"], rows)


def document(results: Results, passages: int) -> str:
    counted = f"{len(EDITED)} ways of editing, {len(SPLICED)} of taking apart"
    counted += f", {len(WRITINGS)} of writing and {len(CODED)} of encoding"
    return f"""# Other genres and languages

Written by `scripts/bench_languages.py`. Of each genre or corpus one half of the documents is
indexed with the default settings, and {passages} passages of {WORDS} words for each figure are
planted in text of the other half, or of another corpus of the language where its name says so,
in {counted},
and in those of `tests/cases/scripts.py` that change the text. A word of Han or kana has two
characters, one of Thai five. Genres without a corpus are invented from a seed. Only the detector of
overlap is asked. All figures are per cent.

{copies(results)}

## Clean text

Text of the other half, with all detectors of the default policy. Where documents are made from one
form, or quote one another, such a text does quote the index: what has *verbatim* findings stands in
an indexed document, letter by letter, for 48 units or 12 words. *Edited copies alone*: nothing but
near-verbatim findings, which can be called false. Personal data are invented, or printed there.

{alarms(results)}

## Under {100 * WEAK:.0f} %

{weakest(results)}

{machine()}.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--passages", type=int, default=40)
    parser.add_argument("--clean", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", action="append", help="genres whose name holds this word")
    parser.add_argument("--way", help="ways whose name holds this word")
    parser.add_argument("--show", action="append", default=[])
    parser.add_argument("--out", type=Path, default=OUT / "languages.json")
    options = parser.parse_args()
    sources = {name: name for name in GENRES} | dict(item.split("=", 1) for item in options.corpus)
    if options.only:
        sources = {n: s for n, s in sources.items() if any(word in n for word in options.only)}
    results = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for name, result in pool.imap(_run, [(n, s, options) for n, s in sources.items()]):
            results[name] = result
            for told in (copies, alarms):
                say(told({name: result}).splitlines()[-1])
            options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    path = options.out.with_suffix(".md")
    path.write_text(document(results, options.passages), encoding="utf-8")
    say(f"{path} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
