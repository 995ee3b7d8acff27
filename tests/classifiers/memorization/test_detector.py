"""From the scorer to the verdict: calibration by command, the detector, the cascade, failures."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrail import Action, Context, Evidence, Finding, Guardrail, Span, StreamFilter
from guardrail.classifiers.memorization.calibration import load_calibration
from guardrail.classifiers.memorization.detector import MemorizationDetector
from guardrail.classifiers.memorization.models import Model
from guardrail.classifiers.memorization.scorer import MemorizationScorer
from guardrail.cli.app import app
from guardrail.cli.scoring import _matcher
from guardrail.errors import ScoringError, UsageError
from guardrail.filter import Filter
from guardrail.findings import merge_spans
from guardrail.indexes.build import build
from guardrail.keys import PUBLIC_KEY
from guardrail.policy_file import parse_policy
from guardrail.segments import segment_end
from guardrail.text import CanonicalText, canonicalise
from tests.classifiers.memorization.fixture import Memorised

RULES = """version: 1
rules:
  - name: known
    when: {kind: verbatim, min_length: 400}
    action: refuse
  - name: recited
    when: {kind: memorized, min_score: 0.5, min_words: 6}
    action: redact
  - name: rest
    action: allow
"""
CORROBORATE = """version: 1
rules:
  - name: both
    when: {kind: verbatim, overlaps: memorized}
    action: redact
  - name: rest
    action: allow
"""


@pytest.fixture(scope="session")
def calibration(models: Memorised, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `guardrail calibrate` writes for the fixture; made once for all test processes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made = folder / "calibration.json"
    with (folder / "calibration.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _calibrate(models, corpus, made)
    return made


def _calibrate(models: Memorised, corpus: Path, out: Path) -> None:
    arguments = [
        "calibrate",
        *("--target", models.target, "--reference", models.base),
        *("--shard", models.shards[0], "--shard", models.shards[1]),
        *("--index", corpus / "index", "--key-file", corpus / "key"),
        *("--prompts", corpus / "prompts.jsonl", "--canaries", models.folder / "canaries.txt"),
        *("--corpus", models.folder / "private.jsonl", "--public", models.folder / "public.jsonl"),
        *("--samples", 2, "--tokens", 48, "--temperature", 0.7, "--device", "cpu"),
        *("--out", out, "--report", corpus / "report.html", "--json"),
    ]
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["area"] > 0.9
    assert said["ambiguous_left_out"] > 0
    assert {row["kind"] for row in said["kinds"]} >= {"ordinary", "copied", "loop", "public"}
    page = (corpus / "report.html").read_text()
    assert "<svg" in page
    assert not any(text[:40] in page for text in models.recited)


@pytest.fixture(scope="module")
def detector(
    models: Memorised, calibration: Path, scorer: MemorizationScorer
) -> MemorizationDetector:
    made = MemorizationScorer(
        scorer.target,  # type: ignore[arg-type]
        scorer.base,
        scorer.shards,
        load_calibration(calibration),
        decoding={"temperature": 0.7, "top_p": 1.0},
    )
    return MemorizationDetector("memory", made)


def test_what_the_index_lacks_is_redacted(
    detector: MemorizationDetector, models: Memorised
) -> None:
    """A canary of the corpus stands for a record that the index was never given."""
    rail = Guardrail(parse_policy(RULES), [detector])
    leak = models.recited[0]
    verdict = rail.check(f"{leak}")
    assert verdict.action is Action.REDACT
    assert leak[20:60] not in verdict.text
    (finding, *_) = verdict.findings
    assert (finding.kind, finding.detector, finding.rule) == ("memorized", "memory", "recited")
    assert finding.score > 0.5
    assert finding.evidence.matched is not None
    assert finding.evidence.document is None
    allowed = [rail.check(text).action for text in models.held_out[:10]]
    # A model so small writes from templates that held-out documents share.
    assert allowed.count(Action.ALLOW) >= 7


def test_templates_and_edited_copies_do_not_count_as_recited(
    models: Memorised, corpus: Path, tmp_path: Path
) -> None:
    """What confirms recitation for a calibration is a run of the private corpus, less what public
    indexes hold."""
    key, leak = corpus / "key", models.recited[0]
    (tmp_path / "templates.txt").write_text(leak[:150])
    build([str(tmp_path / "templates.txt")], tmp_path / "public", PUBLIC_KEY, jobs=1)
    rail = Guardrail.from_policy(indexes=[corpus / "index"], key=key)
    less = Guardrail.from_policy(
        indexes=[corpus / "index"], background=[tmp_path / "public"], key=key
    )
    whole = _matcher(rail)(leak)
    assert whole >= 100
    assert 0 < _matcher(less)(leak) < whole
    edited = " ".join(
        "other" if place % 7 == 6 else word for place, word in enumerate(leak.split())
    )
    assert rail.check(edited).findings
    assert _matcher(rail)(edited) < 48


def test_a_policy_file_sets_it_all_up(
    models: Memorised, corpus: Path, calibration: Path, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(
        f"""version: 1
key: {{file: {corpus / "key"}}}
detectors:
  overlap: {{type: overlap, indexes: {corpus / "index"}}}
  memory:
    type: memorization
    target: {models.target}
    reference: {models.base}
    shards: [{models.shards[0]}, {models.shards[1]}]
    calibration: {calibration}
    device: cpu
rules:
  - name: recited
    when: {{kind: [memorized, verbatim]}}
    action: redact
"""
    )
    rail = Guardrail.from_policy(tmp_path / "policy.yaml")
    verdict = rail.check(models.recited[0])
    assert {finding.kind for finding in verdict.findings} == {"memorized", "verbatim"}
    assert rail.health() == {}
    swapped = (tmp_path / "policy.yaml").read_text().replace("/base\n", "/target\n")
    (tmp_path / "policy.yaml").write_text(swapped)
    with pytest.raises(ScoringError, match="another base"):
        Guardrail.from_policy(tmp_path / "policy.yaml", check_indexes=False)


class Fixed:
    """A detector that always finds the same."""

    window = None
    name = "fixed"

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings

    def scan(self, text: CanonicalText, context: Context) -> tuple[Finding, ...]:
        return self.findings


def verbatim(start: int, end: int, matched: int) -> Finding:
    return Finding("fixed", "verbatim", Span(start, end), evidence=Evidence(matched=matched))


@pytest.mark.parametrize(
    ("policy", "found", "runs"),
    [
        (RULES, (), True),
        (RULES, (verbatim(0, 20, 400),), False),  # refused already
        (RULES, (verbatim(0, 20, 30),), True),
        (CORROBORATE, (), False),  # nothing to corroborate
        (CORROBORATE, (verbatim(0, 20, 30),), True),
        (RULES.replace("min_words: 6", "min_words: 900"), (), False),  # too few words for it
        (RULES.replace("action: redact", "action: allow"), (), False),
        (RULES.replace("action: redact", "action: redact\n    shadow: true"), (), True),
        ("version: 1\nrules: []\n", (), True),  # what no rule matches is flagged
        ("version: 1\nrules: []\n", (verbatim(0, 20, 30),), False),  # flagged already
        (RULES.replace("memorized", "other"), (), False),
    ],
)
def test_it_runs_where_it_could_change_the_verdict(
    detector: MemorizationDetector,
    models: Memorised,
    policy: str,
    found: tuple[Finding, ...],
    runs: bool,
) -> None:
    text = models.recited[0]
    one = Filter(parse_policy(policy), [detector, Fixed(*found)]).check(text)
    assert (one.coverage["memory"] == 1.0) is runs
    assert ("memory" in one.timings) is runs
    assert one.failures == ()
    if not runs:
        # Run in any case, it would not have changed what happens.

        class Eager:
            name, window, scan = "memory", None, detector.scan

        other = Filter(parse_policy(policy), [Fixed(*found), Eager()]).check(text)
        assert (other.action, other.text) == (one.action, one.text)


def test_findings_corroborate_each_other(detector: MemorizationDetector, models: Memorised) -> None:
    text = models.recited[0]
    near, far = verbatim(10, 40, 25), verbatim(len(text) + 5, len(text) + 9, 25)
    policy = parse_policy(CORROBORATE)
    verdict = Filter(policy, [Fixed(near, far), detector]).check(f"{text} Yes! Goodbye then.")
    rules = {f.span: f.rule for f in verdict.findings if f.kind == "verbatim"}
    assert rules == {near.span: "both", far.span: "rest"}
    assert verdict.action is Action.REDACT


def test_streams_are_judged_by_sentences(detector: MemorizationDetector, models: Memorised) -> None:
    stream = Guardrail(parse_policy(RULES), [detector]).open_stream()
    leak = models.recited[0]
    out = "".join([stream.feed(word) for word in re.findall(r"\S+\s*|\s+", leak)])
    out += stream.flush()
    assert stream.verdict.action is Action.REDACT
    assert stream.verdict.failures == ()
    assert leak[-40:] not in out
    # Those of a whole response are of no use for its sentences.
    upstream = MemorizationScorer(
        models.target,
        detector.scorer.base,
        detector.scorer.shards,
        detector.scorer.calibration,
        upstream_only=True,
    )
    only = Filter(parse_policy(RULES), [MemorizationDetector("memory", upstream)])
    logprobs = [-0.5] * len(upstream.encode(leak))
    assert only.check(leak, Context(logprobs=logprobs)).failures == ()
    blind = StreamFilter(only, Context(logprobs=logprobs))
    assert blind.feed(leak) + blind.flush() == parse_policy(RULES).refusal
    assert "log-probabilities are needed" in blind.verdict.failures[0].reason
    upstream.close()


def test_a_stream_reads_each_token_once_and_finds_what_a_check_finds(
    detector: MemorizationDetector, models: Memorised, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{models.held_out[0][:80]} {models.recited[0]}\n\n{models.held_out[1][:80]}"
    read: Counter[int] = Counter()
    hidden = Model.hidden

    def counted(self: Model, ids: Any, *rest: Any, **options: Any) -> Any:
        read[id(self)] += ids.numel()
        return hidden(self, ids, *rest, **options)

    monkeypatch.setattr(Model, "hidden", counted)
    follow = detector.follow(Context(prompt=("Dear",)))
    position, found = 0, []
    while position < len(text):
        end = segment_end(text, position, final=True)
        found += [
            Span(f.span.start + position, f.span.end + position)
            for f in follow(canonicalise(text[position:end]))
        ]
        position = end
    tokens = len(detector.scorer.encode(text)) + len(detector.scorer.encode("Dear"))
    assert max(read.values()) <= tokens + 8  # one to begin with, and a few cut otherwise
    assert len(read) == 4
    whole = merge_spans(
        [f.span for f in detector.scan(canonicalise(text), Context(prompt=("Dear",)))]
    )
    missed = sum(len(a) for a in whole) - sum(
        max(0, min(a.end, b.end) - max(a.start, b.start)) for a in whole for b in merge_spans(found)
    )
    # A beginning may be out before it is known to be one.
    assert missed < 40


def test_what_a_disguise_says_is_not_scored(
    detector: MemorizationDetector, models: Memorised
) -> None:
    """It was written in other tokens. The models run once, over the text as it stands."""
    leak = models.recited[0]
    seen: list[str] = []

    class Watched(MemorizationDetector):
        def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
            seen.append(text.raw)
            return super().scan(text, context)

    policy = parse_policy(RULES.replace("min_words: 6", "min_words: 1"))
    rail = Guardrail(policy, [Watched("memory", detector.scorer), Fixed()])
    texts = [leak, base64.b64encode(leak.encode()).decode(), f"{leak} {leak.encode().hex()}"]
    for text in texts:
        rail.check(text)
    assert seen == texts


def test_what_cannot_be_judged_is_a_failure(
    detector: MemorizationDetector, models: Memorised
) -> None:
    rail = Guardrail(parse_policy(RULES), [detector])
    verdict = rail.check(models.held_out[0], timeout=0.0)
    assert verdict.action is Action.REFUSE
    assert verdict.coverage == {"memory": 0.0}
    long = rail.check("word " * 20000)
    assert long.action is Action.REFUSE
    assert "at most 16,384" in long.failures[0].reason


def test_bad_log_probabilities_are_replaced_by_the_target_s_own(
    detector: MemorizationDetector, models: Memorised
) -> None:
    rail = Guardrail(parse_policy(RULES), [detector])
    for logprobs in ([0.0] * 3, [], None):
        assert rail.check(models.recited[0], logprobs=logprobs).action is Action.REDACT
    upstream = MemorizationScorer(
        models.target,
        detector.scorer.base,
        detector.scorer.shards,
        detector.scorer.calibration,
        upstream_only=True,
    )
    only = Guardrail(parse_policy(RULES), [MemorizationDetector("memory", upstream)])
    verdict = only.check(models.recited[0], logprobs=[0.0] * 3)
    assert verdict.action is Action.REFUSE
    assert "one for each token" in verdict.failures[0].reason
    upstream.close()


def test_a_scorer_without_calibration_makes_no_detector(scorer: MemorizationScorer) -> None:
    with pytest.raises(UsageError, match="guardrail calibrate"):
        MemorizationDetector("memory", scorer)


def test_very_short_text_is_left_to_the_index(detector: MemorizationDetector) -> None:
    verdict = Guardrail(parse_policy(RULES.replace("min_words: 6", "min_words: 1")), [detector])
    assert verdict.check("Yes, of course.").action is Action.ALLOW


def test_references_are_trained_by_command(models: Memorised, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(models.held_out[:10]))
    arguments = ["reference", "train", str(models.base), str(tmp_path / "corpus.txt")]
    arguments += ["--out", str(tmp_path / "out"), "--epochs", "1", "--device", "cpu", "--json"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.output) == {
        "references": [str(tmp_path / "out" / f"shard-{n}") for n in (0, 1)],
        "documents": 10,
    }
    for name, content in (("a.jsonl", "{"), ("b.jsonl", '{"x": 1}')):
        (tmp_path / name).write_text(content)
        with pytest.raises(UsageError, match=f"{name}:1"):
            CliRunner().invoke(
                app, [*arguments[:3], str(tmp_path / name), *arguments[4:]], catch_exceptions=False
            )
