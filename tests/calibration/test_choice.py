import numpy as np
import pytest

from calibration import procedures_for
from calibration.choice import Waveforms, waveforms_of
from devices import Device, DeviceSpec, FunctionDevice, Noisy
from simulators import AcousticCavity


def kinds(device, **more):
    return [one.kind for one in procedures_for(device, **more)]


def test_amplitudes_phases_and_bits_are_measured_differently():
    amplitudes = kinds(FunctionDevice(lambda u: u, 4, 4))
    assert amplitudes[:4] == ["offset", "noise", "consistency", "linearity"]
    assert "enob" in amplitudes
    assert not {"settling", "delay", "phase-table", "memory", "swept-sine"} & set(amplitudes)
    phases = kinds(FunctionDevice(lambda u: u, 4, 4, domain="phase", high=2 * np.pi))
    assert {"phase-table", "transmission-matrix"} < set(phases)
    assert "linearity" not in phases
    bits = kinds(FunctionDevice(lambda u: u, 4, 4, domain="bits"))
    assert "noise" in bits
    assert not {"linearity", "enob", "phase-table"} & set(bits)


def test_memory_and_two_steps_are_seen():
    memory = kinds(FunctionDevice(lambda u: u, 1, 1, memory=True))
    assert {"delay", "memory", "enob", "offset"} == set(memory)

    class Stepped(Device):
        spec = DeviceSpec(name="stepped", n_inputs=2, n_outputs=2)

        def _drive(self, drives): ...
        def _measure(self, drives):
            return drives

    assert kinds(Noisy(Stepped(), 0.1))[0] == "settling"


def test_waveforms_are_what_the_device_says_or_what_it_is_told():
    cavity = AcousticCavity(n_inputs=128, n_outputs=256, input="waveform", output="waveform")
    found = waveforms_of(Noisy(cavity, 0.1))
    assert found.channels == 2
    assert found.sample_rate_hz == cavity.sample_rate
    delay, *_ = procedures_for(cavity, ["delay"])
    assert (delay.waveform, delay.channels) == (True, 2)
    plain = FunctionDevice(lambda u: u, 4096, 4096, low=-1)
    assert waveforms_of(plain) is None
    told = Waveforms(sample_rate_hz=8000.0)
    assert {"delay", "swept-sine"} < set(kinds(plain, waveforms=told))
    with pytest.raises(ValueError, match="not known to be waveforms"):
        procedures_for(plain, ["swept-sine"])


def test_every_procedure_keeps_to_what_it_announced():
    box = Noisy(FunctionDevice(lambda u: np.tanh(u) @ np.ones((4, 6)), 4, 6, low=-1), 0.01)
    with box as device:
        for procedure in procedures_for(device):
            before = device.ledger.queries["calibration"]
            procedure.run(device)
            spent = device.ledger.queries["calibration"] - before
            assert spent == procedure.queries(device.spec), procedure.kind
            assert f"{procedure.kind}: {spent} queries" in procedure.announcement(device.spec)


def test_unknown_and_impossible_ones_are_named():
    with pytest.raises(ValueError, match="'gain' is not one of settling, offset"):
        procedures_for(FunctionDevice(lambda u: u, 2, 2), ["gain"])
    with pytest.raises(ValueError, match="drives and measures in one step"):
        procedures_for(FunctionDevice(lambda u: u, 2, 2), ["settling"])
