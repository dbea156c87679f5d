"""Learning curves, and media that are told how far a training is."""

import h5py
import numpy as np
import pytest

from devices import Wrapper, registry
from pnn.compare import CompareConfig, compare, plan_comparison
from pnn.compare.curves import read_curves
from pnn.data import load

RULES = ["phyll", "phyll-remeasured", "readout", "in-silico", "phyll-unsupervised"]


class Listening(Wrapper):
    """Keeps what it is told, and how many training rows there had been."""

    heard: list = []  # noqa: RUF012  (cells make devices of their own)

    def follow(self, share):
        self.heard.append((share, self.ledger.queries["train"]))


@pytest.fixture
def data(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (150, 2))
    np.savez(tmp_path / "corners.npz", X=X, y=(X[:, 0] * X[:, 1] > 0).astype(int))
    monkeypatch.setitem(registry._registered, "wrap:listening", Listening)
    Listening.heard.clear()
    return tmp_path / "corners.npz"


def config(data, rules, **run):
    return CompareConfig.model_validate(
        {
            "data": str(data),
            "rules": rules,
            "devices": [
                {
                    "name": "sim:random-features",
                    "n_inputs": 8,
                    "n_outputs": 24,
                    "wrap": [{"name": "listening"}],
                    "label": "relu",
                }
            ],
            "budgets": [100_000],
            "training": {"epochs": 6, "check_every": 2, "validation": 0.0},
            "network": {"width": 8, "layers": 2},
            "run": {"seeds": 1, "jobs": 1, "out": str(data.with_suffix(".h5")), "curves": True}
            | run,
        }
    )


def test_a_curve_ends_at_the_accuracy_after_the_training_and_costs_no_training_queries(data):
    settings = config(data, [*RULES[:2], RULES[3], RULES[4]])
    dataset = load(**settings.data.model_dump())
    plan = plan_comparison(settings, dataset)
    path = compare(settings, dataset, plan)
    curves = {curve.rule: curve for curve in read_curves(path)}
    with h5py.File(path) as file:
        results = file["results"]
        for row, cell in enumerate(results["cell"][()]):
            of = plan.cells[cell]
            curve = curves[settings.rules[of.rule].label]
            assert results["train"][row] == of.queries == curve.queries[-1]
            assert curve.accuracy[-1] == pytest.approx(np.nanmean(results["merit"][row]))
            assert (np.diff(curve.queries) >= 0).all()
    # Three looks per layer, or for all layers together; the readout of all comes at the very end.
    looks = {rule: len(curve.accuracy) for rule, curve in curves.items()}
    assert looks == {
        "phyll": 6, "phyll-remeasured": 3, "in-silico": 3, "phyll-unsupervised": 1
    }  # fmt: skip


@pytest.mark.parametrize("rule", RULES[:2])
def test_devices_that_follow_are_told_the_share_of_all_layers(data, rule):
    settings = config(data, [rule], curves=False)
    compare(settings, load(**settings.data.model_dump()))
    shares = [share for share, _ in Listening.heard]
    steps = 12 if rule == "phyll" else 6  # one layer after the other, or both at once
    np.testing.assert_allclose(shares, np.linspace(0, 1, steps + 1))
    # Measured once, the second layer's rows are driven when half of the training is over.
    spent = dict(Listening.heard)
    assert spent[0.0] == 0
    assert (spent[0.5] == spent[1.0] / 2) == (rule == "phyll")


def test_without_curves_none_are_kept_and_numbers_have_none(data):
    settings = config(data, ["readout"], curves=False)
    path = compare(settings, load(**settings.data.model_dump()))
    assert read_curves(path) == []
    settings = config(data, ["readout"])
    narma = load("narma10", rows=500)
    with pytest.raises(ValueError, match="curves are of accuracies"):
        plan_comparison(settings, narma)
