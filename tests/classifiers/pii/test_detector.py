"""The detector: levels, failures, what the user wrote, lists, Presidio's files, no network."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guardrail import Action, Context, Guardrail
from guardrail.classifiers.hits import Hit
from guardrail.classifiers.pii.detector import PiiDetector
from guardrail.classifiers.pii.entities import refine
from guardrail.classifiers.pii.pool import AnalyzerPool, split
from guardrail.detector import EMPTY_CONTEXT, Unfinished
from guardrail.errors import DetectorError, UsageError
from guardrail.policy_file import parse_policy
from guardrail.text import canonicalise

TEXT = "Elena Fischer of Malmö, SSN 460-89-9847, met Omar Haddad in Boston. Haddad agreed."


def kinds(detector: PiiDetector, text: str, context: Context = EMPTY_CONTEXT) -> dict[str, str]:
    found = detector.scan(canonicalise(text), context)
    return {text[f.span.start : f.span.end]: f.kind for f in found}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was reached for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def full() -> Guardrail:
    return Guardrail.from_policy(
        parse_policy("version: 1\ndetectors: {pii: {type: pii, level: full}}\nrules: []")
    )


def test_named_entities_are_found_wherever_they_stand(full: Guardrail) -> None:
    found = [(TEXT[f.span.start : f.span.end], f.kind) for f in full.check(TEXT).findings]
    assert ("Omar Haddad", "person") in found
    assert ("Haddad", "person") in found
    assert ("Boston", "location") in found
    assert ("460-89-9847", "us_ssn") in found


def test_patterns_run_without_a_model_or_presidio() -> None:
    program = (
        "import sys\n"
        "from guardrail import Guardrail\n"
        "g = Guardrail.from_policy()\n"
        f"print(g.check({TEXT!r}).text)\n"
        "assert not {'spacy', 'presidio_analyzer', 'presidio_anonymizer'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "460-89-9847" not in done.stdout
    assert "Boston" in done.stdout


class Slow:
    """An analyzer that answers when it is let go, or breaks."""

    kinds = frozenset(("person",))

    def __init__(self, held: threading.Event | None = None, broken: bool = False) -> None:
        self.held, self.broken, self.calls = held, broken, 0

    def scan(self, segments: list[str]) -> Iterable[list[Hit]]:
        self.calls += 1
        if self.calls > 1:
            if self.held is not None:
                self.held.wait()
            if self.broken:
                raise DetectorError("a pattern ran too long")
        return [[] for _ in segments]


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What a slow analyzer waits for: no test of patience depends on the machine's speed."""
    event = threading.Event()
    yield event
    event.set()


def test_a_model_that_is_late_is_a_failure_and_patterns_still_count(held: threading.Event) -> None:
    detector = PiiDetector("pii", AnalyzerPool(lambda: Slow(held), 1, timeout=0.05))
    with pytest.raises(Unfinished, match=r"within 0\.05 seconds") as caught:
        detector.scan(canonicalise(TEXT), EMPTY_CONTEXT)
    assert "us_ssn" in {finding.kind for finding in caught.value.findings}
    verdict = Guardrail(
        parse_policy("version: 1\nfailure: flag\nrules: [{name: a, action: redact}]"), [detector]
    ).check(TEXT)
    assert verdict.failures[0].covered == 0.0
    assert verdict.action is Action.REDACT
    assert "460-89-9847" not in verdict.text


def test_a_model_that_fails_is_a_failure() -> None:
    detector = PiiDetector("pii", AnalyzerPool(lambda: Slow(broken=True), 1, timeout=5))
    with pytest.raises(Unfinished, match="ran too long"):
        detector.scan(canonicalise(TEXT), EMPTY_CONTEXT)


def test_too_many_that_wait_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, held: threading.Event
) -> None:
    monkeypatch.setattr("guardrail.classifiers.pii.pool.QUEUE", 0)
    pool = AnalyzerPool(lambda: Slow(held), 1, timeout=0.05)
    with pytest.raises(DetectorError, match="within"):
        pool.scan("a", None)
    with pytest.raises(DetectorError, match="too many texts wait"):
        pool.scan("b", None)


def test_a_deadline_counts_before_the_timeout(held: threading.Event) -> None:
    pool = AnalyzerPool(lambda: Slow(held), 1, timeout=3600)
    with pytest.raises(DetectorError):
        pool.scan("a", time.monotonic() + 0.05)


def test_a_model_is_not_asked_for_kinds_that_nobody_wants() -> None:
    slow = Slow(broken=True)
    detector = PiiDetector("pii", AnalyzerPool(lambda: slow, 1, timeout=5), kinds=["us_ssn"])
    assert kinds(detector, TEXT) == {"460-89-9847": "us_ssn"}


def test_what_the_user_wrote_is_told_from_the_rest() -> None:
    policy = parse_policy(
        "version: 1\ndetectors: {pii: {type: pii}}\nrules:\n"
        "  - {name: mine, when: {in_prompt: true}, action: allow}\n"
        "  - {name: all, action: redact}\n"
    )
    text = "Yours is 460 89 9847 and hers 514-69-0360; ssn both."
    verdict = Guardrail.from_policy(policy).check(text, prompt="my ssn is 460-89-9847.")
    assert verdict.text == "Yours is 460 89 9847 and hers [REDACTED]; ssn both."
    # A longer number that holds it is not the number.
    longer = Guardrail.from_policy(policy).check(text, prompt="my ssn is 1460-89-98470.")
    assert "460" not in longer.text


def test_ways_to_reach_somebody_may_be_repeated_and_numbers_may_not() -> None:
    rail = Guardrail.from_policy(indexes=[])
    letter = "Write to mira@thornbury.org or 412 Thornbury Ave, and give ssn 460-89-9847."
    verdict = rail.check(letter, prompt="Ask Mira (mira@thornbury.org, ssn 460-89-9847) to write.")
    assert verdict.text == "Write to mira@thornbury.org or [REDACTED], and give ssn [REDACTED]."


@pytest.mark.parametrize("name", ["prof.yourlastname", "your_email_address", "info", "jane.doe1"])
def test_a_mailbox_of_nobody_in_particular_is_let_through(name: str) -> None:
    rail = Guardrail.from_policy(indexes=[])
    assert rail.check(f"Write to {name}@thornbury.org.").action is Action.ALLOW
    assert rail.check(f"Write to mira.{name[:3]}@thornbury.org.").action is not Action.ALLOW


def test_allow_lists_are_exact_or_expressions() -> None:
    ssn = "460-89-9847"
    assert kinds(PiiDetector("pii", allow_list=[ssn]), f"ssn {ssn}") == {}
    assert kinds(PiiDetector("pii", allow_list=["460"]), f"ssn {ssn}") == {ssn: "us_ssn"}
    form = PiiDetector("pii", allow_list=[r"460-\d\d-\d+"], allow_list_match="regex")
    assert kinds(form, f"ssn {ssn}") == {}
    with pytest.raises(UsageError, match="allow_list"):
        PiiDetector("pii", allow_list=["("], allow_list_match="regex")


RECOGNIZERS = r"""
recognizers:
  - name: "Zip code Recognizer"
    supported_language: "en"
    patterns:
      - {name: "zip code (weak)", regex: "(\\b\\d{5}(?:\\-\\d{4})?\\b)", score: 0.01}
    context: [zip, code]
    supported_entity: "ZIP"
  - name: "Titles recognizer"
    supported_language: "en"
    supported_entity: "TITLE"
    deny_list: [Mr., Mrs.]
"""
REGISTRY = r"""
supported_languages: [en]
global_regex_flags: 26
recognizers:
  - name: EmailRecognizer
    type: predefined
  - name: ProjectRecognizer
    type: custom
    supported_languages: [{language: en}]
    supported_entity: PROJECT
    patterns: [{name: project, regex: 'PRJ-\d{4}', score: 0.8}]
"""


def custom(tmp_path: Path, recognizers: str) -> Guardrail:
    (tmp_path / "recognizers.yaml").write_text(recognizers)
    policy = "version: 1\ndetectors: {pii: {type: pii, recognizers: recognizers.yaml}}\nrules: []"
    return Guardrail.from_policy(parse_policy(policy, base=tmp_path))


def test_recognizers_of_presidio_are_taken_as_they_are(tmp_path: Path) -> None:
    rail = custom(tmp_path, RECOGNIZERS)
    text = "Mr. Plum, my zip code is 90210."
    found = {(f.kind, f.span.start) for f in rail.check(text).findings}
    assert ("title", 0) in found
    assert ("zip", text.index("90210")) in found
    # Without a word near it, the weak pattern stays below the lowest score.
    assert rail.check("There were 90210 of them.").findings == ()


def test_a_registry_of_presidio_is_taken_as_it_is(tmp_path: Path) -> None:
    rail = custom(tmp_path, REGISTRY)
    found = {f.kind for f in rail.check("PRJ-1234 by anna@nordpost.se").findings}
    assert {"project", "email_address"} <= found


@pytest.mark.parametrize(
    "content", ["", "recognizers: 5", "recognizers: [{name: x}]", "a: [", "recognizers: ['x']"]
)
def test_a_file_that_is_no_registry_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match=r"recognizers\.yaml"):
        custom(tmp_path, content)


def test_an_expression_that_takes_too_long_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guardrail.classifiers.pii.presidio.REGEX_SECONDS", 0.05)
    rail = custom(
        tmp_path,
        "recognizers:\n  - {name: bad, supported_language: en, supported_entity: BAD,\n"
        "     patterns: [{name: bad, regex: '(a|aa)+$', score: 0.9}]}\n",
    )
    verdict = rail.check("a" * 60 + "!")
    assert "ran for more than 0.05 seconds" in verdict.failures[0].reason
    assert verdict.action is Action.REFUSE


def test_a_model_that_is_not_there_is_an_error_and_no_download() -> None:
    policy = "version: 1\ndetectors: {pii: {type: pii, level: full, model: xx_none}}\nrules: []"
    with pytest.raises(UsageError, match="neither installed nor a folder"):
        Guardrail.from_policy(parse_policy(policy))


def test_segments_cover_a_text_and_are_short() -> None:
    text = "A sentence here. Another\n\none. " * 999 + "x" * 9000
    pieces = list(split(text, 1000))
    assert "".join(text[start:end] for start, end in pieces) == text
    assert max(end - start for start, end in pieces) <= 1000


def test_a_number_is_not_a_date_because_a_model_says_so() -> None:
    text = "card 4111111111111111 of 2019"
    known = [Hit(5, 21, 0.9, "credit_card", "credit_card")]
    named = [Hit(0, 21, 0.6, "date_time", "m"), Hit(5, 21, 0.6, "date_time", "m")]
    assert refine(text, named, known) == []


def resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


@pytest.mark.slow
def test_memory_is_steady_over_100_000_checks() -> None:
    rail = Guardrail.from_policy()

    def check(first: int, last: int) -> None:
        for number in range(first, last):
            rail.check(
                f"Zork{number} of {number % 900} Main Road, SSN 460-89-{number % 9000 + 1000}, "
                f"key{number * 7919} = {number:032x}, call 0151 2{number % 1000:03} "
                f"{number % 9973:04}"
            )

    check(0, 2000)
    before = resident()
    check(2000, 102_000)
    grown = resident() - before
    print(f"100,000 checks by rules: {grown:.1f} MB")
    assert grown < 8


@pytest.mark.slow
def test_what_a_model_learns_of_a_text_is_forgotten(full: Guardrail) -> None:
    """40 new words a check: about 60 MB where spaCy keeps them."""

    def check(first: int, last: int) -> None:
        for number in range(first, last):
            names = " ".join(f"Vel{number * 7919 + word}berg" for word in range(40))
            full.check(f"Zork{number} met {names} in Town{number}.")

    check(0, 300)
    before = resident()
    check(300, 1800)
    grown = resident() - before
    print(f"1,500 checks with a model, 60,000 new words: {grown:.1f} MB")
    assert grown < 15
