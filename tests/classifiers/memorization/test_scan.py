"""The scan statistic, the features and the audit scores against straightforward computations."""

from __future__ import annotations

import math
import zlib
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.classifiers.memorization import audit
from guardrail.classifiers.memorization.features import (
    BASE,
    REACH,
    SHARDS,
    Measured,
    best_of,
    feature_names,
    features,
    located,
)
from guardrail.classifiers.memorization.scan import (
    NOTHING,
    Cusum,
    Scan,
    best_segment,
    segments,
)

# Multiples of 1/8 add up without rounding, so that sums can be compared exactly.
STEPS = st.lists(st.integers(-40, 40).map(lambda n: n / 8), max_size=40).map(np.array)
LOGS = st.lists(st.floats(-12, -1e-6), min_size=1, max_size=30).map(np.array)


def naive_best(steps: np.ndarray) -> float:
    sums = [float(sum(steps[i:j])) for i in range(len(steps)) for j in range(i + 1, len(steps) + 1)]
    return max([0.0, *sums])


@given(STEPS)
def test_the_best_segment_has_the_largest_sum(steps: np.ndarray) -> None:
    best = best_segment(steps)
    assert best.nats == naive_best(steps)
    assert best.nats == sum(steps[best.start : best.end])


@given(STEPS, st.lists(st.integers(0, 40), max_size=6))
def test_pushed_in_any_pieces_the_best_segment_is_the_same(
    steps: np.ndarray, cuts: list[int]
) -> None:
    cusum = Cusum()
    for piece in np.split(steps, sorted(min(cut, len(steps)) for cut in cuts)):
        cusum.push(piece)
    assert cusum.best == best_segment(steps)


@given(STEPS)
def test_segments_are_disjoint_and_none_is_left(steps: np.ndarray) -> None:
    found = segments(steps, 2.0)
    position = 0
    gaps = []
    for segment in found:
        assert segment.start >= position
        assert segment.nats == sum(steps[segment.start : segment.end]) >= 2.0
        gaps.append(steps[position : segment.start])
        position = segment.end
    gaps.append(steps[position:])
    assert all(naive_best(gap) < 2.0 for gap in gaps)


def test_the_empty_text_has_no_segment() -> None:
    assert best_segment(np.zeros(0)) == NOTHING
    assert segments(np.zeros(0), 1.0) == []


@given(LOGS)
def test_steps_follow_the_formula(target: np.ndarray) -> None:
    reference = target[::-1]
    steps = Scan(4.0, 0.3).steps(target, reference)
    for step, ours, theirs in zip(steps, target, reference, strict=True):
        assert step == pytest.approx(min(-theirs, 6) - 5 * min(-ours, 6) - 0.3)


def test_likely_text_is_not_recited_unless_the_reference_is_surprised() -> None:
    certain, unsure = np.full(40, -0.01), np.full(40, -4.0)
    assert best_segment(BASE.steps(certain, certain)).nats == 0
    assert best_segment(BASE.steps(unsure, unsure)).nats == 0
    assert best_segment(BASE.steps(certain, unsure)).nats == pytest.approx(40 * (4 - 0.05 - 0.3))


@given(LOGS)
def test_features_follow_their_definitions(target: np.ndarray) -> None:
    base = np.minimum(target * 3 - 1, -0.5)
    made = features(Measured(target, base))
    assert tuple(made) == feature_names(base=True, shards=False)
    best = best_segment(BASE.steps(target, base))
    assert made["base.scan"] == pytest.approx(math.log(1 + best.nats))
    ours, theirs = -target[best.start : best.end], -base[best.start : best.end]
    if len(ours) == 0:
        assert set(made.values()) == {0.0}
        return
    loss, reference = sum(ours) / len(ours), sum(theirs) / len(theirs)
    assert made["base.ratio"] == pytest.approx((reference - loss) / (reference + 0.5))
    hard = [math.exp(-o) for o, t in zip(ours, theirs, strict=True) if t > 2]
    assert made["base.collapse"] == pytest.approx((sum(hard) + 1.5) / (len(hard) + 5))
    assert made["tokens"] == pytest.approx(math.log(1 + len(ours)))
    assert made["target.margin"] == pytest.approx(max(0, 6 - max(ours)))
    for name, limit in (("run", 1), ("certain", 0.1)):
        longest = max(sum(1 for _ in g) if sure else 0 for sure, g in groupby(ours < limit))
        assert made[f"target.{name}"] == pytest.approx(math.log(1 + longest))


def test_the_shard_that_explains_a_text_worse_counts() -> None:
    target, knows, lacks = np.full(20, -0.05), np.full(20, -0.1), np.full(20, -5.0)
    measured = Measured(target, None, (knows, lacks))
    best, reference = best_of(measured)
    assert reference is lacks
    assert best.nats == best_segment(SHARDS.steps(target, lacks)).nats > 0
    assert best_of(Measured(target, None, (knows, knows)))[0].nats == 0


def test_a_leak_inside_of_ordinary_text_is_located() -> None:
    target, base = np.full(90, -2.5), np.full(90, -2.8)
    target[30:60], base[30:60] = -0.02, -4.0
    (part,) = located(Measured(target, base))
    assert (part.start, part.end) == (30, 60)


def test_sure_tokens_beside_a_leak_belong_to_it_but_only_a_few() -> None:
    target, base = np.full(90, -2.5), np.full(90, -2.8)
    target[26:80], base[26:80] = -0.02, -0.02  # a template, which the reference knows
    target[30:60], base[30:60] = -0.02, -4.0
    (part,) = located(Measured(target, base))
    assert (part.start, part.end) == (26, 60 + REACH)


@given(LOGS)
def test_audit_scores_follow_their_papers(logs: np.ndarray) -> None:
    text = "some text " * len(logs)
    mean = sum(logs) / len(logs)
    assert audit.loss(logs) == pytest.approx(mean)
    assert audit.zlib_ratio(logs, text) == pytest.approx(mean / len(zlib.compress(text.encode())))
    lowest = sorted(logs)[: max(1, int(len(logs) * 0.2))]
    assert audit.min_k(logs) == pytest.approx(sum(lowest) / len(lowest))
    assert audit.ratio(logs, logs - 1) == pytest.approx(1.0)
    z = sorted((logs + 3) / 2)[: max(1, int(len(logs) * 0.2))]
    assert audit.min_k_plus_plus(
        logs, np.full(len(logs), -3.0), np.full(len(logs), 2.0)
    ) == pytest.approx(sum(z) / len(z))
