"""The metasurface controller's lines, functions in roles, and other packages' instruments."""

import math

import numpy as np
import pytest
from wire_pairs import conversation

from devices import DeviceError, LimitError
from devices.drivers.callable_capture import CallableCamera, CallableDigitizer
from devices.drivers.callables import CallableModulator, CallableMonitor, CallableSource
from devices.drivers.metasurface_controller import MetasurfaceController
from devices.roles import Camera, Digitizer, Modulator, Monitor, Source
from devices.template import BlankDriver

IDN = ("*IDN?", "pnn-metasurface,12,1,0")


def test_bits_go_out_as_hex_and_are_read_back():
    bits = [1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1]
    with conversation(IDN, ("BITS AF10", "OK"), ("BITS?", "af10"), ("OFF", "OK")):
        surface = MetasurfaceController("loop:wire", n_elements=12)
        with surface:
            surface.set(np.array(bits))


def test_the_command_is_a_template():
    lines = [IDN, ("PATT 101", None), ("PATT 000", None)]
    with conversation(*lines):
        surface = MetasurfaceController(
            "loop:wire", n_elements=3, set="PATT {bits}", ok="", readback="", off_command=""
        )
        with surface:
            surface.set(np.array([1, 0, 1]))


def test_a_controller_that_shows_something_else_is_an_error():
    with conversation(IDN, ("BITS 80", "OK"), ("BITS?", "00"), ("BITS 80", "BUSY")):
        surface = MetasurfaceController("loop:wire", n_elements=3).open()
        for _ in range(2):
            with pytest.raises(DeviceError, match=r"shows '00'|answered with 'BUSY'"):
                surface.set(np.array([1, 0, 0]))
        with pytest.raises(LimitError, match="3 bits"):
            surface.set(np.array([1, 0, 2]))
        surface.close()


def test_a_template_without_a_place_for_the_bits_is_refused():
    with pytest.raises(ValueError, match="must contain"):
        MetasurfaceController("loop:wire", n_elements=3, set="GO")


def test_functions_play_every_role(tmp_path):
    shown = []
    (tmp_path / "lab.py").write_text("def kelvin():\n    return 293\n")
    roles = {
        Source: CallableSource(lambda volts, rate: shown.append((volts, rate))),
        Digitizer: CallableDigitizer(lambda: [0.0, 1.0, -1.0], rate_hz=10.0, clip_v=1.0),
        Modulator: CallableModulator(shown.append, n_elements=2),
        Camera: CallableCamera(lambda: np.ones((2, 3)), shape=(2, 3), full_scale=255),
        Monitor: CallableMonitor(f"{tmp_path / 'lab.py'}:kelvin", unit="K"),
    }
    for role, one in roles.items():
        assert isinstance(one, role)
        one.open()
    roles[Source].prepare(1e3, 1.0, 4)
    roles[Source].load(np.zeros((1, 4)))
    roles[Source].fire()
    assert shown[0][1] == 1e3
    (record,) = roles[Digitizer].fetch()
    assert record.clipped.tolist() == [[False, True, True]]
    assert record.step_s == 0.1
    assert roles[Camera].grab(2).shape == (2, 3)
    assert roles[Monitor].read() == 293


def test_the_template_is_a_working_driver():
    lines = [
        IDN,
        ("VOLT 0.25,0.5; OUTP ON", None),
        ("MEAS?", "1,2,3"),
        ("OUTP OFF", None),
    ]
    with conversation(*lines), BlankDriver("loop:wire", n_inputs=2, n_outputs=3) as device:
        np.testing.assert_array_equal(device.measure([[0.25, 0.5]]), [[1, 2, 3]])


# -- other packages' instruments -------------------------------------------------------------------


def test_a_pymeasure_instrument_is_a_device_a_modulator_and_a_monitor():
    pytest.importorskip("pymeasure")
    from pymeasure.instruments import Instrument
    from pymeasure.instruments.validators import strict_range
    from pymeasure.test import expected_protocol

    from devices.drivers.pymeasure_adapter import (
        PymeasureDevice,
        PymeasureModulator,
        PymeasureMonitor,
    )

    class Supply(Instrument):
        voltage = Instrument.control(
            "VOLT?", "VOLT %g", "Volts.", validator=strict_range, values=[0, 2]
        )
        current = Instrument.measurement("CURR?", "Amperes.")

        def __init__(self, adapter, name="Supply", **kwargs):
            super().__init__(adapter, name, includeSCPI=False, **kwargs)

    pairs = [("VOLT 1.5", None), ("CURR?", "0.25"), ("VOLT 0", None)]
    with expected_protocol(Supply, pairs) as supply:
        device = PymeasureDevice(
            supply, inputs=["voltage"], outputs=["current"], high=2.0, off={"voltage": 0}
        )
        with device:
            assert device.measure([[1.5]]).item() == 0.25
    with expected_protocol(Supply, [("VOLT 1", None), ("CURR?", "0.5")]) as supply:
        modulator = PymeasureModulator(supply, inputs=["voltage"]).open()
        modulator.set(np.array([1.0]))
        with pytest.raises(DeviceError, match=r"voltage: ValueError.*5"):
            modulator.set(np.array([5.0]))
        with pytest.raises(DeviceError, match="no property 'volts'"):
            PymeasureModulator(supply, inputs=["volts"]).open().set(np.array([1.0]))
        assert PymeasureMonitor(supply, output="current", unit="A").open().read() == 0.5


def test_a_qcodes_instrument_is_a_device_a_modulator_and_a_monitor():
    pytest.importorskip("qcodes")
    from qcodes.instrument_drivers.mock_instruments import DummyInstrument

    from devices.drivers.qcodes_adapter import QcodesDevice, QcodesModulator, QcodesMonitor

    device = QcodesDevice(
        "qcodes.instrument_drivers.mock_instruments:DummyInstrument",
        inputs=["a", "b"],
        outputs=["b", "a"],
        high=5.0,
        off={"a": 0, "b": 0},
        options={"gates": ["a", "b"]},
        name="dummy",
    )
    with device:
        np.testing.assert_array_equal(device.measure([[1.0, 2.0]]), [[2.0, 1.0]])
    mine = DummyInstrument("mine", gates=["g"])
    try:
        QcodesModulator(mine, inputs=["g"]).open().set(np.array([3.0]))
        assert QcodesMonitor(mine, output="g").open().read() == 3.0
        with pytest.raises(DeviceError, match="g"):
            QcodesModulator(mine, inputs=["g"]).open().set(np.array([1e6]))
    finally:
        mine.close()


def test_a_class_that_cannot_be_imported_is_named():
    pytest.importorskip("pymeasure")
    from devices.drivers.pymeasure_adapter import PymeasureMonitor

    with pytest.raises(ValueError, match=r"'pymeasure\.instruments:Nothing' cannot be imported"):
        PymeasureMonitor("pymeasure.instruments:Nothing", output="x").open()


# -- slmsuite --------------------------------------------------------------------------------------


@pytest.fixture
def optics():
    """slmsuite's own simulated modulator and camera."""
    pytest.importorskip("slmsuite")
    from slmsuite.hardware.cameras.simulated import SimulatedCamera
    from slmsuite.hardware.slms.simulated import SimulatedSLM

    slm = SimulatedSLM((64, 48), pitch_um=(8, 8), wav_um=0.633)
    return slm, SimulatedCamera(slm, resolution=(64, 48), pitch_um=(5, 5), gain=50)


def test_a_simulated_modulator_shows_super_pixels_and_a_camera_sees_them(optics):
    from devices.drivers.slmsuite_adapter import Slm, SlmCamera

    slm = Slm(optics[0], grid=(4, 4), wavelength_um=0.633).open()
    camera = SlmCamera(optics[1], exposure_s=0.01, region=(8, 32, 16, 32)).open()
    assert isinstance(slm, Modulator)
    assert isinstance(camera, Camera)
    slm.set(np.zeros(16))
    flat = camera.grab()
    slm.set(np.linspace(0, 2 * math.pi, 16))
    assert flat.shape == camera.shape == (32, 32)
    assert not np.array_equal(camera.grab(1), flat)
    slm.off()
    np.testing.assert_array_equal(camera.grab(), flat)


def test_a_phase_table_for_another_wavelength_is_refused(optics):
    from devices.drivers.slmsuite_adapter import Slm, SlmCamera

    with pytest.raises(DeviceError, match=r"0\.633 um.*1\.55"):
        Slm(optics[0], grid=(4, 4), wavelength_um=1.55).open()
    with pytest.raises(DeviceError, match="finer"):
        Slm(optics[0], grid=(400, 4)).open()
    with pytest.raises(DeviceError, match="region"):
        SlmCamera(optics[1], region=(40, 40, 0, 10)).open()
    with pytest.raises(LimitError, match=r"\(16,\)"):
        Slm(optics[0], grid=(4, 4)).open().set(np.zeros(15))
