"""Everything that goes through a device, in a file that plain xarray opens."""

import json
import shutil
import time
from dataclasses import replace
from types import MappingProxyType

import h5py
import numpy as np
import pytest
import xarray as xr
from device_spy import Spy, dies_at, fails

from devices import (
    PURPOSES,
    Averaged,
    Cached,
    Flag,
    FunctionDevice,
    LimitError,
    LinkDown,
    Noisy,
    Recorded,
    Replay,
    ReplyTimeout,
    row_context,
)
from devices.hdf5 import RecordFile, RecordFull, read_attributes
from devices.safety import LabLimits


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.h5"


def opened(path, group=None):
    with xr.open_dataset(path, engine="h5netcdf", group=group) as dataset:
        return dataset.load()


def status(path):
    with h5py.File(path) as file:
        found = read_attributes(file)
    return found["status"], found.get("error", "")


def test_drives_answers_times_and_purposes_are_in_the_file(path):
    drives = np.random.default_rng(0).uniform(0, 1, (5, 2))
    spy = Spy(2, 3, input_unit="V", output_unit="Pa", saturation=4.0)
    began = time.time()
    with Recorded(spy, path) as device:
        train = device.measure(drives[:3], purpose="train")
        test = device.measure(drives[3:], purpose="test")
        empty = device.measure(np.empty((0, 2)))
    assert empty.shape == (0, 3)
    found = opened(path)
    assert {"row": 5, "input": 2, "output": 3}.items() <= dict(found.sizes).items()
    assert found["drives"].dims == ("row", "input")
    assert found["answers"].dims == ("row", "output")
    np.testing.assert_array_equal(found["drives"], drives)
    np.testing.assert_array_equal(found["answers"], np.concatenate([train, test]))
    assert found["drives"].attrs["units"] == "V"
    assert found["answers"].attrs["units"] == "Pa"
    np.testing.assert_array_equal(
        [PURPOSES[i] for i in found["purpose"].values], ["train"] * 3 + ["test"] * 2
    )
    np.testing.assert_array_equal(found["attempts"], np.ones(5))
    expected = Flag.SATURATED * (found["answers"].values >= 4).any(axis=1)
    np.testing.assert_array_equal(found["flags"], expected)
    seconds = found["time"].values.astype("datetime64[us]").astype(float) / 1e6
    assert (seconds >= began - 1).all()
    assert (seconds <= time.time() + 1).all()
    assert found.attrs["device"] == "spy"
    assert found.attrs["recipe"].startswith("Spy(n_inputs=2, n_outputs=3, input_unit='V'")
    assert found.attrs["purposes"] == str(list(PURPOSES)).replace("'", '"')
    assert status(path) == ("done", "")


def test_complex_answers(path):
    spy = Spy(script=lambda s, d: d * (1 - 1j), output_dtype="complex64")
    with Recorded(spy, path) as device:
        device.measure([[0.5, 1]])
    np.testing.assert_array_equal(opened(path)["answers"], [[0.5 - 0.5j, 1 - 1j]])


def test_retries_and_cached_rows_show(path):
    spy = Spy(1, 1, attempts=2, script=fails(ReplyTimeout("late")))
    with Recorded(Cached(spy), path) as device:
        device.measure([[0.5], [0.25]], purpose="train")
        device.measure([[0.25]], purpose="train")
    found = opened(path)
    np.testing.assert_array_equal(found["attempts"], [2, 1, 0])
    np.testing.assert_array_equal(found["flags"], [Flag.RETRIED, 0, Flag.CACHED])


def test_what_is_recorded_is_what_was_driven_then(path):
    buffer = np.array([[0.0, 0.5]])
    with Recorded(Spy(), path) as device:
        answer = device.measure(buffer)
        answer += 100
        buffer[:] = 1
        device.measure(buffer)
    found = opened(path)
    np.testing.assert_array_equal(found["drives"], [[0, 0.5], [1, 1]])
    np.testing.assert_array_equal(found["answers"], [[0.5, 1], [2, 4]])


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: Averaged(d, 3)])
def test_rows_measured_before_a_failure_are_in_the_file_at_once(path, wrap):
    script = dies_at(0.3, lambda rows: LinkDown("power cut", rows=rows))
    with Recorded(wrap(Spy(1, 1, script=script)), path) as device:
        with pytest.raises(LinkDown):
            device.measure([[0.1], [0.2], [0.3], [0.4]], purpose="control")
        found = opened(path)  # before anything is closed
        np.testing.assert_allclose(found["answers"][:, 0], [0.1, 0.2])
        np.testing.assert_array_equal(found["purpose"], [PURPOSES.index("control")] * 2)


@pytest.mark.parametrize(
    ("error", "ended"),
    [(LinkDown("power cut"), "failed"), (KeyboardInterrupt(), "interrupted")],
)
def test_the_file_says_that_the_last_measurement_failed(path, error, ended):
    device = Recorded(Spy(script=fails(error, from_call=1)), path)
    with device:
        device.measure([[0, 0]])
        with pytest.raises(type(error)):
            device.measure([[1, 1]])
    assert status(path)[0] == ended
    assert type(error).__name__ in status(path)[1]
    assert opened(path).sizes["row"] == 1


def test_a_failure_that_was_overcome_is_not_held_against_the_file(path):
    with Recorded(Spy(script=fails(LinkDown("hiccup"))), path) as device:
        with pytest.raises(LinkDown):
            device.measure([[0, 0]])
        with pytest.raises(LimitError):
            device.measure([[7, 7]])
        device.measure([[0, 0]])
    assert status(path) == ("done", "")


def test_a_record_is_never_overwritten_and_nothing_is_opened_for_it(path):
    with Recorded(Spy(), path) as device:
        device.measure([[0, 0]])
    spy = Spy()
    with pytest.raises(FileExistsError), Recorded(spy, path):
        pass
    assert spy.calls == []
    assert opened(path).sizes["row"] == 1


def test_a_number_in_the_path_makes_room_for_more(tmp_path):
    device = Recorded(Spy(), tmp_path / "log-{n}.h5")
    for value in (0.0, 0.5, 1.0):
        with device:
            device.measure([[value, 0]])
    for n, value in enumerate((0.0, 0.5, 1.0)):
        np.testing.assert_array_equal(opened(tmp_path / f"log-{n}.h5")["drives"], [[value, 0]])


def test_a_device_that_does_not_open_leaves_a_closed_file(path):
    class Absent(Spy):
        def _open(self):
            raise LinkDown("nobody answers")

    with pytest.raises(LinkDown), Recorded(Absent(), path):
        pass
    assert status(path) == ("failed", "LinkDown: nobody answers")
    with h5py.File(path, "r+"):
        pass


def test_a_file_that_cannot_be_finished_does_not_keep_the_device_open(path, monkeypatch):
    spy = Spy()
    device = Recorded(spy, path).open()
    monkeypatch.setattr("devices.hdf5.RecordFile.close", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        device.close()
    assert not spy.is_open
    assert (spy.calls[1], spy.calls[-1]) == ("safe", "close")


def test_a_group_of_an_open_file_serves_as_well(path):
    with RecordFile(path, kind="train") as file:
        first = Recorded(Spy(), file.group("first"))
        second = Recorded(Noisy(Spy(2, 4), 0.1), file.group("second"))
        for _ in range(2):  # opened again, the table goes on
            with first, second:
                first.measure([[0, 1]], purpose="train")
                second.measure([[0, 1], [1, 0]])
        assert file.file  # it is not the wrapper's to close
    assert opened(path, "first").sizes["row"] == 2
    assert opened(path, "second")["answers"].shape == (4, 4)
    assert opened(path, "second").attrs["recipe"].startswith("Noisy(device=Spy(")
    assert status(path) == ("done", "")


def test_recording_changes_nothing_and_counts_nothing(path):
    drives = np.random.default_rng(0).uniform(0, 1, (4, 2))
    with Noisy(Spy(), 0.1) as bare, Recorded(Noisy(Spy(), 0.1), path) as device:
        np.testing.assert_array_equal(device.measure(drives), bare.measure(drives))
        assert device.ledger.total == 4


# -- what is known of each row ---------------------------------------------------------------------


class Bench(Spy):
    """A spy with a monitor, a state, limits and settings, as a rig has them."""

    class Thermometer:
        unit = "K"

    monitors = MappingProxyType({"room": Thermometer()})
    limits = LabLimits(peak_v=2.0)
    state = "red"

    @property
    def state_id(self):
        return self.state

    def settings(self):
        return {"source": {"identity": "ACME,1", "volts": 2.0}}

    def _acquire(self, drives, purpose):
        measured = super()._acquire(drives, purpose)
        return replace(
            measured, readings={"room": 293.5}, calibration_id="0123" if purpose == "test" else ""
        )


def test_rows_know_their_layer_epoch_state_calibration_and_readings(path):
    bench = Bench()
    with Recorded(bench, path) as device:
        with row_context(layer=1):
            device.measure([[0, 0]])
            with row_context(epoch=4):
                device.measure([[0, 0], [1, 1]], purpose="test")
        bench.state = "blue"
        device.measure([[1, 0]])
    found = opened(path)
    np.testing.assert_array_equal(found["layer"], [1, 1, 1, -1])
    np.testing.assert_array_equal(found["epoch"], [-1, 4, 4, -1])
    np.testing.assert_array_equal(found["state"], [0, 0, 0, 1])
    np.testing.assert_array_equal(found["state_id"], [b"red", b"blue"])
    np.testing.assert_array_equal(found["calibration"], [-1, 0, 0, -1])
    np.testing.assert_array_equal(found["calibration_id"], [b"0123"])
    np.testing.assert_array_equal(found["reading_room"], [293.5] * 4)
    assert found["reading_room"].attrs["units"] == "K"
    assert (np.diff(found["monotonic"]) >= 0).all()
    assert json.loads(found.attrs["laboratory_limits"])["peak_v"] == 2.0
    assert json.loads(found.attrs["instruments"])["source"]["identity"] == "ACME,1"
    assert json.loads(found.attrs["flag_bits"])["CLIPPED"] == 4
    assert (found.attrs["signal"], list(found.attrs["axes"])) == ("answers", ["row", "."])


def test_the_time_in_the_device_is_that_of_its_ledger(path):
    def slow(drives):
        time.sleep(0.01)
        return drives

    with Recorded(FunctionDevice(slow, 1, 1, max_batch=1), path) as device:
        device.measure([[0.1]] * 3, purpose="train")
        device.measure([[0.2]], purpose="test")
        seconds = device.ledger.seconds
    found = opened(path)
    assert found["duration"].sum() == pytest.approx(sum(seconds.values()))
    assert found["duration"][3] == pytest.approx(seconds["test"])


def test_very_many_inputs_with_limits_of_their_own_are_recorded(path):
    low = np.linspace(0, 1, 10_000)
    device = FunctionDevice(lambda u: u[:, :2], 10_000, 2, low=tuple(low), high=tuple(low + 1))
    with Recorded(device, path) as recorded:
        recorded.measure([low])
    np.testing.assert_array_equal(opened(path)["low"], low)
    assert Replay(path).spec.limits[1][-1] == 2.0


def test_a_context_of_another_name_or_number_is_refused():
    with pytest.raises(ValueError, match="row_context: lyer is not one of layer, epoch"):
        row_context(lyer=1).__enter__()
    with pytest.raises(ValueError, match="row_context: epoch=-2 must be a whole number"):
        row_context(epoch=-2).__enter__()


def test_a_table_that_was_there_goes_on_and_its_ids_too(path):
    def measure(group, state, value):
        bench = Bench()
        bench.state = state
        recorded = Recorded(bench, group)
        recorded.lay_out()
        assert bench.calls == []
        with recorded as device:
            device.measure([[value, 0]])

    with RecordFile(path, kind="train") as file:
        measure(file.group("bench"), "red", 0.0)
    with RecordFile.reopen(path, kind="train") as file:
        measure(file.group("bench"), "blue", 0.5)
        measure(file.group("bench"), "red", 1.0)
    found = opened(path, "bench")
    np.testing.assert_array_equal(found["drives"][:, 0], [0, 0.5, 1])
    np.testing.assert_array_equal(found["state"], [0, 1, 0])
    np.testing.assert_array_equal(found["state_id"], [b"red", b"blue"])


def test_settings_too_long_for_their_slot_are_kept_all_the_same(path):
    class Chatty(Bench):
        def settings(self):
            return {"memory": "x" * 20_000}

    with Recorded(Chatty(), path) as device:
        device.measure([[0, 0]])
    assert len(json.loads(opened(path).attrs["instruments"])["memory"]) == 20_000


# -- long calls ------------------------------------------------------------------------------------


class Slow(Spy):
    """A bench whose row takes 2 ms, and which looks at its clock."""

    def _measure(self, drives):
        time.sleep(0.002 * len(drives))
        return super()._measure(drives)


def test_a_long_call_is_measured_in_parts_and_the_caller_sees_one(path, monkeypatch):
    monkeypatch.setattr("devices.recorded._PART_SECONDS", 0.02)
    drives = np.random.default_rng(0).uniform(0, 1, (60, 2))
    slow = Slow(saturation=1.0, seconds_per_query=0.002)
    with Recorded(slow, path) as device:
        measured = device.acquire(drives, purpose="train")
    assert len(slow.batches) > 3
    assert max(map(len, slow.batches)) <= 10
    np.testing.assert_array_equal(measured.outputs, slow.respond(drives))
    np.testing.assert_array_equal(measured.flags > 0, measured.outputs.max(axis=1) >= 1)
    assert measured.attempts.shape == (60,)
    assert measured.duration_s >= 0.1
    found = opened(path)
    np.testing.assert_array_equal(found["drives"], drives)
    assert len(np.unique(found["monotonic"])) > 3


def test_an_unknown_pace_is_found_out_with_few_rows(path, monkeypatch):
    monkeypatch.setattr("devices.recorded._PART_SECONDS", 60.0)
    slow = Slow(max_batch=4)
    with Recorded(slow, path) as device:
        device.measure(np.zeros((120, 2)))
    marks = np.unique(opened(path)["monotonic"], return_counts=True)[1]
    assert marks.tolist() == [16, 104]


def test_the_batches_of_a_device_that_takes_them_whole_do_not_depend_on_time(path):
    slow = Slow()
    with Recorded(slow, path) as device:
        device.measure(np.zeros((600, 2)))
    assert [len(batch) for batch in slow.batches] == [256, 256, 88]


def test_a_reproducible_device_is_asked_in_one_go(path):
    class Simulator(Slow):
        reproducible = True

    simulator = Simulator(seconds_per_query=0.1)
    with Recorded(simulator, path) as device:
        device.measure(np.zeros((40, 2)))
    assert len(simulator.batches) == 1


@pytest.mark.parametrize("at", [0.05, 0.37, 0.59])
def test_an_error_in_a_later_part_counts_rows_over_the_whole_call(path, at):
    drives = np.stack([np.arange(60) / 100, np.zeros(60)], axis=1)
    spy = Spy(script=dies_at(at, lambda rows: LinkDown("power cut", rows=rows)))
    with Recorded(spy, path) as device, pytest.raises(LinkDown) as caught:
        device.measure(drives)
    failed = round(100 * at)
    assert caught.value.failed_row == failed
    np.testing.assert_array_equal(caught.value.rows, spy.respond(drives[:failed]))
    np.testing.assert_array_equal(opened(path)["answers"], spy.respond(drives[:failed]))


def test_laboratory_limits_are_checked_for_all_parts_before_the_first(path):
    class Guarded(Spy):
        def _check(self, drives):
            if drives.max() > 0.5:
                raise LimitError("too much")

        def _acquire(self, drives, purpose):
            self._check(drives)
            return super()._acquire(drives, purpose)

    spy = Guarded()
    drives = np.zeros((50, 2))
    drives[-1] = 0.75
    with Recorded(Noisy(spy), path) as device, pytest.raises(LimitError):
        device.measure(drives)
    assert spy.batches == []


def test_ctrl_c_within_a_call_keeps_its_rows(path):
    with (
        pytest.raises(KeyboardInterrupt),
        Recorded(Spy(max_batch=8, script=fails(KeyboardInterrupt(), from_call=2)), path) as device,
    ):
        device.measure(np.zeros((40, 2)))
    assert opened(path).sizes["row"] == 16
    assert status(path)[0] == "interrupted"


def test_nothing_is_driven_that_the_disk_has_no_room_for(path, monkeypatch):
    spy = Spy()
    with Recorded(spy, path) as device:
        device.measure(np.zeros((5, 2)))
        usage = shutil.disk_usage(path.parent)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=2**20))
        with pytest.raises(RecordFull, match="no room for 1 more rows"):
            device.measure(np.zeros((1, 2)))
    assert len(spy.rows) == 5
    assert opened(path).sizes["row"] == 5
    assert status(path)[0] == "failed"
