"""The document and the charts of what bench_evasion.py measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_report import table
from line_charts import Series, line_charts

from tests.cases.evasions import GROUPS, RATES

LENGTHS = (20, 40, 60, 100, 300)
WORDS = 60
OURS, WITH_PASSAGES = "guardrail", "guardrail, --passages"

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
# Ways of which a chart shows the lengths.
CHARTED = ("plain", "replaced, 1 in 8", "sentences shuffled", "base64")
TITLES = {
    "writings": "Written differently",
    "edits": "Edited",
    "splices": "In pieces",
    "encodings": "Encoded",
    "containers": "Among other signs",
    "attacks": "What an attacker thinks of next",
}

_CHECKS = {
    "search": "one search in the index, which finds edited copies as well: string to findings",
    "verbatim": "a check of the text as it stands by that search: string to verdict",
    "disguises": "the same check with views",
    "passages": "the same check with views and passages",
    "default": "all of the default policy",
    "default, --passages": "all of the default policy, with passages",
}

Results = dict[str, Any]
Cells = dict[tuple[str, int, str], dict[str, Any]]


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def interval(hits: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson 1934)."""
    low = _share(hits - 1, trials, 0.975) if hits else 0.0
    high = _share(hits, trials, 0.025) if hits < trials else 1.0
    return low, high


def _share(most: int, trials: int, chance: float) -> float:
    """The share at which `most` hits or fewer of so many trials have this chance."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if _at_most(most, trials, middle) > chance:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(most: int, trials: int, share: float) -> float:
    whole = math.lgamma(trials + 1)
    return sum(
        math.exp(
            whole
            - math.lgamma(hits + 1)
            - math.lgamma(trials - hits + 1)
            + hits * math.log(share)
            + (trials - hits) * math.log1p(-share)
        )
        for hits in range(most + 1)
    )


def _cells(results: Results) -> Cells:
    return {(c["way"], c["words"], c["program"]): c for c in results["cells"]}


def _programs(results: Results) -> list[str]:
    """Ours first."""
    names = dict.fromkeys(c["program"] for c in results["cells"])
    return sorted(names, key=lambda name: (name != OURS, name != WITH_PASSAGES))


def _shares(flagged: dict[str, int], answers: int) -> str:
    def one(name: str, hits: int) -> str:
        low, high = interval(hits, answers)
        return f"{name} {hits} ({percent(hits / answers)} [{percent(low)}, {percent(high)}])"

    return ", ".join(one(*item) for item in flagged.items()) or "none"


def document(results: Results) -> str:
    run, cells, programs = results["run"], _cells(results), _programs(results)
    sizes = ", ".join(f"{mb:.0f} MB of index for {name}" for name, mb in run["index_mb"].items())
    parts = [
        "# Evasion\n\nWritten by `scripts/bench_evasion.py`. Passages of "
        f"{' and '.join(run['corpora'])} ({run['corpus_mb']:.0f} MB; {sizes}), "
        f"{run['passages']} for each figure where it or its column says no other number, are "
        "planted in real answers of language models and checked with the default policy. *Found*: "
        "the verdict "
        "is not `allow`, and at least half of the signs in which the passage was written are gone "
        "from `verdict.text`. In brackets: the exact 95 % interval (Clopper and Pearson). "
        "*Noticed*: the verdict is not `allow`. *Recall*: the share of leaked signs that are gone; "
        "*precision*: the share of what is gone that was leaked, where a refusal takes the whole "
        "response. All figures are per cent. Other programs find a passage where their spans cover "
        "half of it."
    ]
    clean = results.get("clean", {})
    if "by_kind" in clean:
        answers = clean["answers"]
        parts += [
            f"Clean answers flagged, of {answers:,}: "
            f"{_shares({name: clean['flagged'][name] for name in programs}, answers)}.",
            "Of the guardrail's, by what was found: "
            f"{_shares(clean['by_layer'], answers)}; by kind: "
            f"{_shares(clean['by_kind'], answers)}; by the corpus that was quoted: "
            f"{_shares(clean['by_corpus'], answers)}.",
        ]
    if times := results.get("latency"):
        rows = [
            (what, f"{times[name]:.0f}", f"{times[name] / times['verbatim']:.2f}")
            for name, what in _CHECKS.items()
            if name in times
        ]
        columns = ["clean response of 2 KB", "median µs", "times"]
        parts.append("## Time\n\n" + table(columns, rows))

    def head(name: str) -> str:
        hits = clean.get("flagged", {}).get(name)
        about = [] if hits is None else [f"{percent(hits / clean['answers'])} % of clean"]
        most = max(c["passages"] for c in results["cells"] if c["program"] == name)
        if most < run["passages"]:
            about.append(f"{most} passages")
        return f"{name} ({'; '.join(about)})" if about else name

    for group, title in TITLES.items():
        rows = []
        for way in GROUPS[group]:
            ours = cells.get((way, WORDS, OURS))
            if ours is None:
                continue
            others = (cells.get((way, WORDS, name)) for name in programs if name != OURS)
            rows.append(
                (
                    way,
                    percent(AIMS.get(way)),
                    f"{percent(ours['found'])} [{percent(ours['low'])}, {percent(ours['high'])}]"
                    + (f" of {ours['passages']}" if ours["passages"] < run["passages"] else ""),
                    percent(ours["noticed"]),
                    percent(ours["recall"]),
                    percent(ours["precision"]),
                    *(percent(cell["found"]) if cell else "" for cell in others),
                )
            )
        if rows:
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


def _by_length(cells: Cells) -> list[tuple[str, ...]]:
    rows = []
    for _, way in BY_LENGTH:
        found = [cells.get((way, words, OURS)) for words in LENGTHS]
        if all(found):
            rows.append((way, *(percent(cell["found"]) for cell in found if cell)))
    return rows


def charts(results: Results, folder: Path) -> None:
    cells = {place: cell["found"] for place, cell in _cells(results).items()}
    # Deny lists find what is plain, and nothing of what the charts show.
    programs = [name for name in _programs(results) if "deny list" not in name]

    def panel(places: Sequence[tuple[str, int]]) -> Series:
        lines = {n: [cells.get((way, words, n)) for way, words in places] for n in programs}
        return {n: line for n, line in lines.items() if any(v is not None for v in line)}

    edits = {
        edit: panel([(f"{edit}, 1 in {rate}", WORDS) for rate in RATES])
        for edit in ("replaced", "dropped", "inserted", "moved")
    }
    line_charts(
        folder / "evasion-edits.svg",
        edits,
        [str(r) for r in RATES],
        "one word in so many; 60 words",
    )
    lengths = {way: panel([(way, words) for words in LENGTHS]) for way in CHARTED}
    line_charts(
        folder / "evasion-lengths.svg", lengths, [str(n) for n in LENGTHS], "words of the passage"
    )
