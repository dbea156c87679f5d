import numpy as np
import pytest

from calibration import (
    EffectiveBits,
)
from devices import FunctionDevice, Noisy, Quantised

WIRES = np.random.default_rng(0).normal(size=(6, 20))


def box(n=6, **spec):
    return FunctionDevice(lambda u: u @ WIRES[:n] + 0.7, n, 20, **spec)


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
