"""The waveform rig: what is played, what is read, what is flagged, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import Averaged, DeviceError, Flag, LimitError, ReplyTimeout
from devices.drivers.callable_capture import CallableDigitizer
from devices.drivers.callables import Callables, CallableSource
from devices.rigs.waveform import WaveformRig
from devices.safety import LabLimits

RATE = 8000.0


class Wire:
    """Generator, cable and digitizer in one: what is played is what is captured, times a gain."""

    def __init__(self, gain=1.0, oversampling=4, late_s=0.0, clip_v=np.inf):
        self.gain, self.oversampling, self.late_s = gain, oversampling, late_s
        self.played = []
        self.calls = []
        self.fail = []
        self.source = CallableSource(self.play, name="generator", off=self.off)
        self.digitizer = CallableDigitizer(
            self.fetch,
            rate_hz=RATE * oversampling,
            clip_v=clip_v,
            arm=lambda: self.calls.append("arm"),
            name="digitizer",
        )

    def off(self):
        self.calls.append("off")

    def play(self, volts, rate):
        self.calls.append("fire")
        self.played.append(volts.copy())

    def fetch(self):
        self.calls.append("fetch")
        if self.fail and (error := self.fail.pop(0)):
            raise error
        late = round(self.late_s * RATE * self.oversampling)
        held = np.repeat(self.played[-1][0], self.oversampling)
        return self.gain * np.concatenate([np.zeros(late), held, np.zeros(200)])


def rig(wire, **options):
    options = {
        "n_inputs": 4,
        "sample_rate_hz": RATE,
        "window_samples": 256,
        "settle_samples": 128,
        "band_hz": (200, 1200),
        "volts_per_input": 0.5,
    } | options
    return WaveformRig(wire.source, wire.digitizer, **options)


def held_gain(device):
    """What holding each sample for four of the digitizer's does to the amplitude of a tone."""
    share = device._maker.bins / device._maker.window
    return np.sinc(share) / np.sinc(share / 4)


def test_amplitudes_come_back_in_volts_whatever_else_is_in_the_row():
    wire = Wire(gain=0.1)
    drives = np.random.default_rng(0).random((5, 4))
    with rig(wire) as device:
        answers = device.measure(drives)
        # No row is normalised: twice the drive is twice the answer.
        twice = device.measure(np.array([[0.2, 0, 0, 0], [0.4, 0, 0, 0]]))[:, 0]
    np.testing.assert_allclose(answers, 0.05 * drives * held_gain(device), rtol=1e-3, atol=1e-6)
    assert twice[1] == pytest.approx(2 * twice[0])
    assert wire.calls[:3] == ["arm", "fire", "fetch"]


@pytest.mark.parametrize("oversampling", [1, 4, 5])
@pytest.mark.parametrize("rows_per_shot", [1, 3])
def test_several_rows_in_one_upload_are_the_same_rows(oversampling, rows_per_shot):
    drives = np.random.default_rng(1).random((7, 4))
    with rig(Wire(oversampling=oversampling)) as one:
        expected = one.measure(drives)
    wire = Wire(oversampling=oversampling)
    with rig(wire, rows_per_shot=rows_per_shot) as device:
        np.testing.assert_allclose(device.measure(drives), expected, atol=1e-9)
    assert len({volts.shape for volts in wire.played}) == 1
    assert device.ledger.total == 7


def test_a_late_digitizer_is_deskewed():
    drives = np.full((1, 4), 0.5)
    with rig(Wire(), answers="complex") as device:
        expected = device.measure(drives)
    with rig(Wire(late_s=0.002), answers="complex", delay_s=0.002) as device:
        np.testing.assert_allclose(device.measure(drives), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["waveform", "bins"])
def test_samples_and_time_bins(kind):
    drives = np.array([[0.0, 0.25, 0.5, 1.0]])
    with rig(Wire(gain=2.0), input=kind, output=kind, n_outputs=4) as device:
        answer = device.measure(drives)
    expected = drives if kind == "waveform" else drives**2
    np.testing.assert_allclose(answer, expected, atol=1e-9)


def test_listening_between_the_tones_hears_the_products():
    with rig(Wire(), listen="products") as device:
        silent = device.measure(np.ones((1, 4)))
    assert silent.shape[1] == 32 - 4
    np.testing.assert_allclose(silent, 0, atol=1e-3)


def test_the_generator_is_at_rest_before_and_behind_a_row():
    wire = Wire()
    with rig(wire, ramp_samples=64, lead_samples=20) as device:
        device.measure(np.ones((1, 4)))
        assert wire.source.full_scale_v == device._maker.worst_peak_v
    (volts,) = wire.played
    assert volts.shape == (1, 20 + 128 + 256 + 20)
    assert not volts[:, :20].any()
    assert not volts[:, -20:].any()
    assert abs(volts[0, 21]) < 0.01


def test_clipping_by_the_converter_is_flagged_from_its_codes():
    with rig(Wire(clip_v=0.9)) as device:
        flags = device.acquire([[0.1, 0, 0, 0], [1, 1, 1, 1], [0.2, 0, 0, 0]]).flags
    assert flags.tolist() == [0, Flag.SATURATED, 0]


def test_peaks_tell_the_range_that_calibration_must_set():
    wire = Wire(gain=0.5, clip_v=0.5)
    with rig(wire, rows_per_shot=2) as device:
        peaks, clipped = device.peaks([[0.1, 0, 0, 0], [1, 0, 0, 0], [0.2, 0, 0, 0]])
        assert peaks == pytest.approx([0.25], rel=0.01)
        assert clipped.tolist() == [False]
        assert device.peaks([[1, 1, 1, 1]])[1].tolist() == [True]
        assert device.ledger.queries["calibration"] == 4


def test_clipping_of_the_drive_is_a_mode_and_is_flagged():
    limits = LabLimits(peak_v=0.6, mode="clip")
    wire = Wire()
    with rig(wire, limits=limits) as device:
        flags = device.acquire([[0.1, 0, 0, 0], [1, 1, 1, 1]]).flags
    assert flags.tolist() == [0, Flag.CLIPPED]
    assert max(np.abs(volts).max() for volts in wire.played) <= 0.6


def test_a_row_beyond_a_limit_is_named_and_nothing_of_the_batch_is_played():
    wire = Wire()
    with rig(wire, limits=LabLimits(peak_v=1.2, amplifier_gain=2.0)) as device:
        with pytest.raises(LimitError, match=r"channel 0, sample \d+: .* V is beyond peak_v = 1.2"):
            device.measure([[0.1, 0, 0, 0], [1, 1, 1, 1]])
        assert wire.played == []
        assert device.ledger.total == 0


@pytest.mark.parametrize("kind", ["tones", "bins", "waveform"])
def test_a_limit_below_one_full_input_is_an_error_when_the_rig_is_made(kind, caplog):
    options = {"input": kind, "output": "waveform"}
    with pytest.raises(ValueError, match=r"1 V is beyond peak_v = 0.9 V.*volts_per_input"):
        rig(Wire(), limits=LabLimits(peak_v=0.9, amplifier_gain=2.0), **options)
    rig(Wire(), limits=LabLimits(peak_v=1.0, amplifier_gain=2.0), **options)
    assert ("all inputs at 1 will be refused" in caplog.text) == (kind == "tones")


def test_a_range_that_is_too_small_for_a_row_is_an_error_not_a_clipped_row():
    wire = Wire()
    with rig(wire, full_scale_v=0.6) as device:
        device.measure([[1, 0, 0, 0]])
        with pytest.raises(LimitError, match=r"full_scale_v = 0\.6"):
            device.measure([[1, 1, 1, 1]])
    assert len(wire.played) == 1


def test_a_missing_trigger_is_tried_again_and_then_an_error():
    wire = Wire()
    with rig(wire, attempts=3) as device:
        wire.fail = [ReplyTimeout("no trigger")] * 2
        measured = device.acquire([[1, 0, 0, 0]])
        assert measured.attempts.tolist() == [3]
        assert measured.flags.tolist() == [Flag.RETRIED]
        wire.fail = [ReplyTimeout("no trigger")] * 3
        with pytest.raises(ReplyTimeout, match="no trigger"):
            device.measure([[1, 0, 0, 0]])
        assert wire.calls[-1] == "off"


def test_a_record_that_is_too_short_is_an_error():
    wire = Wire()
    wire.fetch = lambda: np.zeros(100)
    wire.digitizer._fetch = wire.fetch
    with rig(wire) as device, pytest.raises(DeviceError, match="is not in the record of 100"):
        device.measure([[1, 0, 0, 0]])


def test_monitors_are_read_into_every_measurement():
    from devices.drivers.callables import CallableMonitor

    kelvin = iter([293.0, 294.0])
    monitors = {"room": CallableMonitor(lambda: next(kelvin), unit="K")}
    with rig(Wire(), monitors=monitors) as device:
        assert device.acquire([[0, 0, 0, 0]]).readings == {"room": 293.0}
        assert device.acquire([[0, 0, 0, 0]]).readings == {"room": 294.0}


def test_a_warm_up_is_waited_for_once(monkeypatch):
    waited = []
    monkeypatch.setattr("devices.rigs.base.time.sleep", waited.append)
    with rig(Wire(), warm_up_s=30.0) as device:
        device.measure([[0, 0, 0, 0]])
    assert waited
    assert 29 < waited[0] <= 30


def test_bad_settings_are_named():
    for options, name in (
        ({"band_hz": (200, 9000)}, "band_hz"),
        ({"n_inputs": 200}, "n_inputs=200 tones do not fit"),
        ({"volts_per_input": 0}, "volts_per_input"),
        ({"ramp_samples": 500}, "ramp_samples"),
        ({"rows_per_shot": 0}, "rows_per_shot"),
        ({"capture": "stream"}, "capture"),
        ({"input": "bins", "n_inputs": 5}, "window_samples"),
        ({"input": "bins"}, "listen='all'"),
    ):
        with pytest.raises(ValueError, match=name):
            rig(Wire(), **options)


# -- no drive beyond a limit ever reaches the instrument ------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    volts=st.sampled_from([0.02, 0.1, 0.5]),
    peak=st.floats(0.05, 2.0),
    rms=st.none() | st.floats(0.05, 1.0),
    slew=st.none() | st.floats(100.0, 1e4),
    dc=st.none() | st.floats(1e-4, 1.0),
    gain=st.sampled_from([0.5, 1.0, 3.0]),
    mode=st.sampled_from(["error", "clip"]),
    kind=st.sampled_from(["tones", "bins", "waveform"]),
    rows=st.integers(1, 3),
    ramp=st.sampled_from([0, 50]),
    averages=st.integers(1, 2),
    failures=st.integers(0, 3),
)
def test_no_waveform_beyond_a_limit_is_ever_played(
    seed, volts, peak, rms, slew, dc, gain, mode, kind, rows, ramp, averages, failures
):
    random, wire = np.random.default_rng(seed), Wire()
    wire.fail = [ReplyTimeout("no trigger") if random.random() < 0.5 else None] * failures
    limits = LabLimits(
        peak_v=peak, rms_v=rms, slew_v_per_s=slew, dc_v=dc, amplifier_gain=gain, mode=mode
    )
    try:
        device = rig(
            wire,
            input=kind,
            output="waveform",
            n_outputs=4,
            limits=limits,
            rows_per_shot=rows,
            ramp_samples=ramp,
            volts_per_input=volts,
            full_scale_v=1.5,
        )
    except ValueError:  # one input alone is beyond a limit
        return
    with Averaged(device, averages) as averaged:
        for _ in range(3):
            drives = random.random((4, 4)) * random.choice([0.1, 1.0])
            try:
                averaged.measure(drives if kind != "waveform" else 2 * drives - 1)
            except (LimitError, ReplyTimeout):
                continue
    size = device._maker.row_samples
    for played in wire.played:
        for row in played[0].reshape(-1, size) * gain:
            assert np.abs(row).max() <= peak * (1 + 1e-6)
            assert np.abs(row).max() <= 1.5 * gain * (1 + 1e-6)
            if rms is not None:
                assert np.sqrt((row**2).mean()) <= rms * (1 + 1e-6)
            if dc is not None:
                assert abs(row.mean()) <= dc * (1 + 1e-6)
            if slew is not None:
                steps = np.diff(np.concatenate([[0], row, [0]])) * RATE
                assert np.abs(steps).max() <= slew * (1 + 1e-6)


def test_more_instruments_are_opened_in_order_and_switched_off_in_reverse():
    wire, calls = Wire(), []
    amplifier = Callables(
        name="amplifier",
        on=lambda: calls.append("unmute"),
        off=lambda: calls.append("mute"),
    )
    wire.source._life["off"] = lambda: calls.append("generator off")
    wire.source._life["open"] = lambda: calls.append("generator on")
    everything = {
        "generator": wire.source,
        "digitizer": wire.digitizer,
        "amplifier": amplifier,
    }
    with rig(wire, instruments=everything, attempts=1) as device:
        device.measure([[1, 0, 0, 0]])
        assert calls == ["generator on", "unmute"]
        wire.fail = [ReplyTimeout("no trigger")]
        with pytest.raises(ReplyTimeout):
            device.measure([[1, 0, 0, 0]])
        assert calls[2:] == ["mute", "generator off"]
        device.measure([[1, 0, 0, 0]])  # and what was muted is unmuted for the next row
        assert calls[4:] == ["unmute"]
    assert calls[5:] == ["mute", "generator off"]
