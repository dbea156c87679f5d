import numpy as np
import pytest

from calibration import (
    Offset,
    uniform_drives,
)
from devices import FunctionDevice, Noisy

WIRES = np.random.default_rng(0).normal(size=(6, 20))


def box(n=6, **spec):
    return FunctionDevice(lambda u: u @ WIRES[:n] + 0.7, n, 20, **spec)


def test_offset_to_half_a_per_cent_of_the_span():
    device = Noisy(box(), 0.05)
    with device:
        found = Offset().run(device)
        assert device.ledger.total == 100
        span = np.ptp(device.inner.measure(uniform_drives(device, 500)), axis=0)
    assert (np.abs(found.offset - 0.7) < 0.005 * span + 3 * found.standard_error).all()
    assert np.abs(found.offset - 0.7).max() < 0.02
    assert np.median(found.dark_noise) == pytest.approx(0.05, rel=0.1)
    with FunctionDevice(lambda u: u, 2, 2, low=(-1.0, 0.25)) as device:
        assert Offset().run(device).rest.tolist() == [0.0, 0.25]
