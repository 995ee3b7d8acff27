#!/usr/bin/env python3
"""How many secrets are found, how many clean answers are flagged, and how fast.

    python scripts/bench_secrets.py --answers ANSWERS [--detect-secrets DIR] [--gitleaks DIR]
        [--trufflehog DIR] [--write docs/benchmarks/secrets.md] [--show]

ANSWERS: JSON Lines (or .gz) with a field "text" of clean answers of models. The folders are
checkouts of scanners, whose own test cases are then measured. detect-secrets runs beside, on the
same texts, line by line with all of its plugins. `--show` prints where clean answers are flagged.

Needs the extra `bench`. Times are the least of five passes in one thread.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from detect_secrets.core.scan import _process_line_based_plugins  # noqa: E402
from detect_secrets.settings import default_settings  # noqa: E402
from secret_cases import (  # noqa: E402
    Case,
    detect_secrets_cases,
    gitleaks_cases,
    trufflehog_cases,
)

from guardrail.classifiers.pii.rules import engine as pii_engine  # noqa: E402
from guardrail.classifiers.secrets import secrets_engine  # noqa: E402
from tests.cases.secrets import CLEAN, TEMPLATES, generated, structures  # noqa: E402

Finder = Callable[[str], bool]
SEEDS = range(100, 103)
TEXT_CHARS = 2048
PASSES = 5


def ours(text: str) -> bool:
    return bool(secrets_engine().scan(text))


def certain(text: str) -> bool:
    """Without what only looks random, which the default policy does not redact."""
    return any(hit.kind != "high-entropy" for hit in secrets_engine().scan(text))


def detect_secrets(text: str) -> bool:
    # What it does with the lines of a file; `scan_line` takes any word for a secret.
    lines = list(enumerate(text.splitlines(), 1))
    return any(True for _ in _process_line_based_plugins(lines, "text"))


FINDERS: dict[str, Finder] = {
    "this project": ours,
    "without `high-entropy`": certain,
    "detect-secrets": detect_secrets,
}


def share(cases: Sequence[Case], find: Finder) -> str:
    hits = sum(find(text) for _, text, _ in cases)
    return f"{hits:,} of {len(cases):,} ({hits / max(1, len(cases)):.1%})"


def least_time(find: Callable[[str], object], texts: Sequence[str]) -> float:
    """Milliseconds a text."""
    best = float("inf")
    for _ in range(PASSES):
        began = time.perf_counter()
        for text in texts:
            find(text)
        best = min(best, time.perf_counter() - began)
    return best / len(texts) * 1e3


def both(text: str) -> None:
    pii_engine().scan(text)
    secrets_engine().scan(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path, required=True)
    for scanner in ("detect-secrets", "gitleaks", "trufflehog"):
        parser.add_argument(f"--{scanner}", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    if not options.answers.exists():
        sys.exit(f"{options.answers} is missing: name a file of answers with --answers")
    opener = gzip.open if options.answers.suffix == ".gz" else open
    with opener(options.answers, "rt", encoding="utf-8") as file:
        answers = [json.loads(line)["text"] for line in file]

    sets: list[tuple[str, list[Case]]] = [
        (
            f"keys of {len({kind for kind, _ in TEMPLATES})} kinds, in 4 surroundings, 3 seeds",
            [(case.kind or "", case.text, True) for seed in SEEDS for case in generated(seed)],
        ),
        (
            "private keys, tokens, connection strings, configuration",
            [(c.kind or "", c.text, True) for seed in SEEDS for c in structures(seed)],
        ),
        ("examples, code and prose", [("", text, False) for text in CLEAN]),
        ("clean answers", [("", text, False) for text in answers]),
    ]
    readers = (
        ("detect-secrets", options.detect_secrets, detect_secrets_cases),
        ("gitleaks", options.gitleaks, gitleaks_cases),
        ("trufflehog", options.trufflehog, trufflehog_cases),
    )
    for name, folder, read in readers:
        if folder is None:
            print(f"the cases of {name} are left out: name a checkout with --{name}")
            continue
        cases = read(folder)
        for flag, what in ((True, "to be found"), (False, "not to be found")):
            some = [case for case in cases if case[2] is flag]
            sets.append((f"cases of {name}, {what}", some))
            unique = list({text: case for case in some for text in [case[1]]}.values())
            if flag and len(unique) < len(some):
                sets.append(("the same, each text once", unique))

    lines = [
        "| texts | flagged by " + " | ".join(FINDERS) + " |",
        "|---" * (1 + len(FINDERS)) + "|",
    ]
    with default_settings():
        for name, cases in sets:
            shares = [share(cases, find) for find in FINDERS.values()]
            lines.append(f"| {name} | " + " | ".join(shares) + " |")
            print(lines[-1], flush=True)
        texts = [text[:TEXT_CHARS] for text in answers if len(text) >= TEXT_CHARS][:200]
        times = {
            "secrets": least_time(secrets_engine().scan, texts),
            "personal data by rules and secrets": least_time(both, texts),
            "detect-secrets": least_time(detect_secrets, texts[:50]),
        }
    lines += ["", f"Milliseconds for {TEXT_CHARS:,} characters of answers, one thread:", ""]
    lines += ["| | ms |", "|---|---|", *(f"| {n} | {t:.2f} |" for n, t in times.items())]
    print("\n".join(lines[-5:]))
    if options.show:
        for text in answers:
            for hit in secrets_engine().scan(text):
                print(f"{hit.rule}: {text[max(0, hit.start - 60) : hit.end + 20]!r}")
    if options.write is not None:
        head = (
            "# Secrets\n\nMade by `scripts/bench_secrets.py`; what it means: docs/secrets.md.\n\n"
        )
        options.write.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
