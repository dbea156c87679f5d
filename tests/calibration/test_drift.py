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
    assert found.noise_share == pytest.approx(0.25, rel=0.05)


def test_a_steady_device_does_not_drift():
    with Noisy(FunctionDevice(lambda u: u, 5, 5), 0.02) as device:
        found = Drift().run(device)
    assert found.correlation == pytest.approx(np.ones(23), abs=0.01)
    assert found.rate_per_sqrt_query < 5e-4
