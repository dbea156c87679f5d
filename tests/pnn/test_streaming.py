"""Recursive least squares: the same as all rows at once, weighed by their age."""

import numpy as np
import pytest
import torch
from black_boxes import Box, digits, slope
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn import PhysicalClassifier, PhysicalRegressor
from pnn.rules import Streaming

DATA = digits()


def start(n, targets):
    return {
        "W": torch.zeros(n, targets, dtype=torch.float64),
        "b": torch.zeros(targets, dtype=torch.float64),
        "P": torch.eye(n + 1, dtype=torch.float64) / 1e-3,
    }


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    n=st.integers(1, 6),
    forgetting=st.sampled_from([1.0, 0.99, 0.95]),
    seed=st.integers(0, 2**31),
)
def test_batches_give_the_least_squares_of_all_rows_weighed_by_age(cuts, n, forgetting, seed):
    rng = np.random.default_rng(seed)
    rows = sum(cuts)
    f, t = rng.standard_normal((rows, n)), rng.standard_normal((rows, 2))
    rule, weights = Streaming(forgetting=forgetting, strength=1e-3), start(n, 2)
    for part in np.split(np.arange(rows), np.cumsum(cuts)[:-1]):
        rule.follow(weights, torch.from_numpy(f[part]), torch.from_numpy(t[part]))
    x = np.hstack([f, np.ones((rows, 1))])
    weigh = forgetting ** np.arange(rows - 1, -1, -1.0)
    left = (x.T * weigh) @ x + 1e-3 * forgetting**rows * np.eye(n + 1)
    expected = np.linalg.solve(left, (x.T * weigh) @ t)
    np.testing.assert_allclose(weights["W"], expected[:-1], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(weights["b"], expected[-1], rtol=1e-6, atol=1e-8)


def test_a_stream_in_parts_is_the_stream_as_a_whole():
    settings = {"layers": 2, "width": 8, "batch_size": 60, "random_state": 0}
    X = DATA.X[:240].copy()
    X[0], X[1] = X.min(axis=0), X.max(axis=0)  # the first call fixes the encoder
    whole = PhysicalClassifier(Box(32), "streaming", **settings).fit(X, DATA.y[:240])
    parts = PhysicalClassifier(Box(32), "streaming", **settings)
    parts.partial_fit(X[:120], DATA.y[:120], classes=[0, 1, 2])
    parts.partial_fit(X[120:], DATA.y[120:240])
    assert parts.network_.layers[0].device.ledger.queries == {"train": 480}
    found = parts.decision_function(DATA.X[240:])
    np.testing.assert_allclose(found, whole.decision_function(DATA.X[240:]), atol=1e-9)
    assert parts.score(DATA.X[240:], DATA.y[240:]) > 0.85


def test_it_follows_a_relation_that_changes_and_forgets_the_old_one():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1200, 3))
    y = np.where(np.arange(1200) < 600, 1, -1) * (X[:, 0] - X[:, 1])
    scores = {}
    for forgetting in (1.0, 0.99):
        estimator = PhysicalRegressor(
            Box(3, 20), "streaming", rule_options={"forgetting": forgetting}, random_state=0
        )
        for part in np.split(np.arange(1000), 10):
            estimator.partial_fit(X[part], y[part])
        scores[forgetting] = estimator.score(X[1000:], y[1000:])
    assert scores[0.99] > 0.7
    assert scores[1.0] < 0.5


def test_answers_are_not_kept_and_rows_are_measured_once_in_their_order():
    box = Box(3)
    data = slope()
    PhysicalRegressor(box, "streaming", batch_size=32, random_state=0).fit(data.X, data.y)
    assert box.ledger.queries == {"train": len(data.X)}
    low, span = data.X.min(axis=0), np.ptp(data.X, axis=0)
    np.testing.assert_allclose(box.rows, (data.X - low) / span, atol=1e-9)


def test_a_stream_needs_its_classes_and_a_rule_that_can_learn_online():
    estimator = PhysicalClassifier(Box(16), "streaming")
    with pytest.raises(ValueError, match="first call of partial_fit needs all labels"):
        estimator.partial_fit(DATA.X[:9], DATA.y[:9])
    estimator.partial_fit(DATA.X[:60], DATA.y[:60], classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"labels \[7\] are none of the classes \[0, 1, 2\]"):
        estimator.partial_fit(DATA.X[:3], [0, 1, 7])
    assert not hasattr(PhysicalClassifier(rule="phyll"), "partial_fit")
    with pytest.raises(ValueError, match=r"forgetting=0\.5 must be a finite number above 0.9"):
        Streaming(forgetting=0.5)
