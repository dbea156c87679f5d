"""Mono-Forward: a local classifier on every layer."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from pnn.rules import MonoForward


def made(rows, classes, n_features, width, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = MonoForward().start(n_features, width, classes, generator)
    weights = {k: v.double() for k, v in weights.items()}
    weights["b"] += torch.randn(width, generator=generator, dtype=torch.float64)
    features = torch.randn(rows, n_features, generator=generator, dtype=torch.float64)
    return weights, features, torch.randint(classes, (rows,), generator=generator)


@settings(deadline=None)
@given(
    rows=st.integers(1, 7),
    classes=st.integers(2, 5),
    n_features=st.integers(1, 6),
    width=st.integers(1, 8),
    seed=st.integers(0, 2**31),
)
def test_gradients_and_scores_are_those_of_autograd(rows, classes, n_features, width, seed):
    rule = MonoForward()
    weights, features, targets = made(rows, classes, n_features, width, seed)
    leaves = {k: v.clone().requires_grad_() for k, v in weights.items()}
    scores = (features @ leaves["W"] + leaves["b"]).relu() @ leaves["M"]
    expected = cross_entropy(scores, targets)
    expected.backward()
    loss, gradients = rule.gradients(weights, features, targets, torch.Generator())
    assert math.isclose(loss, float(expected.detach()), rel_tol=1e-9)
    assert set(gradients) == {"W", "b", "M"} == set(rule.trained)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, leaves[name].grad, rtol=1e-8, atol=1e-11)
    torch.testing.assert_close(rule.scores(weights, features), scores.detach())


def test_it_hands_on_what_is_above_zero():
    weights, features, _ = made(5, 3, 4, 6, seed=1)
    h = features @ weights["W"] + weights["b"]
    torch.testing.assert_close(
        MonoForward().hand_on(weights, features), torch.where(h > 0, h, torch.zeros_like(h))
    )


def test_digital_work_is_that_of_both_matrices():
    assert MonoForward().multiply_adds(n_features=10, width=4, n_classes=3) == 10 * 4 + 4 * 3
