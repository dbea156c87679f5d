import numpy as np
import pytest

from calibration import (
    Noise,
    noise_colour,
)
from devices import CommonMode, FunctionDevice, Noisy

WIRES = np.random.default_rng(0).normal(size=(6, 20))


def box(n=6, **spec):
    return FunctionDevice(lambda u: u @ WIRES[:n] + 0.7, n, 20, **spec)


@pytest.mark.parametrize("level", [0.003, 0.1, 0.5])
def test_signal_to_noise_to_half_a_decibel(level):
    procedure = Noise(rows=1024)
    with Noisy(box(), level, seed=3) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec)
    # Uniform drives have the variance 1/12.
    truth = 10 * np.log10((WIRES**2).sum(axis=0) / 12 / level**2)
    assert np.abs(found.snr_db - truth).max() < 0.5
    assert np.sqrt(np.mean((found.snr_db - truth) ** 2)) < found.snr_error_db < 0.3
    assert found.median_snr_db == pytest.approx(np.median(truth), abs=0.2)
    assert np.median(found.noise_std) == pytest.approx(level, rel=0.02)


def test_signal_to_noise_without_either():
    with FunctionDevice(lambda u: u * [1.0, 0.0], 2, 2) as device:
        found = Noise(rows=50, series=64).run(device)
    assert found.snr_db[0] == np.inf
    assert found.snr_db[1] == -np.inf


def test_colour_of_the_noise():
    rng = np.random.default_rng(0)
    white = rng.normal(size=(4096, 30))
    colour, lag = noise_colour(white)
    assert np.mean(colour) == pytest.approx(0, abs=0.1)
    assert np.mean(lag) == pytest.approx(0, abs=0.02)
    colour, lag = noise_colour(np.cumsum(white, axis=0))
    assert np.mean(colour) == pytest.approx(-2, abs=0.2)
    assert lag.min() > 0.95
    flicker = np.fft.irfft(
        np.fft.rfft(white, axis=0) / np.sqrt(np.maximum(np.arange(2049), 1))[:, None], axis=0
    )
    assert np.mean(noise_colour(flicker)[0]) == pytest.approx(-1, abs=0.15)


def test_noise_that_all_outputs_share():
    with CommonMode(box(), offset=0.2, relaxation=1.0) as shared, Noisy(box(), 0.2) as own:
        assert Noise().run(shared).common_share > 0.99
        assert Noise().run(own).common_share < 0.15
