"""Rules for devices with particular physics: the gradient they find, what they refuse, a swarm."""

import numpy as np
import pytest
import torch
from black_boxes import Box, box_for, digits

from pnn import PhysicalClassifier
from pnn.compare.config import CompareConfig
from pnn.compare.plan import plan_comparison
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules import make_rule
from pnn.training import Training
from simulators import DyadicNetwork, EnergyNetwork

DATA = digits()
RULES = {"equilibrium-propagation": EnergyNetwork, "dual-propagation": DyadicNetwork}


@pytest.mark.parametrize("name", RULES)
def test_the_gradient_is_that_of_the_loss_as_the_nudge_goes_to_zero(name):
    device = RULES[name](n_inputs=5, n_outputs=6, hidden=7, ideal=True, coupling=0.5, gain=1.5)
    layer = PhysicalLayer(device)
    layer.trains_parameters = True
    rng = np.random.default_rng(0)
    drives, grad = rng.uniform(-1, 1, (30, 5)), torch.from_numpy(rng.standard_normal((30, 6)))
    grad[3] = 0.0  # a row that is content pushes nothing
    expected = make_rule("ideal-backprop").vjp(0, layer, drives, drives, grad)
    errors = []
    with device:
        for nudge in (0.04, 0.02):
            found = make_rule(name, nudge=nudge).vjp(0, layer, drives, drives, grad)
            for one, true in zip(found, expected, strict=True):
                errors.append(float((one - true).norm() / true.norm()))
    assert max(errors) < 0.01
    assert errors[2] < 0.4 * errors[0]
    assert errors[3] < 0.4 * errors[1]


@pytest.mark.parametrize("name", RULES)
def test_parameters_inside_are_worth_training(name):
    found = {}
    for train in (["readout"], ["readout", "parameters"]):
        estimator = PhysicalClassifier(
            box_for(name, 16, 6, gain=0.4, seed=3),
            name,
            epochs=15,
            batch_size=32,
            random_state=0,
            train=train,
        )
        estimator.fit(DATA.X[:360], DATA.y[:360])
        found[len(train)] = estimator.score(DATA.X[360:], DATA.y[360:])
    assert found[2] > found[1] + 0.03


@pytest.mark.parametrize("name", RULES)
def test_elsewhere_the_reason_is_given(name):
    other = next(kind for rule, kind in RULES.items() if rule != name)
    for device in (Box(5, 4), other(n_inputs=5, n_outputs=4)):
        network = PhysicalNetwork([PhysicalLayer(device)])
        with pytest.raises(ValueError, match=f"'{name}' needs a device .* {device.spec.name} is n"):
            make_rule(name).check(network, Training(), 3)
    network = PhysicalNetwork([PhysicalLayer(RULES[name](n_inputs=5, n_outputs=400, hidden=2))])
    with pytest.raises(ValueError, match=r"nudge=1 may take a force .* take at most 0\.5"):
        make_rule(name, nudge=1.0).check(network, Training(), 3)


def test_a_comparison_says_where_a_rule_does_not_apply():
    config = CompareConfig(
        data="digits",
        rules=["readout", "equilibrium-propagation"],
        devices=["sim:random-features", "sim:energy-network"],
    )
    plan = plan_comparison(config, DATA)
    assert {(cell.rule, cell.device) for cell in plan.cells} == {(0, 0), (0, 1), (1, 1)}
    words = "does not apply: rule 'equilibrium-propagation' needs a d"
    assert plan.refused[1, 0, 0].startswith(words)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_swarm_finds_the_valley_though_losses_change_from_step_to_step(noise):
    rule, rng = make_rule("particle-swarm", particles=12), np.random.default_rng(0)
    valley = rng.uniform(-0.5, 0.5, 6)
    rule.begin(6, np.random.default_rng(1))
    for _ in range(80):
        shift = noise * rng.standard_normal()  # of a batch: the same for all candidates
        rule.step(
            lambda places, shift=shift: np.array(
                [((x - valley) ** 2).sum() + shift for x in places]
            )
        )
    assert np.abs(rule.best - valley).max() < 0.02
