"""The optical rig on a table with latency and old frames; triggers; the reference photodiode."""

import numpy as np
import pytest

from devices import DeviceError, Flag, ReplyTimeout
from devices.drivers.callable_capture import CallableCamera
from devices.drivers.callables import CallableModulator, CallableMonitor
from devices.drivers.slmsuite_adapter import Slm, SlmCamera
from devices.rigs.optical import OpticalRig
from simulators.bench import OpticalTable

PHYSICS = "sim:scattering-medium?n_inputs=16&n_outputs=24&seed=1&full_well=1e9&read_noise=0&bits=16"


def table_rig(table, **options):
    return OpticalRig(
        Slm(table.modulator, grid=(4, 4)),
        SlmCamera(table.camera, exposure_s=0.01),
        grid=(4, 6),
        phase_range=np.pi,
        full_scale=80.0,
        **options,
    )


def make_table(**options):
    return OpticalTable(PHYSICS, (4, 4), (4, 6), **options)


@pytest.mark.parametrize("stale", [0, 1, 3])
def test_the_number_of_old_frames_is_measured_and_enough(stale):
    table = make_table(stale=stale, latency_s=0.002)
    rows = np.random.default_rng(0).uniform(0, np.pi, (4, 16))
    with table_rig(table, flush_frames=0, settle_s=0.004) as device:
        assert device.stale_frames(idle_s=0) == stale
    truth = table.physics.measure(rows)
    with table_rig(table, flush_frames=stale, settle_s=0.004) as device:
        np.testing.assert_allclose(device.measure(rows), truth, atol=0.01)
        assert device.ledger.queries["probe"] == 4


def test_frames_that_never_change_are_an_error():
    table = make_table()
    table.show = lambda values: None
    with (
        table_rig(table) as device,
        pytest.raises(DeviceError, match="do not change with the rows"),
    ):
        device.stale_frames(idle_s=0)


def test_a_digital_mirror_device_and_a_camera_of_functions():
    table = OpticalTable(PHYSICS.replace("seed=1", "encoding=binary"), (4, 4), (4, 6), stale=1)
    modulator = CallableModulator(table.show, n_elements=16)
    camera = CallableCamera(table.take, shape=(16, 24), full_scale=1023.0, exposure_s=0.01)
    bits = np.random.default_rng(0).integers(0, 2, (3, 16))
    rig = OpticalRig(modulator, camera, grid=(4, 6), input="bits", full_scale=80.0)
    with rig as device:
        np.testing.assert_allclose(device.measure(bits), table.physics.measure(bits), atol=0.01)
        assert device.stale_frames(idle_s=0) == 1


def test_saturation_is_seen_in_the_codes_of_the_camera():
    with table_rig(make_table(counts=1000.0)) as device:
        assert device.acquire(np.zeros((1, 16))).flags.tolist() == [Flag.SATURATED]


def test_the_exposure_must_be_known_where_the_modulator_flickers():
    camera = CallableCamera(lambda: np.ones((2, 2)), shape=(2, 2), full_scale=255.0)
    modulator = CallableModulator(lambda values: None, n_elements=4)
    with pytest.raises(DeviceError, match="does not say its exposure"):
        OpticalRig(modulator, camera, grid=(1, 1), period_s=0.01).open()


# -- hardware trigger ------------------------------------------------------------------------------


def triggered(calls, grab, **options):
    modulator = CallableModulator(lambda v: calls.append("show"), n_elements=4, settle_s=60.0)
    camera = CallableCamera(
        grab, shape=(2, 2), full_scale=255.0, arm=lambda: calls.append("arm"), **options
    )
    return OpticalRig(modulator, camera, grid=(1, 1), trigger="hardware", flush_frames=7)


def test_with_a_hardware_trigger_the_camera_is_armed_before_the_row_is_shown():
    calls = []

    def grab():
        calls.append("grab")
        return np.ones((2, 2))

    with triggered(calls, grab) as device:
        device.measure(np.zeros((2, 4)))
        assert calls == ["arm", "show", "grab"] * 2
        with pytest.raises(ValueError, match="no frame is stale"):
            device.stale_frames()


def test_a_trigger_that_does_not_come_is_tried_again_and_then_an_error():
    calls = []

    def grab():
        raise TimeoutError

    with triggered(calls, grab) as device, pytest.raises(ReplyTimeout, match="trigger reach it"):
        device.measure(np.zeros((1, 4)))
    assert calls == ["arm", "show"] * 2


def test_a_camera_that_cannot_be_armed_is_refused_at_open():
    camera = CallableCamera(lambda: np.ones((2, 2)), shape=(2, 2), full_scale=255.0)
    modulator = CallableModulator(lambda values: None, n_elements=4)
    with pytest.raises(DeviceError, match="a function `arm`"):
        OpticalRig(modulator, camera, grid=(1, 1), trigger="hardware").open()


# -- reference and fixed settings ------------------------------------------------------------------


def test_a_photodiode_takes_the_light_out_of_the_answers():
    power = [2.0, 3.0]
    light = iter(np.repeat(power, 2))  # read once for the record, and once with the row
    monitor = CallableMonitor(lambda: next(light), unit="W")
    table = make_table()
    rows = np.random.default_rng(0).uniform(0, np.pi, (1, 16))
    with table_rig(table, monitors={"laser": monitor}, reference="laser", flush_frames=0) as device:
        two, three = (device.acquire(rows) for _ in power)
    np.testing.assert_allclose(2 * two.outputs, 3 * three.outputs, atol=0.05)
    assert (two.readings, three.readings) == ({"laser": 2.0}, {"laser": 3.0})


def test_a_reference_in_the_dark_or_that_is_not_there_is_an_error():
    monitors = {"laser": CallableMonitor(lambda: 0.0)}
    with (
        table_rig(make_table(), monitors=monitors, reference="laser") as device,
        pytest.raises(DeviceError, match="is the light on"),
    ):
        device.measure(np.zeros((1, 16)))
    with pytest.raises(ValueError, match="reference='diode' is not one of laser"):
        table_rig(make_table(), monitors=monitors, reference="diode")


def test_gain_and_gamma_are_set_read_back_and_in_the_record():
    camera = make_table().camera
    camera.gain = 9.0
    opened = SlmCamera(camera, exposure_s=0.02, fixed={"gain": 1.0}).open()
    assert camera.gain == 1.0
    assert {"gain": 1.0, "exposure": 0.02}.items() <= opened.settings().items()
    with pytest.raises(DeviceError, match="no setting 'gamma'"):
        SlmCamera(camera, fixed={"gamma": 1.0}).open()
    camera.get_gain = lambda: 4.0
    with pytest.raises(DeviceError, match="gain=1 was set, the camera has 4"):
        SlmCamera(camera, fixed={"gain": 1.0}).open()
