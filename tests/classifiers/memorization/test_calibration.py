"""Calibration: what its numbers promise, what it refuses, and that it notices a change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guardrail.classifiers.memorization.calibration import (
    Calibration,
    calibrate,
    expected_error,
    fit_logistic,
    load_calibration,
)
from guardrail.classifiers.memorization.drift import Drift
from guardrail.classifiers.memorization.report import page, report, roc
from guardrail.errors import CalibrationError, GuardrailError, UsageError

MANIFEST: dict[str, Any] = {"target": "a", "base": "b", "shards": [], "decoding": {"top_p": 1.0}}


def drawn(count: int, seed: int) -> tuple[list[dict[str, float]], list[bool], list[int]]:
    """Texts whose label follows a known logistic law."""
    dice = np.random.default_rng(seed)
    x = dice.normal(size=(count, 2)) * [3, 1]
    p = 1 / (1 + np.exp(-(1.2 * x[:, 0] - 0.5 * x[:, 1] - 0.7)))
    labels = (dice.random(count) < p).tolist()
    named = [{"scan": float(a), "loss": float(b)} for a, b in x]
    return named, labels, dice.integers(8, 200, count).tolist()


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return calibrate(*drawn(3000, 0), MANIFEST)


def test_the_fit_finds_the_law_behind_the_labels() -> None:
    named, labels, _ = drawn(20000, 1)
    x = np.array([[item["scan"], item["loss"]] for item in named])
    weights, bias = fit_logistic(x, np.array(labels, float), 1e-6)
    assert [*weights, bias] == pytest.approx([1.2, -0.5, -0.7], abs=0.06)


def test_the_fit_is_where_the_gradient_vanishes() -> None:
    named, labels, _ = drawn(200, 2)
    x = np.array([[item["scan"], item["loss"]] for item in named])
    y = np.array(labels, float)
    weights, bias = fit_logistic(x, y, 1.0)
    residual = 1 / (1 + np.exp(-(x @ weights + bias))) - y
    assert x.T @ residual + weights == pytest.approx([0, 0], abs=1e-5)
    assert residual.sum() == pytest.approx(0, abs=1e-5)


def test_probabilities_on_200_labels_are_calibrated() -> None:
    errors = []
    for seed in range(5):
        made = calibrate(*drawn(200, 100 + seed), MANIFEST)
        named, labels, _ = drawn(4000, 200 + seed)
        given = np.array([made.probability(made.decision(item)) for item in named])
        errors.append(expected_error(given, np.array(labels, float)))
    assert np.mean(errors) < 0.05


def test_null_p_values_are_valid_at_each_level(fitted: Calibration) -> None:
    named, labels, tokens = drawn(20000, 3)
    values = np.array(
        [
            fitted.null_p(fitted.decision(item), length)
            for item, label, length in zip(named, labels, tokens, strict=True)
            if not label
        ]
    )
    for level in (0.5, 0.1, 0.02):
        assert np.mean(values <= level) < level + 0.02
    assert values.min() > 0


def test_a_threshold_says_how_many_negatives_it_wants(fitted: Calibration) -> None:
    threshold = fitted.threshold(0.01)
    named, labels, _ = drawn(20000, 4)
    fired = [
        fitted.decision(x) >= threshold for x, label in zip(named, labels, strict=True) if not label
    ]
    assert np.mean(fired) < 0.016
    with pytest.raises(UsageError, match="10,000 negatives"):
        fitted.threshold(0.001)


def test_a_rarer_event_has_a_lower_probability() -> None:
    named, labels, tokens = drawn(3000, 5)
    rare = calibrate(named, labels, tokens, MANIFEST, prevalence=0.001)
    usual = calibrate(named, labels, tokens, MANIFEST)
    value = usual.decision(named[0])
    odds = [p / (1 - p) for p in (rare.probability(value), usual.probability(value))]
    shift = (0.001 / 0.999) / (usual.share / (1 - usual.share))
    assert odds[0] / odds[1] == pytest.approx(shift)


def test_a_perfect_separation_stays_finite() -> None:
    named = [{"scan": float(n)} for n in range(-20, 20)]
    made = calibrate(named, [n >= 20 for n in range(40)], [50] * 40, MANIFEST)
    assert 0 < made.probability(made.decision({"scan": -20.0})) < 0.2
    assert 0.8 < made.probability(made.decision({"scan": 19.0})) < 1
    constant = [{"scan": 1.0, "same": 0.0}] * 40
    flat = calibrate(constant, [n >= 20 for n in range(40)], [50] * 40, MANIFEST)
    assert flat.probability(flat.decision(constant[0])) == pytest.approx(0.5)


def test_it_is_written_and_read_back_equal(fitted: Calibration, tmp_path: Path) -> None:
    fitted.save(tmp_path / "c.json")
    assert load_calibration(tmp_path / "c.json") == fitted
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


@pytest.mark.parametrize("change", ["target", "base", "shards", "tokenizer", "decoding"])
def test_other_models_or_decoding_are_refused(fitted: Calibration, change: str) -> None:
    fitted.check(MANIFEST)
    fitted.check({**MANIFEST, "decoding": None})
    with pytest.raises(CalibrationError, match=f"another {change}"):
        fitted.check({**MANIFEST, change: "other"})


@pytest.mark.parametrize(
    "damage",
    [
        {"scale": [0.0, 1.0]},
        {"weights": [1.0]},
        {"weights": [float("nan"), 1.0]},
        {"nulls": [[3.0, 1.0], [], [], [], []]},
        {"nulls": [[]]},
        {"share": 1.0},
        {"prevalence": 0.0},
        {"platt": [1.0]},
        {"names": None},
        {"format": 99},
        {"manifest": 3},
    ],
)
def test_a_damaged_file_is_refused(
    fitted: Calibration, tmp_path: Path, damage: dict[str, Any]
) -> None:
    path = tmp_path / "c.json"
    fitted.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    with pytest.raises(CalibrationError, match="calibrate again"):
        load_calibration(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"x"', '{"format": 1}'])
def test_what_is_no_calibration_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(CalibrationError, match="calibrate again"):
        load_calibration(tmp_path / "c.json")
    with pytest.raises(CalibrationError, match="guardrail calibrate"):
        load_calibration(tmp_path / "missing.json")


def test_too_few_labels_are_refused() -> None:
    named, labels, tokens = drawn(12, 0)
    with pytest.raises(UsageError, match="at least 10"):
        calibrate(named, labels, tokens, MANIFEST)
    with pytest.raises(UsageError, match="not a number"):
        calibrate([{"scan": float("nan")}] * 40, [True, False] * 20, [9] * 40, MANIFEST)
    with pytest.raises(GuardrailError, match="between 0 and 1"):
        calibrate(*drawn(100, 0), MANIFEST, prevalence=1.0)


def test_drift_is_noticed_and_a_few_recited_texts_are_not() -> None:
    named, labels, tokens = drawn(4000, 6)
    made = calibrate(named, labels, tokens, MANIFEST)
    usual, moved, young = Drift(made), Drift(made), Drift(made)
    ordinary = [item for item, label in zip(*drawn(2000, 7)[:2], strict=True) if not label]
    for number, item in enumerate(ordinary[:600]):
        usual.observe(made.decision(item) if number % 20 else 50.0)
        moved.observe(made.decision(item) + 2)
    young.observe(50.0)
    assert usual.problem() is None
    assert young.problem() is None
    assert "calibrate again" in (moved.problem() or "")


def test_the_area_under_a_roc_curve_is_the_share_of_ordered_pairs() -> None:
    dice = np.random.default_rng(8)
    scores, labels = dice.integers(0, 9, 200).astype(float), dice.integers(0, 2, 200).astype(float)
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    assert roc(scores, labels)[1] == pytest.approx(np.mean(pairs))


def test_a_report_is_json_and_a_page_without_scripts(fitted: Calibration) -> None:
    named, labels, _ = drawn(300, 9)
    decisions = np.array([fitted.decision(item) for item in named])
    values = report(fitted, decisions, np.array(labels, float), ["<ordinary>"] * 300, 7)
    json.dumps(values)
    assert values["thresholds"][1]["negatives_behind"] == fitted.negatives
    assert values["thresholds"][2]["needs"] == 10000
    text = page(values)
    assert "&lt;ordinary&gt;" in text
    assert "<script" not in text
    assert text.count("<svg") == 2
