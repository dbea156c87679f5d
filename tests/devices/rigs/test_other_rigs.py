"""Board, metasurface and optical rigs: order of the steps, limits, flags, sentinels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import DeviceError, Flag, LimitError
from devices.drivers.board import Board, Op
from devices.drivers.board_facts import BoardFacts
from devices.drivers.callable_capture import CallableCamera
from devices.drivers.callables import CallableModulator, Callables
from devices.rigs.board import BoardRig
from devices.rigs.metasurface import MetasurfaceRig
from devices.rigs.optical import OpticalRig
from devices.safety import LabLimits

# -- board -----------------------------------------------------------------------------------------

FACTS = BoardFacts(1, 4, 4, 12, 12, 1000, -2.0, 2.0, -2.0, 2.0, 2048, 1000, "pnn-board test")


class FakeBoard(Board):
    """A board without its line: answers half of what it is driven with, and writes it down."""

    def __init__(self, **options):
        super().__init__("loop:none", **options)
        self.volts = []
        self.actions = []

    def open(self):
        self.facts = FACTS
        return self

    def _note(self, codes):
        self.volts.append(np.asarray(codes) / 4095 * 4 - 2)

    def measure(self, codes):
        for row in codes:
            self._note(row)
        seen = np.array(self.volts[-len(codes) :]) / 2
        return seen, (np.abs(seen) > 0.9).any(axis=1)

    def write(self, codes):
        self._note(codes)

    def off(self):
        self.actions.append("off")

    def settings(self):
        return {}


def board_rig(board=None, **options):
    board = board or FakeBoard(settle_us=1000)
    options = {"n_inputs": 2, "n_outputs": 3, "low_v": -2.0, "high_v": 2.0} | options
    return BoardRig(board, **options)


def test_rows_of_volts_are_driven_and_the_other_dacs_rest():
    board = FakeBoard()
    with board_rig(board) as device:
        answer = device.measure([[1.0, -1.0], [0.5, 0.0]])
    np.testing.assert_allclose(answer[:, :2], [[0.5, -0.5], [0.25, 0.0]], atol=1e-3)
    assert np.abs(np.array(board.volts)[:, 2:]).max() < 1e-3
    assert board.actions == ["off"]


def test_a_board_is_told_another_settling_time():
    board = FakeBoard(settle_us=1000)
    board.ask = lambda operation, payload: board.actions.append(operation) or payload
    with board_rig(board) as device:
        device.measure([[0.0, 0.0]])
        device.spec = replace(device.spec, settle_s=0.002)
        device.measure([[0.0, 0.0]] * 2)
    assert board.settle_us == 2000
    assert board.actions == [Op.TIMING, "off"]


def test_converters_at_their_ends_and_clipped_drives_are_flagged():
    with board_rig(limits=LabLimits(peak_v=1.5, mode="clip")) as device:
        flags = device.acquire([[0.1, 0.1], [2.0, 0.0]]).flags
    assert flags.tolist() == [0, Flag.CLIPPED]
    assert device.ledger.flags["clipped"] == 1
    with board_rig() as device:
        assert device.acquire([[2.0, 0.0]]).flags.tolist() == [Flag.SATURATED]


def test_what_the_board_cannot_do_is_an_error_at_open_and_it_is_switched_off():
    for options, message in (
        ({"n_inputs": 5}, r"n_inputs=5.*4 channels"),
        ({"high_v": 3.0}, r"high_v=3.*-2 to 2 V"),
    ):
        board = FakeBoard()
        with pytest.raises(DeviceError, match=message):
            board_rig(board, **options).open()
        assert board.actions == ["off"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"peak_v": 1.5},
            r"-2 V breaks a limit: .*-2 V is beyond peak_v = 1.5 V.*low_v and high_v",
        ),
        ({"peak_v": 3.0, "amplifier_gain": 2.0}, r"-4 V is beyond peak_v = 3 V"),
        ({"rms_v": 1.5}, r"2 V is beyond rms_v = 1.5 V"),
        ({"sum_v": 1.5}, r"2 V is beyond sum_v = 1.5 V"),
    ],
)
def test_a_range_beyond_a_limit_is_an_error_when_the_rig_is_made(limits, message):
    with pytest.raises(ValueError, match=message):
        board_rig(limits=LabLimits(**limits))


def test_what_only_all_inputs_together_break_is_warned_of(caplog):
    board_rig(limits=LabLimits(peak_v=2.0, sum_v=4.0))
    assert not caplog.records
    board_rig(limits=LabLimits(sum_v=3.0))
    assert "rows with all inputs at 2 V will be refused" in caplog.text
    assert "4 V is beyond sum_v = 3 V" in caplog.text


def test_outputs_are_ramped_down_before_they_are_switched_off():
    board = FakeBoard(settle_us=1000)
    with board_rig(board, limits=LabLimits(slew_v_per_s=100.0)) as device:
        device.measure([[0.05, 0.0], [0.1, 0.0]])
        # A change within one settling time that is too fast is named with its row.
        with pytest.raises(LimitError, match=r"sample 0: 400 V/s is beyond slew_v_per_s = 100"):
            device.measure([[0.5, 0.0]])
        for volts in np.arange(0.2, 2.0, 0.1):
            device.measure([[volts, 0.0]])
    steps = np.abs(np.diff([0.0, *[row[0] for row in board.volts], 0.0]))
    assert len(board.volts) > 25
    assert steps.max() < 0.25
    assert board.actions == ["off"]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    peak=st.floats(0.1, 2.5),
    total=st.none() | st.floats(0.2, 3.0),
    gain=st.sampled_from([0.5, 1.0, 2.0]),
    mode=st.sampled_from(["error", "clip"]),
    averages=st.integers(1, 3),
)
def test_no_voltage_beyond_a_limit_reaches_the_board(seed, peak, total, gain, mode, averages):
    board, random = FakeBoard(), np.random.default_rng(seed)
    limits = LabLimits(peak_v=peak, sum_v=total, amplifier_gain=gain, mode=mode)
    # A range that one input alone breaks a limit with is no rig, but where it is clipped.
    high = 2.0
    for limit in (peak if mode == "error" else None, total):
        high = high if limit is None else min(high, limit / gain)
    with board_rig(board, limits=limits, low_v=-high, high_v=high) as device:
        for scale in (0.2, 1.0, 2.0):
            drives = scale * random.uniform(-1, 1, (3, 2)) * high / 2
            try:
                device.measure(drives, averages=averages)
            except LimitError:
                continue
    for row in board.volts:
        there = np.abs(row[:2]) * gain
        code = 4 / 4095 * gain  # what rounding to a code may add
        assert there.max() <= peak + code
        assert total is None or there.sum() <= total + 2 * code


# -- metasurface -----------------------------------------------------------------------------------


class FakeAnalyser(Callables):
    """Answers with sums of the bits; `stuck` elements do not follow."""

    parameters = ("S21", "S11")
    frequencies_hz = np.array([1e9, 2e9, 3e9])
    power_dbm = -10.0

    def __init__(self, calls):
        super().__init__(name="analyser", hold=lambda: calls.append("hold"))
        self.calls = calls
        self.bits = np.zeros(4)
        self.stuck = []

    def show(self, bits):
        self.calls.append("set")
        self.bits = np.array(bits)
        self.bits[self.stuck] = 0

    def sweep(self):
        self.calls.append("sweep")
        weights = np.exp(1j * np.arange(4) * np.arange(1, 4)[:, None])
        s21 = weights @ self.bits
        return np.stack([s21, 10 + s21])


def metasurface_rig(**options):
    calls = []
    analyser = FakeAnalyser(calls)
    modulator = CallableModulator(analyser.show, n_elements=4, name="surface")
    return MetasurfaceRig(modulator, analyser, **options), analyser, calls


def test_each_row_is_held_set_and_swept_in_this_order():
    device, _, calls = metasurface_rig()
    bits = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    with device:
        answer = device.measure(bits)
    assert calls == ["hold", "set", "sweep"] * 2
    # All parameters at the first frequency, then at the second and so on.
    np.testing.assert_allclose(answer[1, :2], [np.exp(1j), 10 + np.exp(1j)])
    with metasurface_rig(answers="magnitude", n_outputs=2)[0] as device:
        np.testing.assert_allclose(device.measure(bits[1:]), np.abs(answer[1:, :2]))


def test_sentinels_find_stuck_elements():
    device, analyser, _ = metasurface_rig(sentinel_every=3)
    with device:
        device.measure(np.zeros((6, 4)))
        assert device.ledger.queries["calibration"] == 6
        assert device.sentinel_change == 0
        analyser.stuck = [2]
        with pytest.raises(DeviceError, match=r"changed by .*stuck.*last 3 rows"):
            device.measure(np.ones((3, 4)))


def test_a_controller_that_drives_nothing_is_found_by_the_first_sentinel():
    device, analyser, _ = metasurface_rig(sentinel_every=10)
    analyser.stuck = [0, 1, 2, 3]
    with device, pytest.raises(DeviceError, match="no more than noise"):
        device.measure(np.zeros((1, 4)))


def test_a_power_above_the_laboratory_limit_is_refused_before_anything_is_opened():
    with pytest.raises(ValueError, match=r"power_dbm=-10 is above.*power_dbm=-20"):
        metasurface_rig(limits=LabLimits(power_dbm=-20))


# -- optical ---------------------------------------------------------------------------------------


def optical_rig(frames, shown=None, **options):
    shown = [] if shown is None else shown
    modulator = CallableModulator(shown.append, n_elements=4, name="slm")
    camera = CallableCamera(lambda: frames.pop(0), shape=(4, 6), full_scale=255.0)
    camera.exposure_s = 0.02
    return OpticalRig(modulator, camera, grid=(2, 3), **options)


def test_frames_that_may_be_old_are_thrown_away():
    old, new = np.full((4, 6), 200.0), np.arange(24.0).reshape(4, 6)
    shown = []
    with optical_rig([old, old, new], shown, flush_frames=2, black_level=1.0) as device:
        answer = device.measure([[0, 1, 2, 3]])
    np.testing.assert_array_equal(shown[0], [0, 1, 2, 3])
    expected = np.array([[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]) - 1.0
    np.testing.assert_allclose(answer.reshape(2, 3) * 255, expected)


def test_saturated_pixels_are_flagged():
    full = np.full((4, 6), 10.0)
    full[1, 1] = 255.0
    with optical_rig([np.ones((4, 6)), full], flush_frames=0) as device:
        assert device.acquire(np.zeros((2, 4))).flags.tolist() == [0, Flag.SATURATED]


def test_an_exposure_that_beats_with_the_modulator_is_refused():
    with pytest.raises(DeviceError, match=r"1\.2 periods"):
        optical_rig([], period_s=1 / 60).open()
    optical_rig([], period_s=1 / 100).open().close()


def test_slmsuite_hardware_as_a_rig():
    pytest.importorskip("slmsuite")
    from slmsuite.hardware.cameras.simulated import SimulatedCamera
    from slmsuite.hardware.slms.simulated import SimulatedSLM

    from devices.drivers.slmsuite_adapter import Slm, SlmCamera

    slm = SimulatedSLM((32, 32), pitch_um=(8, 8))
    camera = SimulatedCamera(slm, resolution=(32, 32), gain=20)
    device = OpticalRig(Slm(slm, grid=(4, 4)), SlmCamera(camera, exposure_s=0.01), grid=(4, 4))
    with device:
        drives = np.random.default_rng(0).uniform(0, 6.28, (3, 16))
        answers = device.measure(drives)
        np.testing.assert_array_equal(device.measure(drives[::-1])[::-1], answers)
    assert np.ptp(answers, axis=0).max() > 0
