"""Every rule learns through what it may use: most from the public contract of a black box."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from black_boxes import BlackBox, Box, Peeked, box_for, digits, slope
from typer.testing import CliRunner

from pnn import PhysicalClassifier, PhysicalRegressor, Training
from pnn.cli.main import app
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules import (
    RULES,
    BackwardRule,
    LocalRule,
    PhyLL,
    Readout,
    RuleClass,
    make_rule,
    options_of,
)
from pnn.rules.page import costs
from pnn.training import PARTS

DATA = digits()
TRAIN, TEST = slice(0, 300), slice(300, None)
LOCAL = [name for name, rule in RULES.items() if issubclass(rule, LocalRule)]
#: All but those that carry an error back, which have tests of their own (`test_backward.py`).
ALONE = [name for name, rule in RULES.items() if not issubclass(rule, BackwardRule)]
JOINT = [name for name in LOCAL if RULES[name].measures_once and not RULES[name].layerwise_only]


def accuracy(device, rule, *, epochs=12, **parameters):
    """Test accuracy on three digits (chance: a third), from a closed device to a closed device."""
    estimator = PhysicalClassifier(
        device, rule, width=32, epochs=epochs, threads=1, random_state=0, **parameters
    )
    return estimator.fit(DATA.X[TRAIN], DATA.y[TRAIN]).score(DATA.X[TEST], DATA.y[TEST])


@pytest.mark.parametrize("rule", ALONE)
def test_rules_learn_from_answers_alone(rule):
    box = BlackBox(19, 64)
    assert accuracy(box, rule) > 0.8
    assert not box.is_open


@pytest.mark.parametrize("rule", ALONE)
@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_rules_learn_through_a_device_for_each_layer(rule):
    first = BlackBox(48, 48)
    second = BlackBox(24, 64, domain="tones", high=0.2, seed=1)
    assert accuracy([first, second], rule, layers=2) > 0.8
    assert first.ledger.queries["test"] == second.ledger.queries["test"] > 0


@pytest.mark.parametrize("rule", JOINT)
@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_rules_learn_with_all_layers_at_once(rule):
    assert accuracy(BlackBox(19, 64), rule, layers=2, schedule="joint") > 0.8


@pytest.mark.parametrize("rule", ALONE)
def test_rules_learn_from_complex_answers_with_masks_and_skip(rule):
    box = BlackBox(19, 16, output_dtype="complex64")
    assert accuracy(box, rule, masks=2, skip=True) > 0.8


@pytest.mark.parametrize("rule", ["phyll", "mono-forward", "cma-es"])
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
    assert accuracy(BlackBox(38, 64, **spec), rule) > 0.75


@pytest.mark.parametrize("rule", [name for name in ALONE if "regression" in RULES[name].tasks])
def test_numbers_are_learned_too(rule):
    data = slope()
    estimator = PhysicalRegressor(BlackBox(6, 64), rule, random_state=0)
    estimator.fit(data.X[:90], data.y[:90])
    assert estimator.score(data.X[90:], data.y[90:]) > 0.6


def test_the_black_box_of_these_tests_is_one():
    box = BlackBox()
    for name in ("_measure", "parameters", "forward", "gradient", "matrix", "respond"):
        with pytest.raises(Peeked):
            getattr(box, name, None)


# -- the interface -----------------------------------------------------------------------------


def test_a_rule_says_what_it_needs_and_what_it_costs():
    for rule in RULES.values():
        assert rule.rule_class in RuleClass
        assert set(rule.trains) <= set(rule.can_train) <= set(PARTS)
        assert "arXiv" in rule.__doc__ or re.search(r"\d{4}\)", rule.__doc__)
        assert rule.works_on
        said = " ".join(base.__doc__ or "" for base in rule.__mro__)
        assert re.search("quer(y|ies) per sample", re.sub(r"\s+", " ", said)), rule.name
    made = {name: rule() for name, rule in RULES.items()}
    cost = {name: (one.rows_per_update(10), one.rows_per_sample(10)) for name, one in made.items()}
    assert cost["phyll"] == cost["forward-forward"] == (10, 10)
    assert cost["phyll-unsupervised"] == (2, 1)
    assert cost["mono-forward"] == cost["readout"] == (1, 1)


@pytest.mark.parametrize("name", RULES)
def test_the_declared_cost_is_what_a_training_is_estimated_to_spend(name):
    n_classes, n_train, n_test = 3, 50, 7
    rule, device = make_rule(name), box_for(name, 19, 24)
    cost = rule.cost(n_classes)

    def train(epochs, layers):
        network = PhysicalClassifier(device, rule, layers=layers, width=16)
        found = rule.estimate(
            network.build(16, n_classes, 0),
            Training(epochs=epochs, batch_size=n_train),
            n_train=n_train,
            n_validation=0,
            n_test=n_test,
            n_classes=n_classes,
        )
        assert found["test"] == n_test * layers * cost.predict
        return found["train"]

    for layers in (1, 2):
        update = cost.update
        if cost.growth:  # of the numbers that are searched: a gain and an offset for each input
            assert cost.growth == "3 ln n"
            update += int(3 * np.log(2 * layers * device.spec.n_inputs))
        each = 0 if cost.once else n_train * (layers * update - cost.first_once)
        assert train(12, layers) - train(2, layers) == 10 * each
        # What comes once: with answers that are not reused, a pass or two that fix scalings.
        once = train(2, layers) - 2 * each - layers * cost.per_layer
        if cost.once:
            assert once == n_train * layers * update
        else:
            assert once in [n * n_train * layers for n in (cost.predict, 1, 2)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_described_with_every_option_and_its_default(name):
    told = CliRunner().invoke(app, ["rules", name])
    assert told.exit_code == 0
    assert inspect.getdoc(RULES[name]) in told.stdout
    options = options_of(RULES[name])
    assert make_rule(name, **options).name == name
    listed = told.stdout.rpartition("options ")[2]
    assert all(f"{option} = {value!r}" in listed for option, value in options.items())
    assert RULES[name].works_on in told.stdout


def test_options_that_a_base_describes_are_described_too():
    told = CliRunner().invoke(app, ["rules", "ffzero"]).stdout
    for option in ("sharpness", "step", "encoder_rate"):
        assert re.search(rf"^ *{option} : float\n +\w", told, re.MULTILINE), option
    assert "twin_rows : int" in CliRunner().invoke(app, ["rules", "in-silico"]).stdout


def test_costs_are_told_in_words():
    told = {name: costs(make_rule(name)) for name in RULES}
    assert told["phyll"] == ("C once", "C")
    assert told["cma-es"] == ("4 + 3 ln n", "1")
    assert told["in-silico"] == ("1 once + 1000 a layer", "1")
    assert told["physics-aware"] == ("1 + 1000 a layer", "1")
    assert told["digital-backprop"] == ("0", "0")
    assert told["pepita"] == ("2 (first layer 1 once)", "1")
    assert told["layer-collaboration"] == ("C (first layer C once)", "C")
    assert costs(make_rule("phyll"), 7) == ("7 once", "7")


def test_rules_are_made_by_name_with_their_options():
    assert make_rule("phyll", theta=2.0).theta == 2.0
    made = PhyLL()
    assert make_rule(made) is made


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (
            "backprop",
            {},
            "rule='backprop' is not one of phyll, .*readout",
        ),
        ("redout", {}, r"rule='redout' is not one of .*\. Did you mean 'readout'\?$"),
        (
            "phyll",
            {"thetaa": 1},
            r"rule 'phyll': there is no option 'thetaa'\. Did you mean 'theta'\? Its options are "
            r"theta=4\.0, negatives='one'",
        ),
        ("layer-collaboration", {"zzz": 1}, r"there is no option 'zzz'\. Its options are "),
        (PhyLL(), {"theta": 1}, r"'phyll' is made already; options \['theta'\] are late"),
    ],
)
def test_unknown_rules_and_options_are_answered_with_what_there_is(rule, options, message):
    with pytest.raises(ValueError, match=message):
        make_rule(rule, **options)


@pytest.mark.parametrize(
    ("rule", "option", "value", "allowed"),
    [
        ("readout", "strengths", 2.5, "a whole number of at least 2"),
        ("noprop", "draws", 1.5, "a whole number of at least 1"),
        ("recurrent-forward-forward", "iterations", 1.5, "a whole number of at least 1"),
        ("pepg", "rate", -1, "a finite number above 0"),
        ("pepg", "spread", "wide", "a finite number above 0 and at most 1"),
        ("physics-aware", "kind", "bad", "one of auto, affine, magnitude, quadratic, network"),
        ("in-silico", "kind", "bad", "one of auto, affine, magnitude, quadratic, network"),
        ("phyll", "theta", "x", "a finite number above 0"),
        ("forward-forward", "theta", "x", "a finite number above 0"),
        ("forward-forward", "goodness", ["mean"], "one of mean, sum, top-k, cosine"),
        ("symba", "theta", "x", "a finite number above 0"),
        ("symba", "pattern", "x", "a finite number of at least 0"),
        ("self-contrastive", "theta_positive", "x", "a finite number above 0"),
        ("self-contrastive", "theta_negative", "x", "a finite number above 0"),
        ("pepita", "strength", "x", "a finite number above 0"),
        ("streaming", "strength", "x", "a finite number above 0"),
        ("logistic", "decay", "x", "a finite number of at least 0"),
        ("physics-aware", "encoder_rate", "x", "a finite number above 0"),
        ("augmented-dfa", "terms", "x", "a finite number of at least 0"),
        ("dfa", "sign", "no", "True or False"),
    ],
)
def test_options_out_of_their_range_are_refused_at_once(rule, option, value, allowed):
    with pytest.raises(ValueError, match=re.escape(rule)) as refused:
        make_rule(rule, **{option: value})
    assert f"{option}={value!r}" in str(refused.value)
    assert allowed in str(refused.value)


def test_tasks_and_devices_that_do_not_suit_are_refused():
    network = PhysicalNetwork([PhysicalLayer(Box())])
    with pytest.raises(ValueError, match="'phyll' learns classification, not regression"):
        PhyLL().check(network, Training(), 0)
    with pytest.raises(ValueError, match=r"'readout' is trained layer by layer.*'layerwise'"):
        Readout().check(network, Training(schedule="joint"), 3)
    network = PhysicalNetwork([PhysicalLayer(Box()), PhysicalLayer(Box(memory=True, name="loop"))])
    for rule in RULES.values():
        with pytest.raises(ValueError, match="loop keeps memory between rows"):
            rule().check(network, Training(), 3)


@pytest.mark.parametrize("rule", ALONE)
def test_scores_of_a_row_do_not_depend_on_the_rows_beside_it(rule):
    box = BlackBox(19, 64)
    estimator = PhysicalClassifier(box, rule, width=32, epochs=2, random_state=0)
    estimator.fit(DATA.X[TRAIN], DATA.y[TRAIN])
    together = estimator.decision_function(DATA.X[TEST])
    alone = np.vstack([estimator.decision_function(row[None]) for row in DATA.X[TEST][:20]])
    np.testing.assert_allclose(together[:20], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", ALONE)
def test_what_was_learned_can_be_kept_and_taken_over(rule):
    settings = {"layers": 2, "width": 16, "epochs": 1, "random_state": 0, "masks": 2}
    estimator = PhysicalClassifier(Box(48, 24), rule, **settings)
    estimator.fit(DATA.X[TRAIN], DATA.y[TRAIN])
    other = PhysicalClassifier(Box(48, 24), rule, **settings).restore(estimator.state(), 16, 3)
    other.classes_ = estimator.classes_
    expected = estimator.decision_function(DATA.X[TEST])
    np.testing.assert_allclose(other.decision_function(DATA.X[TEST]), expected, atol=1e-5)


def test_the_scores_of_the_layers_are_added_up_but_a_readout_takes_the_last():
    scores = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])]
    assert PhyLL().combine(scores).tolist() == [[1, 3]]
    assert Readout().combine(scores).tolist() == [[0, 3]]


@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_the_rule_in_the_documentation_learns_and_is_short(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "learning.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    whole = next(block for block in blocks if "LocalRule" in block)
    assert len(whole.splitlines()) < 60
    names = {}
    exec(whole, names)
    box = BlackBox(19, 64)
    assert accuracy(box, names["NearestMean"](), layers=2, epochs=1) > 0.8
    assert box.ledger.queries["train"] == 2 * 300


def test_the_stream_in_the_documentation_is_learned():
    page = Path(__file__).parents[2] / "docs" / "learning.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(next(block for block in blocks if "partial_fit" in block), names)
    X = np.random.default_rng(1).uniform(-1, 1, (200, 8))
    assert names["network"].score(X, X[:, 0] * X[:, 1] > 0) > 0.7
