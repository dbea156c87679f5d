import numpy as np
import pytest

from calibration import (
    Consistency,
    EffectiveBits,
    Noise,
    Offset,
    consistency,
    noise_colour,
    uniform_drives,
)
from devices import CommonMode, FunctionDevice, Noisy, Quantised

WIRES = np.random.default_rng(0).normal(size=(6, 20))


def box(n=6, **spec):
    return FunctionDevice(lambda u: u @ WIRES[:n] + 0.7, n, 20, **spec)


@pytest.mark.parametrize("level", [0.003, 0.1, 0.5])
def test_signal_to_noise_to_half_a_decibel(level):
    procedure = Noise(rows=4000)
    with Noisy(box(), level, seed=3) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec)
    # Uniform drives have the variance 1/12. The scatter of 4000 of them is 4.3 sqrt(1 / 4000) dB.
    truth = 10 * np.log10((WIRES**2).sum(axis=0) / 12 / level**2)
    assert np.abs(found.snr_db - truth).max() < 0.5
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


@pytest.mark.parametrize("bits", [6, 8, 12])
def test_effective_bits_of_a_converter(bits):
    identity = FunctionDevice(lambda u: u, 2, 2, low=-1, high=1)
    procedure = EffectiveBits()
    with Quantised(identity, answer_bits=bits, full_scale=1.0) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec)
    assert found.enob_bits == pytest.approx([bits, bits], abs=0.2)


def test_effective_bits_of_noise_and_distortion():
    # A sine of amplitude 1 has the power 1/2.
    with Noisy(FunctionDevice(lambda u: u, 1, 1, low=-1, high=1), 0.01, seed=1) as device:
        found = EffectiveBits(samples=8192).run(device)
    assert found.sinad_db[0] == pytest.approx(10 * np.log10(0.5 / 1e-4), abs=0.3)
    with FunctionDevice(lambda u: u + 0.1 * u**2, 1, 1, low=-1, high=1) as device:
        found = EffectiveBits().run(device)
    # 0.1 sin^2 is an offset and a second harmonic of amplitude 0.05.
    assert found.thd_db[0] == pytest.approx(20 * np.log10(0.05), abs=0.01)
    assert found.sinad_db[0] == pytest.approx(-20 * np.log10(0.05), abs=0.01)


def test_effective_bits_where_a_row_is_a_waveform():
    with Noisy(FunctionDevice(lambda u: u, 1000, 1000, low=-1, high=1), 0.01) as device:
        procedure = EffectiveBits(waveform=True)
        assert procedure.queries(device.spec) == 1
        assert procedure.run(device).sinad_db[0] == pytest.approx(37, abs=0.5)


def test_sine_needs_amplitudes_and_a_prime_number_of_cycles():
    with box() as device, pytest.raises(ValueError, match="no divisor in common"):
        EffectiveBits(cycles=32).run(device)
    with box(domain="bits") as device, pytest.raises(ValueError, match="amplitudes or codes"):
        EffectiveBits().run(device)


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
