"""Averaging: n queries a row, noise down by sqrt(n)."""

import numpy as np
import pytest
from device_spy import Spy

from devices import Averaged, Noisy


def test_noise_falls_with_the_root_of_n():
    spread = {}
    for n in (1, 16):
        with Averaged(Noisy(Spy(1, 200), 0.5, seed=1), n) as device:
            spread[n] = device.measure(np.zeros((20, 1))).std()
            assert device.ledger.total == 20 * n
    assert spread[1] == pytest.approx(0.5, rel=0.05)
    assert spread[16] == pytest.approx(0.5 / 4, rel=0.05)


def test_averages_of_averages_multiply():
    with Averaged(Averaged(Spy(), 2), 3) as device:
        result = device.acquire([[1, 1]], averages=2)
    assert device.ledger.total == 12
    np.testing.assert_array_equal(result.outputs, [[2, 4]])
    np.testing.assert_array_equal(result.attempts, [1])  # none was in vain


@pytest.mark.parametrize("n", [0, -3, 2.5, True, "4"])
def test_n_is_a_whole_number(n):
    with pytest.raises(ValueError, match=f"Averaged: n={n!r}"):
        Averaged(Spy(), n)
