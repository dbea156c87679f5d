"""Rules that contrast hypotheses: their gradients, their goodness, what they hand on."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from pnn.rules import ForwardForward, PhyLL, SymBa
from pnn.rules.goodness import GOODNESS, THRESHOLDS

# The rules as their papers write them, for autograd.


def softplus(x):
    # torch's own is the identity above 20, and so is its derivative: off by 2e-9.
    return torch.logaddexp(x, torch.zeros_like(x))


def phyll_goodness(weights, h):
    return cosine_similarity(h.abs(), weights["p"].expand_as(h), dim=-1)


def contrast_loss(theta, positive, negative):
    return softplus(-theta * (positive - negative))


def forward_forward_goodness(weights, h):
    return h.relu().square().mean(dim=-1)


def forward_forward_loss(theta, positive, negative):
    return softplus(theta - positive) + softplus(negative - theta)


RULES = {
    PhyLL: (phyll_goodness, contrast_loss),
    ForwardForward: (forward_forward_goodness, forward_forward_loss),
    SymBa: (forward_forward_goodness, contrast_loss),
}

problems = st.fixed_dictionaries(
    {
        "rule": st.sampled_from(list(RULES)),
        "theta": st.floats(0.1, 8.0),
        "rows": st.integers(1, 3),
        "classes": st.integers(2, 3),
        "n_features": st.integers(1, 5),
        "width": st.integers(1, 6),
        "seed": st.integers(0, 2**31),
    }
)


def made(rule, rows, classes, n_features, width, seed):
    """Weights in double precision, features of every hypothesis, and the true labels."""
    generator = torch.Generator().manual_seed(seed)
    weights = {k: v.double() for k, v in rule.start(n_features, width, classes, generator).items()}
    if "p" in weights:
        weights["p"] /= weights["p"].norm()  # of length 1 in double precision, too
    weights["b"] += torch.randn(width, generator=generator, dtype=torch.float64)
    features = torch.randn(rows, classes, n_features, generator=generator, dtype=torch.float64)
    return weights, features, torch.randint(classes, (rows,), generator=generator)


def autograd(rule, weights, features, targets, negatives):
    """Loss and gradients by autograd; `negatives` is (rows, k) wrong labels."""
    goodness, loss = RULES[type(rule)]
    leaves = {k: v.clone().requires_grad_(k in rule.trained) for k, v in weights.items()}
    rows = torch.arange(len(features))[:, None]
    g = goodness(leaves, features @ leaves["W"] + leaves["b"])
    value = loss(rule.theta, g[rows, targets[:, None]], g[rows, negatives]).mean()
    value.backward()
    return float(value.detach()), {k: leaves[k].grad for k in rule.trained}


def same(one, other):
    return math.isclose(one[0], other[0], rel_tol=1e-9) and all(
        torch.allclose(one[1][k], other[1][k], rtol=1e-8, atol=1e-11) for k in one[1]
    )


def wrong(targets, classes):
    return [[c for c in range(classes) if c != t] for t in targets.tolist()]


@settings(deadline=None)
@given(problems)
def test_gradients_against_all_wrong_labels_are_those_of_autograd(problem):
    rule = problem.pop("rule")(theta=problem.pop("theta"), negatives="all")
    weights, features, targets = made(rule, **problem)
    ours = rule.gradients(weights, features, targets, torch.Generator())
    negatives = torch.tensor(wrong(targets, problem["classes"]))
    assert set(ours[1]) == set(rule.trained)
    assert same(ours, autograd(rule, weights, features, targets, negatives))


@settings(deadline=None)
@given(problems)
def test_gradients_against_one_label_are_those_of_some_choice_of_wrong_labels(problem):
    rule = problem.pop("rule")(theta=problem.pop("theta"), negatives="one")
    weights, features, targets = made(rule, **problem)
    ours = rule.gradients(weights, features, targets, torch.Generator().manual_seed(1))
    choices = itertools.product(*wrong(targets, problem["classes"]))
    assert any(
        same(ours, autograd(rule, weights, features, targets, torch.tensor(choice)[:, None]))
        for choice in choices
    )


@pytest.mark.parametrize("kind", RULES)
def test_every_wrong_label_is_drawn_in_time_and_the_right_one_never(kind):
    rule = kind()
    weights, features, targets = made(rule, 1, 4, 3, 5, seed=2)
    losses = {
        choice: autograd(rule, weights, features, targets, torch.tensor([[choice]]))[0]
        for choice in range(4)
    }
    generator = torch.Generator().manual_seed(0)
    drawn = set()
    for _ in range(60):
        loss, _ = rule.gradients(weights, features, targets, generator)
        drawn.add(min(losses, key=lambda choice: abs(losses[choice] - loss)))
    assert drawn == set(range(4)) - {int(targets)}


@settings(deadline=None)
@given(problems)
def test_goodness_and_its_slope_are_those_of_autograd(problem):
    rule = problem.pop("rule")(theta=problem.pop("theta"))
    weights, features, _ = made(rule, **problem)
    h = (features.flatten(0, 1) @ weights["W"] + weights["b"]).requires_grad_()
    expected = RULES[type(rule)][0](weights, h)
    expected.sum().backward()
    g, slope = rule.goodness(weights, h.detach())
    torch.testing.assert_close(g, expected.detach())
    torch.testing.assert_close(slope, h.grad, rtol=1e-8, atol=1e-11)


@settings(deadline=None)
@given(problems)
def test_scores_are_the_goodness_of_each_hypothesis(problem):
    rule = problem.pop("rule")(theta=problem.pop("theta"))
    weights, features, _ = made(rule, **problem)
    expected = RULES[type(rule)][0](weights, features @ weights["W"] + weights["b"])
    torch.testing.assert_close(rule.scores(weights, features), expected)


def test_phyll_hands_on_the_readout_at_the_length_of_the_root_of_its_width():
    rule = PhyLL()
    weights, features, _ = made(rule, 3, 2, 4, 9, seed=0)
    h = features @ weights["W"] + weights["b"]
    handed_on = rule.hand_on(weights, features)
    torch.testing.assert_close(handed_on.norm(dim=-1), torch.full((3, 2), 3.0).double())
    torch.testing.assert_close(cosine_similarity(handed_on, h, dim=-1), torch.ones(3, 2).double())


def test_forward_forward_hands_on_no_trace_of_its_goodness():
    rule = ForwardForward()
    weights, features, _ = made(rule, 3, 2, 4, 9, seed=0)
    handed_on = rule.hand_on(weights, features)
    a = (features @ weights["W"] + weights["b"]).relu()
    torch.testing.assert_close(handed_on.square().mean(dim=-1), torch.ones(3, 2).double())
    torch.testing.assert_close(cosine_similarity(handed_on, a, dim=-1), torch.ones(3, 2).double())


@pytest.mark.parametrize("rule", [PhyLL(), ForwardForward(), SymBa(pattern=0)])
def test_a_layer_that_is_silent_hands_on_and_learns_finite_numbers(rule):
    weights, features, targets = made(rule, 2, 3, 4, 5, seed=0)
    weights["b"].zero_()
    assert rule.hand_on(weights, torch.zeros_like(features)).eq(0).all()
    loss, gradients = rule.gradients(
        weights, torch.zeros_like(features), targets, torch.Generator()
    )
    assert math.isfinite(loss)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_the_vector_of_phyll_has_length_one_and_is_not_trained():
    rule = PhyLL()
    p = rule.start(4, 50, 3, torch.Generator().manual_seed(0))["p"]
    assert float(p.norm()) == pytest.approx(1)
    assert (p < 0).any()
    assert (p > 0).any()
    assert "p" not in rule.trained


@pytest.mark.parametrize("kind", RULES)
def test_options_out_of_range_are_refused_with_their_value(kind):
    with pytest.raises(ValueError, match="theta=0 must be a finite number above 0"):
        kind(theta=0)
    with pytest.raises(ValueError, match="theta=nan"):
        kind(theta=math.nan)
    with pytest.raises(ValueError, match="negatives='few' is not one of one, all"):
        kind(negatives="few")


# -- goodness as a plug ------------------------------------------------------------------------

PLUGS = {
    "mean": lambda a, p: a.square().mean(dim=1),
    "sum": lambda a, p: a.square().sum(dim=1),
    "top-k": lambda a, p: a.square().topk(max(1, a.shape[1] // 10), dim=1).values.mean(dim=1),
    "cosine": lambda a, p: cosine_similarity(a, p.expand_as(a), dim=1),
}


@pytest.mark.parametrize("name", GOODNESS)
def test_every_goodness_has_the_slope_of_autograd(name):
    rule = ForwardForward(goodness=name)
    assert rule.theta == THRESHOLDS[name]
    weights, features, _ = made(rule, 3, 3, 5, 31, seed=4)
    h = (features.flatten(0, 1) @ weights["W"] + weights["b"]).requires_grad_()
    expected = PLUGS[name](h.relu(), weights.get("p"))
    expected.sum().backward()
    g, slope = rule.goodness(weights, h.detach())
    torch.testing.assert_close(g, expected.detach())
    torch.testing.assert_close(slope, h.grad, rtol=1e-8, atol=1e-11)


def test_an_unknown_goodness_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="goodness='max' is not one of mean, sum, top-k, cosine"):
        ForwardForward(goodness="max")


def test_peer_normalisation_adds_the_gradient_of_its_penalty():
    rule, plain = ForwardForward(peer=3.0), ForwardForward()
    weights, features, targets = made(rule, 6, 2, 4, 7, seed=3)
    leaves = {k: weights[k].clone().requires_grad_() for k in ("W", "b")}
    f = features[torch.arange(6), targets]
    mean = (f @ leaves["W"] + leaves["b"]).relu().mean(dim=0)
    penalty = 0.5 * 3.0 * (mean - mean.mean()).square().mean()
    penalty.backward()
    loss, found = rule.gradients(weights, features, targets, torch.Generator())
    before, base = plain.gradients(weights, features, targets, torch.Generator())
    assert loss == pytest.approx(before + float(penalty.detach()))
    for name, leaf in leaves.items():
        torch.testing.assert_close(found[name] - base[name], leaf.grad)


def test_symba_tells_every_layer_the_hypothesis():
    rule, plain = SymBa(pattern=0.5), SymBa(pattern=0.0)
    weights, features, _ = made(rule, 3, 2, 4, 9, seed=0)
    told = rule.hand_on(weights, features) - plain.hand_on(weights, features)
    torch.testing.assert_close(told, 0.5 * weights["patterns"].expand(3, 2, 9))
    assert not weights["patterns"][0].equal(weights["patterns"][1])


def test_goodness_of_other_layers_moves_the_loss_but_carries_no_gradient():
    rule = PhyLL(negatives="all")
    weights, features, targets = made(rule, 4, 3, 5, 6, seed=1)
    alone, gradients = rule.gradients(weights, features, targets, torch.Generator())
    rule.others = 50 * torch.nn.functional.one_hot(targets, 3)  # they know the answer already
    loss, left = rule.gradients(weights, features, targets, torch.Generator())
    assert loss < 1e-3 * alone
    assert left["W"].norm() < 1e-3 * gradients["W"].norm()
