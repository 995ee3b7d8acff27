"""Explanations: they tell what the policy did, and repeat no text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardrail import Finding
from guardrail.explain import explain
from guardrail.indexes.build import build
from guardrail.indexes.readers import ReadOptions
from guardrail.indexes.records import RecordRule, RecordRules
from guardrail.keys import PUBLIC_KEY
from guardrail.policy import Policy
from guardrail.policy_file import default_policy, parse_policy
from guardrail.rule_matching import split_rule
from guardrail.rules import Rule
from tests.indexes.builders import KEY
from tests.test_cli import run
from tests.test_filter import CLEAN, OTHER, SECRET
from tests.test_policy import finding, found_things, naive, whens


@given(st.lists(st.tuples(whens, st.booleans()), max_size=4), found_things)
def test_an_explanation_tells_what_the_policy_did(
    rules: list[tuple[dict[str, Any], bool]], found: Finding
) -> None:
    parsed = [
        Rule.model_validate({"name": f"r{n}", "when": when, "action": "redact", "shadow": shadow})
        for n, (when, shadow) in enumerate(rules)
    ]
    try:
        policy = Policy.model_validate({"version": 1, "rules": parsed})
    except ValidationError:
        return
    (decided,) = policy.decide([found], ()).findings
    told = explain(policy, decided)
    assert told.decided_by == split_rule(decided.rule)[0]
    assert str(decided.action) in told.why
    for trial, (when, shadow) in zip(told.trials, rules, strict=False):
        assert trial.matches is naive(when, decided)
        assert trial.shadow is shadow
    if told.decided_by is None:
        assert len(told.trials) == len(rules)
    else:
        assert told.trials[-1].rule == told.decided_by
    json.dumps(told.to_dict())


def test_thresholds_are_compared() -> None:
    policy = default_policy()
    (decided,) = policy.decide([finding("verbatim", matched=30, words=5)], ()).findings
    told = explain(policy, decided)
    assert told.why == "allow: rule verbatim-short is the first that matches"
    assert list(map(str, told.trials)) == [
        "rule verbatim does not match: kind verbatim holds: verbatim, any of (min_length 48 fails: "
        "30; min_words 12 fails: 5)",
        "rule verbatim-short matches: kind verbatim holds: verbatim, max_length 47 holds: 30",
    ]
    (lost,) = policy.decide([finding("new")], ()).findings
    assert explain(policy, lost).why == "flag: no rule matches"


def test_findings_beside_one_are_told() -> None:
    rule = "{name: both, when: {kind: verbatim, overlaps: [memorized, pii]}, action: redact}"
    policy = parse_policy(f"version: 1\nrules: [{rule}]")
    found = [finding("verbatim"), finding("memorized")]
    one, other = policy.decide(found, ()).findings
    told = explain(policy, one, (one, other))
    assert told.decided_by == one.rule == "both"
    assert "overlaps memorized, pii holds: memorized" in str(told.trials[0])
    assert "overlaps memorized, pii fails: nothing" in str(explain(policy, one).trials[0])


@pytest.mark.parametrize("excuse", ["background", "prompt", "entitled"])
def test_an_excuse_is_told_and_no_rule_is_asked(excuse: str) -> None:
    policy = parse_policy("version: 1\nrules: [{name: all, action: refuse}]")
    (decided,) = policy.decide([finding("verbatim", excuse=excuse)], ()).findings
    told = explain(policy, decided)
    assert told.why.startswith("allowed: ")
    assert told.trials == ()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private index with a record, a public one, and the key in a file."""
    folder = tmp_path_factory.mktemp("explain")
    (folder / "key").write_text(KEY.serialise())
    (folder / "key").chmod(0o600)
    private = {"id": "n1", "text": f"{SECRET} {OTHER} Ref 907142.", "collection": "ward"}
    (folder / "p.jsonl").write_text(json.dumps(private))
    rules = RecordRules((RecordRule("reference", pattern=r"Ref (\d+)"),))
    build(
        [str(folder / "p.jsonl")],
        folder / "index",
        KEY,
        options=ReadOptions(collection_field="collection"),
        records=[rules],
        jobs=1,
    )
    (folder / "b.jsonl").write_text(json.dumps({"id": "b1", "text": OTHER}))
    build([str(folder / "b.jsonl")], folder / "public", PUBLIC_KEY, jobs=1)
    return folder


def options(place: Path, *more: str | Path) -> list[str | Path]:
    return ["--index", place / "index", "--key-file", place / "key", "--explain", *more]


RESPONSE = f"{CLEAN} {SECRET} {OTHER} It is 907-142."


def test_the_command_explains_each_finding(place: Path) -> None:
    done = run("check", RESPONSE, *options(place, "--background", place / "public"))
    assert done.returncode == 11, done.stderr
    text = " ".join(done.stdout.split())
    assert "redact: rule verbatim is the first that matches" in text
    assert re.search(r"any of \(min_length 48 holds: 15\d; min_words 12 holds: 30\)", text)
    assert re.search(r"left of a match of 29\d units, of which 14\d are excused", text)
    assert "rule verbatim does not match: kind verbatim fails: record" in text
    assert "marked as a record by reference" in text
    assert "allowed: it is public: the background holds it" in text
    assert "units, of which" in text


def test_explanations_as_json_hold_no_text(place: Path) -> None:
    done = run("check", RESPONSE, *options(place, "--background", place / "public", "--json"))
    told = json.loads(done.stdout)
    by_kind = {
        (shown["kind"], shown["evidence"]["excuse"]): shown["explanation"]
        for shown in told["findings"]
    }
    assert by_kind["verbatim", None]["decided_by"] == "verbatim"
    assert by_kind["verbatim", "background"]["rules"] == []
    assert by_kind["record", None]["rules"][-1] == {
        "rule": "record",
        "action": "redact",
        "shadow": False,
        "matches": True,
        "fields": [{"field": "kind", "wanted": ["record"], "had": "record", "holds": True}],
        "any": [],
    }
    shown = json.dumps(told["findings"])
    assert not any(word in shown for word in f"{SECRET} {OTHER} 907142".split() if len(word) > 5)


def test_prompt_and_entitlements_on_the_command_line(place: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text(SECRET)
    prompt = ["--prompt", "Hello", "--prompt-file", tmp_path / "prompt.txt"]
    strict = run("check", SECRET, *options(place), *prompt)
    assert strict.returncode == 11
    assert "the prompt excuses nothing" in strict.stdout
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules: [{name: all, action: refuse}]\nexcuses: {prompt: true}\n")
    echo = run("check", SECRET, *options(place), *prompt, "--policy", policy)
    assert echo.returncode == 0
    assert "allowed: the user supplied it" in echo.stdout
    for entitled in ("ward", "collection:ward", "document:ward/n1"):
        assert run("check", SECRET, *options(place), "--entitled", entitled).returncode == 0
    for entitled in ("n1", "label:ward", "document:default/n1"):
        assert run("check", SECRET, *options(place), "--entitled", entitled).returncode == 11
    wrong = run("check", SECRET, *options(place), "--entitled", "document:n1")
    assert wrong.returncode == 1
    assert "document:COLLECTION/ID" in wrong.stderr


def test_public_indexes_and_records_on_the_command_line(place: Path, tmp_path: Path) -> None:
    source = tmp_path / "n.jsonl"
    source.write_text(json.dumps({"id": "a", "text": "Ref 4471902", "no": "AB-90 71 42"}))
    key = ["--key-file", place / "key"]
    built = run(
        *("index", "build", source, "--out", tmp_path / "i", *key, "--json", "--jobs", "1"),
        *("--record-pattern", r"ref=Ref (\d+)", "--record-field", "no"),
    )
    assert json.loads(built.stdout)["records"] == 2, built.stderr
    found = run("check", "4471902 and ab907142", "--index", tmp_path / "i", *key, "--json")
    rules = {shown["evidence"]["record"] for shown in json.loads(found.stdout)["findings"]}
    assert rules == {"ref", "no"}
    wrong = run("index", "build", source, "--out", tmp_path / "j", *key, "--record-pattern", "x")
    assert "NAME=REGEX" in wrong.stderr
    public = run("index", "build", source, "--out", tmp_path / "k", "--public", "--jobs", "1")
    assert public.returncode == 0, public.stderr
    assert "public" in run("index", "info", tmp_path / "k").stdout
    assert run("index", "verify", tmp_path / "k").returncode == 0
    assert run("index", "forget", tmp_path / "k", "a").returncode == 0
    refused = run("index", "add", source, "--index", tmp_path / "k", *key)
    assert refused.returncode == 1  # private text under a key that all know
    both = run("index", "build", source, "--out", tmp_path / "l", "--public", *key)
    assert "no secret key" in both.stderr
