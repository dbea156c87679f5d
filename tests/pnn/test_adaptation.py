import numpy as np
import pytest
from sklearn.datasets import load_digits

import pnn
from devices import Cached, DeviceError, Jumping, Noisy
from pnn.adaptation import Adapter
from simulators import ScatteringMedium

N = 700


def trained(rule, seed=0, cached=True, **options):
    """Return a network, its jump, its data and its test rows; the order of rows is random."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[:N], order[N:1000]
    labelled = 10 if rule == "phyll" else 0
    medium = ScatteringMedium(n_inputs=64 + labelled, n_outputs=200, zero_order=0.25, seed=seed)
    jump = Jumping(medium, after=10**9, gain=0.5, mixing=0.6, seed=seed)
    device = Cached(jump) if cached else jump
    network = pnn.PhysicalClassifier(
        device, rule, random_state=seed, threads=1, epochs=20, **options
    )
    return network.fit(X[train], y[train]), jump, (X[train], y[train]), (X[test], y[test])


@pytest.mark.parametrize("rule", ["readout", "mono-forward", "phyll"])
def test_a_tenth_of_the_queries_mends_a_jump(rule):
    network, jump, (X, y), test = trained(rule)
    original = jump.ledger.queries["train"]
    adapter = Adapter(network, X, y, share=0.09, seed=1)
    # Rows that training measured come from the cache; early stopping kept a few for itself.
    assert adapter.queries <= 0.01 * original + 10 * 10
    before = network.score(*test)
    jump.after = 0
    jumped = network.score(*test)
    assert before - jumped > 0.2
    total = jump.ledger.total
    found = adapter.realign()
    assert jump.ledger.total - total == found.queries <= 0.1 * original
    assert found.agreement > 0.6 > found.agreement_before
    mended = network.score(*test)
    assert (mended - jumped) / (before - jumped) > 0.9
    if adapter.can_retrain:
        total = jump.ledger.total
        adapter.retrain()
        assert jump.ledger.total == total
        assert (network.score(*test) - jumped) / (before - jumped) > 0.9


def test_realigning_without_a_change_changes_little_and_may_be_repeated():
    network, _, (X, _), test = trained("readout")
    before = network.score(*test)
    adapter = Adapter(network, X, share=0.2)
    assert not adapter.can_retrain
    with pytest.raises(ValueError, match="needs y"):
        adapter.retrain()
    for _ in range(2):
        assert adapter.realign().agreement > 0.95
        assert network.score(*test) == pytest.approx(before, abs=0.015)


def test_two_layers_are_mended_one_after_the_other():
    network, jump, (X, y), test = trained("mono-forward", layers=2, width=64)
    adapter = Adapter(network, X, y, share=0.15, seed=1)
    before = network.score(*test)
    jump.after = 0
    jumped = network.score(*test)
    found = adapter.realign()
    assert found.queries == 2 * len(adapter.rows)
    assert (network.score(*test) - jumped) / (before - jumped) > 0.85


class Failing(Noisy):
    """A device that can be told to fail."""

    broken = False

    def _answers(self, answers, drives):
        if self.broken:
            raise DeviceError("the lamp is out")
        return answers


def test_a_device_that_fails_leaves_the_network_as_it_was():
    X, y = load_digits(return_X_y=True)
    device = Failing(ScatteringMedium(n_inputs=64, n_outputs=50, seed=0), 0.0)
    network = pnn.PhysicalClassifier(device, "readout", random_state=0).fit(X[:300], y[:300])
    adapter = Adapter(network, X[:300], y[:300])
    before = network.network_.layers[0].weights["W"].clone()
    device.broken = True
    with pytest.raises(DeviceError, match="lamp"):
        adapter.realign()
    assert (network.network_.layers[0].weights["W"] == before).all()


def test_what_cannot_be_adapted_is_refused():
    network, _, (X, y), _ = trained("readout")
    with pytest.raises(ValueError, match=r"share=0 must be"):
        Adapter(network, X, share=0)
    with pytest.raises(ValueError, match=r"rows that are taken=7 .* at least 8"):
        Adapter(network, X, share=0.01)
    local, *_ = trained("mono-forward")
    with pytest.raises(ValueError, match=r"realign\(\) comes before"):
        Adapter(local, X, y).retrain()
