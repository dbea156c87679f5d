"""Everything that goes through a device, in a file that plain xarray opens."""

import time

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
    LimitError,
    LinkDown,
    Noisy,
    Recorded,
    ReplyTimeout,
)
from devices.hdf5 import RecordFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.h5"


def opened(path, group=None):
    with xr.open_dataset(path, engine="h5netcdf", group=group) as dataset:
        return dataset.load()


def status(path):
    with h5py.File(path) as file:
        return file.attrs["status"], file.attrs.get("error", "")


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
    assert dict(found.sizes) == {"row": 5, "input": 2, "output": 3}
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
    monkeypatch.setattr("devices.hdf5.RecordFile.flush", lambda self: 1 / 0)
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
