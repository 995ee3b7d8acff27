#!/usr/bin/env python3
"""Measure what a public background excuses, and write docs/benchmarks/background.md.

    python scripts/bench_background.py --corpus corpus.jsonl --clinic clinic.jsonl.gz
                                       --answers answers.jsonl.gz [--work FOLDER]

CORPUS is what scripts/make_debian_corpus.py writes; every eighth document is the private corpus,
the next of every eight the public background. CLINIC are dialogues, a private corpus of another
kind; ANSWERS clean texts; both JSON Lines with a field "text". Told are clean answers that are
redacted, by the threshold of the policy, and planted passages of the private corpora that are not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from guardrail import Action, Guardrail  # noqa: E402
from guardrail.indexes.build import build  # noqa: E402
from guardrail.keys import PUBLIC_KEY, Key, new_key  # noqa: E402
from guardrail.policy_file import parse_policy  # noqa: E402

TARGET = ROOT / "docs" / "benchmarks" / "background.md"
THRESHOLDS = (27, 32, 40, 48)
WORDS = (15, 30, 60)
PASSAGES = 300
# Phrases of the package, public index, shortest run that excuses.
CASES = (
    ("nothing", False, False, 27),
    ("phrases of the package", True, False, 27),
    ("public index, from 27 units", False, True, 27),
    ("both, from 27 units", True, True, 27),
    ("both, from 32 units", True, True, 32),
    ("both, from 40 units", True, True, 40),
)


def rail(
    index: Path, public: Path | None, key: Key, least: int, builtin: bool, at: int
) -> Guardrail:
    policy = parse_policy(
        f"""
        version: 1
        rules:
        - {{name: long, when: {{kind: verbatim, min_length: {at}}}, action: redact}}
        - {{name: short, action: allow}}
        excuses: {{builtin: {str(builtin).lower()}, min_length: {least}}}
        """
    )
    background = [] if public is None else [public]
    return Guardrail.from_policy(policy, indexes=[index], background=background, key=key)


def texts(lines: Iterable[str]) -> list[str]:
    return [json.loads(line)["text"] for line in lines]


def passages(documents: list[str], words: int) -> list[str]:
    dice = random.Random(words)
    found: list[str] = []
    while len(found) < PASSAGES:
        document = dice.choice(documents).split()
        if len(document) >= words:
            start = dice.randrange(len(document) - words + 1)
            found.append(" ".join(document[start : start + words]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("corpus", "clinic", "answers"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    for name in ("corpus", "clinic", "answers"):
        if not getattr(arguments, name).exists():
            raise SystemExit(f"--{name}: {getattr(arguments, name)} is missing; nothing measured")
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        TARGET.write_text(measure(Path(folder), arguments), encoding="utf-8")
    sys.stdout.write(TARGET.read_text(encoding="utf-8"))


def measure(work: Path, arguments: argparse.Namespace) -> str:
    with gzip.open(arguments.answers, "rt", encoding="utf-8") as lines:
        answers = texts(lines)
    with gzip.open(arguments.clinic, "rt", encoding="utf-8") as lines:
        (work / "clinic.jsonl").write_text(lines.read(), encoding="utf-8")
    with (
        arguments.corpus.open(encoding="utf-8") as lines,
        (work / "private.jsonl").open("w", encoding="utf-8") as private,
        (work / "public.jsonl").open("w", encoding="utf-8") as public,
    ):
        for number, line in enumerate(lines):
            if number % 8 < 2:
                (public if number % 8 else private).write(line)
    key = new_key()
    for name in ("clinic", "private", "public"):
        used = PUBLIC_KEY if name == "public" else key
        build([str(work / f"{name}.jsonl")], work / name, used, jobs=1)
    text = (
        f"## Public background\n\n{len(answers):,} clean answers, and {PASSAGES} passages of each "
        "number of words from each private corpus. The public index is of other documents of the "
        "same kind as the documentation: much of a passage of that may be public indeed. Answers "
        "that are redacted, by `min_length` of the rule, and share of passages of which nothing "
        "is, at 48:\n"
    )
    for name, told in (("clinic", "Dialogues of a clinic"), ("private", "Documentation")):
        documents = texts((work / f"{name}.jsonl").open(encoding="utf-8"))
        planted = {words: passages(documents, words) for words in WORDS}
        head = [f"excused by, in {told}", *(f"answers, {at}" for at in THRESHOLDS)]
        head += [f"passages of {words} words" for words in WORDS]
        text += f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
        for case, builtin, use_public, least in CASES:
            row = [case]
            for at in THRESHOLDS:
                guardrail = rail(
                    work / name, work / "public" if use_public else None, key, least, builtin, at
                )
                redacted = sum(guardrail.check(answer).action > Action.ALLOW for answer in answers)
                row.append(str(redacted))
            for words in WORDS:
                missed = sum(guardrail.check(p).action is Action.ALLOW for p in planted[words])
                row.append(f"{missed / PASSAGES:.1%}")
            text += f"| {' | '.join(row)} |\n"
    return text


if __name__ == "__main__":
    main()
