"""Every rule learns through a black box that offers only the public contract."""

import numpy as np
import pytest
import torch
from black_boxes import BlackBox, Box, Peeked, digits, slope

from pnn import PhysicalClassifier, PhysicalRegressor, Training
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules import RULES, PhyLL, Readout, RuleClass, make_rule

DATA = digits()
TRAIN, TEST = slice(0, 360), slice(360, None)


def accuracy(device, rule, *, epochs=25, **parameters):
    """Test accuracy on three digits (chance: a third), from a closed device to a closed device."""
    estimator = PhysicalClassifier(
        device, rule, width=32, epochs=epochs, threads=1, random_state=0, **parameters
    )
    return estimator.fit(DATA.X[TRAIN], DATA.y[TRAIN]).score(DATA.X[TEST], DATA.y[TEST])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    ("rule", "schedule"),
    [(rule, "layerwise") for rule in RULES]
    + [(rule, "joint") for rule in RULES if rule != "readout"],
)
@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_rules_learn_from_answers_alone(rule, schedule, layers):
    box = BlackBox(19, 64)
    found = accuracy(box, rule, layers=layers, schedule=schedule)
    assert found > 0.8
    assert not box.is_open


@pytest.mark.parametrize("rule", RULES)
def test_rules_learn_from_complex_answers_with_masks_and_skip(rule):
    box = BlackBox(19, 16, output_dtype="complex64")
    assert accuracy(box, rule, masks=2, skip=True) > 0.8


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_rules_learn_through_a_device_for_each_layer(rule):
    first, second = BlackBox(19, 48), BlackBox(24, 64, domain="tones", high=0.2, seed=1)
    assert accuracy([first, second], rule, layers=2) > 0.8
    assert first.ledger.queries["test"] == second.ledger.queries["test"] > 0


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "spec",
    [
        {"domain": "phase", "high": 6.0},
        {"domain": "bits"},
        {"domain": "codes", "low": -8, "high": 7},
        {"domain": "tones", "low": (0.0,) * 38, "high": tuple(np.linspace(0.1, 2, 38))},
    ],
    ids=lambda spec: spec["domain"],
)
def test_rules_learn_through_every_kind_of_input(rule, spec):
    assert accuracy(BlackBox(38, 64, **spec), rule) > 0.8


def test_numbers_are_learned_through_a_black_box_too():
    data = slope()
    estimator = PhysicalRegressor(BlackBox(6, 64), random_state=0)
    estimator.fit(data.X[:90], data.y[:90])
    assert estimator.score(data.X[90:], data.y[90:]) > 0.9


def test_the_black_box_of_these_tests_is_one():
    box = BlackBox()
    for name in ("_measure", "parameters", "forward", "gradient", "matrix", "respond"):
        with pytest.raises(Peeked):
            getattr(box, name, None)


# -- the interface -----------------------------------------------------------------------------


def test_a_rule_says_what_it_needs_and_what_it_costs():
    assert {rule.rule_class for rule in RULES.values()} == {RuleClass.OUTPUTS}
    per_sample = {name: rule().rows_per_sample(10) for name, rule in RULES.items()}
    assert per_sample == {"phyll": 10, "forward-forward": 10, "mono-forward": 1, "readout": 1}


def test_rules_are_made_by_name_with_their_options():
    assert make_rule("phyll", theta=2.0).theta == 2.0
    made = PhyLL()
    assert make_rule(made) is made


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        ("backprop", {}, "rule='backprop' is not one of phyll, forward-forward, mono-forward"),
        ("phyll", {"thta": 1}, "rule 'phyll': .*thta"),
        (PhyLL(), {"theta": 1}, r"'phyll' is made already; options \['theta'\] are late"),
    ],
)
def test_unknown_rules_and_options_are_answered_with_what_there_is(rule, options, message):
    with pytest.raises(ValueError, match=message):
        make_rule(rule, **options)


def test_tasks_and_devices_that_do_not_suit_are_refused():
    network = PhysicalNetwork([PhysicalLayer(Box())])
    with pytest.raises(ValueError, match="'phyll' learns classification, not regression"):
        PhyLL().check(network, Training(), 0)
    with pytest.raises(ValueError, match=r"'readout' is fitted in closed form.*'layerwise'"):
        Readout().check(network, Training(schedule="joint"), 3)
    network = PhysicalNetwork([PhysicalLayer(Box()), PhysicalLayer(Box(memory=True, name="loop"))])
    for rule in RULES.values():
        with pytest.raises(ValueError, match="loop keeps memory between rows"):
            rule().check(network, Training(), 3)


@pytest.mark.parametrize("rule", RULES)
def test_scores_of_a_row_do_not_depend_on_the_rows_beside_it(rule):
    estimator = PhysicalClassifier(Box(19, 64), rule, width=32, epochs=4, random_state=0)
    estimator.fit(DATA.X[TRAIN], DATA.y[TRAIN])
    together = estimator.decision_function(DATA.X[TEST])
    alone = np.vstack([estimator.decision_function(row[None]) for row in DATA.X[TEST][:20]])
    np.testing.assert_allclose(together[:20], alone, rtol=1e-9, atol=1e-12)


def test_the_scores_of_the_layers_are_added_up_but_a_readout_takes_the_last():
    scores = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])]
    assert PhyLL().combine(scores).tolist() == [[1, 3]]
    assert Readout().combine(scores).tolist() == [[0, 3]]
