"""Rules with a local loss: their gradients are those of autograd, their options are checked."""

import math

import numpy as np
import pytest
import torch
from black_boxes import Box, digits
from torch.nn.functional import cross_entropy, normalize, one_hot

from pnn import PhysicalClassifier
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules import (
    DRTP,
    RULES,
    CaFo,
    CounterCurrent,
    LayerCollaboration,
    Logistic,
    NoProp,
    Pepita,
    RecurrentForwardForward,
    ScalableForwardForward,
    SelfContrastive,
    TargetProjectionSGD,
)
from pnn.training import Training

DATA = digits()


def made(rule, rows=7, classes=4, n_features=6, width=8, seed=0):
    """Weights in double precision, features and labels."""
    generator = torch.Generator().manual_seed(seed)
    weights = {k: v.double() for k, v in rule.start(n_features, width, classes, generator).items()}
    for name in set(rule.trained) & set(weights):
        noise = torch.randn(weights[name].shape, generator=generator, dtype=torch.float64)
        weights[name] = weights[name] + 0.3 * noise
    features = torch.randn(rows, n_features, generator=generator, dtype=torch.float64)
    return weights, features, torch.randint(classes, (rows,), generator=generator)


def logistic_loss(rule, w, f, t):
    return cross_entropy(f @ w["W"] + w["b"], t) + 0.5 * rule.decay * w["W"].square().sum()


def scalable_loss(rule, w, f, t):
    a = (f @ w["W"] + w["b"]).relu()
    return cross_entropy(torch.stack([g.square().mean(1) for g in a.chunk(4, dim=1)], 1), t)


def target_projection_loss(rule, w, f, t):
    a = (f @ w["W"] + w["b"]).tanh()
    off = a - w["B"][t]
    distance = off.square().mean() if rule.norm == "l2" else off.abs().mean()
    return distance + cross_entropy(a.detach() @ w["M"], t)


def counter_current_loss(rule, w, f, t):
    a = (f @ w["W"] + w["b"]).relu()
    k = (rule.above @ w["V"]).relu()
    meeting = normalize(a, dim=1) @ normalize(k, dim=1).T - one_hot(t, 4)
    return meeting.square().mean() + cross_entropy(a.detach() @ w["M"], t)


def meeting():
    rule = CounterCurrent()
    rule.widths_above, rule.above = [4] * 9, torch.eye(4, dtype=torch.float64)
    return rule


# Each rule with its loss as autograd sees it, and whether the rule reports that loss.
LOSSES = [
    (Logistic(decay=0.3), logistic_loss),
    (CaFo("gradient", decay=0.1), logistic_loss),
    (ScalableForwardForward(), scalable_loss),
    (TargetProjectionSGD(), target_projection_loss),
    (TargetProjectionSGD("l1"), target_projection_loss),
    (meeting(), counter_current_loss),
]


@pytest.mark.parametrize(("rule", "loss_of"), LOSSES, ids=lambda one: getattr(one, "name", ""))
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_autograd(rule, loss_of, seed):
    weights, features, targets = made(rule, seed=seed)
    leaves = {k: v.clone().requires_grad_(k in rule.trained) for k, v in weights.items()}
    expected = loss_of(rule, leaves, features, targets)
    expected.backward()
    loss, gradients = rule.gradients(weights, features, targets, torch.Generator())
    if not isinstance(rule, TargetProjectionSGD):  # which reports how well its readout does
        assert math.isclose(loss, float(expected.detach()), rel_tol=1e-9)
    assert set(gradients) == set(rule.trained)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, leaves[name].grad, rtol=1e-8, atol=1e-11)


def test_drtp_is_taught_by_the_projected_label_alone():
    rule = DRTP()
    weights, features, targets = made(rule)
    _, gradients = rule.gradients(weights, features, targets, torch.Generator())
    a = rule.hand_on(weights, features)
    expected = features.T @ (weights["B"][targets] * (1 - a**2)) / len(features)
    torch.testing.assert_close(gradients["W"], expected)
    weights["M"] *= -3  # what the readout thinks of it does not matter
    torch.testing.assert_close(
        rule.gradients(weights, features, targets, torch.Generator())[1]["W"], expected
    )


def test_cafo_adds_up_its_predictors_as_they_were_fitted():
    scores = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])]
    assert CaFo().combine(scores).tolist() == [[1, 3]]
    expected = torch.stack(scores).softmax(dim=2).sum(dim=0)
    torch.testing.assert_close(CaFo("gradient").combine(scores), expected)
    assert CaFo("gradient").uses_validation
    assert not CaFo().uses_validation


# -- rules with a course of their own ----------------------------------------------------------


def fitted(rule, box, rows=60, **parameters):
    settings = {"width": 8, "epochs": 2, "validation": 0, "random_state": 0, "batch_size": rows}
    estimator = PhysicalClassifier(box, rule, **settings | parameters)
    return estimator.fit(DATA.X[:rows], DATA.y[:rows])


def test_pepita_drives_again_with_an_input_that_the_error_moves():
    box = Box(16)
    fitted("pepita", box, epochs=1)
    first, second = np.split(box.rows, 2)
    moved = np.abs(second[:, None] - first).max(axis=2).min(axis=1)  # from the row that is nearest
    assert 0 < moved.mean() < 0.1
    assert ((second >= 0) & (second <= 1)).all()


def test_pepita_is_at_rest_where_nothing_is_moved():
    strong, weak = (
        fitted("pepita", Box(16), epochs=1, rule_options={"strength": s}) for s in (0.1, 1e-12)
    )
    W = [e.network_.layers[0].weights["W"] for e in (strong, weak)]
    start = fitted("mono-forward", Box(16), epochs=1, learning_rate=1e-12).network_.layers[0]
    assert (W[0] - start.weights["W"]).norm() > 10 * (W[1] - start.weights["W"]).norm()


def test_noprop_shows_each_layer_less_noise_and_the_sample_itself():
    boxes = [Box(19, seed=i) for i in range(3)]
    fitted("noprop", boxes, rule_options={"draws": 2})
    truth = np.eye(3)[np.repeat(DATA.y[:60], 2)].ravel()
    seen = [np.corrcoef(truth, box.rows[:, 16:].ravel())[0, 1] for box in boxes]
    assert abs(seen[0]) < 0.2 < seen[1] < seen[2]
    for box in boxes[1:]:
        assert len(box.rows) == 120
        # Another layer, another scale; the same order of the same samples.
        assert np.corrcoef(box.rows[:, 5], boxes[0].rows[:, 5])[0, 1] > 0.999


def test_the_recurrent_network_is_driven_from_below_and_from_above():
    first, second = Box(24), Box(11, seed=1)
    estimator = fitted("recurrent-forward-forward", [first, second], epochs=1)
    first.rows, second.rows = np.empty((0, 24)), np.empty((0, 11))
    estimator.predict(DATA.X[:1])
    assert len(first.rows) == len(second.rows) == 3 * 3  # labels, and iterations
    x, above = first.rows[:, :16], first.rows[:, 16:]
    np.testing.assert_allclose(x, np.broadcast_to(x[0], x.shape))
    assert not np.array_equal(above[:3], above[3:6])  # nothing from above at first
    np.testing.assert_array_equal(above[:1].repeat(3, axis=0), above[:3])
    np.testing.assert_array_equal(np.argsort(second.rows[:, 8:])[:, -1], np.tile([0, 1, 2], 3))


@pytest.mark.parametrize("rule", ["layer-collaboration", "counter-current", "pepita"])
def test_layers_that_learn_together_measure_the_later_ones_with_every_batch(rule):
    first, second = Box(19), Box(8, seed=1)
    fitted(rule, [first, second], epochs=3)
    again = rule == "pepita"
    views = RULES[rule]().views(3, True)
    assert first.ledger.total == 60 * views * (1 + 3 * again)
    assert second.ledger.total == 60 * views * (1 + 3 + 3 * again)


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (Logistic, {"decay": -1}, "decay=-1 must be a finite number of at least 0"),
        (CaFo, {"predictor": "tree"}, "predictor='tree' is not one of closed-form, gradient"),
        (TargetProjectionSGD, {"norm": "l3"}, "norm='l3' is not one of l2, l1"),
        (Pepita, {"strength": 0}, "strength=0 must be a finite number above 0"),
        (NoProp, {"draws": 0}, "draws=0 must be a whole number of at least 1"),
        (
            RecurrentForwardForward,
            {"iterations": 0},
            "iterations=0 must be a whole number of at least 1",
        ),
        (
            SelfContrastive,
            {"theta_negative": 0},
            "theta_negative=0 must be a finite number above 0",
        ),
        (LayerCollaboration, {"theta": -1}, "theta=-1 must be a finite number above 0"),
    ],
)
def test_options_out_of_range_are_refused_with_their_value(rule, options, message):
    with pytest.raises(ValueError, match=message):
        rule(**options)


def test_classes_without_a_unit_are_refused_before_anything_is_driven():
    network = PhysicalNetwork([PhysicalLayer(Box(), width=5)])
    with pytest.raises(ValueError, match="needs a unit for each of the 10 classes; width=5"):
        ScalableForwardForward().check(network, Training(), 10)
