"""Physical networks as scikit-learn estimators."""

import pickle

import numpy as np
import pytest
import torch
from black_boxes import Box, digits, slope
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from devices import DeviceError, LimitError
from pnn import MonoForward, PhysicalClassifier, PhysicalLayer, PhysicalNetwork, PhysicalRegressor
from pnn.encoders import AmplitudeEncoder
from pnn.training import Watch

DATA = digits()
X, Y = DATA.X[:200], DATA.y[:200]
NAMES = np.array(["none", "one", "two"])[Y]


def quick(device=None, rule="mono-forward", **parameters):
    settings = {"width": 16, "epochs": 6, "random_state": 0, "threads": 1}
    return PhysicalClassifier(device, rule, **settings | parameters)


@parametrize_with_checks([PhysicalClassifier(), PhysicalRegressor()])
def test_scikit_learn_finds_nothing_to_object_to(estimator, check):
    check(estimator)


# -- what is learned ---------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["auto", "mono-forward", MonoForward()])
def test_labels_may_be_texts_and_come_back(rule):
    estimator = quick(rule=rule, epochs=10).fit(X, NAMES)
    assert estimator.classes_.tolist() == ["none", "one", "two"]
    assert estimator.score(DATA.X[200:], np.array(["none", "one", "two"])[DATA.y[200:]]) > 0.9
    assert estimator.decision_function(X[:5]).shape == (5, 3)


def test_of_two_classes_the_sign_of_one_score_decides():
    two = Y < 2
    estimator = quick().fit(X[two], NAMES[two])
    scores = estimator.decision_function(X[two])
    assert scores.shape == (two.sum(),)
    np.testing.assert_array_equal(estimator.predict(X[two]), np.where(scores > 0, "one", "none"))
    assert estimator.score(X[two], NAMES[two]) > 0.95


@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_numbers_are_learned_with_the_readout():
    data = slope()
    # Inputs that rest give the light of the others something to interfere with.
    device = "sim:scattering-medium?n_inputs=6&n_outputs=64&ideal=true"
    estimator = PhysicalRegressor(device, random_state=0).fit(data.X[:90], data.y[:90])
    assert estimator.rule_.name == "readout"
    assert estimator.score(data.X[90:], data.y[90:]) > 0.95
    two_layers = PhysicalRegressor(layers=2, random_state=0, adapter="project")
    assert two_layers.fit(data.X[:90], data.y[:90]).predict(data.X[90:]).shape == (30,)


def test_scikit_learn_can_clone_and_cross_validate_it():
    box = Box(16)
    estimator = quick(box, epochs=25)
    assert cross_val_score(estimator, X, Y, cv=3).min() > 0.7
    assert box.ledger.total == 0  # every fold had a copy of the device
    assert clone(estimator).get_params()["width"] == 16


def test_groups_are_not_divided_between_training_and_validation():
    groups = np.arange(len(Y)) // 5
    estimator = quick(validation=0.25)
    kept, held_out = estimator.validation_rows(Y, groups, 0)
    assert len(held_out) > 20
    assert not set(groups[kept]) & set(groups[held_out])
    estimator.fit(X, Y, groups=groups)
    assert estimator.n_validation_ == len(held_out)


@pytest.mark.parametrize(
    ("rows", "validation", "held_out"), [(40, 0.2, 0), (200, 0.0, 0), (200, 0.2, 40)]
)
def test_few_rows_are_all_learned_from(rows, validation, held_out):
    estimator = quick(validation=validation).fit(X[:rows], Y[:rows])
    assert (estimator.n_train_, estimator.n_validation_) == (rows - held_out, held_out)


# -- seeds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["phyll", "forward-forward", "mono-forward"])
def test_the_same_seed_and_threads_give_the_same_bits_twice(rule):
    one, two, other = (quick(rule=rule, masks=2, random_state=seed).fit(X, Y) for seed in (3, 3, 4))
    for name, values in one.state().items():
        np.testing.assert_array_equal(two.state()[name], values)
    np.testing.assert_array_equal(one.decision_function(X), two.decision_function(X))
    assert not np.array_equal(one.decision_function(X), other.decision_function(X))


def test_a_random_state_may_be_shared_or_left_out():
    random = np.random.RandomState(0)
    one, two = (quick(random_state=random).fit(X, Y) for _ in range(2))
    assert one.seed_ != two.seed_
    assert quick(random_state=None).fit(X, Y).seed_ != quick(random_state=None).fit(X, Y).seed_
    again = quick(random_state=one.seed_).fit(X, Y)
    np.testing.assert_array_equal(again.decision_function(X), one.decision_function(X))


def test_threads_are_those_asked_for_while_it_works():
    before, seen = torch.get_num_threads(), []

    class Look(Watch):
        def progress(self, what, done, total):
            seen.append(torch.get_num_threads())

    quick(threads=before + 1).fit(X, Y, watch=Look())
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


# -- devices -----------------------------------------------------------------------------------


def test_a_closed_device_is_closed_again_and_an_open_one_stays_open():
    box = Box(16)
    estimator = quick(box).fit(X, Y)
    assert box.calls == ["open", "safe", "close"]
    estimator.predict(X)
    assert box.calls == ["open", "safe", "close"] * 2
    with box:
        estimator.fit(X, Y).predict(X)
        assert box.is_open
    assert box.calls == ["open", "safe", "close"] * 3


def test_a_device_that_dies_is_safe_and_closed_and_its_rows_are_kept():
    box = Box(16, dies_after=30)
    with pytest.raises(DeviceError, match="the lamp went out") as error:
        quick(box).fit(X, Y)
    assert error.value.failed_row == 30
    np.testing.assert_allclose(error.value.rows, box.respond(box.rows))
    assert not box.is_open
    assert box.calls == ["open", "safe", "safe", "close"]


def test_a_device_may_be_named_and_takes_the_width_of_the_data():
    estimator = quick("sim:scattering-medium?n_outputs=32&seed=3", rule="phyll").fit(X, Y)
    spec = estimator.network_.devices[0].spec
    assert (spec.n_inputs, spec.n_outputs) == (16 + 3, 32)
    table = {"name": "sim:scattering-medium", "n_inputs": 40, "n_outputs": 8}
    assert quick(table).fit(X, Y).network_.devices[0].spec.n_inputs == 40


def test_one_device_serves_all_layers_and_a_list_gives_each_its_own():
    shared = quick(Box(16), layers=3).fit(X, Y).network_
    assert len(shared.layers) == 3
    assert len(shared.devices) == 1
    names = ["sim:scattering-medium?n_outputs=8", "sim:scattering-medium?n_outputs=4"]
    own = quick(names, width=12).fit(X, Y).network_  # as many layers as devices
    assert [(d.spec.n_inputs, d.spec.n_outputs) for d in own.devices] == [(16, 8), (12, 4)]


def test_a_network_says_layer_by_layer_what_it_is():
    network = PhysicalNetwork(
        [
            PhysicalLayer(Box(16), AmplitudeEncoder(scaling="global"), width=10),
            PhysicalLayer(Box(20, seed=1), width=8, skip=True, adapter="project"),
        ]
    )
    estimator = quick(network, epochs=20).fit(X, Y)
    assert [layer.width for layer in estimator.network_.layers] == [10, 8]
    assert estimator.network_.layers[1].n_features == 32 + 10
    assert estimator.network_.devices == network.devices
    assert not network.layers[0].weights  # what was given is left untrained
    assert estimator.score(DATA.X[200:], DATA.y[200:]) > 0.8


def test_a_fitted_estimator_survives_pickle():
    estimator = quick(rule="phyll").fit(X, NAMES)
    copy = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(copy.decision_function(X), estimator.decision_function(X))
    assert copy.predict(X[:1]).tolist() == estimator.predict(X[:1]).tolist()


# -- what is refused, and when -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"layers": 0}, "layers=0 must be a whole number of at least 1"),
        ({"layers": True}, "layers=True"),
        ({"width": 0}, "width=0 must be at least 1"),
        ({"rule": "backprop"}, "rule='backprop' is not one of phyll"),
        ({"rule_options": {"theta": 1}}, "rule 'mono-forward'"),
        ({"encoder": "morse"}, "encoder='morse' is not one of auto"),
        ({"encoder": "phase"}, "PhaseEncoder cannot drive box"),
        ({"scaling": "log"}, "scaling='log'"),
        ({"masks": 0}, "masks=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"schedule": "sometimes"}, "schedule='sometimes'"),
        ({"rule": "readout", "schedule": "joint"}, "'readout' is trained layer by layer"),
        ({"learning_rate": -1}, "learning_rate=-1"),
        ({"validation": 1.0}, "validation=1.0 must be at least 0 and below 1"),
        ({"adapter": "pad", "rule": "phyll"}, "box has 16 inputs, too few for 19 channels"),
    ],
)
def test_a_bad_parameter_is_named_before_anything_is_driven(parameters, message):
    box = Box(16)
    with pytest.raises(ValueError, match=message):
        quick(box, **parameters).fit(X, Y)
    assert box.ledger.total == 0


@pytest.mark.parametrize("rule", ["phyll", "mono-forward", "readout"])
def test_a_device_with_memory_is_refused_before_the_first_query(rule):
    box = Box(16, memory=True)
    with pytest.raises(ValueError, match="box keeps memory between rows"):
        quick(box, rule).fit(X, Y)
    assert len(box.rows) == 0
    assert not box.is_open


@pytest.mark.parametrize(
    ("devices", "layers", "message"),
    [
        (2, 3, "2 devices for layers=3; give one or all"),
        (0, 1, "0 devices for layers=1"),
    ],
)
def test_devices_and_layers_must_match(devices, layers, message):
    with pytest.raises(ValueError, match=message):
        quick([Box(16) for _ in range(devices)], layers=layers).fit(X, Y)


def test_an_unknown_device_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="Did you mean 'sim:scattering-medium'"):
        quick("sim:scatering-medium").fit(X, Y)


def test_a_rule_that_contrasts_labels_cannot_learn_numbers():
    box = Box(3)
    with pytest.raises(ValueError, match="'phyll' learns classification, not regression"):
        PhysicalRegressor(box, "phyll").fit(slope().X, slope().y)
    assert box.ledger.total == 0


def test_one_class_is_no_task():
    with pytest.raises(ValueError, match="there is only one class, 'one'; two are needed"):
        quick().fit(X, ["one"] * len(X))


def test_predicting_another_width_or_with_nan_drives_nothing():
    box = Box(16)
    estimator = quick(box).fit(X, Y)
    spent = box.ledger.total
    with pytest.raises(ValueError, match="15 features"):
        estimator.predict(X[:, 1:])
    with pytest.raises(ValueError, match="NaN"):
        estimator.predict(np.full((1, 16), np.nan))
    assert box.ledger.total == spent


def test_an_encoder_of_ones_own_that_leaves_the_limits_is_stopped_before_it_drives():
    class Wild(AmplitudeEncoder):
        def _code(self, unit):
            return 2 * unit

    box = Box(16)
    with pytest.raises(LimitError, match=r"outside \[0, 1\]"):
        quick(PhysicalNetwork([PhysicalLayer(box, Wild())])).fit(X, Y)
    assert len(box.rows) == 0
