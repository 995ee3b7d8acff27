"""Planted spans in streams that are cut at random, for bench_stream.py.

The policy masks what it redacts with one sign a character, so that what is let go stands where it
stood: a character leaks where a check of the whole masks it within the planted span, and a stream
does not.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from guardrail import Action, Guardrail
from guardrail.findings import Finding, Span
from guardrail.indexes.build import DEFAULT_GRID, build
from guardrail.indexes.records import RecordRule, RecordRules
from guardrail.keys import Key
from guardrail.policy import Policy
from guardrail.policy_file import default_policy, parse_policy
from guardrail.text import CanonicalText
from tests.cases.disguises import DISGUISES, HIDDEN
from tests.cases.evasions import GROUPS, Material
from tests.cases.pii import CASES as PII
from tests.cases.secrets import TEMPLATES, fill

KEY = Key(bytes(range(32)))
MASK = "█"
PHRASE = "Project Quiet Harbour"
ACCOUNT = "AC-7741-9920-XK"
ACCOUNTS = RecordRules((RecordRule("account", pattern=r"account (AC-[\d-]+-[A-Z]{2})"),))
WORDS = 60  # of a planted passage
REFUSING = """
version: 1
rules:
  - {name: long, when: {kind: verbatim, min_length: 48}, action: refuse}
  - {name: near, when: {kind: near-verbatim, min_length: 58}, action: refuse}
  - {name: rest, action: allow}
"""
Planting = tuple[str, int, int]  # a text, and where what was planted in it starts and ends


class Pattern:
    """A detector with a window."""

    name, window = "pattern", 64

    def scan(self, text: CanonicalText, context: Any) -> list[Finding]:
        found = re.finditer(r"\bsk-[A-Za-z0-9]{20,40}\b", text.raw)
        return [Finding(self.name, "key", Span(*match.span())) for match in found]


class Names:
    """A detector of sentences, in the place of named entities."""

    name, window = "names", None

    def scan(self, text: CanonicalText, context: Any) -> list[Finding]:
        found = re.finditer("Ottilie Brandt", text.raw)
        return [Finding(self.name, "name", Span(*match.span())) for match in found]


def masking() -> Policy:
    """The built-in policy with masks."""
    given = default_policy().model_dump(mode="json", by_alias=True, exclude_none=True)
    return Policy.model_validate({**given, "redaction": {"style": "mask"}})


def make_corpus(folder: Path, texts: list[str]) -> None:
    texts = [*texts, f"Pay into account {ACCOUNT} by the end of the month."]
    rows = [json.dumps({"id": str(n), "text": text}) for n, text in enumerate(texts)]
    (folder / "notes.jsonl").write_text("\n".join(rows))
    source = str(folder / "notes.jsonl")
    build([source], folder / "index", KEY, phrases=[PHRASE], jobs=1)
    grid = replace(DEFAULT_GRID, passages=True)
    build([source], folder / "everything", KEY, grid=grid, records=[ACCOUNTS], jobs=1)


@dataclass
class Field:
    """What plantings are made of, and the guardrails that they are streamed through."""

    corpus: list[str]
    clean: list[str]
    rails: dict[str, Guardrail]

    @classmethod
    def of(cls, folder: Path, corpus: list[str], clean: list[str]) -> Field:
        rail = Guardrail.from_policy(masking(), indexes=[folder / "index"], key=KEY)
        refusing = parse_policy(REFUSING)
        one = parse_policy(
            "version: 1\nrules: [{name: a, action: redact}]\nredaction: {style: mask}"
        )
        rails = {
            "default": rail,
            "everything": Guardrail.from_policy(
                masking(), indexes=[folder / "everything"], key=KEY
            ),
            "refused": Guardrail.from_policy(refusing, indexes=[folder / "index"], key=KEY),
            "window": Guardrail(one, [Pattern()]),
            "sentences": Guardrail(one, [Names()]),
        }
        return cls(corpus, clean, rails)

    def passage(self, rng: random.Random) -> str:
        """60 words of the corpus."""
        long = [text for text in self.corpus if len(text) > 8 * WORDS]
        words: list[str] = []
        while len(words) <= WORDS:
            words = rng.choice(long).split()
        start = rng.randrange(len(words) - WORDS)
        return " ".join(words[start : start + WORDS])

    def planted(self, span: str, rng: random.Random) -> Planting:
        """A span in clean text, at any place."""
        before, after = (rng.choice(self.clean)[: rng.randint(0, 300)] for _ in range(2))
        before += rng.choice([" ", "\n", "\n\n"]) if before else ""
        text = f"{before}{span}{rng.choice([' ', '. ', chr(10) * 2])}{after}"
        return text, len(before), len(before) + len(span)


Maker = Callable[[Field, random.Random], str]


def kinds() -> dict[str, tuple[str, Maker]]:
    """What is planted, by name: the guardrail that it is streamed through, and what makes it."""
    made: dict[str, tuple[str, Maker]] = {}

    def way(change: Any) -> Maker:
        def plant(field: Field, rng: random.Random) -> str:
            words = [word for text in field.corpus[:5] for word in text.split()]
            filler = [word for text in field.clean[:20] for word in text.split()]
            parts = change(field.passage(rng), Material(rng, words, filler))
            return "".join(part for part, _ in parts)

        return plant

    def disguised(change: Callable[[str], str]) -> Maker:
        return lambda field, rng: change(field.passage(rng))

    for name, change in DISGUISES.items():
        made[f"verbatim: {name}"] = "default", disguised(change)
    made["verbatim, refused"] = "refused", disguised(lambda text: text)
    for group, ways in GROUPS.items():
        for name, edit in ways.items():
            made[f"{group}: {name}"] = "default", way(edit)
    made["edits, refused"] = "refused", way(GROUPS["edits"]["replaced, 1 in 6"])
    for name, change in HIDDEN.items():
        if not name.startswith("shifted by ") or name.endswith("3"):
            made[f"views: {name}"] = "default", disguised(change)
    made["phrases"] = "default", lambda field, rng: PHRASE
    made["records"] = "everything", lambda field, rng: f"Her account is {ACCOUNT}, I believe."
    for group, name in (("splices", "words shuffled"), ("edits", "moved, 1 in 4")):
        made[f"passages: {name}"] = "everything", way(GROUPS[group][name])
    made["personal data"] = "default", lambda field, rng: rng.choice(PII).text
    made["secrets"] = (
        "default",
        lambda field, rng: f"The key: {fill(rng.choice(TEMPLATES)[1], rng)}",
    )
    made["a detector with a window"] = "window", lambda field, rng: "sk-Zx81kfTT20pQw9Lm3RtV"
    made["a detector of sentences"] = "sentences", lambda field, rng: "Ottilie Brandt"
    return made


def cut(text: str, rng: random.Random) -> Iterator[str]:
    """The text in pieces of random lengths: of one character, of tokens, of lines."""
    (longest,) = rng.choices((1, 5, 12, 40, 300), (1, 3, 6, 6, 6))
    at = 0
    while at < len(text):
        size = rng.randint(1, longest)
        yield text[at : at + size]
        at += size


def leaked(planting: Planting, want: str, out: str) -> int:
    """The characters of a planted span that came out, and that a check masks."""
    text, start, end = planting
    if len(want) == len(text):
        places = [at for at in range(start, end) if want[at] == MASK != text[at]]
        return sum(at < len(out) and out[at] == text[at] for at in places)
    # Refused: `want` is what may come out before.
    same = next((n for n, (a, b) in enumerate(zip(out, text, strict=False)) if a != b), len(out))
    return max(0, same - len(want))


def expected(rail: Guardrail, text: str) -> str | None:
    """What a check makes of a text; of one that is refused, what stands before the first finding
    that acts. None: it passes."""
    verdict = rail.check(text)
    if verdict.action is Action.REFUSE:
        acting = [f.span.start for f in verdict.findings if f.action >= Action.REDACT]
        return text[: min(acting, default=0)]
    return verdict.text if verdict.action is Action.REDACT else None


Row = dict[str, Any]
_field: Field


def _begin(folder: Path, corpus: list[str], clean: list[str]) -> None:
    global _field
    _field = Field.of(folder, corpus, clean)


def _measure(name: str, plantings: int, chunkings: int, pace: str) -> Row:
    rail_name, maker = kinds()[name]
    rail = _field.rails[rail_name]
    rng = random.Random(name)
    row: Row = {"name": name, "found": 0, "chunkings": 0, "unlike": 0, "leaked": 0, "leaking": 0}
    for _ in range(plantings):
        planting = _field.planted(maker(_field, rng), rng)
        want = expected(rail, planting[0])
        if want is None:
            continue
        outs = []
        for _ in range(chunkings):
            stream = rail.open_stream(pace=pace, announce=False)  # type: ignore[arg-type]
            chunks = cut(planting[0], rng)
            outs.append("".join([*map(stream.feed, chunks), stream.flush()]))
        lost = max(leaked(planting, want, out) for out in outs)
        row["found"] += 1
        row["chunkings"] += chunkings
        row["unlike"] += len(set(outs)) - 1
        row["leaked"] += lost
        row["leaking"] += lost > 0
    return row


def measure(
    folder: Path, corpus: list[str], clean: list[str], total: int, pace: str, jobs: int,
    only: str = "",
) -> list[Row]:  # fmt: skip
    """A row for each kind: plantings that a check acts on, chunkings, texts that differ between
    chunkings, characters leaked, and by how many plantings."""
    names = [name for name in kinds() if only in name]
    each = max(1, round((total / len(names)) ** 0.5))
    with ProcessPoolExecutor(jobs, initializer=_begin, initargs=(folder, corpus, clean)) as pool:
        asked = [pool.submit(_measure, name, each + each // 4, each, pace) for name in names]
        return [one.result() for one in asked]
