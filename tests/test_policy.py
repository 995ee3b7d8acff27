"""Policies: what they decide, and what their errors tell the one who writes them."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardrail.errors import PolicyError
from guardrail.findings import Action, Evidence, Failure, Finding, Span, merge_spans
from guardrail.policy import Policy
from guardrail.policy_file import (
    default_policy,
    load_policy,
    parse_policy,
    policy_schema,
    show,
)
from guardrail.redaction import Redaction
from guardrail.rule_matching import split_rule
from guardrail.rules import Rule, When
from guardrail.yaml_file import MAX_BYTES

DOCUMENT = Path(__file__).parent.parent / "docs" / "policy.md"


def finding(
    kind: str = "verbatim",
    start: int = 0,
    end: int = 10,
    detector: str = "overlap",
    score: float = 1.0,
    **evidence: Any,
) -> Finding:
    return Finding(detector, kind, Span(start, end), score, Evidence(**evidence))


def policy(rules: str, rest: str = "") -> Policy:
    return parse_policy(f"version: 1\nrules:\n{rules}\n{rest}")


def decided(rules: str, *findings: Finding) -> list[tuple[str, str | None]]:
    decision = policy(rules).decide(findings, ())
    return [(str(found.action), found.rule) for found in decision.findings]


# --- deciding ---------------------------------------------------------------------------------


def test_nothing_found_and_nothing_failed_is_allowed() -> None:
    decision = default_policy().decide((), ())
    assert decision.action is Action.ALLOW
    assert not decision.findings
    assert not decision.redactions


def test_the_default_policy() -> None:
    policy = default_policy()
    # The limits are tuned by measurement; what holds for any of them is tested here.
    long, wordy = policy.rules[0].when.any or ()
    length, words = long.min_length, wordy.min_words
    assert length is not None
    assert words is not None
    cases = [
        (finding(matched=length, words=1), ("redact", "verbatim")),
        (finding(matched=length - 1, words=words), ("redact", "verbatim")),
        (finding(matched=None, words=words), ("redact", "verbatim")),
        (finding(matched=length - 1, words=words - 1), ("allow", "verbatim-short")),
        (finding(matched=None, words=None), ("flag", None)),
        (finding("phrase"), ("redact", "phrase")),
        (finding("near-verbatim", matched=300, words=60), ("redact", "near-verbatim")),
        (finding("near-verbatim", matched=30, words=6), ("allow", "near-verbatim-short")),
        (finding("something-new"), ("flag", None)),
    ]
    results = policy.decide([found for found, _ in cases], ()).findings
    assert [(str(found.action), found.rule) for found in results] == [case[1] for case in cases]


def test_the_default_policy_refuses_what_could_not_be_judged() -> None:
    policy = default_policy()
    decision = policy.decide((), [Failure("overlap", "deadline", 0.5)])
    assert decision.action is decision.would is Action.REFUSE
    assert policy.redactor == Redaction("label", "[REDACTED]")
    assert set(policy.detectors) == {"pii", "secrets"}


CONDITIONS = [
    # (when, a finding that matches, one that does not)
    ("{}", finding(), None),
    ("{detector: overlap}", finding(), finding(detector="terms")),
    ("{detector: [a, terms]}", finding(detector="terms"), finding()),
    ("{kind: [verbatim, phrase]}", finding("phrase"), finding("email")),
    ("{collection: mail}", finding(collection="mail"), finding(collection="web")),
    ("{collection: mail}", finding(collection="mail"), finding(collection=None)),
    ("{label: [secret, hr]}", finding(labels=("public", "hr")), finding(labels=("public",))),
    ("{label: secret}", finding(labels=("secret",)), finding(labels=())),
    ("{min_length: 8}", finding(matched=8), finding(matched=7)),
    ("{min_length: 0}", finding(matched=0), finding(matched=None)),
    ("{max_length: 8}", finding(matched=8), finding(matched=9)),
    ("{max_length: 8}", finding(matched=0), finding(matched=None)),
    ("{min_words: 3, max_words: 3}", finding(words=3), finding(words=4)),
    ("{max_words: 3}", finding(words=1), finding(words=None)),
    ("{min_score: 0.5}", finding(score=0.5), finding(score=0.49)),
    ("{max_score: 0.5}", finding(score=0.5), finding(score=0.51)),
    ("{min_score: 0}", finding(score=0.0), finding(score=float("nan"))),
    ("{kind: verbatim, min_words: 3}", finding(words=3), finding("phrase", words=3)),
    ("{any: [{min_length: 8}, {min_words: 3}]}", finding(words=3), finding(matched=7, words=2)),
    ("{any: [{min_length: 8}, {kind: phrase}]}", finding("phrase"), finding(matched=7)),
    (
        "{detector: overlap, any: [{min_length: 8}]}",
        finding(matched=8),
        finding(matched=8, detector="terms"),
    ),
]


@pytest.mark.parametrize(("when", "match", "other"), CONDITIONS)
def test_conditions(when: str, match: Finding, other: Finding | None) -> None:
    rules = f"  - {{name: r, action: refuse, when: {when}}}"
    assert decided(rules, match) == [("refuse", "r")]
    if other is not None:
        assert decided(rules, other) == [("flag", None)]


def test_the_first_rule_that_matches_decides() -> None:
    rules = """
  - {name: mail, when: {collection: mail}, action: allow}
  - {name: long, when: {min_length: 5}, action: refuse}
  - {name: rest, action: redact}"""
    found = [finding(collection="mail", matched=9), finding(matched=9), finding(matched=4)]
    assert decided(rules, *found) == [("allow", "mail"), ("refuse", "long"), ("redact", "rest")]


def test_the_strongest_action_counts_and_order_is_kept() -> None:
    rules = """
  - {name: a, when: {kind: a}, action: allow}
  - {name: r, when: {kind: r}, action: redact}"""
    found = [finding("a"), finding("r"), finding("x")]
    decision = policy(rules).decide(found, ())
    assert decision.action is Action.REDACT
    assert [f.kind for f in decision.findings] == ["a", "r", "x"]
    assert found[1].action is Action.ALLOW  # what was given is not changed


def test_redactions_are_merged_and_name_their_kinds() -> None:
    rules = """
  - {name: r, when: {kind: [a, b]}, action: redact}
  - {name: stop, when: {kind: c}, action: refuse}
  - {name: fine, when: {kind: d}, action: allow}"""
    found = [finding("b", 20, 30), finding("a", 5, 9), finding("a", 9, 12)]
    found += [finding("a", 22, 25), finding("d", 0, 99), finding("c", 40, 41)]
    decision = policy(rules).decide(found, ())
    assert decision.redactions == (Span(5, 12), Span(20, 30), Span(40, 41))
    assert decision.kinds == ("a", "a+b", "c")
    assert decision.action is Action.REFUSE


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), max_size=12))
def test_redactions_are_the_union_of_spans(places: list[tuple[int, int]]) -> None:
    found = [finding("phrase", start, start + length) for start, length in places]
    decision = default_policy().decide(found, ())
    assert list(decision.redactions) == merge_spans([f.span for f in found])
    assert len(decision.kinds) == len(decision.redactions)


def test_failures_by_detector() -> None:
    rest = "failure: flag\nfailures: {overlap: refuse, names: allow}"
    rules = policy("  []", rest)
    actions = {
        name: str(rules.decide((), [Failure(name, "timeout")]).action)
        for name in ("overlap", "names", "other")
    }
    assert actions == {"overlap": "refuse", "names": "allow", "other": "flag"}
    both = rules.decide((), [Failure("names", "x"), Failure("other", "x"), Failure("names", "x")])
    assert both.action is Action.FLAG


def test_shadow_rules_are_recorded_and_change_nothing() -> None:
    live = """
  - {name: short, when: {max_length: 9}, action: allow}
  - {name: phrase, when: {kind: phrase}, action: redact}"""
    shadow = (
        "\n  - {name: strict, when: {min_length: 5}, action: refuse, shadow: true}"
        "\n  - {name: second, when: {min_length: 5}, action: redact, shadow: true}" + live
    )
    found = [
        finding(matched=7),
        finding("phrase", matched=20),
        finding(matched=20),
        finding(matched=2),
    ]
    assert decided(shadow, *found) == [
        ("allow", "short shadow:strict=refuse"),
        ("redact", "phrase shadow:strict=refuse"),
        ("flag", "shadow:strict=refuse"),
        ("allow", "short"),
    ]
    with_shadow, without = policy(shadow).decide(found, ()), policy(live).decide(found, ())
    assert with_shadow.action is without.action is Action.REDACT
    assert with_shadow.redactions == without.redactions
    assert (with_shadow.would, without.would) == (Action.REFUSE, Action.REDACT)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, (None, None, None)),
        ("short", ("short", None, None)),
        ("short shadow:strict=refuse", ("short", "strict", Action.REFUSE)),
        ("shadow:a.b-c=allow", (None, "a.b-c", Action.ALLOW)),
    ],
)
def test_split_rule(text: str | None, parts: tuple[Any, ...]) -> None:
    assert split_rule(text) == parts


conditions = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.lists(st.sampled_from("abc"), min_size=1, max_size=2),
        "label": st.lists(st.sampled_from("xy"), min_size=1, max_size=2),
        "min_length": st.integers(0, 2),
        "max_length": st.integers(2, 4),
        "min_score": st.sampled_from([0.0, 0.5]),
    },
)
whens = st.builds(
    lambda when, alternatives: {**when, **({"any": alternatives} if alternatives else {})},
    conditions,
    st.lists(conditions.filter(bool), max_size=2),
)
found_things = st.builds(
    lambda kind, labels, matched, score: finding(kind, labels=labels, matched=matched, score=score),
    st.sampled_from("abc"),
    st.sampled_from([(), ("x",), ("y",), ("x", "y")]),
    st.none() | st.integers(0, 5),
    st.sampled_from([0.0, 0.5, 1.0]),
)


def naive(when: dict[str, Any], found: Finding) -> bool:
    """The specification of conditions, word for word from the document."""
    checks: dict[str, Callable[[Any], bool]] = {
        "kind": lambda value: found.kind in value,
        "label": lambda value: any(label in value for label in found.evidence.labels),
        "min_length": lambda value: (
            found.evidence.matched is not None and found.evidence.matched >= value
        ),
        "max_length": lambda value: (
            found.evidence.matched is not None and found.evidence.matched <= value
        ),
        "min_score": lambda value: found.score >= value,
        "any": lambda value: any(naive(alternative, found) for alternative in value),
    }
    return all(checks[field](value) for field, value in when.items())


@given(st.lists(st.tuples(whens, st.booleans()), max_size=4), found_things)
def test_deciding_is_what_the_naive_reading_says(
    rules: list[tuple[dict[str, Any], bool]], found: Finding
) -> None:
    parsed: list[Rule] = []
    for number, (when, shadow) in enumerate(rules):
        name = f"r{number}"
        parsed.append(
            Rule.model_validate({"name": name, "when": when, "action": "redact", "shadow": shadow})
        )
    try:
        made = Policy.model_validate({"version": 1, "rules": parsed})
    except ValidationError:
        # Refused as unreachable: then no finding may ever have got there.
        return
    expected = next(
        (f"r{n}" for n, (when, shadow) in enumerate(rules) if not shadow and naive(when, found)),
        None,
    )
    (result,) = made.decide([found], ()).findings
    assert split_rule(result.rule)[0] == expected


@given(whens, whens, found_things)
def test_a_condition_covers_only_what_it_matches(
    first: dict[str, Any], second: dict[str, Any], found: Finding
) -> None:
    if When.model_validate(first).covers(When.model_validate(second)) and naive(second, found):
        assert naive(first, found)


@pytest.mark.timed
def test_deciding_on_nothing_takes_no_time() -> None:
    decide = default_policy().decide
    best = min(_timed(decide, 2000) for _ in range(5))
    assert best < 5e-6  # a fraction of a microsecond on a quiet machine


def _timed(decide: Any, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        decide((), ())
    return (time.perf_counter() - started) / times


def test_policies_are_frozen_comparable_and_picklable() -> None:
    one, other = default_policy(), default_policy()
    one.decide([finding(matched=99)], ())
    assert one == other
    assert pickle.loads(pickle.dumps(one)) == other
    with pytest.raises(ValidationError):
        one.refusal = "x"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.decide((), ()).action = Action.REFUSE  # type: ignore[misc]


# --- reading ----------------------------------------------------------------------------------

FULL = """\
version: 1
detectors:
  overlap: {type: overlap, indexes: [mail.index, /srv/other.index]}
  terms: {type: phrases, files: terms.txt, whole_words: false}
key: {file: corpus.key}
rules:
  - name: verbatim
    when: {detector: overlap, min_length: 48}
    action: redact
failure: flag
failures: {terms: allow}
redaction: {style: label, text: "<{kind}>"}
refusal: "No — sorry."
"""


def test_paths_are_resolved_against_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("\ufeff" + FULL, encoding="utf-8")  # some editors write a byte order mark
    loaded = load_policy(file)
    overlap, terms = loaded.detectors["overlap"], loaded.detectors["terms"]
    assert overlap.type == "overlap"
    assert overlap.indexes == (tmp_path / "mail.index", Path("/srv/other.index"))
    assert terms.type == "phrases"
    assert terms.files == (tmp_path / "terms.txt",)
    assert loaded.key is not None
    assert loaded.key.file == tmp_path / "corpus.key"
    assert loaded.redactor == Redaction("label", "<{kind}>")
    parsed = parse_policy(FULL)
    overlap = parsed.detectors["overlap"]
    assert overlap.type == "overlap"
    assert overlap.indexes[0] == Path("mail.index")


def test_a_shown_policy_reads_back_equal() -> None:
    for one in (default_policy(), parse_policy(FULL), policy("  []", "redaction: {style: mask}")):
        assert parse_policy(show(one)) == one
    assert "No — sorry." in show(parse_policy(FULL))


@pytest.mark.parametrize("source", ["{file: k}", "{env: GUARDRAIL_KEY}", "{hook: 'a.b_c:d'}"])
def test_sources_of_keys(source: str) -> None:
    key = policy("  []", f"key: {source}").key
    assert key is not None
    assert len(key.model_dump(exclude_none=True)) == 1


R = "version: 1\nrules: []\n"
ERRORS = [
    # (policy, all lines of the message without the name of the file)
    ("", ["p: empty; a policy needs fields such as version and rules"]),
    ("# nothing\n", ["p: empty; a policy needs fields such as version and rules"]),
    ("- 1", ["p:1: given a list of 1; a policy is a mapping of fields such as version and rules"]),
    ("a: [1\nb: 2", ["p:2: not YAML: expected ',' or ']', but got ':'"]),
    ("a: 1\n\tb: 2", ["p:2: not YAML: found character '\\t' that cannot start any token"]),
    ("a: 1\nb: \x07", ["p:2: holds the character U+0007, which YAML does not allow"]),
    ("a: &x [1]\nb: [*x, *x]", ["p:2: aliases (*name) are not supported; write the value out"]),
    (R + "---\n" + R, ["p:3: a second document starts here; a policy is one document"]),
    (R + "a: " + "[" * 30, ["p:3: nested deeper than 20 levels"]),
    ("version: 1\nrules: !!python/object:os.system []",
     ["p:2: tags (!name) are not supported; write plain values"]),
    ("rules: []", ["p:1: version: missing; it has no default"]),
    ("version: 1", ["p:1: rules: missing; it has no default"]),
    ("version: 2\nrules: []", ["p:1: version: given 2; this program reads version 1"]),
    ("version: true\nrules: []", ["p:1: version: given true; this program reads version 1"]),
    (R + "rules: []", ["p:3: rules: given twice, first on line 2; keep one of them"]),
    (R + "refusl: x", ["p:3: refusl: unknown field (did you mean refusal?); allowed: version, "
                       "detectors, key, rules, excuses, failure, failures, redaction, stream, "
                       "refusal"]),
    (R + "1: x", ["p:3: given a field name that is not text; put it in quotes"]),
    (R + "? [a]\n: x", ["p:3: given a field name that is not text; put it in quotes"]),
    (R + "<<: {failure: allow}", ["p:3: given a field name that is not text; put it in quotes"]),
    (R + "refusal: 2020-99-99", ["p:3: refusal: given a number or date that cannot be read"]),
    (R + "refusal: ''", ["p:3: refusal: given an empty text; at least one character is needed"]),
    (R + "refusal: 5", ["p:3: refusal: given 5; text is needed: put it in quotes"]),
    (R + f"refusal: {'x' * 3000}", ["p:3: refusal: given 3000 characters; allowed: up to 2000"]),
    (R + "failure: redact", ["p:3: failure: given 'redact'; a failure has no span that could be "
                             "redacted; allowed: allow, flag, refuse"]),
    (R + "failure: stop", ["p:3: failure: given 'stop'; allowed: allow, flag, refuse"]),
    (R + "failures: {a: redact}", ["p:3: failures.a: given 'redact'; a failure has no span that "
                                   "could be redacted; allowed: allow, flag, refuse"]),
    (R + "key: {}", ["p:3: key: none given; exactly one of file, env, hook is needed"]),
    (R + "key: {file: a, env: B}",
     ["p:3: key: file and env given; exactly one of file, env, hook is needed"]),
    (R + "key: {hook: a.b}", ["p:3: key.hook: given 'a.b'; allowed: package.module:function"]),
    (R + "key: {env: 'A B'}", ["p:3: key.env: given 'A B'; allowed: letters, digits and _"]),
    (R + "redaction: {style: blur}",
     ["p:3: redaction.style: given 'blur'; allowed: 'label', 'mask', 'remove'"]),
    (R + "redaction: {style: mask, text: x}",
     ["p:3: redaction: text is used by the style label only, not by mask"]),
    (R + "redaction: {text: '{name}'}",
     ["p:3: redaction.text: holds an unknown placeholder; allowed: {kind}"]),
    (R + "detectors:\n  a: {type: magic}",
     ["p:4: detectors.a.type: given 'magic'; allowed: overlap, passages, phrases, pii, secrets, "
      "memorization"]),
    (R + "detectors:\n  a: {}",
     ["p:4: detectors.a.type: missing; allowed: overlap, passages, phrases, pii, secrets, "
      "memorization"]),
    (R + "detectors:\n  a: 5", ["p:4: detectors.a: given 5; a mapping of fields is needed"]),
    (R + "detectors:\n  a:\n    type: overlap",
     ["p:4: detectors.a.indexes: missing; it has no default"]),
    (R + "detectors:\n  a:\n    type: overlap\n    indexes: [x, 5]",
     ["p:6: detectors.a.indexes[1]: given 5; a file or folder name is needed"]),
    (R + "detectors:\n  overlap:\n    type: overlap\n    indexes: x\n    file: y",
     ["p:7: detectors.overlap.file: unknown field; allowed: type, indexes"]),
    (R + "detectors:\n  a: {type: phrases}",
     ["p:4: detectors.a: phrases come from files or indexes: name at least one of either"]),
    (R + "detectors:\n  a: {type: phrases, files: x}\n  a: {type: phrases, files: x}",
     ["p:5: detectors.a: given twice, first on line 4; keep one of them"]),
    (R + "detectors:\n  'a b': {type: phrases, files: x}",
     ["p:4: detectors.a b: given 'a b'; allowed: up to 64 letters, digits, _, . and -, the first a "
      "letter or digit"]),
    (R + "detectors:\n  a: {type: phrases, files: x}\nfailures:\n  b: flag",
     ["p:6: failures.b: detector 'b' is not defined; defined: a"]),
]  # fmt: skip

RULE_ERRORS = [
    # (rules from line 3 on, all lines of the message without the name of the file)
    ("  - 5", ["p:3: rules[0]: given 5; a mapping of fields is needed"]),
    ("  - name: a\n    acton: flag", [
        "p:3: rules[0].action: missing; it has no default",
        "p:4: rules[0].acton: unknown field (did you mean action?); allowed: name, when, action, "
        "shadow",
    ]),
    ("  - {name: a, action: block}",
     ["p:3: rules[0].action: given 'block'; allowed: allow, flag, redact, refuse"]),
    ("  - {name: a, action: 2}",
     ["p:3: rules[0].action: given 2; allowed: allow, flag, redact, refuse"]),
    ("  - {name: 'shadow:x', action: flag}",
     ["p:3: rules[0].name: given 'shadow:x'; allowed: up to 64 letters, digits, _, . and -, the "
      "first a letter or digit"]),
    ("  - {name: a, action: flag, shadow: 'no'}",
     ["p:3: rules[0].shadow: given 'no'; allowed: true, false"]),
    ("  - name: a\n    action: flag\n    when:\n      min_length: '48'",
     ["p:6: rules[0].when.min_length: given '48'; a whole number is needed"]),
    ("  - name: a\n    action: flag\n    when:\n      min_score: 48",
     ["p:6: rules[0].when.min_score: given 48; allowed: 1.0 or less"]),
    ("  - name: a\n    action: flag\n    when:\n      min_score: .nan",
     ["p:6: rules[0].when.min_score: given nan; a number from 0 to 1 is needed"]),
    ("  - {name: a, action: flag, when: {min_words: -1}}",
     ["p:3: rules[0].when.min_words: given -1; allowed: 0 or more"]),
    ("  - name: a\n    action: flag\n    when:\n      min_words: 9\n      max_words: 3",
     ["p:5: rules[0].when: min_words 9 is greater than max_words 3: never matches"]),
    ("  - {name: a, action: flag, when: {kind: []}}",
     ["p:3: rules[0].when.kind: given an empty list; at least one entry is needed"]),
    ("  - {name: a, action: flag, when: {kind: 5}}",
     ["p:3: rules[0].when.kind: given 5; a text or a list of texts is needed"]),
    ("  - {name: a, action: flag, when: {label: [x, 5]}}",
     ["p:3: rules[0].when.label[1]: given 5; text is needed: put it in quotes"]),
    ("  - {name: a, action: flag, when: {any: []}}",
     ["p:3: rules[0].when.any: given an empty list; at least one entry is needed"]),
    ("  - {name: a, action: flag, when: {any: [{}]}}",
     ["p:3: rules[0].when.any: an alternative without conditions always matches: remove it or "
      "`any`"]),
    ("  - name: a\n    action: flag\n    when:\n      any:\n        - min_wrds: 3",
     ["p:7: rules[0].when.any[0].min_wrds: unknown field (did you mean min_words?); allowed: "
      "detector, kind, collection, label, overlaps, min_length, max_length, min_words, max_words, "
      "min_score, max_score, in_prompt"]),
    ("  - {name: a, action: flag, when: {kind: x}}\n  - {name: a, action: flag, when: {kind: y}}",
     ["p:4: rules[1].name: a second rule is named 'a'"]),
    ("  - {name: a, action: flag}\n  - {name: b, action: flag, when: {kind: y}}",
     ["p:4: rules[1]: rule 'b' is never reached: all that it could match is decided by rule 'a' "
      "above; move it up or remove it"]),
    ("  - {name: a, action: flag, when: {min_length: 8}}\n"
     "  - {name: b, action: flag, when: {min_length: 9, kind: x}}",
     ["p:4: rules[1]: rule 'b' is never reached: all that it could match is decided by rule 'a' "
      "above; move it up or remove it"]),
    ("  - {name: a, action: flag, when: {detector: x}}\n"
     "detectors: {y: {type: overlap, indexes: z}}",
     ["p:3: rules[0].when.detector: detector 'x' is not defined; defined: y"]),
    ("  - {name: a, action: flag, when: {any: [{kind: k}, {detector: x}]}}\n"
     "detectors: {y: {type: overlap, indexes: z}}",
     ["p:3: rules[0].when.any[1].detector: detector 'x' is not defined; defined: y"]),
    # Problems of every sort come in one message, in the order of lines.
    ("  - {name: a, action: flag}\n  - {name: a, action: flog}\n"
     "  - {name: a, action: flag}\nx: 1", [
        "p:4: rules[1].action: given 'flog'; allowed: allow, flag, redact, refuse",
        "p:5: rules[2].name: a second rule is named 'a'",
        "p:5: rules[2]: rule 'a' is never reached: all that it could match is decided by rule 'a' "
        "above; move it up or remove it",
        "p:6: x: unknown field; allowed: version, detectors, key, rules, excuses, failure, "
        "failures, redaction, stream, refusal",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "lines"),
    ERRORS + [("version: 1\nrules:\n" + rules, lines) for rules, lines in RULE_ERRORS],
)
def test_errors_name_line_and_what_is_allowed(text: str, lines: list[str]) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p")
    assert str(caught.value).split("\n") == lines
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_shadow_rule_leaves_later_rules_reachable() -> None:
    rules = """
  - {name: all, action: refuse, shadow: true}
  - {name: verbatim, action: redact}"""
    assert decided(rules, finding()) == [("redact", "verbatim shadow:all=refuse")]


def test_detectors_may_be_named_where_none_are_defined() -> None:
    rules = "  - {name: a, action: refuse, when: {detector: overlap}}"
    assert decided(rules, finding()) == [("refuse", "a")]


def test_errors_show_no_long_values() -> None:
    secret = "s3cret-" * 50
    for text in (
        R + f"failure: {secret}",
        R + f"{secret}: 1",
        R + f"key: {{hook: {secret}}}",
        R + f"failures: {{'a{secret}': flag}}",
        f"version: {secret}\nrules: {secret}",
        f"version: 1\nrules: [{{name: a, action: flag, when: {{detector: {secret}}}}}]\n"
        "detectors: {y: {type: overlap, indexes: z}}",
        f"a: {secret}: {secret}",
        f"a: *{secret}",
        R + f"refusal: !{secret} x",
    ):
        with pytest.raises(PolicyError) as caught:
            parse_policy(text)
        assert len(max(str(caught.value).split("\n"), key=len)) < 350
        assert secret not in str(caught.value)


def test_many_problems_are_cut_short() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(R + "".join(f"x{n}: 1\n" for n in range(500)), "p")
    lines = str(caught.value).split("\n")
    assert len(lines) == 21
    assert lines[-1] == "p: and 480 more problems"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none.yaml: No such file"):
        load_policy(tmp_path / "none.yaml")
    with pytest.raises(PolicyError, match="directory"):
        load_policy(tmp_path)
    with pytest.raises(PolicyError, match="not a usable file name"):
        load_policy("a\0b")
    file = tmp_path / "p.yaml"
    file.write_bytes(b"version: 1\nrefusal: \xff\n")
    with pytest.raises(PolicyError, match=r"p.yaml:2: byte 20 is not UTF-8"):
        load_policy(file)
    file.write_bytes(R.encode("utf-16"))
    with pytest.raises(PolicyError, match=r"p.yaml:1: byte 0 is not UTF-8"):
        load_policy(file)
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(PolicyError, match=f"larger than {MAX_BYTES} bytes"):
        load_policy(file)


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "when", "any", "kind", "type", "overlap", "action", "file", "x"]
            )
            | st.integers(0, 3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
policies = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys([*Policy.model_fields, "other"], yaml_values),
)


@given(policies | yaml_values)
def test_any_document_is_a_policy_or_a_policy_error(value: Any) -> None:
    _parses_or_explains(yaml.dump(value))


@given(st.text(max_size=60) | st.text("ab:{}[]-*&!|>'\"#\n \t?%@,", max_size=40))
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    _parses_or_explains(text)
    _parses_or_explains(R + text)


def _parses_or_explains(text: str) -> None:
    try:
        parse_policy(text, "p")
    except PolicyError as error:
        last = text.count("\n") + 1
        for line in str(error).split("\n"):
            where = re.match(r"p:(?:(\d+):)? ", line)
            assert where, line
            assert not where[1] or int(where[1]) <= last + 1


# --- schema and document ----------------------------------------------------------------------


def test_the_schema_describes_every_field() -> None:
    schema = policy_schema()
    json.dumps(schema)
    assert schema["required"] == ["version", "rules"]
    assert schema["additionalProperties"] is False
    for part in [schema, *schema["$defs"].values()]:
        for name, field in part["properties"].items():
            assert "description" in field, name
    assert schema["$defs"]["Rule"]["properties"]["action"]["enum"] == [str(a) for a in Action]
    assert schema["properties"]["failure"]["enum"] == ["allow", "flag", "refuse"]


def test_the_document_names_every_field_and_its_examples_are_policies() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    schema = policy_schema()
    for part in [schema, *schema["$defs"].values()]:
        for name in part["properties"]:
            assert f"`{name}`" in text, name
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)
    assert blocks
    for block in blocks:
        parse_policy(block if block.startswith("version") else R.replace(" []", "\n") + block)
