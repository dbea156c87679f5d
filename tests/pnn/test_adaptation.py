"""Networks whose device changes, while they are trained or in use, and what mends them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from black_boxes import Box, corners, digits
from sklearn.base import clone

import pnn
from calibration import Calibrated, Offset, calibrate
from devices import Cached, Device, DeviceError, DeviceSpec, Drifting, Jumping, Wrapper
from pnn.drift_guard import DriftStop
from pnn.drift_settings import DriftSettings
from pnn.training import Watch
from simulators import ScatteringMedium

DATA = digits(n_classes=10, rows=700)
ORDER = np.random.default_rng(0).permutation(700)
TRAIN, TEST = ORDER[:500], ORDER[500:]
X, Y = DATA.X[TRAIN], DATA.y[TRAIN]
SHARE = {"every_epochs": 4, "probes": 2, "repeats": 2, "share": 0.08, "budget": 0.1}


class After(Watch):
    """Calls something after so many epochs."""

    def __init__(self, epochs, act):
        self.left, self.act = epochs, act

    def progress(self, what, done, total):
        self.left -= not what.startswith("measure")
        if self.left == 0:
            self.act()


def jumping(**options):
    medium = ScatteringMedium(n_inputs=26, n_outputs=120, zero_order=0.25, seed=1, **options)
    return Jumping(medium, after=10**9, gain=0.5, mixing=0.6, seed=1)


def jump(device):
    device.after = 0


def trained(device, rule, watch=None, *, drift=SHARE, fit=True, **options):
    settings = {"epochs": 8, "patience": 99, "random_state": 0, "scaling": "global"} | options
    network = pnn.PhysicalClassifier(device, rule, drift=drift, **settings)
    return network.fit(X, Y, watch=watch) if fit else network


def score(network):
    return network.score(DATA.X[TEST], DATA.y[TEST])


# -- refit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["readout", "mono-forward", "phyll"])
def test_a_tenth_of_the_queries_mends_a_network_in_use(rule):
    device = jumping()
    with Cached(device) as cached:
        network = trained(cached, rule)
        original, total = device.ledger.queries["train"], device.ledger.total
        before = score(network)
        network.guard_.look()
        assert not network.drift_[-1]["drifted"]
        jump(device)
        jumped = score(network)
        assert before - jumped > 0.2
        total = device.ledger.total
        network.guard_.look()
        assert device.ledger.total - total <= 0.1 * original
        assert network.drift_[-1]["reaction"] == "refit"
        assert network.drift_[-1]["agreement"] > 0.7
        assert (score(network) - jumped) / (before - jumped) > 0.85


@pytest.mark.parametrize("rule", ["mono-forward", "physics-aware", "in-silico"])
def test_a_jump_in_mid_training_is_mended(rule):
    options = {"rule_options": {"kind": "affine"}} if rule != "mono-forward" else {}
    scores = []
    for drift in (SHARE | {"share": 0.2, "budget": 0.5}, None):
        with jumping() as device:
            watch = After(4, lambda device=device: jump(device))
            network = trained(device, rule, watch, drift=drift, **options)
            scores.append(score(network))
            if drift:
                assert [look["drifted"] for look in network.drift_][:2] == [True, False]
    # Physics-aware training goes on with answers of the new device, whether watched or not.
    assert scores[0] > scores[1] + (0.2 if rule != "physics-aware" else -0.05)
    assert scores[0] > 0.75


def test_layers_of_one_device_and_of_several_are_mended():
    for several in (False, True):
        device = jumping()
        second = ScatteringMedium(n_inputs=26, n_outputs=90, zero_order=0.25, seed=2)
        with device, second:
            network = trained(
                [device, second] if several else device, "mono-forward", layers=1 + (not several),
                width=26, drift=SHARE | {"share": 0.3, "budget": 1.0},
            )  # fmt: skip
            before = score(network)
            jump(device)
            jumped = score(network)
            network.guard_.look()
            mended = [layer.alignment is not None for layer in network.network_.layers]
            assert mended == ([True, False] if several else [True, True])
            assert (score(network) - jumped) / (before - jumped) > 0.8


@pytest.mark.parametrize(
    ("device", "options"),
    [
        (Box(16, 24, output_dtype="complex64"), {}),
        (Box(16, 24), {"skip": True, "masks": 2}),
        (Box(48, 24, domain="bits"), {}),
    ],
    ids=["complex", "skip, masks", "bits"],
)
def test_any_device_and_encoder_may_be_watched(device, options):
    changed = Jumping(device, after=10**9, gain=0.3)
    with changed:
        network = trained(
            changed, "mono-forward", drift=SHARE | {"share": 0.3, "budget": 1}, **options
        )
        before = score(network)
        jump(changed)
        network.guard_.look()
        assert network.drift_[-1]["agreement"] > 0.9
        assert score(network) > before - 0.05
        n = network.network_.layers[0].n_measured
        width = network.network_.layers[0].n_features
        assert network.multiply_adds_per_row() == width * 256 + n**2 + (256 * 10)


def test_a_repaired_network_is_kept_whole(tmp_path):
    with jumping(ideal=True) as device:
        network = trained(device, "mono-forward", After(4, lambda: jump(device)))
        state = network.state()
        assert "layer0.alignment.A" in state
        other = clone(network).set_params(device=device).restore(state, X.shape[1], 10)
        other.classes_ = network.classes_
        np.testing.assert_array_equal(other.decision_function(X), network.decision_function(X))


class Failing(Wrapper):
    """Fails where it is told to."""

    broken = False

    def _answers(self, answers, drives):
        if self.broken and len(drives) > 8:
            raise DeviceError("the lamp is out")
        return answers


def test_a_device_that_fails_leaves_the_network_as_it_was():
    with Failing(jumping()) as device:
        network = trained(device, "readout")
        before = network.state()
        jump(device.inner)
        device.broken = True
        with pytest.raises(DeviceError, match="lamp"):
            network.guard_.look()
        assert network.state().keys() == before.keys()


def test_the_budget_is_kept():
    with jumping() as device:
        network = trained(device, "readout", drift=SHARE | {"budget": 0.05})
        jump(device)
        spent = device.ledger.queries.copy()
        for _ in range(2):
            network.guard_.look()
            assert network.drift_[-1]["tried"] == []
        assert device.ledger.queries["train"] == spent["train"]
        assert device.ledger.queries["probe"] == spent["probe"] + 4


# -- the other reactions -----------------------------------------------------------------------

HARD = SHARE | {"enough": 1.0, "budget": 2.0, "reactions": ["retrain", "refit"]}


@pytest.mark.parametrize("rule", ["readout", "mono-forward", "phyll"])
def test_a_network_is_trained_on_where_a_refit_is_not_enough(rule):
    with jumping() as device:
        network = trained(device, rule, drift=HARD)
        before, original = score(network), device.ledger.queries["train"]
        jump(device)
        spent = device.ledger.queries["train"]
        network.guard_.look()
        assert network.drift_[-1]["tried"] == ["refit", "retrain"]
        assert network.drift_[-1]["reaction"] == "retrain"
        assert score(network) > before - 0.06
        kept = DriftSettings.of(HARD).kept(original)
        assert device.ledger.queries["train"] == spent + original + kept


def test_losses_from_before_a_retraining_do_not_choose_the_weights_after_it():
    with Cached(jumping()) as device:
        watch = After(4, lambda: jump(device.inner))
        network = trained(device, "mono-forward", watch, drift=HARD, check_every=1)
        assert [look["reaction"] for look in network.drift_ if look["drifted"]] == ["retrain"]
        assert network.network_.layers[0].alignment is None
        assert score(network) > 0.8


def test_a_second_layer_is_trained_on_if_the_first_was_mended():
    with jumping() as device:
        network = trained(
            device, "mono-forward", layers=2, width=26,
            drift=HARD | {"share": 0.5, "budget": 4.0},
        )  # fmt: skip
        jump(device)
        network.guard_.look()
        # Features are never mended to the last bit, so the first layer is not, and it is left.
        assert network.drift_[-1]["tried"] == ["refit"]
        assert network.drift_[-1]["reaction"] is None


def test_drift_that_nothing_was_done_about_stays_drift():
    with jumping() as device:
        drift = HARD | {"reactions": ["retrain"]}
        network = trained(device, "mono-forward", layers=2, width=26, drift=drift)
        jump(device)
        for _ in range(2):
            network.guard_.look()
            assert network.drift_[-1]["drifted"]
            assert network.drift_[-1]["tried"] == []


class Lamp(Device):
    """Answers u W + offset, whose offset can be changed."""

    def __init__(self):
        self.spec = DeviceSpec(name="lamp", n_inputs=16, n_outputs=30)
        self.offset = 0.0

    def _measure(self, drives):
        return drives @ np.random.default_rng(0).standard_normal((16, 30)) + self.offset


def test_a_calibration_is_measured_anew(tmp_path):
    lamp = Lamp()
    with lamp:
        calibrate(lamp, [Offset()], tmp_path, not_needed=["settling"])
    device = Calibrated(lamp, next(tmp_path.glob("offset-*.h5")))
    settings = {"reactions": ["recalibrate", "stop"], "calibrations": tmp_path, "every_epochs": 4}
    with device:
        network = trained(device, "mono-forward", drift=settings)
        before, old = score(network), device.calibration_id
        lamp.offset = 3.0
        assert score(network) < before - 0.1
        network.guard_.look()
        assert network.drift_[-1]["reaction"] == "recalibrate"
        assert device.calibration_id != old
        assert len(list(tmp_path.glob("offset-*.h5"))) == 2
        assert score(network) == before
        assert device.ledger.queries["calibration"] > 0


def test_training_stops_where_nothing_helps():
    off = []
    with jumping() as device:
        device.inner._safe = lambda: off.append(True)
        watch = After(4, lambda: jump(device))
        drift = SHARE | {"reactions": ["refit", "stop"], "enough": 1.0}
        with pytest.raises(DriftStop, match=r"has drifted by .* refit did not mend it.*outputs"):
            trained(device, "mono-forward", watch, drift=drift)
        assert off


# -- what it costs -----------------------------------------------------------------------------


@pytest.mark.parametrize("drift", [{"every_epochs": 1, "probes": 24}, {"every_queries": 40}])
@pytest.mark.parametrize("rule", ["readout", "mono-forward", "phyll", "node-perturbation"])
def test_watching_and_reacting_cost_no_more_than_was_said(rule, drift):
    device = Drifting(Box(26, 40), rate=0.01)
    drift = {"probes": 8, "share": 0.01, "budget": 0.8} | drift
    network = trained(device, rule, drift=drift, fit=False, epochs=6)
    with device:
        network.fit(X[:100], Y[:100])
        done = [look for look in network.drift_ if look.get("tried")]
        looks = len(network.drift_) + 3 * (1 + len(done))
        assert device.ledger.queries["probe"] == drift["probes"] * looks
        assert done
        assert_no_more_than_was_said(network, device)


def test_calibrations_measured_anew_cost_no_more_than_was_said(tmp_path):
    lamp = Lamp()
    with lamp:
        calibrate(lamp, [Offset()], tmp_path, not_needed=["settling"])
    device = Calibrated(lamp, next(tmp_path.glob("offset-*.h5")))

    class Burning(Watch):
        def progress(self, what, done, total):
            lamp.offset += 1.0

    drift = {"reactions": ["recalibrate"], "calibrations": tmp_path, "every_epochs": 1}
    with device:
        network = trained(device, "mono-forward", Burning(), drift=drift | {"budget": 5})
        assert [look["reaction"] for look in network.drift_[:2]] == ["recalibrate"] * 2
        assert_no_more_than_was_said(network, device)


def assert_no_more_than_was_said(network, device):
    plan = network.rule_.estimate(
        network.network_, network.settings(), n_train=network.n_train_,
        n_validation=network.n_validation_, n_test=0, n_classes=10,
    )  # fmt: skip
    extra = DriftSettings.of(network.drift).queries(network.network_, network.settings(), plan)
    for purpose, spent in device.ledger.queries.items():
        assert spent <= plan.get(purpose, 0) + extra.get(purpose, 0), purpose


# -- what makes no sense -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drift", "rule", "options", "message"),
    [
        ({}, "readout", {}, "say every_epochs or every_queries"),
        ({"every": 3}, "readout", {}, r"drift: \['every'\] unknown; it has \['every_epochs'"),
        ({"every_epochs": 1, "share": 0}, "readout", {}, "share=0 must be"),
        ({"every_epochs": 1, "reactions": ["pray"]}, "readout", {}, "reactions='pray' is not one"),
        ({"every_epochs": 1, "reactions": ["retrain"]}, "physics-aware", {}, "layer by layer"),
        (
            {"every_epochs": 1, "reactions": ["retrain"]},
            "mono-forward",
            {"schedule": "joint"},
            "schedule='joint' is not trained layer by layer",
        ),
        ({"every_epochs": 1, "reactions": ["retrain"]}, "readout", {}, "budget=0.5 pays for no"),
        ({"every_epochs": 1, "reactions": ["recalibrate"]}, "readout", {}, "has no calibration"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_driven(
    drift, rule, options, message
):
    box = Box(26)
    with pytest.raises(ValueError, match=message):
        trained(box, rule, drift=drift, **options)
    assert not len(box.rows)


def test_the_device_must_forget():
    box = Box(8, memory=True)
    data = corners()
    network = pnn.PhysicalClassifier(box, "readout", drift={"every_epochs": 1}, washout=2)
    with pytest.raises(ValueError, match="memory"):
        network.fit(data.X, data.y)
    assert not len(box.rows)


# -- the example -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example():
    path = Path(__file__).parents[2] / "examples" / "adapt_to_a_jump.py"
    spec = importlib.util.spec_from_file_location("adapt_to_a_jump", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_recovers_what_a_moving_medium_costs(example):
    for rest, moved, mended, queries in example.compare("phyll", 0, epochs=8, rows=1000):
        assert rest - moved > 0.2
        assert (mended - moved) / (rest - moved) > 0.8
        assert 0 < queries <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["phyll", "physics-aware", "in-silico"])
def test_a_tenth_of_the_queries_brings_back_19_of_20_points_that_a_jump_in_use_costs(example, rule):
    found = np.array([example.jump_in_use(rule, seed) for seed in range(5)])
    rest, moved, mended, queries = found.T
    assert (rest - moved > 0.2).all()
    assert np.mean((mended - moved) / (rest - moved)) >= 0.95
    assert (queries > 0).all()
    assert (queries <= 0.1).all()


def test_another_medium_takes_the_place_of_a_simulated_one():
    sizes = {"n_inputs": 6, "n_outputs": 20, "ideal": True}
    with ScatteringMedium(seed=1, **sizes) as one, ScatteringMedium(seed=2, **sizes) as other:
        drives = np.random.default_rng(0).random((4, 6))
        assert np.abs(one.measure(drives) - other.measure(drives)).max() > 0.1
        one.transmission_matrix = other.transmission_matrix
        np.testing.assert_allclose(one.measure(drives), other.measure(drives), rtol=1e-4)
        with pytest.raises(ValueError, match=r"shape \(3, 3\); it must be .* \(20, 6\)"):
            one.transmission_matrix = np.eye(3)
