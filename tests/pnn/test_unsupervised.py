"""Contrast without labels: what negatives are, and what the readout at the end sees."""

import numpy as np
import pytest
import torch
from black_boxes import Box, digits

from pnn import PhysicalClassifier
from pnn.rules import RULES
from pnn.rules.readout import ridge
from pnn.rules.unsupervised import Unsupervised

DATA = digits()
X, Y = DATA.X[:120], DATA.y[:120]
UNSUPERVISED = [name for name, rule in RULES.items() if issubclass(rule, Unsupervised)]


def fitted(rule, y=Y, **parameters):
    settings = {"width": 16, "epochs": 3, "random_state": 0, "layers": 2}
    return PhysicalClassifier(Box(16), rule, **settings | parameters).fit(X, y)


def expanded(rule, inputs=X, training=True):
    made = RULES[rule]()
    made.seed = 3
    return made.expand(inputs, 3, training)[0]


@pytest.mark.parametrize("rule", UNSUPERVISED)
def test_each_sample_stands_beside_a_mixture_with_another_one(rule):
    pairs = expanded(rule).reshape(len(X), 2, -1)
    np.testing.assert_array_equal(pairs[:, 0], X)
    assert (pairs[:, 1] != X).any(axis=1).mean() > 0.9
    low, high = X.min(axis=0), X.max(axis=0)
    assert ((low <= pairs[:, 1]) & (pairs[:, 1] <= high)).all()
    np.testing.assert_array_equal(expanded(rule), expanded(rule))
    np.testing.assert_array_equal(expanded(rule, training=False), X)


@pytest.mark.parametrize("rule", ["phyll-unsupervised", "forward-forward-unsupervised"])
def test_hybrids_take_runs_of_features_from_either_sample(rule):
    inputs = np.stack([np.zeros(64), np.ones(64)])
    hybrids = expanded(rule, inputs).reshape(2, 2, 64)[:, 1]
    assert set(np.unique(hybrids)) == {0, 1}
    assert (np.diff(hybrids) != 0).sum(axis=1).max() < 20  # 32 of 63 without runs


@pytest.mark.parametrize("rule", UNSUPERVISED)
def test_the_features_are_learned_without_labels(rule):
    other = fitted(rule, np.random.default_rng(0).permutation(Y))
    for one, two in zip(fitted(rule).network_.layers, other.network_.layers, strict=True):
        assert one.weights["W"].equal(two.weights["W"])
        assert not one.weights["R"].equal(two.weights["R"])


@pytest.mark.parametrize("rule", UNSUPERVISED)
def test_the_scores_are_the_ridge_regression_on_what_all_layers_hand_on(rule):
    estimator = fitted(rule)
    made, layers = estimator.rule_, estimator.network_.layers
    seen, z = [], X
    with layers[0].device:
        for i, layer in enumerate(layers):
            f = made.measure(layer, z, 3, "test", first=i == 0)
            seen.append(made.hand_on(layer.weights, f[:, 0]))
            z = made.pass_on(layer, f)
    joined = torch.cat(seen, dim=1).numpy()
    W, b, *_ = ridge(joined, np.eye(3)[Y])
    # Scores in double precision meet answers in single precision.
    np.testing.assert_allclose(estimator.decision_function(X), joined @ W + b, atol=2e-3)
