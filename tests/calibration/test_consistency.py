import numpy as np
import pytest

from calibration import (
    Consistency,
    consistency,
)
from devices import FunctionDevice, Noisy

WIRES = np.random.default_rng(0).normal(size=(6, 20))


def box(n=6, **spec):
    return FunctionDevice(lambda u: u @ WIRES[:n] + 0.7, n, 20, **spec)


@pytest.mark.parametrize("snr", [0.5, 1.0, 10.0])
def test_consistency_is_snr_over_one_plus_snr(snr):
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(3000, 8))
    passes = signal + rng.normal(size=(4, 3000, 8)) / np.sqrt(snr)
    found = consistency(passes)
    assert found.mean == pytest.approx(snr / (1 + snr), abs=0.02)
    assert found.repeatability == pytest.approx(np.full(8, snr**-0.5), rel=0.05)
    assert found.standard_error < 0.01


def test_consistency_of_a_device():
    with box() as clean, Noisy(box(), 1e3) as noisy:
        assert Consistency(rows=50).run(clean).mean == pytest.approx(1)
        assert Consistency().run(noisy).mean == pytest.approx(0, abs=0.05)
        assert noisy.ledger.total == Consistency().queries(noisy.spec) == 600


def test_a_dead_device_is_not_consistent():
    with (
        FunctionDevice(lambda u: np.full((len(u), 2), 0.7), 3, 2) as dead,
        pytest.raises(ValueError, match=r"no answer moves: .* 2 outputs .* 0\.7; see that"),
    ):
        Consistency().run(dead)
