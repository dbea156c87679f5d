import numpy as np
import pytest
from shift_register import ShiftRegister

from calibration import Delay
from calibration.delay import advance
from devices import FunctionDevice, Noisy

N = 1024


def late(samples):
    """Return a function that delays waveforms of N samples, exactly for periodic ones."""

    def box(u):
        padded = np.pad(u, ((0, 0), (0, N)))
        turn = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * N) * samples)
        return np.fft.irfft(np.fft.rfft(padded) * turn)[:, :N]

    return box


@pytest.mark.parametrize("truth", [0.0, 0.3, 17.45, 200.8])
@pytest.mark.parametrize("sign", [1, -1])
def test_delay_to_a_tenth_of_a_sample(truth, sign):
    procedure = Delay(waveform=True)
    box = late(truth)
    with Noisy(FunctionDevice(lambda u: sign * box(u), N, N, low=-1), 0.1, seed=1) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 4
    assert found.delay_samples[0] == pytest.approx(truth, abs=0.1)
    assert found.standard_error_samples[0] < 0.1
    assert np.sign(found.correlation[0]) == sign


def test_noise_of_the_same_seed_is_not_taken_for_the_burst():
    # Both draw from seed 0: a delay of nothing would stand out of noise that repeats the burst.
    with Noisy(FunctionDevice(late(63.7), N, N, low=-1), 0.5) as device:
        found = Delay(waveform=True).run(device)
    assert found.delay_samples[0] == pytest.approx(63.7, abs=0.1)
    assert abs(found.delay_samples[0] - 63.7) < 4 * found.standard_error_samples[0]
    with Noisy(FunctionDevice(np.zeros_like, N, N, low=-1), 0.5) as dead:
        assert np.isnan(Delay(waveform=True).run(dead).delay_samples[0])


def test_delay_of_several_channels_and_of_none():
    boxes = [late(3.0), late(8.5), np.zeros_like]
    stacked = FunctionDevice(lambda u: np.hstack([b(u) for b in boxes]), N, 3 * N, low=-1)
    with Noisy(stacked, 0.02) as device:
        found = Delay(waveform=True, channels=3).run(device)
    assert found.delay_samples[:2] == pytest.approx([3.0, 8.5], abs=0.1)
    assert np.isnan(found.delay_samples[2])


def test_bursts_that_disagree_tell_no_delay():
    turns = iter([late(5.0), late(9.0)] * 2)

    def box(u):
        return next(turns)(u)

    with FunctionDevice(box, N, N, low=-1) as device:
        found = Delay(waveform=True).run(device)
    assert np.isnan(found.delay_samples[0])
    assert found.standard_error_samples[0] == pytest.approx(2 / np.sqrt(3), abs=0.01)


def test_delay_of_a_device_with_memory_and_of_one_without():
    with ShiftRegister(5) as line:
        found = Delay(samples=256, bursts=2).run(line)
        assert line.ledger.total == 512
    assert found.delay_samples == pytest.approx([1, 2, 3, 4, 5], abs=0.05)
    with FunctionDevice(lambda u: u, 2, 2) as device, pytest.raises(ValueError, match="no delay"):
        Delay().run(device)


def test_advancing_undoes_a_delay():
    t = np.arange(N)
    wave = np.exp(-(((t - 400) / 20) ** 2)) * np.cos(0.3 * t)
    assert advance(late(12.3)(wave[None]), np.array([12.3])) == pytest.approx(wave[None], abs=1e-3)
