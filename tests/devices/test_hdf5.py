"""Files that plain xarray opens, whatever happened to the program that wrote them."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from devices.hdf5 import BLOCK_ROWS, SCHEMA, Column, RecordFile, attribute, read_attributes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def opened(path, group=None, **options):
    with xr.open_dataset(path, engine="h5netcdf", group=group, **options) as dataset:
        return dataset.load()


def attributes(path):
    with h5py.File(path) as file:
        return read_attributes(file)


COLUMNS = {"x": Column(dims={"input": 3}, unit="V"), "k": Column(dims={}, dtype=np.uint8)}


def block(n, value=0.0):
    return {"x": np.full((n, 3), value), "k": np.arange(n) % 256}


# -- the file --------------------------------------------------------------------------------------


def test_a_file_says_what_it_is_and_how_it_ended(path):
    with RecordFile(path, kind="sweep", seed=3) as file:
        assert file.path == path
        assert attributes(path)["status"] == "running"  # it can be read while it is being written
    found = attributes(path)
    assert found["schema"] == SCHEMA
    assert (found["kind"], found["seed"], found["status"]) == ("sweep", 3, "done")
    assert found["started"] <= found["ended"]
    assert "error" not in found


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("the readout is singular"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(1), "interrupted"),
    ],
)
def test_a_failure_is_kept_and_goes_on_its_way(path, error, status):
    with pytest.raises(type(error)), RecordFile(path, kind="train"):
        raise error
    found = attributes(path)
    assert found["status"] == status
    assert found["error"] == f"{type(error).__name__}: {error}"


def test_an_error_text_that_hdf5_cannot_hold_does_not_hide_the_error(path):
    with pytest.raises(RuntimeError), RecordFile(path, kind="train"):
        raise RuntimeError("answer was '\x00\x01\udcff'")
    assert "answer was" in attributes(path)["error"]


def test_closing_twice_keeps_the_first_status(path):
    with RecordFile(path, kind="train") as file:
        file.close("interrupted")
    assert attributes(path)["status"] == "interrupted"


def test_a_record_is_never_overwritten(path):
    with RecordFile(path, kind="train", seed=1):
        pass
    with pytest.raises(FileExistsError, match=r"run\.h5 exists already and is not overwritten"):
        RecordFile(path, kind="train", seed=2)
    assert attributes(path)["seed"] == 1


def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "run.h5"
    RecordFile(path, kind="train").close()
    assert opened(path).attrs["status"] == "done"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "note").write_text("a file, no folder")
    for path in (tmp_path / "note" / "run.h5", tmp_path / "note" / "deeper" / "run.h5"):
        with pytest.raises(OSError, match=r"cannot .* the record .*run\.h5") as caught:
            RecordFile(path, kind="train")
        assert not isinstance(caught.value, FileExistsError)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder nobody can write to")
def test_a_folder_without_permission_is_named():
    with pytest.raises(OSError, match=r"cannot write the record /proc/run\.h5"):
        RecordFile("/proc/run.h5", kind="train")


def test_a_bad_attribute_leaves_no_open_file(path):
    class Broken:
        def __str__(self):
            raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        RecordFile(path, kind="train", config=Broken())
    with h5py.File(path, "r+") as file:  # not locked, so not left open
        assert read_attributes(file)["status"] == "failed"


def test_long_texts_fit(path):
    with RecordFile(path, kind="train", config=list(range(50_000))):
        pass
    assert attributes(path)["config"][-1] == 49_999


# -- attributes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [3, 2.5, "text", np.float32(0.5), np.int64(-4)])
def test_numbers_and_texts_are_kept_as_they_are(path, value):
    with RecordFile(path, kind="train") as file:
        file.set(value=value)
    assert attributes(path)["value"] == value


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, 1),
        (np.bool_(False), 0),
        (2**128, str(2**128)),
        (None, "null"),
        ([1, "a"], '[1, "a"]'),
        ({"a": np.arange(2), "b": np.float64(0.5)}, '{"a": [0, 1], "b": 0.5}'),
        ({"path": Path("a")}, '{"path": "a"}'),
    ],
)
def test_everything_else_becomes_json(value, kept):
    assert attribute(value) == kept
    json.loads(str(attribute(value)))


# -- arrays ----------------------------------------------------------------------------------------


def test_arrays_have_named_dimensions_coordinates_and_units(path):
    with RecordFile(path, kind="sweep") as file:
        group = file.group("response")
        group.set(device="cavity")
        group.write("frequency", [1e3, 2e3, 3e3], ["frequency"], unit="Hz")
        group.write(
            "gain", np.arange(6).reshape(2, 3), ["port", "frequency"], unit="dB", long_name="S21"
        )
        group.write("clipped", np.array([True, False]), ["port"])
        group.write("temperature", 293.0, [], unit="K")
        group.write("field", np.array([1 + 2j, 3j]), ["port"], unit="V")
    found = opened(path, "response")
    assert found.attrs["device"] == "cavity"
    assert found["gain"].dims == ("port", "frequency")
    assert found["gain"].attrs == {"units": "dB", "long_name": "S21"}
    assert dict(found.sizes) == {"frequency": 3, "port": 2}
    assert set(found.coords) == {"frequency"}
    assert float(found["gain"].sel(frequency=2e3, port=1)) == 4
    np.testing.assert_array_equal(found["clipped"], [1, 0])
    np.testing.assert_array_equal(found["field"], [1 + 2j, 3j])
    assert float(found["temperature"]) == 293


def test_a_dimension_has_one_length_in_a_group(path):
    with RecordFile(path, kind="sweep") as file:
        file.write("a", np.zeros((2, 3)), ["port", "time"])
        with pytest.raises(ValueError, match="dimension port has length 2, not 4"):
            file.write("b", np.zeros(4), ["port"])
        file.group("other").write("b", np.zeros(4), ["port"])  # another group, another length
        with pytest.raises(ValueError, match=r"c: 1 axes, but the names \('port', 'time'\)"):
            file.write("c", np.zeros(2), ["port", "time"])
        with pytest.raises(ValueError, match="dimension port has length 2, not 5"):
            file.rows({"d": Column(dims={"port": 5})})
    assert opened(path)["a"].shape == (2, 3)
    assert opened(path, "other")["b"].shape == (4,)


def test_values_may_be_rewritten_in_their_shape(path):
    with RecordFile(path, kind="train") as file:
        assert "weights" not in file
        file.write("weights", np.zeros(3), ["unit"])
        file.rewrite("weights", [1, 2, 3])
        assert "weights" in file
        with pytest.raises(ValueError, match=r"weights has shape \(3,\), the new values \(2,\)"):
            file.rewrite("weights", [1, 2])
    np.testing.assert_array_equal(opened(path)["weights"], [1, 2, 3])


# -- tables that grow ------------------------------------------------------------------------------


def test_rows_come_back_in_order_with_their_types(path):
    columns = COLUMNS | {
        "z": Column(dims={"output": 2}, dtype="complex128", unit="V", long_name="answer"),
        "time": Column(dims={}, unit="seconds since 1970-01-01T00:00:00Z"),
    }
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(700, 3)), rng.normal(size=(700, 2, 2)) @ [1, 1j]
    with RecordFile(path, kind="train") as file:
        log = file.group("device").rows(columns)
        for start in range(0, 700, 7):
            rows = slice(start, start + 7)
            k, time = np.arange(700)[rows] % 256, 1e9 + np.arange(700)[rows]
            log.append(x=x[rows], z=z[rows], k=k, time=time)
    found = opened(path, "device")
    assert dict(found.sizes) == {"row": 700, "input": 3, "output": 2}
    np.testing.assert_array_equal(found["row"], np.arange(700))
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["z"], z)
    np.testing.assert_array_equal(found["k"], np.arange(700) % 256)
    assert found["k"].dtype == np.uint8
    assert found["x"].attrs["units"] == "V"
    assert found["z"].attrs["long_name"] == "answer"
    assert found["time"].values[1] == np.datetime64("2001-09-09T01:46:41")
    for group in (None, "device"):
        opened(path, group)


def stored(path):
    with h5py.File(path) as file:
        return len(file["row"])


def test_blocks_go_out_when_full_or_late(path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("devices.hdf5.rows.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("devices.hdf5.rows._FLUSH_SHARE", 1e-12)  # a slow disk
    monkeypatch.setattr("devices.hdf5.session.WAIT_SECONDS", 1e3)
    with RecordFile(path, kind="train") as file:
        log = file.rows(COLUMNS)
        log.append(**block(1))
        assert stored(path) == 1
        log.append(**block(BLOCK_ROWS - 1))
        assert (stored(path), log.count, log.waiting) == (1, BLOCK_ROWS, BLOCK_ROWS - 1)
        log.append(**block(1))
        assert stored(path) == BLOCK_ROWS + 1
        clock[0] = 0.9
        log.append(**block(1))
        assert stored(path) == BLOCK_ROWS + 1
        clock[0] = 1.1
        log.append(**block(1))
        assert stored(path) == BLOCK_ROWS + 3
        log.append(**block(1))
        assert stored(path) == BLOCK_ROWS + 3
        log.flush()
        assert stored(path) == BLOCK_ROWS + 4
        log.flush()
        log.append(**block(0))
    assert stored(path) == BLOCK_ROWS + 4


def test_rows_wait_no_longer_than_makes_flushing_cheap(path, monkeypatch):
    monkeypatch.setattr("devices.hdf5.rows._FLUSH_SHARE", 10.0)  # cheap on a busy machine, too
    with RecordFile(path, kind="train") as file:
        log = file.rows(COLUMNS)
        for _ in range(5):
            log.append(**block(1))
            time.sleep(0.1)
            log.append(**block(1))
            assert log.waiting == 0


def test_rows_reach_the_disk_though_nobody_appends_another(path, tmp_path, monkeypatch):
    monkeypatch.setattr("devices.hdf5.rows._FLUSH_SHARE", 1e-12)
    with RecordFile(path, kind="train") as file:
        log = file.rows(COLUMNS)
        for n in (1, 2):
            log.append(**block(n))
        assert log.waiting == 2
        deadline = time.monotonic() + 30
        while log.waiting and time.monotonic() < deadline:
            time.sleep(0.02)
        assert log.waiting == 0
        log.flush()  # until the write is over
        left = shutil.copy(path, tmp_path / "left.h5")  # as a kill leaves it
        assert stored(left) == 3


def test_flushing_the_file_flushes_its_tables(path):
    with RecordFile(path, kind="train") as file:
        file.rows(COLUMNS).append(**block(5))
        file.flush()
        assert stored(path) == 5


@pytest.mark.parametrize("error", [None, RuntimeError("boom"), KeyboardInterrupt()])
def test_closing_writes_the_rows_that_wait(path, error):
    try:
        with RecordFile(path, kind="train") as file:
            file.group("a").group("b").rows(COLUMNS).append(**block(5, 0.5))
            if error:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        pass
    np.testing.assert_array_equal(opened(path, "a/b")["x"], np.full((5, 3), 0.5))


def test_rows_are_those_of_the_moment_of_appending(path):
    buffer = block(2, 1.0)
    with RecordFile(path, kind="train") as file:
        log = file.rows(COLUMNS)
        log.append(**buffer)
        buffer["x"][:] = 2.0  # the caller fills his buffer again
        log.append(**buffer)
    np.testing.assert_array_equal(opened(path)["x"][:, 0], [1, 1, 2, 2])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": np.zeros((2, 3))}, r"needs the columns \['k', 'x'\]"),
        (block(2) | {"y": np.zeros(2)}, r"needs the columns \['k', 'x'\]"),
        ({}, "needs the columns"),
        (block(2) | {"k": np.zeros(3)}, r"of equal length, got .*'x': 2.*'k': 3"),
        (block(2) | {"x": np.zeros((2, 4))}, r"column x: .*\(3,\), got float64 of shape \(4,\)"),
        (block(2) | {"x": np.zeros(2)}, r"column x: "),
        (block(2) | {"x": np.zeros((2, 3), complex)}, "column x: .*complex128"),
    ],
)
def test_wrong_columns_are_refused_and_spoil_nothing(path, columns, message):
    with RecordFile(path, kind="train") as file:
        log = file.rows(COLUMNS)
        log.append(**block(1))
        with pytest.raises(ValueError, match=message):
            log.append(**columns)
        log.append(**block(1))
    assert opened(path).sizes["row"] == 2


def test_an_empty_table_opens(path):
    with RecordFile(path, kind="train") as file:
        file.rows(COLUMNS)
    assert opened(path)["x"].shape == (0, 3)


def test_wide_rows_are_stored_in_chunks_of_bounded_size(path):
    with RecordFile(path, kind="train") as file:
        log = file.rows({"image": Column(dims={"y": 600, "x": 600})})
        log.append(image=np.ones((3, 600, 600)))
        chunk = file.file["image"].chunks
    assert np.prod(chunk) * 8 <= 600 * 600 * 8
    assert float(opened(path)["image"].sum()) == 3 * 600 * 600


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_kill_9_loses_no_flushed_row(path):
    script = textwrap.dedent(
        """
        import sys, itertools, numpy as np
        from devices.hdf5 import Column, RecordFile
        file = RecordFile(sys.argv[1], kind="train")
        file.write("mask", np.arange(3.0), ["input"])
        log = file.group("device").rows(
            {"x": Column(dims={"input": 3}), "z": Column(dims={}, dtype="complex64")}
        )
        for i in itertools.count():
            rows = np.arange(10 * i, 10 * i + 10)
            log.append(x=np.repeat(rows[:, None], 3, axis=1), z=1j * rows)
            if i % 10 == 9:
                log.flush()
                print(10 * i + 10, flush=True)
        """
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(30):
            process.stdout.readline()
        process.kill()
        flushed = int(("3000\n" + process.stdout.read()).split("\n")[-2])
    assert process.returncode != 0
    found = opened(path, "device")
    rows = found.sizes["row"]
    assert rows >= flushed >= 3000
    np.testing.assert_array_equal(found["x"][:, 2], np.arange(rows))
    np.testing.assert_array_equal(found["z"], 1j * np.arange(rows))
    assert opened(path).attrs["status"] == "running"
