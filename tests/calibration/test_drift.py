import numpy as np
import pytest

from calibration import Drift, drift_of
from devices import Drifting, FunctionDevice, Noisy


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("rate", [1e-3, 5e-3])
def test_drift_rate_to_a_fifth(rate, noise):
    wires = np.random.default_rng(0).random((6, 40))
    inner = FunctionDevice(lambda u: u @ wires, 6, 40)
    procedure = Drift()
    with Noisy(Drifting(inner, rate, seed=3), noise) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec)
    assert found.rate_per_sqrt_query == pytest.approx(rate, rel=0.2)
    assert found.rate_error < 0.15 * rate


def test_decorrelation_of_answers_that_forget():
    # Each answer's walk about zero forgets in `time` rows: correlation exp(-m / time).
    time, rounds, spacing = 300.0, 60, 20
    rng = np.random.default_rng(0)
    keep = np.exp(-spacing / time)
    states = [rng.normal(size=(30, 40))]
    for _ in range(rounds - 1):
        step = np.sqrt(1 - keep**2) * rng.normal(size=(30, 40))
        states.append(keep * states[-1] + step)
    answers = np.array(states)[:, None] + 0.5 * rng.normal(size=(rounds, 2, 30, 40))
    found = drift_of(answers, spacing)
    assert found.decorrelation_queries == pytest.approx(time, rel=0.1)
    assert abs(found.decorrelation_queries - time) < 3 * found.decorrelation_error_queries
    assert found.decorrelation_error_queries < 0.1 * time
    assert found.noise_share == pytest.approx(0.25, rel=0.05)


def test_a_steady_device_does_not_drift():
    for seed in range(20):
        wires = np.random.default_rng(seed).normal(size=(5, 5))
        with Noisy(FunctionDevice(lambda u, w=wires: u @ w, 5, 5), 0.05, seed=seed) as device:
            found = Drift().run(device)
        assert found.decorrelation_queries == np.inf
        assert np.isnan(found.decorrelation_error_queries)
        assert found.correlation[:12] == pytest.approx(np.ones(12), abs=0.1)
        assert found.rate_per_sqrt_query < 2e-3


@pytest.mark.parametrize(("rate", "rounds"), [(5e-3, 24), (2e-2, 24), (2e-2, 7)])
def test_a_walk_is_seen_to_fall(rate, rounds):
    wires = np.random.default_rng(0).random((6, 40))
    with Noisy(Drifting(FunctionDevice(lambda u: u @ wires, 6, 40), rate, seed=3), 0.05) as device:
        found = Drift(rounds=rounds).run(device)
    assert np.isfinite(found.decorrelation_queries)
    assert 0 < found.decorrelation_error_queries < found.decorrelation_queries


def test_dead_devices():
    with (
        FunctionDevice(lambda u: np.full((len(u), 3), 0.7), 2, 3, name="dead") as dead,
        pytest.raises(ValueError, match=r"no answer moves: .* 3 outputs .* 0\.7; see that"),
    ):
        Drift().run(dead)
    with Noisy(FunctionDevice(lambda u: np.ones((len(u), 3)), 2, 3), 0.05) as noise:
        found = Drift().run(noise)
    assert found.decorrelation_queries == np.inf
    assert np.isnan(found.correlation).all()
