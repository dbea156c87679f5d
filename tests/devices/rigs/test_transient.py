"""How long a rig swings in: measured, and kept to."""

import numpy as np
import pytest

from devices import DeviceError
from devices.drivers.callable_capture import CallableDigitizer
from devices.drivers.callables import CallableSource
from devices.rigs.waveform import WaveformRig

RATE, OVER = 8000.0, 4


class Ringing:
    """A box whose answer decays with a time constant: a one-pole low pass, exactly."""

    def __init__(self, constant_s, noise=0.0):
        self.share = np.exp(-1 / (constant_s * RATE * OVER))
        self.noise, self.random = noise, np.random.default_rng(0)
        self.source = CallableSource(self.play, name="generator")
        self.digitizer = CallableDigitizer(self.fetch, rate_hz=RATE * OVER, name="digitizer")

    def play(self, volts, rate):
        self.played = volts[0]

    def fetch(self):
        from scipy.signal import lfilter

        held = np.concatenate([np.repeat(self.played, OVER), np.zeros(100)])
        answer = lfilter([1 - self.share], [1, -self.share], held)
        return answer + self.noise * self.random.standard_normal(len(answer))


def rig(box, settle=2048, **options):
    settings = {"n_inputs": 8, "sample_rate_hz": RATE, "window_samples": 256, "band_hz": (30, 1200)}
    return WaveformRig(
        box.source, box.digitizer, settle_samples=settle, volts_per_input=0.1, **settings | options
    )


@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 0.01), (2e-3, 0.01), (2e-3, 1e-4)])
def test_the_time_constant_and_the_time_to_settle_are_those_of_the_box(noise, tolerance):
    with rig(Ringing(0.02, noise)) as device:
        found = device.transient(np.ones(8), tolerance=tolerance)
        assert device.ledger.queries["calibration"] == 8
    assert found.time_constant_s == pytest.approx(0.02, rel=0.15)
    # From the first block on the transient falls by a factor e in each time constant.
    first = found.left[0] * np.exp(found.times_s[0] / 0.02)
    assert found.settle_s == pytest.approx(0.02 * np.log(first / tolerance), abs=0.008)
    assert found.settled


def test_a_record_that_ends_too_early_tells_how_long_it_should_be():
    with rig(Ringing(0.05), settle=512) as device:
        found = device.transient(np.ones(8))
    with rig(Ringing(0.05), settle=4096) as device:
        enough = device.transient(np.ones(8))
    assert not found.settled
    assert enough.settled
    assert 512 / RATE < found.settle_s < 1.1 * enough.settle_s


def test_nothing_to_see_is_an_error_that_says_why():
    with rig(Ringing(0.01), settle=0) as device, pytest.raises(ValueError, match="nothing before"):
        device.transient(np.ones(8))
    with pytest.raises(DeviceError, match="not open"):
        rig(Ringing(0.01)).transient(np.ones(8))


def test_rows_that_would_hear_each_other_or_the_transient_are_refused():
    box = Ringing(0.01)
    with pytest.raises(ValueError, match=r"settle_samples=100 is shorter than ring_down_s=0\.05"):
        rig(box, settle=100, ring_down_s=0.05)
    late = {"input": "waveform", "output": "waveform", "settle": 0, "ring_down_s": 0.05}
    rig(box, **late)  # one row alone has nobody to hear
    with pytest.raises(
        ValueError, match=r"rows_per_shot=3.*begins 32 samples.*lead_samples to 200"
    ):
        rig(box, rows_per_shot=3, **late)
    rig(box, rows_per_shot=3, lead_samples=200, **late)


def test_rows_that_are_far_enough_apart_do_not_hear_each_other():
    rows = np.eye(8)[:3]
    with rig(Ringing(0.004)) as device:
        alone, ring_down_s = device.measure(rows), device.transient(np.ones(8)).settle_s
    settle = int(np.ceil(ring_down_s * RATE))
    together = rig(Ringing(0.004), settle, rows_per_shot=3, ring_down_s=ring_down_s)
    with together as device:
        np.testing.assert_allclose(device.measure(rows), alone, atol=0.01 * np.abs(alone).max())
