"""The delay line with one nonlinear node."""

import math

import numpy as np
import pytest

from simulators import DelayLineReservoir

# -- the delay line --------------------------------------------------------------------------------


def test_the_delay_line_obeys_its_equation():
    # x' = -x + feedback sin^2(x(t - delay) + gain m + bias), by steps of 1/2,000 of a response
    # time. The line's samples of 0.05 are of second order: below 1e-4.
    kinds = {"n_inputs": 3, "n_outputs": 15, "n_steps": 3, "spacing": 0.2, "loops": 1}
    line = DelayLineReservoir(**kinds, samples=4, ideal=True, input_gain=2.0)
    u = np.array([0.3, -0.9, 0.7])
    with line:
        seen = line.measure([u])[0]
    fine = 400  # steps for a node
    h = 0.2 / fine
    # The loop at rest is a constant x = feedback sin^2(x + bias).
    history = np.full(5 * fine + 1, 0.457412460)
    answers = []
    for value in u:
        masked = np.repeat(line.mask[:, 0] * value, fine)
        new = np.empty_like(history)
        new[0] = history[-1]
        for k, m in enumerate(masked):
            middle = (history[k] + history[k + 1]) / 2
            slope = 0.8 * math.sin(middle + 2.0 * m + 0.4) ** 2
            new[k + 1] = new[k] + h * (slope - new[k]) / (1 + h / 2)
        history = new
        answers.append(history[fine::fine])
    np.testing.assert_allclose(seen, np.concatenate(answers), atol=1e-4)


def test_the_delay_line_converges_with_second_order():
    def measure(samples):
        kinds = {"n_inputs": 4, "n_outputs": 40, "n_steps": 4, "ideal": True, "setting": "rich"}
        with DelayLineReservoir(**kinds, spacing=0.2, samples=samples) as line:
            return line.measure([[0.3, -0.9, 0.7, 0.1]])

    exact = measure(64)
    errors = [np.abs(measure(samples) - exact).max() for samples in (1, 2, 4)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_the_delay_line_remembers_recent_inputs_and_forgets_old_ones():
    # Held-out r^2 of the input d steps ago, from the nodes after the last step.
    line = DelayLineReservoir(n_inputs=30, n_outputs=40, n_steps=30, read="last", loops=1)
    drives = np.random.default_rng(0).uniform(-1, 1, (800, 30))
    with line:
        states = line.measure(drives)
    features = np.hstack([states, np.ones((800, 1))])
    recalled = []
    for delay in (0, 1, 2, 25):
        target = drives[:, -1 - delay]
        weights = np.linalg.lstsq(features[:400], target[:400], rcond=None)[0]
        recalled.append(np.corrcoef(features[400:] @ weights, target[400:])[0, 1] ** 2)
    assert recalled[0] > 0.95
    assert recalled[1] > 0.9
    assert recalled[2] > 0.5
    assert recalled[3] < 0.05


def test_a_mackey_glass_node_answers_as_its_formula_says():
    # One node, no feedback of the past but rest at 0: x = feedback f(s) (1 - exp(-spacing)).
    line = DelayLineReservoir(
        n_inputs=1, n_outputs=1, nonlinearity="mackey-glass", exponent=4.0, bias=0.0, spacing=20.0,
        mask=[[1.0]], feedback=0.5, input_gain=1.5, loops=1, ideal=True,
    )  # fmt: skip
    with line:
        assert line.measure([[0.8]])[0, 0] == pytest.approx(0.5 * 1.2 / (1 + 1.2**4), rel=1e-6)
