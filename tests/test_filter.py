"""The filter and the library around it: verdicts, failures, redaction that holds, threads."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import guardrail
from guardrail import Action, Context, Finding, Guardrail, Policy, Span
from guardrail.errors import GuardrailError, IndexMissingError, SecretKeyError, UsageError
from guardrail.filter import Filter
from guardrail.indexes.build import build
from guardrail.indexes.readers import ReadOptions
from guardrail.keys import Key, new_key, write_key
from guardrail.policy_file import default_policy, parse_policy
from guardrail.text import CanonicalText
from tests.cases.disguises import DISGUISES

SECRET = (
    "Mrs Abigail Thornbury was admitted on the ninth of March with acute renal failure and was "
    "given furosemide before her transfer to the intensive care unit of Saint Columba hospital."
)
OTHER = (
    "The buyer shall pay the sum of nine hundred thousand euros in three equal instalments, the "
    "first of which falls due when this contract is signed by both of the parties named above."
)
CLEAN = "Here is a recipe for pancakes: mix flour, milk and two eggs, then fry them in butter."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key, an index of two documents, and a phrase in it."""
    folder = tmp_path_factory.mktemp("corpus")
    records = [{"id": "note-1", "text": SECRET}, {"id": "contract-1", "text": OTHER}]
    (folder / "docs.jsonl").write_text("\n".join(map(json.dumps, records)))
    key = Key(bytes(range(32)))  # a fixed one: by how much a match runs on depends on it
    write_key(folder / "key", key)
    build(
        [str(folder / "docs.jsonl")],
        folder / "index",
        key,
        options=ReadOptions(collection="ward", labels=("confidential",)),
        phrases=["Project Nightjar"],
        jobs=1,
    )
    return folder


@pytest.fixture(scope="module")
def rail(corpus: Path) -> Guardrail:
    return Guardrail.from_policy(indexes=[corpus / "index"], key=corpus / "key")


def test_clean_text_passes_untouched(rail: Guardrail) -> None:
    verdict = rail.check(CLEAN)
    assert verdict.action is Action.ALLOW
    assert verdict.text == CLEAN
    assert verdict.findings == ()
    assert verdict.coverage == dict.fromkeys(("pii", "secrets", "overlap", "phrases"), 1.0)
    assert verdict.timings["total"] > 0


def test_a_leak_is_redacted_with_its_evidence(rail: Guardrail) -> None:
    response = f"Of course! {SECRET} Anything else?"
    verdict = rail.check(response)
    assert verdict.action is Action.REDACT
    assert verdict.text == "Of course! [REDACTED]. Anything else?"
    (finding,) = verdict.findings
    assert finding.detector == "overlap"
    assert finding.kind == "verbatim"
    assert response[finding.span.start : finding.span.end] == SECRET.rstrip(".")
    evidence = finding.evidence
    assert (evidence.document, evidence.collection) == ("note-1", "ward")
    assert evidence.labels == ("confidential",)
    assert evidence.corpus_start == 0
    assert evidence.corpus_end in range(len(SECRET) - 12, len(SECRET) + 1)
    assert evidence.index == "index"


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_a_disguised_leak_leaves_nothing_behind(
    rail: Guardrail, disguise: Callable[[str], str]
) -> None:
    verdict = rail.check(f"{CLEAN}\n\n{disguise(SECRET)}\n\n{CLEAN}")
    assert verdict.action is Action.REDACT
    assert verdict.text.startswith(CLEAN)
    assert verdict.text.endswith(CLEAN)
    between = verdict.text.removeprefix(CLEAN).removesuffix(CLEAN)
    assert sum(char.isalnum() for char in between.replace("REDACTED", "")) == 0


def test_every_leak_is_redacted_and_not_the_first(rail: Guardrail) -> None:
    verdict = rail.check(f"{SECRET}\n{OTHER}\n{SECRET.upper()}")
    assert len(verdict.findings) == 3
    assert "[REDACTED]" in verdict.text
    for word in ("Thornbury", "THORNBURY", "instalments"):
        assert word not in verdict.text


def test_phrases_stored_with_the_index(rail: Guardrail) -> None:
    verdict = rail.check("Next week PROJECT-NIGHTJAR starts, unlike project nightjars.")
    assert verdict.text == "Next week [REDACTED] starts, unlike project nightjars."
    assert verdict.findings[0].kind == "phrase"


def test_redacted_json_stays_json(rail: Guardrail) -> None:
    response = json.dumps({"a": [1, SECRET], "b": {"note": f"x\n{OTHER}\ty"}, "c": CLEAN})
    verdict = rail.check(response)
    assert verdict.action is Action.REDACT
    value = json.loads(verdict.text)
    assert value["c"] == CLEAN
    assert "Thornbury" not in verdict.text


def test_a_leak_that_meets_over_a_removed_span_is_refused(corpus: Path) -> None:
    """Two halves too short to count, with a leak between them that is taken out: what is left
    would be one leak. (Left to itself, the chain of the two halves is redacted.)"""
    text = """
version: 1
rules:
  - {name: edited, when: {kind: near-verbatim}, action: allow}
  - {name: long, when: {min_length: 48}, action: redact}
  - {name: rest, when: {}, action: allow}
redaction: {style: remove}
"""
    removing = Guardrail.from_policy(
        parse_policy(text), indexes=[corpus / "index"], key=corpus / "key"
    )
    refused = 0
    for cut in range(20, 45):
        first, second = SECRET[:cut], SECRET[cut : cut + 50]
        assert removing.check(first).action is Action.ALLOW
        assert removing.check(second).action is Action.ALLOW
        verdict = removing.check(f"{first} {OTHER} {second}")
        assert removing.check(verdict.text).action is Action.ALLOW
        refused += verdict.text == removing.policy.refusal
    # Not always: a match may run on by chance and take the first word after it along.
    assert refused > 10


def test_what_is_sent_is_clean_when_checked_again(rail: Guardrail) -> None:
    for disguise in DISGUISES.values():
        for text in (SECRET, OTHER, f"{OTHER[:90]} {SECRET[20:]}", f"a {SECRET[:70]} b"):
            sent = rail.check(disguise(text)).text
            assert rail.check(sent).action is Action.ALLOW


# --- failures ----------------------------------------------------------------------------------


class Broken:
    """A detector that dies with the response in its exception."""

    name = "broken"
    window = None

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        raise ValueError(f"cannot digest {text.raw}")


class Fine:
    window = None

    def __init__(self, name: str = "fine") -> None:
        self.name = name

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        return [Finding(self.name, "word", Span(0, 4))] if text.raw.startswith("word") else []


def test_a_detector_that_fails_never_counts_as_clean(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    verdict = Filter(default_policy(), [Fine(), Broken()]).check("some private text")
    assert verdict.action is Action.REFUSE
    assert verdict.text == default_policy().refusal
    (failure,) = verdict.failures
    assert (failure.detector, failure.reason) == ("broken", "ValueError")
    assert verdict.coverage == {"fine": 1.0, "broken": 0.0}
    assert "private" not in repr(verdict)
    assert "private" not in caplog.text


def test_the_policy_decides_about_failures() -> None:
    text = "version: 1\nrules: [{name: a, when: {}, action: allow}]\nfailures: {broken: flag}"
    verdict = Filter(parse_policy(text), [Broken()]).check("text")
    assert verdict.action is Action.FLAG
    assert verdict.text == "text"
    assert verdict.failures


def test_what_no_rule_matches_is_flagged() -> None:
    verdict = Filter(default_policy(), [Fine()]).check("word")
    assert verdict.action is Action.FLAG
    assert verdict.findings[0].action is Action.FLAG


def test_two_detectors_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="own name"):
        Filter(default_policy(), [Fine("a"), Fine("a")])


@pytest.mark.parametrize("response", [None, b"bytes", 7, ["text"]])
def test_a_response_that_is_no_string(rail: Guardrail, response: object) -> None:
    with pytest.raises(UsageError, match="a response is a string"):
        rail.check(response)  # type: ignore[arg-type]


def test_errors_hold_no_text(rail: Guardrail) -> None:
    try:
        rail.check(SECRET.encode())  # type: ignore[arg-type]
    except UsageError as error:
        printed = "".join(traceback.format_exception(error))
        assert "Thornbury" not in printed.replace("SECRET", "")


# --- assembly ----------------------------------------------------------------------------------


def test_nothing_to_check_against() -> None:
    with pytest.raises(UsageError, match="nothing to check against"):
        Guardrail.from_policy(Policy(version=1, rules=()))


def test_missing_index_key_and_wrong_key(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GUARDRAIL_KEY", raising=False)
    with pytest.raises(SecretKeyError, match="GUARDRAIL_KEY"):
        Guardrail.from_policy(indexes=[corpus / "index"])
    with pytest.raises(IndexMissingError, match="guardrail index build"):
        Guardrail.from_policy(indexes=[tmp_path / "none"], key=corpus / "key")
    with pytest.raises(SecretKeyError, match="was built with key"):
        Guardrail.from_policy(indexes=[corpus / "index"], key=new_key())
    monkeypatch.setenv("GUARDRAIL_KEY", (corpus / "key").read_text())
    assert Guardrail.from_policy(indexes=[corpus / "index"]).check(SECRET).findings


def test_a_policy_names_indexes_keys_and_rules(corpus: Path) -> None:
    (corpus / "terms.txt").write_text("# terms\nOperation Teacup\n")
    path = corpus / "policy.yaml"
    path.write_text(
        """
version: 1
detectors:
  notes: {type: overlap, indexes: [index]}
  terms: {type: phrases, files: [terms.txt]}
key: {file: key}
rules:
  - {name: ward, when: {detector: notes, label: confidential, min_length: 30}, action: refuse}
  - {name: short, when: {detector: notes}, action: allow}
  - {name: terms, when: {detector: terms}, action: redact}
refusal: No.
"""
    )
    rail = Guardrail.from_policy(path)
    assert rail.check(SECRET).text == "No."
    verdict = rail.check("About operation teacup.")
    assert verdict.text == "About [REDACTED]."
    assert verdict.findings[0].evidence.document == "terms.txt:2"
    with pytest.raises(UsageError, match="already"):
        Guardrail.from_policy(
            parse_policy(path.read_text().replace("notes", "overlap"), base=corpus),
            indexes=[corpus / "index"],
        )


def test_batches_async_and_threads_agree(rail: Guardrail) -> None:
    texts = [CLEAN, SECRET, f"{CLEAN} {OTHER}", "", "x" * 100_000] * 20
    want = [rail.check(text).text for text in texts]
    assert [verdict.text for verdict in rail.check_many(texts)] == want
    assert [verdict.text for verdict in rail.check_many(texts, threads=1)] == want
    prompts = [*(20 * [None, "a", ["b", "c"], "", None])]
    assert [verdict.text for verdict in rail.check_many(texts, prompts=prompts)] == want
    with pytest.raises(UsageError, match="1 prompts were given for 100"):
        rail.check_many(texts, prompts=["a"])

    async def gather() -> list[str]:
        return [v.text for v in await asyncio.gather(*(rail.acheck(text) for text in texts))]

    assert asyncio.run(gather()) == want
    wrong: list[int] = []

    def work() -> None:
        for place, text in enumerate(texts):
            if rail.check(text).text != want[place]:
                wrong.append(place)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_verdicts_are_json(rail: Guardrail) -> None:
    told = json.loads(json.dumps(rail.check(SECRET).to_dict()))
    assert set(told) == {
        "action", "text", "findings", "failures", "coverage", "timings",
    }  # fmt: skip
    finding = told["findings"][0]
    assert {"detector", "kind", "start", "end", "score", "action", "evidence"} <= set(finding)
    assert {"document", "corpus_start", "corpus_end", "matched"} <= set(finding["evidence"])


def test_public_names_are_importable() -> None:
    for name in guardrail.__all__:
        assert getattr(guardrail, name).__name__ == name
    assert set(guardrail.__all__) <= set(dir(guardrail))
    with pytest.raises(AttributeError, match="no attribute"):
        _ = guardrail.nothing
    assert issubclass(guardrail.GuardrailError, Exception)
    assert GuardrailError is guardrail.GuardrailError
    assert Policy is guardrail.Policy
