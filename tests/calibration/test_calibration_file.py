import logging
import stat

import h5py
import numpy as np
import pytest

from calibration import (
    Calibrated,
    Calibration,
    CalibrationFolder,
    Delay,
    Linearity,
    Noise,
    Offset,
    PhaseTable,
    Quantity,
    calibrate,
    check_order,
    load_calibration,
    procedures_for,
)
from calibration.sequence import ORDER
from devices import Device, DeviceSpec, FunctionDevice, Noisy, NotCalibrated
from simulators import AcousticCavity, ScatteringMedium

GAINS = np.array([2.0, -0.5])


def law(u):
    return u[:, :1] * GAINS + [0.3, 0.1]


def amplifier(**spec):
    return FunctionDevice(law, 1, 2, low=-1.0, input_unit="V", output_unit="Pa", **spec)


def linearity(device, **more):
    return Calibration.of(device, "linearity", Linearity().run(device), **more)


@pytest.fixture
def device():
    with amplifier() as one:
        yield one


def test_a_file_holds_all_and_reads_back_the_same(device, tmp_path):
    raw = {"drives": Quantity(np.arange(6.0).reshape(3, 2), ("row", "input"), "V")}
    made = linearity(
        device, raw=raw, validity={"temperature_k": (290, 300)}, settings={"levels": 41}
    )
    path = made.save(tmp_path)
    assert path.name == f"linearity-{made.id}.h5"
    found = load_calibration(path)
    assert found.id == made.id
    assert found["gain"] == pytest.approx(GAINS)
    assert found.data["gain"].unit == "Pa/V"
    assert found.data["answers"].dims == ("level", "output")
    assert found.data["usable_low"].unit == "V"
    assert found.raw["drives"].values.tolist() == raw["drives"].values.tolist()
    assert found.validity == {"temperature_k": (290, 300)}
    assert found.device["name"] == "law"
    assert "numpy" in found.versions
    with pytest.raises(ValueError, match="read-only"):
        found["gain"][0] = 1.0


def test_a_file_is_read_only_whole_and_never_written_twice(device, tmp_path):
    made = linearity(device)
    path = made.save(tmp_path)
    assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP)
    before = path.stat().st_mtime_ns
    assert made.save(tmp_path) == path
    assert path.stat().st_mtime_ns == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_changed_file_is_refused(device, tmp_path):
    path = linearity(device).save(tmp_path)
    path.chmod(0o644)
    with h5py.File(path, "a") as file:
        file["data/gain"][0] = 7.0
    with pytest.raises(ValueError, match="it was changed"):
        load_calibration(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_calibration(tmp_path / "nothing.h5")


@pytest.mark.parametrize("kind", ORDER)
def test_every_result_goes_into_a_file_with_its_raw_rows(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("devices.device.time.sleep", lambda seconds: None)
    with made_for(kind) as device:
        (procedure,) = procedures_for(device, [kind])
        (made,) = calibrate(device, [procedure], tmp_path, not_needed=ORDER)
    found = load_calibration(tmp_path / f"{kind}-{made.id}.h5")
    assert found.id == made.id
    assert len(found.raw["drives"].values) == procedure.queries(device.spec)
    assert found.raw["answers"].dims == ("row", "output")
    assert "time_s" in found.validity


def made_for(kind):
    """Return a small device on which a procedure makes sense."""
    if kind in ("phase-table", "transmission-matrix"):
        return ScatteringMedium(n_inputs=6, n_outputs=8, phase_range=2 * np.pi)
    if kind in ("delay", "memory"):
        return FunctionDevice(lambda u: u, 1, 1, low=-1.0, memory=True)
    if kind == "swept-sine":
        return AcousticCavity(n_inputs=1024, n_outputs=1024, input="waveform", output="waveform")
    if kind == "settling":
        return Stepped()
    return Noisy(FunctionDevice(lambda u: u @ np.ones((4, 4)), 4, 4, low=-1.0), 0.01)


class Stepped(Device):
    """Drives in one step, measures in another, and waits for nothing."""

    spec = DeviceSpec(name="stepped", n_inputs=1, n_outputs=1)

    def _drive(self, drives): ...
    def _measure(self, drives):
        return drives


def test_another_instrument_and_outside_the_validity_are_refused(device, caplog):
    made = linearity(device, validity={"temperature_k": (290, 300)})
    made.check(device, {"temperature_k": 295})
    with pytest.raises(NotCalibrated, match="temperature_k=310 is outside"):
        made.check(device, {"temperature_k": 310})
    with pytest.raises(NotCalibrated, match="temperature_k is not known"):
        made.check(device)
    with pytest.raises(NotCalibrated, match="limits is"):
        made.check(amplifier(high=2.0), {"temperature_k": 295})
    with caplog.at_level(logging.WARNING, "calibration"):
        made.check(
            amplifier(high=2.0), {"temperature_k": 295}, override="same amplifier, more range"
        )
    assert "same amplifier, more range" in caplog.text
    with pytest.raises(ValueError, match="is empty"):
        linearity(device, validity={"temperature_k": (300, 290)})


def test_a_validity_in_time_ends(device):
    with pytest.raises(NotCalibrated, match="time_s"):
        linearity(device, validity={"time_s": (0, 1e9)}).check(device)


def test_calibrated_answers_are_linear_and_carry_the_id(device, tmp_path):
    path = linearity(device).save(tmp_path)
    with Calibrated(amplifier(), path) as straight:
        found = straight.acquire([[0.25], [-1.0]])
        assert found.outputs == pytest.approx(np.array([[0.25, 0.25], [-1.0, -1.0]]))
        assert path.stem.endswith(found.calibration_id)
        assert straight.spec.output_unit == "V"


def test_calibrations_are_nested_and_both_ids_kept(device):
    offset = Calibration.of(device, "offset", Offset().run(device))
    with Calibrated(amplifier(), offset) as without:
        assert without.measure([[0.5]]) == pytest.approx(0.5 * GAINS[None])
        gain = linearity(without)
        with Calibrated(without, gain) as both:
            found = both.acquire([[0.5]])
    assert found.outputs == pytest.approx(np.array([[0.5, 0.5]]))
    assert found.calibration_id == f"{offset.id}+{gain.id}"


def test_a_phase_table_makes_phases_of_codes():
    t = np.random.default_rng(5).normal(size=(4, 12, 2)) @ [1, 1j]

    def phase(u):
        return 2.2 * np.pi * (u / 255) ** 1.3

    box = FunctionDevice(
        lambda u: np.abs(np.exp(1j * phase(u)) @ t) ** 2, 4, 12, high=255.0, domain="codes"
    )
    with box as device:
        table = Calibration.of(device, "phase-table", PhaseTable(levels=129).run(device))
    with Calibrated(box, table) as device:
        assert device.spec.domain == "phase"
        assert device.spec.high == pytest.approx(2.2 * np.pi, abs=1e-6)
        wanted = np.random.default_rng(0).uniform(0, 2 * np.pi, (20, 4))
        truth = np.abs(np.exp(1j * wanted) @ t) ** 2
        # Codes are whole numbers: a step is up to 0.04 rad.
        assert np.corrcoef(device.measure(wanted).ravel(), truth.ravel())[0, 1] > 0.998


def test_delays_are_taken_out():
    n = 256
    box = FunctionDevice(lambda u: np.pad(u, ((0, 0), (7, 0)))[:, :n], n, n, low=-1.0)
    with box as device:
        late = Calibration.of(device, "delay", Delay(waveform=True).run(device))
    wave = np.exp(-(((np.arange(n) - 100) / 12) ** 2))[None]
    with Calibrated(box, late) as device:
        assert device.measure(wave) == pytest.approx(wave, abs=0.01)


def test_what_cannot_be_applied_is_refused(device):
    with pytest.raises(ValueError, match="nothing to apply"):
        Calibrated(device, Calibration.of(device, "noise", Noise(rows=9, series=64).run(device)))


def test_order_is_checked_before_anything_is_driven(device, tmp_path):
    with pytest.raises(ValueError, match="linearity needs settling, offset, delay first"):
        calibrate(device, [Linearity()], tmp_path)
    with pytest.raises(ValueError, match="needs offset first"):
        check_order([Linearity(), Offset()], device, not_needed=["settling", "delay"])
    assert device.ledger.total == 0


def test_a_run_in_order_knows_its_parents_and_notices_when_they_are_stale(device, tmp_path):
    skip = ["settling", "delay"]
    offset, gain = calibrate(device, [Linearity(), Offset()], tmp_path, not_needed=skip)
    assert (offset.kind, gain.kind) == ("offset", "linearity")
    assert gain.parents == (offset.id,)
    folder = CalibrationFolder(tmp_path)
    assert folder.latest(device, "linearity").id == gain.id
    assert folder.stale(gain) == []
    (again,) = calibrate(device, [Offset()], tmp_path, not_needed=skip)
    assert folder.stale(gain) == [
        f"linearity builds on offset {offset.id}, which was measured anew as {again.id}"
    ]
    (tmp_path / f"offset-{offset.id}.h5").unlink()
    assert "is not in" in folder.stale(gain)[0]
    assert folder.latest(amplifier(high=2.0), "offset") is None


def test_an_expired_need_is_not_met(device, tmp_path):
    skip = ["settling", "delay"]
    calibrate(device, [Offset()], tmp_path, not_needed=skip, valid_for_s=1e-6)
    with pytest.raises(ValueError, match="linearity needs offset first"):
        calibrate(device, [Linearity()], tmp_path, not_needed=skip)
    calibrate(device, [Offset()], tmp_path, not_needed=skip)
    assert calibrate(device, [Linearity()], tmp_path, not_needed=skip)[0].parents
