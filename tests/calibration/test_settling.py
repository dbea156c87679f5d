import contextlib

import numpy as np
import pytest

from calibration import Settling, procedures_for
from devices import Device, DeviceSpec, FunctionDevice, Noisy
from devices.drivers.callable_capture import CallableCamera
from devices.drivers.callables import CallableModulator, Callables
from devices.rigs.metasurface import MetasurfaceRig
from devices.rigs.optical import OpticalRig

GAINS = np.array([0.5, -2.0, 3.0])


def amplifier(**spec):
    spec = {"low": -1.0, "high": 1.0} | spec
    return FunctionDevice(lambda u: u[:, :1] * GAINS + [0.1, 0.2, 0.3], 1, 3, **spec)


class Relaxing(Device):
    """Follows its drive exponentially; its clock runs while the contract waits."""

    def __init__(self, tau_s):
        self.spec = DeviceSpec(name="relaxing", n_inputs=1, n_outputs=1)
        self.tau_s, self.state, self.target = tau_s, 0.0, 0.0

    def wait(self, seconds):
        self.state = self.target + (self.state - self.target) * np.exp(-seconds / self.tau_s)

    def _drive(self, drives):
        self.target = drives[0, 0]

    def _measure(self, drives):
        return np.full((len(drives), 1), self.state)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_settling_follows_the_answer_and_leaves_the_wait_as_it_was(monkeypatch, noise):
    procedure = Settling(longest_s=0.1, waits=40, steps=20, tolerance=0.02)
    inner = Relaxing(0.004)
    monkeypatch.setattr("devices.device.time.sleep", inner.wait)
    with Noisy(inner, noise) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec)
    assert inner.spec.settle_s == 0.0
    # A device that steps back and forth is late by exp(-t / tau) / (1 + exp(-t / tau)) of a step.
    truth = 0.004 * np.log(1 / 0.02)
    assert found.recommended_wait_s == pytest.approx(truth, rel=0.25)
    assert found.time_constant_s == pytest.approx(0.004, rel=0.15)


def test_settling_needs_a_moment_to_wait_in():
    with amplifier() as device, pytest.raises(ValueError, match="pass set_wait"):
        Settling().run(device)
    waits = []

    @contextlib.contextmanager
    def set_wait(device, seconds):
        waits.append(seconds)
        yield

    with amplifier() as device:
        found = Settling(set_wait=set_wait).run(device)
    assert found.recommended_wait_s == 0.0
    assert len(waits) == 14


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that only waiting moves on, as a list of its only number."""
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr("time.sleep", sleep)
    return now


class Sluggish:
    """What follows its bits with a time constant, seen by an analyser or a camera."""

    def __init__(self, clock, tau_s):
        self.clock, self.tau_s, self.at = clock, tau_s, 0.0
        self.value = self.target = np.zeros(4)

    def show(self, bits):
        self.value, self.at, self.target = self.now(), self.clock[0], np.array(bits, float)

    def now(self):
        left = np.exp(-(self.clock[0] - self.at) / self.tau_s)
        return self.target + (self.value - self.target) * left

    def surface(self, **options):
        analyser = Callables(name="analyser")
        analyser.parameters, analyser.frequencies_hz = ("S21",), np.arange(1.0, 5.0)
        analyser.hold, analyser.sweep = (lambda: None), (lambda: self.now()[None])
        return MetasurfaceRig(CallableModulator(self.show, n_elements=4), analyser, **options)

    def table(self, **options):
        camera = CallableCamera(
            lambda: 100 * self.now().reshape(2, 2), shape=(2, 2), full_scale=200.0
        )
        modulator = CallableModulator(self.show, n_elements=4)
        return OpticalRig(modulator, camera, grid=(2, 2), input="bits", **options)


@pytest.mark.parametrize("kind", ["surface", "table"])
def test_rigs_that_wait_by_themselves_are_measured(clock, kind):
    rig = getattr(Sluggish(clock, 0.004), kind)(settle_s=0.03)
    with rig:
        found = Settling(longest_s=0.1).run(rig)
    assert found.time_constant_s == pytest.approx(0.004, rel=0.05)
    assert 0.015 < found.recommended_wait_s < 0.03
    assert rig.spec.settle_s == 0.03


def test_of_a_waveform_the_transient_is_looked_at():
    camera = CallableCamera(lambda: np.zeros((2, 2)), shape=(2, 2), full_scale=1.0)
    triggered = OpticalRig(
        CallableModulator(print, n_elements=4), camera, grid=(2, 2), trigger="hardware"
    )
    with pytest.raises(ValueError, match=r"in one step.* `pnn rig check`"):
        procedures_for(triggered, ["settling"])
