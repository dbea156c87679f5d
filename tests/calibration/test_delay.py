import numpy as np
import pytest

from calibration import Delay, MemoryCapacity, SweptSine, harmonic_lead_s
from calibration.delay import advance
from devices import Device, DeviceSpec, FunctionDevice, Noisy

N = 1024


def late(samples):
    """Return a function that delays waveforms of N samples, exactly for periodic ones."""

    def box(u):
        padded = np.pad(u, ((0, 0), (0, N)))
        turn = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * N) * samples)
        return np.fft.irfft(np.fft.rfft(padded) * turn)[:, :N]

    return box


class Line(Device):
    """A shift register: the answers are the drives of 1, 2, ... rows ago."""

    def __init__(self, length):
        self.spec = DeviceSpec(name="line", n_inputs=1, n_outputs=length, low=-1, memory=True)
        self.state = np.zeros(length)

    def _reset(self):
        self.state[:] = 0

    def _measure(self, drives):
        answers = np.empty((len(drives), len(self.state)))
        for row, drive in zip(answers, drives, strict=True):
            row[:] = self.state
            self.state = np.concatenate([drive, self.state[:-1]])
        return answers


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


def test_delay_of_several_channels_and_of_none():
    boxes = [late(3.0), late(8.5), np.zeros_like]
    stacked = FunctionDevice(lambda u: np.hstack([b(u) for b in boxes]), N, 3 * N, low=-1)
    with Noisy(stacked, 0.02) as device:
        found = Delay(waveform=True, channels=3).run(device)
    assert found.delay_samples[:2] == pytest.approx([3.0, 8.5], abs=0.1)
    assert np.isnan(found.delay_samples[2])


def test_delay_of_a_device_with_memory_and_of_one_without():
    with Line(5) as line:
        found = Delay(samples=256, bursts=2).run(line)
        assert line.ledger.total == 512
    assert found.delay_samples == pytest.approx([1, 2, 3, 4, 5], abs=0.05)
    with FunctionDevice(lambda u: u, 2, 2) as device, pytest.raises(ValueError, match="no delay"):
        Delay().run(device)


def test_advancing_undoes_a_delay():
    t = np.arange(N)
    wave = np.exp(-(((t - 400) / 20) ** 2)) * np.cos(0.3 * t)
    assert advance(late(12.3)(wave[None]), np.array([12.3])) == pytest.approx(wave[None], abs=1e-3)


def test_memory_capacity_is_the_length_of_a_shift_register():
    procedure = MemoryCapacity(rows=1500, longest=12)
    with Line(7) as line:
        found = procedure.run(line)
        assert line.ledger.total == procedure.queries(line.spec) == 1600
    assert found.capacity == pytest.approx(7, abs=0.1)
    assert found.curve[1:8] == pytest.approx(np.ones(7), abs=0.02)
    assert found.curve[[0, 8, 12]] == pytest.approx(np.zeros(3))
    with FunctionDevice(lambda u: u, 1, 1) as device, pytest.raises(ValueError, match="no memory"):
        procedure.run(device)


def test_leads_of_the_harmonics_in_the_formula():
    assert harmonic_lead_s(2.0, 20.0, 20_000.0, 2) == pytest.approx(0.200687, abs=5e-7)
    assert harmonic_lead_s(2.0, 20.0, 20_000.0, 3) == pytest.approx(0.318081, abs=5e-7)


def test_sweep_takes_harmonics_apart_to_one_sample():
    rate, n = 16_000.0, 20_000
    decay = np.exp(-np.arange(60) / 10.0)

    def box(u):
        bent = u + 0.2 * u**2 + 0.1 * u**3
        return np.stack([np.convolve(row, decay)[:n] for row in bent])

    procedure = SweptSine(sample_rate_hz=rate, low_hz=50, high_hz=2500, orders=3)
    with Noisy(FunctionDevice(box, n, n, low=-1), 1e-3) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 1
    assert found.lead_s[:, 0] == pytest.approx(found.expected_lead_s, abs=1 / rate)
    assert found.expected_lead_s[1] == pytest.approx(1.0 / np.log(50) * np.log(2))
    # The spectrum of the linear response, 1 + 3/4 * 0.1 strong for a sine of amplitude 1.
    response = found.responses[0, 0]
    f = np.fft.rfftfreq(len(response), 1 / rate)
    inside = (f > 100) & (f < 2000)
    truth = np.abs(np.exp(-2j * np.pi * np.outer(f, np.arange(60)) / rate) @ decay) * 1.075
    assert np.abs(np.fft.rfft(response))[inside] == pytest.approx(truth[inside], rel=0.05)
    # Second harmonic 0.1, third 0.025 of a sine; the filter passes both alike within 3 dB.
    assert found.level_db[1, 0] == pytest.approx(20 * np.log10(0.1 / 1.075), abs=4)


def test_a_linear_device_has_no_harmonics():
    with Noisy(FunctionDevice(lambda u: u, 8000, 8000, low=-1), 1e-3) as device:
        found = SweptSine(sample_rate_hz=8000, low_hz=50, high_hz=2500, orders=2).run(device)
    assert found.level_db[1, 0] < -35
    assert np.isnan(found.lead_s[1, 0])


def test_a_sweep_that_does_not_fit_is_refused():
    with FunctionDevice(lambda u: u, 100, 100, low=-1) as device:
        with pytest.raises(ValueError, match="4 periods"):
            SweptSine(sample_rate_hz=8000, low_hz=50, high_hz=2500).run(device)
        with pytest.raises(ValueError, match=r"high_hz=5000 .* at most 4000"):
            SweptSine(sample_rate_hz=8000, low_hz=50, high_hz=5000)
