import contextlib

import numpy as np
import pytest

from calibration import Settling
from devices import Device, DeviceSpec, FunctionDevice, Noisy

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
