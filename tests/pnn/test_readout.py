"""Ridge regression in closed form, its strength by generalised cross-validation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn.rules import Readout
from pnn.rules.readout import ridge

shapes = given(
    rows=st.integers(3, 24),
    n_features=st.integers(1, 30),
    n_targets=st.integers(1, 3),
    offset=st.sampled_from([0.0, 100.0]),
    seed=st.integers(0, 2**31),
)


def problem(rows, n_features, n_targets, offset, seed):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((rows, n_features)) * rng.uniform(0.1, 3, n_features) + offset
    targets = features @ rng.standard_normal((n_features, n_targets))
    return features, targets + rng.standard_normal((rows, n_targets)) - offset


def score(features, targets, strength):
    """Generalised cross-validation, written out with the matrix that makes residuals.

    On an orthonormal basis of what is left of the rows without their mean.
    """
    n = len(features)
    basis = np.linalg.svd(np.eye(n) - 1 / n)[0][:, : n - 1]
    f, t = basis.T @ features, basis.T @ targets
    residuals = strength * np.linalg.inv(f @ f.T + strength * np.eye(n - 1))
    return ((residuals @ t) ** 2).sum() / np.trace(residuals) ** 2


@settings(deadline=None)
@shapes
def test_weights_solve_the_normal_equations_about_the_means(**shape):
    features, targets = problem(**shape)
    weights, offset, strength, _ = ridge(features, targets)
    f, t = features - features.mean(axis=0), targets - targets.mean(axis=0)
    left = (f.T @ f + strength * np.eye(f.shape[1])) @ weights
    np.testing.assert_allclose(left, f.T @ t, rtol=1e-6, atol=1e-6 * np.abs(f.T @ t).max())
    np.testing.assert_allclose(
        features.mean(axis=0) @ weights + offset, targets.mean(axis=0), rtol=1e-9, atol=1e-9
    )


@settings(deadline=None)
@shapes
def test_no_other_strength_has_a_lower_score(**shape):
    features, targets = problem(**shape)
    _, _, strength, found = ridge(features, targets, strengths=30)
    top = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)[0] ** 2
    scores = [score(features, targets, s) for s in top * np.logspace(-10, 1, 30)]
    assert score(features, targets, strength) <= min(scores) * 1.01
    if len(features) > features.shape[1] + 1:
        assert found == pytest.approx(score(features, targets, strength), rel=1e-6)


def test_little_data_and_much_noise_is_held_back_more():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 20))
    clean = features @ rng.standard_normal((20, 1))
    noisy = clean + 20 * rng.standard_normal((60, 1))
    assert ridge(features, clean)[2] < 1e-3 < ridge(features, noisy)[2]


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)], ids=["tall", "wide"])
def test_features_that_never_move_are_left_out(shape):
    rng = np.random.default_rng(0)
    features = rng.standard_normal(shape)
    features[:, ::2] = 7.0
    targets = rng.standard_normal((len(features), 2))
    weights, offset, strength, _ = ridge(features, targets)
    np.testing.assert_allclose(weights[::2], 0, atol=1e-9)
    alone, level, same, _ = ridge(features[:, 1::2], targets)
    assert strength == pytest.approx(same)
    np.testing.assert_allclose(features @ weights + offset, features[:, 1::2] @ alone + level)


def test_nothing_but_constants_gives_the_mean():
    weights, offset, *_ = ridge(np.full((5, 3), 2.0), np.arange(5.0)[:, None])
    np.testing.assert_allclose(weights, 0)
    np.testing.assert_allclose(offset, 2)


def test_single_precision_features_are_summed_in_double_precision():
    features = (1000 + np.random.default_rng(0).random((500, 4))).astype(np.float32)
    targets = features.astype(float) @ np.array([[1.0], [-2.0], [3.0], [0.5]]) - 7
    weights, offset, *_ = ridge(features, targets)
    np.testing.assert_allclose(weights[:, 0], [1, -2, 3, 0.5], rtol=1e-5)
    np.testing.assert_allclose(offset, -7, rtol=1e-2)


def test_a_rule_without_gradients_says_so():
    with pytest.raises(TypeError, match="readout has no gradients: it is fitted in closed form"):
        Readout().gradients({}, torch.zeros(1, 1), torch.zeros(1), torch.Generator())


def test_one_strength_is_no_choice():
    with pytest.raises(ValueError, match="strengths=1 must be a whole number of at least 2"):
        Readout(strengths=1)
