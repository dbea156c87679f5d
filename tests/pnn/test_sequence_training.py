"""Steps in the order of time through devices that remember."""

import numpy as np
import pytest

from devices import Device, DeviceSpec
from pnn import PhysicalClassifier, PhysicalRegressor, Training
from pnn.compare.config import CompareConfig
from pnn.compare.run import compare
from pnn.compare.table import read_comparison
from pnn.config import Config
from pnn.controls import EchoState, lagged
from pnn.data import load
from pnn.experiment import plan, run
from pnn.gain import gain_in_time
from pnn.report import result_text, summary
from pnn.rules import RULES


class Echo(Device):
    """Answers with its last inputs, newest first, and keeps what it was driven with."""

    def __init__(self, n_outputs=12):
        self.spec = DeviceSpec(
            name="echo", n_inputs=1, n_outputs=n_outputs, low=-1.0, high=1.0, memory=True
        )
        self.passes = []

    def _reset(self):
        self.passes.append([])
        self.state = np.zeros(self.spec.n_outputs)

    def _open(self):
        self.state = np.zeros(self.spec.n_outputs)

    def _measure(self, drives):
        answers = np.empty((len(drives), self.spec.n_outputs))
        for row, (value,) in enumerate(drives):
            self.state = answers[row] = np.concatenate([[value], self.state[:-1]])
            self.passes[-1].append(value)
        return answers


def delayed(rows=400, lag=3):
    x = np.random.default_rng(0).uniform(-1, 1, (rows, 1))
    return x, np.roll(x[:, 0], lag)


def test_a_device_with_memory_is_followed_in_the_order_of_time():
    X, y = delayed()
    echo = Echo()
    estimator = PhysicalRegressor(echo, "readout", washout=10, random_state=0).fit(X, y)
    assert estimator.score(X[200:], y[200:]) > 0.9  # the first steps of a pass are guesses
    assert np.allclose(estimator.predict(X[200:])[10:], y[210:], atol=1e-3)
    driven = np.array(echo.passes[0])
    assert echo.ledger.queries["train"] == len(X) == len(driven)
    # One pass for each call, from rest, and in order.
    assert np.all(np.diff(driven) * np.diff(X[:, 0]) >= 0)
    assert [len(steps) for steps in echo.passes] == [400, 200, 200]


def test_the_first_steps_are_driven_and_not_learned_from():
    X, y = delayed()
    y[:50] = 1e6
    estimator = PhysicalRegressor(Echo(), "readout", washout=50, random_state=0).fit(X, y)
    assert np.abs(estimator.predict(X)[50:] - y[50:]).max() < 0.01


@pytest.mark.parametrize("rule", ["mono-forward", "logistic", "cafo", "streaming", "readout"])
def test_steps_are_classified_by_rules_that_ask_once(rule):
    data = load("waveforms", rows=1000)
    estimator = PhysicalClassifier(
        Echo(24), rule, width=32, epochs=20, washout=50, random_state=0
    ).fit(data.X[:800], data.y[:800])
    # The echo is linear, as all of these but one are; a single value says next to nothing.
    least = 0.9 if rule == "mono-forward" else 0.7
    assert estimator.score(data.X[750:], data.y[750:]) > least


@pytest.mark.parametrize("rule", RULES)
def test_rules_that_ask_more_than_once_cannot_follow_a_sequence(rule):
    made = RULES[rule]()
    one_by_one = made.measures_once and made.views(3, True) == 1
    data = load("waveforms", rows=600)
    echo = Echo()
    estimator = PhysicalClassifier(echo, rule, washout=50)
    if one_by_one:
        estimator.set_params(schedule="joint")
    with pytest.raises(
        ValueError, match=r"cannot follow a sequence|closed form|one query|schedule"
    ):
        estimator.fit(data.X, data.y)
    assert echo.ledger.total == 0


def test_memory_without_order_and_masks_with_it_are_refused():
    X, y = delayed()
    with pytest.raises(ValueError, match=r"echo keeps memory between rows.*washout"):
        PhysicalRegressor(Echo(), "readout").fit(X, y)
    with pytest.raises(ValueError, match="masks=2: a step is driven once"):
        PhysicalRegressor(Echo(), "readout", masks=2, washout=5).fit(X, y)
    with pytest.raises(ValueError, match="washout=-1 must be"):
        Training(washout=-1)


def test_a_run_on_a_sequence_spends_what_it_planned_and_has_controls_with_memory(tmp_path):
    config = Config.model_validate(
        {
            "data": {"source": "narma10", "rows": 900},
            "device": {"name": "sim:delay-line", "n_outputs": 60, "memory": True, "noise": 0.0},
            "rule": "readout",
            "run": {"out": str(tmp_path / "run.h5")},
        }
    )
    dataset = load("narma10", rows=900)
    result = run(config, dataset)
    (seed,) = result.seeds
    intended = plan(config, dataset).queries
    assert seed.ledger["queries"] | intended == seed.ledger["queries"]
    scores = {name: arm.score for name, arm in seed.arms.items()}
    assert scores["device"] > scores["bypassed"] + 0.1  # which knows the present alone
    assert scores["matched_digital"] > scores["bypassed"]
    assert scores["linear"] > 0.7  # twenty steps at once
    assert max(scores["shuffled"], scores["zeroed"]) < 0.05
    assert len(seed.arms["device"].merit) == 180


def test_intervals_on_a_sequence_are_over_its_test_steps_also_with_several_seeds(tmp_path):
    """Every seed has the same steps: a rule without chance in it says the same each time."""
    found = {}
    for seeds in (1, 3):
        config = Config.model_validate(
            {
                "data": {"source": "narma10", "rows": 900},
                "device": {"name": "sim:delay-line", "n_outputs": 20, "memory": True, "noise": 0},
                "rule": "readout",
                "run": {
                    "seeds": seeds,
                    "out": str(tmp_path / f"{seeds}.h5"),
                    "controls": ["linear", "bypassed"],
                },
            }
        )
        found[seeds] = summary(run(config, load("narma10", rows=900)))
    assert len(set(found[3]["r2_by_seed"])) == 1
    for name, gain in found[3]["gains"].items():
        assert gain["paired_over"] == "blocks of test steps"
        assert gain["high"] - gain["low"] > 0.01
        assert gain["mean"] == pytest.approx(found[3]["r2"] - found[3]["controls"][name])
        assert gain == pytest.approx(found[1]["gains"][name])
    assert "over 3 seeds on the same steps" in result_text(found[3])


def test_an_echo_state_forgets_where_it_began():
    spec = DeviceSpec(name="loop", n_inputs=2, n_outputs=30, memory=True)
    drives = np.random.default_rng(0).uniform(size=(200, 2))
    with EchoState(spec, 1) as network:
        network.measure(drives[::-1])
        late = network.measure(drives)
        network.reset()
        early = network.measure(drives)
    assert np.abs(late[0] - early[0]).max() > 0.05
    np.testing.assert_allclose(late[-1], early[-1], atol=1e-3)


def test_rules_are_compared_over_the_steps_of_a_sequence(tmp_path):
    config = CompareConfig.model_validate(
        {
            "name": "in-time",
            "data": {"source": "narma10", "rows": 900},
            "rules": ["readout", "streaming"],
            "devices": [{"name": "sim:delay-line?n_outputs=20&memory=true&noise=0"}],
            "budgets": [5000],
            "reference": "readout",
            "run": {"seeds": 2, "jobs": 1, "out": str(tmp_path / "compared.h5")},
        }
    )
    lines = read_comparison(compare(config, load("narma10", rows=900))).lines
    over = [line.gain for line in lines] + [lines[1].difference]
    assert {found.paired_over for found in over} == {"blocks of test steps"}
    assert all(found.high - found.low > 1e-3 for found in over)
    assert lines[1].difference.mean == pytest.approx(lines[1].score - lines[0].score)


def test_the_interval_in_time_holds_its_promise_for_steps_that_are_alike():
    """Steps that are alike, and seeds that differ, are covered in 95 of 100 series, or nearly."""
    rng, covered, times = np.random.default_rng(0), 0, 400
    for _ in range(times):
        steps = np.convolve(rng.standard_normal(660), np.ones(10) / 10, "valid")[:600]
        seeds = 0.1 * rng.standard_normal((4, 1))
        found = gain_in_time(steps + seeds, np.zeros((4, 600)))
        covered += found.low <= 0 <= found.high
    assert 0.9 < covered / times < 0.99


def test_lags_are_the_last_steps_side_by_side():
    X = np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(lagged(X, 3), [[1, 0, 0], [2, 1, 0], [3, 2, 1]])
