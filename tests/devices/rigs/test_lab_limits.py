"""The laboratory's limits, and safe states that are reached whatever happens."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from devices import DeviceError, InstrumentError, LimitError
from devices.drivers.callable_capture import CallableCamera
from devices.drivers.callables import CallableModulator, Callables
from devices.rigs.optical import OpticalRig
from devices.safety import LabLimits, all_off

ROW = np.array([[[0.0, 0.5, -1.0, 0.5, 0.0], [0.0, 0.1, 0.1, 0.1, 0.0]]])


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"peak_v": 0.9}, r"channel 0, sample 2: -1 V is beyond peak_v = 0.9 V"),
        ({"slew_v_per_s": 1400}, r"channel 0, sample 2: 1500 V/s is beyond slew_v_per_s = 1400"),
        ({"rms_v": 0.5}, r"channel 0: 0.547723 V is beyond rms_v = 0.5 V"),
        ({"dc_v": 0.05}, r"channel 1: 0.06 V is beyond dc_v = 0.05 V"),
        ({"duty": 0.5}, r"channel 0: 0.6 is beyond duty = 0.5"),
        ({"duty": 0.3, "duty_above_v": 0.2}, r"channel 0: 0.6 is beyond duty = 0.3"),
        ({"sum_v": 1.0}, r"channel all, sample 2: 1.1 V is beyond sum_v = 1 V"),
        ({"peak_v": 1.9, "amplifier_gain": 2}, r"sample 2: -2 V is beyond peak_v = 1.9"),
    ],
)
def test_every_limit_names_channel_sample_value_and_limit(limits, message):
    with pytest.raises(LimitError, match=message) as caught:
        LabLimits(**limits).applied(ROW, 1e-3)
    assert "nothing was sent" in str(caught.value)
    assert caught.value.failed_row == 0


def test_what_is_exactly_at_the_limits_passes_unchanged():
    limits = LabLimits(peak_v=1.0, slew_v_per_s=1500, rms_v=0.5478, dc_v=0.06, duty=0.6, sum_v=1.1)
    volts, clipped = limits.applied(ROW, 1e-3)
    np.testing.assert_array_equal(volts, ROW)
    assert clipped.tolist() == [0]


def test_clipping_counts_samples_and_leaves_the_other_limits_errors():
    rows = np.concatenate([ROW, ROW / 2])
    volts, clipped = LabLimits(peak_v=0.5, mode="clip", amplifier_gain=2).applied(rows, 1e-3)
    assert clipped.tolist() == [3, 2 - 1]
    assert np.abs(volts).max() == 0.25
    with pytest.raises(LimitError, match="rms_v"):
        LabLimits(peak_v=0.5, mode="clip", rms_v=0.1).applied(rows, 1e-3)


def test_numbers_that_are_none_are_refused():
    bad = ROW.copy()
    bad[0, 1, 3] = np.nan
    with pytest.raises(LimitError, match=r"channel 1, sample 3.*not finite"):
        LabLimits().applied(bad, 1e-3)


def test_limits_themselves_are_checked():
    for limits, name in (
        ({"peak_v": 0}, "peak_v=0"),
        ({"duty": 1.5}, "duty=1.5"),
        ({"mode": "ignore"}, "mode='ignore'"),
        ({"mode": "clip"}, "needs peak_v"),
        ({"amplifier_gain": -1}, "amplifier_gain=-1"),
    ):
        with pytest.raises(ValueError, match=name):
            LabLimits(**limits)


# -- safe states -----------------------------------------------------------------------------------


def chain(calls, *, broken=()):
    def switch(name, which):
        def act():
            calls.append(f"{name} {which}")
            if name in broken:
                raise OSError(f"{name} is gone")

        return act

    return {
        name: Callables(name=name, off=switch(name, "off"), hold=switch(name, "hold"))
        for name in ("laser", "modulator", "shutter")
    }


def test_one_that_fails_does_not_keep_the_others_on_and_each_is_logged(caplog):
    calls = []
    caplog.set_level("INFO", logger="devices.safety")
    done = all_off(chain(calls, broken=("modulator",)))
    assert calls == ["shutter off", "modulator off", "laser off"]
    assert [(name, error is None) for name, error in done] == [
        ("shutter", True),
        ("modulator", False),
        ("laser", True),
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "shutter: off",
        "modulator: off failed: modulator is gone",
        "laser: off",
    ]


def test_one_that_refuses_once_is_asked_again():
    calls = []

    def off():
        calls.append("off")
        if len(calls) == 1:
            raise InstrumentError(-221, "Settings conflict, of the command before")

    assert all_off({"generator": Callables(name="generator", off=off)}) == [("generator", None)]
    assert calls == ["off", "off"]


def optical(calls, **options):
    modulator = CallableModulator(lambda values: None, n_elements=4, name="dmd")
    camera = CallableCamera(lambda: np.ones((4, 4)), shape=(4, 4), full_scale=255.0)
    instruments = {"dmd": modulator, "camera": camera} | chain(calls, **options)
    return OpticalRig(modulator, camera, grid=(2, 2), instruments=instruments)


def test_a_rig_that_cannot_switch_off_says_what_and_still_switches_off_the_rest():
    calls = []
    device = optical(calls, broken=("shutter",)).open()
    with pytest.raises(DeviceError, match=r"shutter: shutter is gone.*by hand"):
        device.close()
    assert calls == ["shutter off", "modulator off", "laser off"]
    assert not device.is_open


def test_hold_pauses_without_switching_off():
    calls = []
    with optical(calls) as device:
        device.hold()
        assert calls == ["shutter hold", "modulator hold", "laser hold"]
        device.measure(np.zeros((1, 4)))
    assert calls[3:] == ["shutter off", "modulator off", "laser off"]


def test_an_instrument_that_does_not_open_leaves_the_others_off():
    calls = []

    def refuse():
        raise DeviceError("no camera")

    device = optical(calls)
    device.instruments["shutter"]._life["open"] = refuse
    with pytest.raises(DeviceError, match="no camera"):
        device.open()
    assert calls == ["modulator off", "laser off"]
    assert not device.is_open


PROGRAM = """
    import sys, time
    import numpy as np
    from devices.drivers.callable_capture import CallableCamera
    from devices.drivers.callables import CallableModulator
    from devices.rigs.optical import OpticalRig

    def off():
        print("off", flush=True)

    def slow():
        print("driving", flush=True)
        time.sleep(20)
        return np.ones((2, 2))

    modulator = CallableModulator(lambda v: None, n_elements=2, name="dmd", off=off)
    camera = CallableCamera(slow, shape=(2, 2), full_scale=255.0)
    device = OpticalRig(modulator, camera, grid=(1, 1)).open()
    {how}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_switches_off_at_once(sign):
    code = textwrap.dedent(PROGRAM).format(how="device.measure(np.zeros((1, 2)))")
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == "driving\n"
    start = time.monotonic()
    process.send_signal(sign)
    out, _ = process.communicate(timeout=15)
    assert out.startswith("off\n")
    assert time.monotonic() - start < 10
    assert process.returncode != 0
