"""Joules: of the device where its power is known, of the computer where it is measured."""

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from black_boxes import digits

from devices import DeviceSpec, FunctionDevice
from devices.extras import MissingExtraError
from pnn.config import Config
from pnn.energy import EnergyMeter
from pnn.experiment import plan, run
from pnn.report import plan_text, result_text, summary


class Tracker:
    """Stands in for codecarbon, which needs a second or two: 1e-6 kWh in every block."""

    final_emissions_data = types.SimpleNamespace(energy_consumed=1e-6)

    def __init__(self, **options):
        assert options["save_to_file"] is False

    def start(self): ...
    def stop(self): ...


def test_the_parts_of_the_energy_are_told_where_they_are_known(tmp_path, monkeypatch):
    module = types.SimpleNamespace(OfflineEmissionsTracker=Tracker)
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    config = Config.model_validate(
        {
            "data": "digits",
            "device": {"name": "sim:random-features", "n_outputs": 16},
            "rule": "readout",
            "run": {"seeds": 2, "controls": (), "energy": True, "out": str(tmp_path / "run.h5")},
        }
    )
    content = summary(run(config, digits()))
    assert content["energy"]["digital training"] == pytest.approx(2 * 3.6)
    assert content["energy"]["device"] is None
    assert content["arms"]["device"]["training_multiply_adds"] > 0
    assert "digital training 7.2 J, digital inference 7.2 J" in result_text(content)


def test_a_device_counts_the_energy_of_its_converters():
    def answer(drives):
        return np.hstack([drives, drives])

    device = FunctionDevice(answer, n_inputs=2, n_outputs=4)
    device.spec = DeviceSpec(
        name="board", n_inputs=2, n_outputs=4, watts=3.0, conversion_joules=1e-6
    )
    with device:
        device.measure(np.zeros((10, 2)))
    assert device.ledger.conversion_joules == pytest.approx(10 * 6 * 1e-6)
    assert device.ledger.joules == pytest.approx(3.0 * sum(device.ledger.seconds.values()))
    with pytest.raises(ValueError, match="conversion_joules=-1"):
        DeviceSpec(name="board", n_inputs=2, n_outputs=4, conversion_joules=-1)


def test_the_plan_tells_the_energy_of_a_device_with_a_known_power(monkeypatch):
    from simulators.digital import RandomFeatures

    spec = DeviceSpec(name="box", n_inputs=16, n_outputs=8, seconds_per_query=0.5, watts=20.0)
    monkeypatch.setattr(
        "pnn.estimator_base.build_device", lambda *_, **__: RandomFeatures(spec=spec)
    )
    config = Config.model_validate({"data": "digits", "device": "any", "rule": "readout"})
    intended = plan(config, digits())
    assert intended.joules == pytest.approx(20.0 * 0.5 * intended.queries["total"])
    assert " J in the device" in plan_text(intended, 1)
    unknown = replace(intended, joules=None)
    assert "energy not known (no watts stated)" in plan_text(unknown, 1)
    assert plan_text(replace(unknown, device_seconds=None), 1).count("energy not known") == 1


def test_without_the_package_the_extra_is_named_and_off_nothing_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(MissingExtraError, match=r"pnn-toolkit\[energy\]"):
        EnergyMeter(True)
    with EnergyMeter(False) as meter:
        pass
    assert meter.joules is None
