import logging
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from calibration import (
    Calibrated,
    Calibration,
    CalibrationFolder,
    Linearity,
    Offset,
    PhaseTable,
    TransmissionMatrix,
    calibrate,
    identity_of,
)
from calibration.identity import differences
from devices import (
    Cached,
    Device,
    DeviceSpec,
    Flag,
    FunctionDevice,
    Noisy,
    NotCalibrated,
    Recorded,
    build_device,
)
from simulators import ScatteringMedium


def amplifier(gain=(2.0, -0.5), bend=1.0):
    return FunctionDevice(
        lambda u: np.tanh(bend * u[:, :1]) * np.array(gain) + [0.3, 0.1], 1, 2, low=-1.0,
        input_unit="V", output_unit="Pa", name="amplifier",
    )  # fmt: skip


class Watched(Device):
    """A device with a thermometer, as a rig with a monitor and an instrument."""

    def __init__(self):
        self.spec = DeviceSpec(name="watched", n_inputs=1, n_outputs=1, low=-1)
        self.kelvin, self.off = 295.0, 0
        self.monitors = {"temperature_k": None}
        self.instruments = {"scope": SimpleNamespace(identity="Maker,Scope,A1")}

    def _measure(self, drives):
        return 2.0 * drives

    def _safe(self):
        self.off += 1

    def _acquire(self, drives, purpose):
        measured = super()._acquire(drives, purpose)
        return replace(measured, readings={"temperature_k": self.kelvin})


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_saturating_output_is_made_linear(noise):
    box = Noisy(amplifier(bend=1.5), noise, seed=1)
    with box as device:
        gain = Calibration.of(device, "linearity", Linearity(levels=81, repeats=20).run(device))
    drives = np.linspace(-0.95, 0.95, 50)[:, None]
    with Calibrated(box, gain) as straight:
        found = straight.acquire(drives)
    # At the ends the slope is 0.18 of that at rest: noise grows by 5.5, by the smaller gain of
    # 0.5 twofold, and by 1 / 1.5 of the bend.
    assert found.outputs == pytest.approx(np.hstack([drives] * 2), abs=0.002 + 5 * 7.4 * noise)
    assert not (found.flags & Flag.SATURATED)[5:-5].any()


def test_answers_beyond_the_sweep_are_flagged():
    level = [1.0]
    box = FunctionDevice(lambda u: level[0] * u, 1, 1, low=-1.0)
    with box as device:
        gain = Calibration.of(device, "linearity", Linearity().run(device))
    level[0] = 1.5
    with Calibrated(box, gain) as straight:
        found = straight.acquire([[0.5], [0.9]])
    assert found.outputs[:, 0] == pytest.approx([0.75, 1.0])
    assert found.flags.tolist() == [0, Flag.SATURATED]
    assert box.ledger.flags["saturated"] == 1


def test_an_output_that_turns_back_cannot_be_made_linear():
    with FunctionDevice(lambda u: np.hstack([u, np.abs(u)]), 1, 2, low=-1.0) as device:
        bent = Calibration.of(device, "linearity", Linearity().run(device))
        with pytest.raises(ValueError, match=r"outputs \[1\] do not rise or fall"):
            Calibrated(device, bent)


@pytest.mark.parametrize("phase_range", [np.pi, 2 * np.pi])
def test_a_transmission_matrix_makes_drives_of_foci(phase_range):
    medium = ScatteringMedium(
        n_inputs=64, n_outputs=40, ideal=True, phase_range=phase_range, seed=4
    )
    with medium as device:
        found = Calibration.of(device, "transmission-matrix", TransmissionMatrix().run(device))
        background = device.measure(
            np.random.default_rng(0).uniform(0, phase_range, (200, 64))
        ).mean(axis=0)  # fmt: skip
    with Calibrated(medium, found) as focused:
        assert (focused.spec.n_inputs, focused.spec.domain) == (40, "amplitude")
        answers = focused.measure(np.eye(40))
        two = focused.measure([[1.0, 1.0] + [0.0] * 38])[0]
    gain = np.diag(answers) / background
    assert (answers.argmax(axis=1) == np.arange(40)).all()
    if phase_range > 4:
        assert np.median(gain / found["predicted_enhancement"]) == pytest.approx(1, abs=0.15)
    assert set(np.argsort(two / background)[-2:]) == {0, 1}


def test_readings_outside_the_validity_are_refused_while_measuring(tmp_path, caplog):
    with Watched() as device:
        (made,) = calibrate(
            device, [Offset(repeats=4)], tmp_path, not_needed=["settling"],
            margins={"temperature_k": 0.5},
        )  # fmt: skip
        assert made.raw["reading_temperature_k"].values.tolist() == [295.0] * 4
        with pytest.raises(ValueError, match="margins='humidity' is not one of temperature_k"):
            calibrate(
                device, [Offset()], tmp_path, not_needed=["settling"], margins={"humidity": 1}
            )
    path = tmp_path / f"offset-{made.id}.h5"
    warm = Watched()
    with Calibrated(warm, path) as good:
        good.measure([[0.5]])
        warm.kelvin = 296.0
        with pytest.raises(NotCalibrated, match="temperature_k=296 is outside the validity"):
            good.measure([[0.5]])
        assert warm.off == 1
    with (
        caplog.at_level(logging.WARNING, "calibration"),
        Calibrated(warm, path, override="warm day") as used,
    ):
        used.measure([[0.5]])
    assert "warm day" in caplog.text


def test_another_instrument_at_the_address_is_refused_when_it_answers(tmp_path):
    with Watched() as device:
        made = Calibration.of(device, "offset", Offset(repeats=2).run(device))
    swapped = Watched()
    swapped.instruments["scope"].identity = "Maker,Scope,B7"
    other = Calibrated(swapped, made)  # nobody has answered yet
    with pytest.raises(NotCalibrated, match=r"instruments is .*B7.* calibrated was .*A1"):
        other.open()
    assert not other.inner.is_open


def test_a_file_that_is_out_of_date_says_so_when_it_is_used(tmp_path, caplog):
    with amplifier() as device:
        skip = ["settling", "delay"]
        calibrate(device, [Offset(), Linearity()], tmp_path, not_needed=skip)
        calibrate(device, [Offset()], tmp_path, not_needed=skip)
        folder = CalibrationFolder(tmp_path)
        gain = folder.latest(device, "linearity")
        assert "measured anew" in folder.out_of_date(device)[0]
    with caplog.at_level(logging.WARNING, "calibration"):
        Calibrated(amplifier(), tmp_path / f"linearity-{gain.id}.h5", override="other function")
    assert "out of date: linearity builds on offset" in caplog.text


def test_a_damaged_file_is_left_out_of_the_folder_and_named(tmp_path, caplog):
    with amplifier() as device:
        calibrate(device, [Offset()], tmp_path, not_needed=["settling"])
        (tmp_path / "noise-0000.h5").write_bytes(b"\x89HDF torn")
        folder = CalibrationFolder(tmp_path)
        assert [one.kind for one in folder.all()] == ["offset"]
    assert "noise-0000.h5" in caplog.text


def test_files_hold_raw_rows_residuals_and_a_validity(tmp_path):
    with Noisy(amplifier(), 0.01) as device:
        procedures = [Offset(repeats=10), Linearity(levels=13, repeats=2)]
        began = []
        offset, gain = calibrate(
            device, procedures, tmp_path, not_needed=["settling", "delay"],
            validity={"humidity": (0.2, 0.6)}, began=lambda one: began.append(one.kind),
        )  # fmt: skip
        assert device.is_open
    assert began == ["offset", "linearity"]
    assert offset.raw["drives"].values.shape == (10, 1)
    assert offset.raw["answers"].values.mean(axis=0) == pytest.approx(offset["offset"])
    assert gain.raw["answers"].values.shape == (26, 2)
    assert gain.raw["answers"].unit == "Pa"
    assert set(gain.residuals) == {"gain_error", "residual"}
    assert gain["gain_error"].shape == (2,)
    low, high = gain.validity["time_s"]
    assert high - low == 7 * 24 * 3600
    assert gain.validity["humidity"] == (0.2, 0.6)
    assert offset.summary()["offset"] == pytest.approx(0.2, abs=0.02)
    assert "dark_noise 0.0" in offset.headline()


def test_a_procedure_without_result_does_not_stop_the_others(tmp_path):
    with FunctionDevice(lambda u: 0 * u, 4, 4, domain="phase", high=2 * math.pi) as device:
        failed = {}
        made = calibrate(
            device, [Offset(repeats=2), PhaseTable(levels=9)], tmp_path, not_needed=["settling"],
            failed=lambda one, error: failed.update({one.kind: str(error)}),
        )  # fmt: skip
        assert [one.kind for one in made] == ["offset"]
        assert "no fringes" in failed["phase-table"]
        with pytest.raises(ValueError, match="no fringes"):
            calibrate(device, [PhaseTable(levels=9)], tmp_path, not_needed=["settling"])


def test_a_phase_table_serves_its_wavelength(tmp_path):
    t = np.random.default_rng(5).normal(size=(4, 12, 2)) @ [1, 1j]

    def at(wavelength):
        return FunctionDevice(
            lambda u: np.abs(np.exp(1j * u * 1.4e-6 / wavelength) @ t) ** 2, 4, 12,
            high=2 * math.pi, domain="phase", name="slm",
        )  # fmt: skip

    colours = {633e-9: at(633e-9), 532e-9: at(532e-9)}
    box = colours[633e-9]
    with box as device:
        for colour in colours:
            made = PhaseTable(levels=33, wavelength_m=colour)
            calibrate(device, [made], tmp_path, not_needed=["settling"])
        folder = CalibrationFolder(tmp_path)
        red = folder.latest(device, "phase-table", {"wavelength_m": 633e-9})
        assert red.settings["wavelength_m"] == 633e-9
        assert red.id != folder.latest(device, "phase-table", {"wavelength_m": 532e-9}).id
    with pytest.raises(NotCalibrated, match=r"wavelength_m=5.32e-07 is outside"):
        Calibrated(box, red, conditions={"wavelength_m": 532e-9})


def test_the_identity_is_of_the_device_and_not_of_who_looks_on(tmp_path):
    box = amplifier()
    plain = identity_of(box)
    assert identity_of(Recorded(Cached(box), tmp_path / "a.h5")) == plain
    assert identity_of(Noisy(box, 0.1))["recipe"] != plain["recipe"]
    one, other = (
        ScatteringMedium(n_inputs=4, n_outputs=4, seed=seed) for seed in (1, 2)
    )  # fmt: skip
    assert identity_of(one)["recipe"] != identity_of(other)["recipe"]
    assert identity_of(one) == identity_of(ScatteringMedium(n_inputs=4, n_outputs=4, seed=1))
    renamed = identity_of(FunctionDevice(np.sin, 1, 1, name="one"))
    assert not differences(renamed, identity_of(FunctionDevice(np.sin, 1, 1, name="other")))


def test_a_configuration_names_the_file(tmp_path):
    source = {"name": "sim:acoustic-cavity?n_inputs=2&n_outputs=2&n_settle=64"}
    with build_device(source) as device:
        (made,) = calibrate(device, [Offset(repeats=4)], tmp_path, not_needed=["settling"])
    file = str(tmp_path / f"offset-{made.id}.h5")
    wrapped = build_device(source | {"wrap": [{"name": "calibrated", "calibration": file}]})
    with wrapped as device:
        assert device.acquire(np.zeros((1, 2))).calibration_id == made.id
