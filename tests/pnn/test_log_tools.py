"""Record files that were killed, cut short, left open or written by an older version."""

import contextlib
import csv
import os
import random
import shutil
import subprocess
import sys
import textwrap
import time

import h5py
import numpy as np
import pytest
import xarray as xr

import pnn
from devices import FunctionDevice, Recorded, Replay
from devices.hdf5 import Column, RecordFile, read_attributes, schema_of, session
from devices.hdf5.undo import undo_file
from pnn.log_tools import check, describe, export, migrate, repair, tail

COLUMNS = {"x": Column(dims={"input": 3}, unit="V"), "k": Column(dtype="int32")}

WRITER = """
    import itertools, resource, sys
    import numpy as np
    from devices.hdf5 import Column, RecordFile
    path, live, limit = sys.argv[1], sys.argv[2] == "live", int(sys.argv[3])
    if limit:  # the disk fills, and what should see it coming does not
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        from devices.hdf5.session import Session
        Session.spare = lambda self, n: (1, True)
    file = RecordFile(path, kind="sweep", live=live)
    log = file.rows({"x": Column(dims={"input": 3}, unit="V"), "k": Column(dtype="int32")})
    for k in itertools.count(0, 10):
        log.append(x=np.repeat(np.arange(k, k + 10)[:, None], 3, axis=1), k=np.arange(k, k + 10))
        if k % 100 == 90:
            log.flush()
            print(k + 10, flush=True)
    """


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


@pytest.fixture
def recording(path):
    box = FunctionDevice(lambda u: u @ np.ones((2, 3)) * 1j, 2, 3, output_dtype="complex128")
    with Recorded(box, path) as device:
        device.measure(np.random.default_rng(0).uniform(0, 1, (30, 2)), purpose="train")
    return path


def opened(path, group=None):
    with xr.open_dataset(path, engine="h5netcdf", group=group) as dataset:
        return dataset.load()


def status(path):
    with h5py.File(path) as file:
        return read_attributes(file)["status"]


def started(path, live="plain", limit=0):
    """Start a writer; it says how many rows it has flushed."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), live, str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def killed(path, live="plain", after=3, wait_s=0.0):
    """Kill a writer after some flushes, and return how many rows it had flushed for sure."""
    with started(path, live) as process:
        lines = [process.stdout.readline() for _ in range(after)]
        time.sleep(wait_s)
        process.kill()
        lines += process.stdout.read().splitlines()
    return int(lines[-1] if lines[-1].strip().isdigit() else lines[-2])


def rows_are_right(path, at_least, group=None):
    found = opened(path, group)
    n = found.sizes["row"]
    assert n >= at_least
    np.testing.assert_array_equal(found["k"], np.arange(n))
    np.testing.assert_array_equal(found["x"], np.repeat(np.arange(n)[:, None], 3, axis=1))
    return n


posix = pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")


@posix
def test_killed_files_open_lose_no_flushed_row_and_go_on(tmp_path):
    wait = random.Random(0)
    for number in range(4):
        path = tmp_path / f"{number}.h5"
        flushed = killed(path, after=2, wait_s=wait.uniform(0, 0.05))
        with RecordFile.reopen(path, kind="sweep") as file:
            assert file.rows(COLUMNS).count >= flushed
        rows_are_right(path, flushed)
        assert check(path).good


@pytest.mark.slow
@posix
def test_many_killed_files(tmp_path):
    wait = random.Random(1)
    for number in range(60):
        path = tmp_path / f"{number}.h5"
        live = "live" if number % 3 == 0 else "plain"
        flushed = killed(path, live, after=1, wait_s=wait.uniform(0, 0.1))
        good = repair(path).copy if live == "live" else path
        with h5py.File(good):
            pass
        with RecordFile.reopen(good, kind="sweep"):
            pass
        rows_are_right(good, flushed)


@posix
def test_a_live_file_that_was_killed_is_repaired_on_a_copy(path):
    flushed = killed(path, "live")
    before = path.read_bytes()
    found = check(path)
    assert not found.good
    assert "marked as being written" in found.problems[0]
    with pytest.raises(OSError, match="pnn log check"):
        RecordFile.reopen(path, kind="sweep")
    result = repair(path)
    assert path.read_bytes() == before
    rows = rows_are_right(result.copy, flushed)
    assert result.rows == {"/row": rows}
    assert check(result.copy).good
    assert status(result.copy) == "interrupted"
    assert "removed the mark that it is being written" in result.done


@posix
def test_a_file_that_the_system_cut_short_is_recovered(path):
    with started(path, limit=100_000) as process:
        flushed = int(process.stdout.read().split()[-1])
    with pytest.raises(OSError, match="truncated"):
        h5py.File(path)
    assert "it was cut short" in check(path).problems[0]
    result = repair(path)
    rows = rows_are_right(result.copy, 1)
    assert rows >= flushed - 512  # what was in the last chunk, or was never written
    assert any("bytes were missing" in one for one in result.done)
    assert check(result.copy).good


def test_rows_behind_the_recorded_end_are_recovered(path):
    def append(log, start, stop):
        at = np.arange(start, stop)
        log.append(x=np.repeat(at[:, None], 3, axis=1), k=at)
        log.flush()

    with RecordFile(path, kind="sweep") as file:
        log = file.rows(COLUMNS)
        append(log, 0, 1000)
        end = path.read_bytes()[40:48]  # the library writes it last
        append(log, 1000, 3000)
        image = bytearray(path.read_bytes())
    image[40:48] = end
    path.write_bytes(image)
    assert check(path).rows in ({}, {"/row": 1000})
    assert not check(path).good
    result = repair(path)
    assert "recorded its end" in result.done[0]
    assert check(result.copy).good
    assert rows_are_right(result.copy, 3000) == 3000
    with RecordFile.reopen(path, kind="sweep") as file:
        assert file.rows(COLUMNS).count == 3000


def test_growth_that_was_broken_off_is_undone(path, tmp_path, monkeypatch):
    killed = tmp_path / "killed.h5"

    @contextlib.contextmanager
    def kept(file, path, nodes):
        size = path.stat().st_size
        with session_undoable(file, path, nodes):
            yield
            image = path.read_bytes()  # what is new was not written yet
            killed.write_bytes(image[:size] + bytes(len(image) - size))
            shutil.copy(undo_file(path), undo_file(killed))

    session_undoable = session.undoable
    monkeypatch.setattr(session, "undoable", kept)
    with RecordFile(path, kind="sweep") as file:
        log = file.rows(COLUMNS)
        for stop in (16_384, 16_640):  # the node that names 64 chunks of 256 rows is full
            at = np.arange(log.count, stop)
            log.append(x=np.repeat(at[:, None], 3, axis=1), k=at)
    monkeypatch.undo()
    assert not undo_file(path).exists()
    with pytest.raises(OSError, match=r"a kill broke off .* `pnn log repair`"):
        pnn.open_run(killed)
    with pytest.raises(OSError, match="a kill broke off"):
        Replay(killed)
    assert "a kill broke off" in check(killed).problems[0]
    result = repair(killed)
    assert "undid what a kill broke off" in result.done[0]
    assert check(result.copy).good
    assert rows_are_right(result.copy, 16_384) == 16_384
    with RecordFile.reopen(killed, kind="sweep") as file:
        assert file.rows(COLUMNS).count == 16_384
    assert not undo_file(killed).exists()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.99])
def test_rows_beyond_the_cut_are_not_taken_for_measured_ones(path, share):
    with RecordFile(path, kind="sweep") as file:
        log = file.rows(COLUMNS)
        for k in range(0, 20_000, 100):
            at = np.arange(k, k + 100)
            log.append(x=np.repeat(at[:, None], 3, axis=1), k=at)
    os.truncate(path, int(share * path.stat().st_size))
    try:
        result = repair(path)
    except ValueError:
        with pytest.raises(ValueError, match="too much is lost"):
            repair(path)
        assert not path.with_name("run.repaired.h5").exists()
        return
    found = opened(result.copy)  # columns whose index is lost are gone, the others are right
    n = found.sizes.get("row", 0)
    for name in ("k", "x"):
        assert name in found or any(f"/{name} (" in one for one in result.lost)
        if name in found:
            np.testing.assert_array_equal(
                found[name].values.T, np.broadcast_to(np.arange(n), found[name].T.shape)
            )
    assert n > 15_000 or share < 0.9


def test_ragged_files_are_found_and_cut_on_a_copy(recording):
    with h5py.File(recording, "r+") as file:
        file["answers"].resize(34, axis=0)
        file["flags"].resize(31, axis=0)
    found = check(recording)
    assert found.rows["/row"] == 30
    assert "the columns of /row have different lengths, 30 rows are whole" in found.problems[0]
    result = repair(recording)
    assert result.done == ["cut /row from 34 to 30 whole rows", "marked it as interrupted"]
    assert opened(result.copy).sizes["row"] == 30
    assert check(result.copy).good
    assert not check(recording).good
    with pytest.raises(FileExistsError, match="is not overwritten"):
        repair(recording)


def test_a_whole_file_needs_nothing(recording):
    found = check(recording)
    assert found.good
    assert (found.kind, found.status, found.schema) == ("recording", "done", 1)
    assert repair(recording).done == []


def test_what_is_no_record_is_told(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5" * 20)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.zeros(3)
    assert "no HDF5 file" in check(tmp_path / "text.h5").problems[0]
    assert check(tmp_path / "other.h5").good
    assert "not a record of this toolkit" in check(tmp_path / "other.h5").notes[0]
    with pytest.raises(ValueError, match="nothing to save"):
        repair(tmp_path / "text.h5")
    with pytest.raises(ValueError, match="is no run of this toolkit"):
        describe(tmp_path / "other.h5")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        repair(tmp_path / "none.h5")


def test_a_file_of_another_program_is_said_to_be_running(path):
    with RecordFile(path, kind="sweep") as file:
        file.rows(COLUMNS).append(x=np.zeros((2, 3)), k=[0, 1])
        file.flush()
        assert check(path).status == "running"
        assert check(path).good


# -- older layouts ---------------------------------------------------------------------------------


@pytest.fixture
def old(path):
    """A recording as it was written before the layout was fixed."""
    with h5py.File(path, "w") as file:
        file.attrs.update(
            {"schema": 1, "kind": "recording", "status": "done", "started": "2025-01-01T00:00:00",
             "device": "box", "purposes": '["train", "test"]'}
        )  # fmt: skip
        row = file.create_dataset("row", data=np.arange(5), maxshape=(None,), chunks=(8,))
        row.make_scale("row")
        for name, values in {
            "drives": np.arange(10.0).reshape(5, 2), "answers": np.arange(15.0).reshape(5, 3),
            "time": np.zeros(5), "purpose": np.zeros(5, np.uint8),
            "attempts": np.ones(5, np.uint16), "flags": np.array([0, 2, 0, 0, 4], np.uint8),
        }.items():  # fmt: skip
            column = file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]))
            column.dims[0].attach_scale(row)
            if values.ndim > 1:
                width = file.create_dataset(f"{name}_width", (values.shape[1],), np.float32)
                width.make_scale("This is a netCDF dimension but not a netCDF variable.          3")
                column.dims[1].attach_scale(width)
    return path


def test_older_files_are_brought_up_to_date_in_a_copy(old):
    before = old.read_bytes()
    copy = migrate(old)
    assert old.read_bytes() == before
    with h5py.File(old) as one, h5py.File(copy) as other:
        assert (schema_of(one), schema_of(other)) == (0, 1)
        assert read_attributes(other)["started"] == "2025-01-01T00:00:00"
        assert len(read_attributes(other)["run_id"]) == 32
    found = opened(copy)
    np.testing.assert_array_equal(found["answers"], np.arange(15.0).reshape(5, 3))
    for name in ("layer", "epoch", "state", "calibration"):
        np.testing.assert_array_equal(found[name], [-1] * 5)
    assert check(copy).notes == []
    with RecordFile.reopen(copy, kind="recording"):
        pass
    with pytest.raises(ValueError, match="nothing to do"):
        migrate(copy)


def test_older_files_are_read_as_they_are(old):
    assert "`pnn log migrate`" in check(old).notes[0]
    told = describe(old)["recordings"]["/"]
    assert told["faults"] == {
        "saturated": 0, "retried": 1, "clipped": 1, "resynced": 0, "cached": 0,
        "attempts_in_vain": 0,
    }  # fmt: skip
    assert told["purposes"] == {"train": 5}
    with Replay(old) as device:
        np.testing.assert_array_equal(device.measure([[2.0, 3.0]]), [[3.0, 4.0, 5.0]])


# -- handing on ------------------------------------------------------------------------------------


def test_rows_are_exported_in_three_formats(recording, tmp_path):
    whole = opened(recording)
    csv_file, npz, nc = (tmp_path / f"rows.{suffix}" for suffix in ("csv", "npz", "nc"))
    for out in (csv_file, npz, nc):
        told = export(recording, out)
        assert told["group"] == "/"
    with csv_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert float(rows[7]["drives_1"]) == whole["drives"].values[7, 1]
    assert float(rows[7]["answers_imag_2"]) == whole["answers"].values[7, 2].imag
    assert np.datetime64(rows[7]["time"]) == whole["time"].values[7]
    with np.load(npz) as arrays:
        np.testing.assert_array_equal(arrays["answers"], whole["answers"])
    again = xr.load_dataset(nc, engine="h5netcdf")
    np.testing.assert_array_equal(
        again["answers_real"] + 1j * again["answers_imag"], whole["answers"]
    )
    assert again["drives"].dims == ("row", "input")
    assert again["drives"].attrs["units"] == "1"


def test_what_cannot_be_exported_is_told(recording, tmp_path):
    for out, options, message in (
        ("rows.mat", {}, "suffix='.mat' is not one of"),
        ("rows.csv", {"group": "seed_0"}, "has no arrays in 'seed_0'; it has /"),
        ("rows.csv", {"dim": "time"}, "dim='time' is not one of"),
    ):
        with pytest.raises(ValueError, match=message):
            export(recording, tmp_path / out, **options)
    (tmp_path / "rows.csv").touch()
    with pytest.raises(FileExistsError):
        export(recording, tmp_path / "rows.csv")


def test_the_last_rows(recording):
    rows = list(tail(recording, rows=2))
    assert [row["row"] for row in rows] == [28, 29]
    assert np.shape(rows[0]["answers"]) == (3, 2)  # real and imaginary parts
    assert rows[0]["purpose"] == "train"
    with pytest.raises(ValueError, match="has no table in 'grid'; it has tables in /"):
        next(tail(recording, "grid"))


@posix
@pytest.mark.parametrize("live", ["plain", "live"])
def test_rows_are_followed_while_another_program_writes_them(path, live):
    with started(path, live) as process:
        try:
            process.stdout.readline()
            following = tail(path, follow=True, interval_s=0.01)
            seen = [next(following) for _ in range(3000)]
        finally:
            process.kill()
    first = seen[0]["row"]
    assert [row["row"] for row in seen] == list(range(first, first + 3000))
    assert all(row["k"] == row["row"] and row["x"][2] == row["row"] for row in seen)


def test_following_ends_with_the_run(path):
    file = RecordFile(path, kind="sweep")
    log = file.rows(COLUMNS)
    log.append(x=np.zeros((2, 3)), k=[0, 1])
    log.flush()
    following = tail(path, follow=True, interval_s=0.01)
    assert [next(following)["k"] for _ in range(2)] == [0, 1]
    log.append(x=np.zeros((1, 3)), k=[2])
    file.close()
    assert [row["k"] for row in following] == [2]
