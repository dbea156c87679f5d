"""What the writer takes care of: structure, types, space, and going on with a file."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from devices.hdf5 import (
    Column,
    RecordFile,
    RecordFull,
    StructureError,
    read_attributes,
    schema_of,
    tables,
    valid_rows,
)

X = {"x": Column(dims={"input": 3}, unit="V")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def opened(path, group=None, **options):
    with xr.open_dataset(path, engine="h5netcdf", group=group, **options) as dataset:
        return dataset.load()


def attributes(path):
    with h5py.File(path) as file:
        return read_attributes(file)


def python(code, *arguments):
    """Run a program in another process and return it."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# -- structure -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "create",
    [
        lambda file: file.group("new"),
        lambda file: file.write("new", np.zeros(3), ["input"]),
        lambda file: file.rows({"z": Column()}, dim="other"),
        lambda file: file.slot("new", 10),
        lambda file: file.set(new=1),
        lambda file: file.set(kind="another, longer text"),
        lambda file: file.set(error="x" * 5000),
        lambda file: file.plot("x", ["row", "."]),
    ],
)
def test_nothing_is_created_while_rows_are_appended(path, create):
    with RecordFile(path, kind="train") as file:
        file.group("there")
        log = file.rows(X)
        log.append(x=np.zeros((2, 3)))
        with pytest.raises(StructureError, match="while rows are appended"):
            create(file)
        log.append(x=np.zeros((2, 3)))
        with file.restructuring():
            create(file)
        with pytest.raises(StructureError):
            file.group("too late")
        assert file.group("there")
    assert opened(path).sizes["row"] == 4


def test_what_is_there_may_change_while_rows_are_appended(path):
    with RecordFile(path, kind="train") as file:
        file.slot("result", 100)
        file.set(count=1, share=0.5)
        file.write("weights", np.zeros(3), ["input"])
        file.rows(X).append(x=np.zeros((1, 3)))
        for count in range(2, 5):
            file.set(count=count, share=count / 2, result={"größe": [count] * count})
            file.rewrite("weights", [count] * 3)
            file.set(status=f"step {count}")
    found = attributes(path)
    assert (found["count"], found["share"]) == (4, 2.0)
    assert found["result"] == {"größe": [4, 4, 4, 4]}
    assert found["status"] == "done"
    np.testing.assert_array_equal(opened(path)["weights"], [4, 4, 4])


def test_an_empty_slot_is_no_attribute_and_a_large_one_is_refused(path):
    with RecordFile(path, kind="train") as file:
        file.slot("result", 100)
        with pytest.raises(ValueError, match=r"slot big: size=70000 must be from 1 to 60000"):
            file.slot("big", 70_000)
    assert "result" not in attributes(path)


def test_hints_say_what_to_plot(path):
    with RecordFile(path, kind="train") as file:
        file.write("x", np.zeros(3), ["x"])
        file.write("y", np.zeros(3), ["x"])
        file.plot("y", ["x"])
    assert (opened(path).attrs["signal"], opened(path).attrs["axes"]) == ("y", "x")
    assert attributes(path)["axes"] == ["x"]


# -- types -----------------------------------------------------------------------------------------


def test_counts_of_a_converter_take_two_bytes_and_read_as_volts(path):
    trace = Column(dims={"time": 50}, dtype=np.int16, unit="V", scale=1e-3, offset=0.5)
    volts = np.random.default_rng(0).uniform(-30, 30, (10, 50)).round(3)
    with RecordFile(path, kind="train") as file:
        log = file.rows({"trace": trace})
        log.append(trace=volts)
        for bad, told in ((33.4, "33.4"), (-40.0, "-40"), (np.nan, "nan"), (np.inf, "inf")):
            with pytest.raises(ValueError, match=rf"column trace: values from .*{told}.* int16"):
                log.append(trace=np.full((1, 50), bad))
        assert file.file["trace"].dtype == np.int16
    found = opened(path)["trace"]
    np.testing.assert_allclose(found, volts, atol=1e-5)
    assert found.attrs["units"] == "V"


@pytest.mark.parametrize("value", [256, -1, 1e9, np.nan])
def test_whole_numbers_do_not_wrap(path, value):
    with RecordFile(path, kind="train") as file:
        log = file.rows({"k": Column(dtype=np.uint8)})
        log.append(k=[0, 255])
        with pytest.raises(
            ValueError, match=r"column k: values from .* uint8, which holds 0 to 255"
        ):
            log.append(k=[value])
    np.testing.assert_array_equal(opened(path)["k"], [0, 255])


def test_texts_have_a_fixed_length(path):
    with RecordFile(path, kind="train") as file:
        log = file.rows({"id": Column(dtype="S8")})
        log.append(id=["a", "grün"])
        with pytest.raises(ValueError, match="column id: a text is longer than 8 bytes"):
            log.append(id=["123456789"])
        with pytest.raises(ValueError, match="column id"):
            log.append(id=[3])
    assert [one.decode() for one in opened(path)["id"].values] == ["a", "grün"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": object}, "is no number and no text of a fixed size"),
        ({"dtype": str}, "is no number and no text of a fixed size"),
        ({"scale": 0.1}, "scale=0.1 .* is for whole numbers"),
        ({"dtype": "int16", "scale": 0}, "scale=0 must be finite and not 0"),
        ({"offset": 1.0}, "offset=1.0 needs a scale"),
    ],
)
def test_columns_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        Column(**options)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_appended_in_any_pieces_comes_back(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("rows") / "run.h5"
    dtype = data.draw(st.sampled_from(["float32", "float64", "int16", "complex64", "complex128"]))
    width = data.draw(st.integers(1, 5))
    elements = None if dtype == "int16" else {"allow_nan": False, "width": None}
    rows = data.draw(
        hnp.arrays(dtype, st.tuples(st.integers(0, 600), st.just(width)))
        if elements is None
        else hnp.arrays(dtype, st.tuples(st.integers(0, 600), st.just(width)), fill=st.just(0.5))
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    columns = {"v": Column(dims={"w": width}, dtype=dtype)}
    with RecordFile(path, kind="t") as file:
        log = file.rows(columns)
        for piece in np.split(rows, cuts):
            log.append(v=piece)
    with RecordFile.reopen(path, kind="t") as file:
        log = file.rows(columns)
        assert log.count == len(rows)
        log.append(v=rows)
    found = opened(path)
    np.testing.assert_array_equal(found["v"], np.concatenate([rows, rows]))
    np.testing.assert_array_equal(found["row"], np.arange(2 * len(rows)))


# -- going on --------------------------------------------------------------------------------------


def test_a_file_goes_on_where_it_ended(path):
    file = RecordFile(path, kind="sweep")
    file.rows(X).append(x=np.zeros((3, 3)))
    file.close("failed", RuntimeError("the lamp went out"))
    with RecordFile.reopen(path, kind="sweep") as file:
        assert attributes(path)["status"] == "running"
        assert "error" not in attributes(path)
        log = file.rows(X)
        assert log.count == 3
        log.append(x=np.ones((2, 3)))
    with RecordFile.reopen(path, kind="sweep"):
        pass
    found = attributes(path)
    np.testing.assert_array_equal(opened(path)["x"][:, 0], [0, 0, 0, 1, 1])
    assert found["status"] == "done"
    assert [one["status"] for one in found["sessions"]] == ["failed", "done"]
    assert "the lamp went out" in found["sessions"][0]["error"]


def test_many_sessions_fit(path):
    RecordFile(path, kind="sweep").close("failed", RuntimeError("x" * 500))
    for _ in range(60):
        RecordFile.reopen(path, kind="sweep").close("failed", RuntimeError("y" * 500))
    sessions = attributes(path)["sessions"]
    assert "xxx" in sessions[0]["error"]
    assert len(sessions) > 5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": Column(dims={"input": 4}, unit="V")}, r"x is .*\(3,\)"),
        ({"x": Column(dims={"input": 3}, unit="A")}, "x is .* in V, asked for .* in A"),
        ({"x": Column(dims={"input": 3}, dtype="float32", unit="V")}, "x is .*float64.*float32"),
        ({"y": X["x"]}, "x is .*, asked for None; y is missing"),
        (X | {"y": Column()}, "y is missing"),
    ],
)
def test_a_table_goes_on_with_its_own_columns_only(path, columns, message):
    with RecordFile(path, kind="sweep") as file:
        file.rows(X)
    with (
        RecordFile.reopen(path, kind="sweep") as file,
        pytest.raises(ValueError, match=f"there is a table along row, but {message}"),
    ):
        file.rows(columns)


def test_ragged_ends_are_cut(path):
    with RecordFile(path, kind="sweep") as file:
        log = file.group("a").rows(X | {"k": Column(dtype=int)})
        log.append(x=np.ones((10, 3)), k=np.arange(10))
    with h5py.File(path, "r+") as file:
        file["a/x"].resize(12, axis=0)
        file["a/k"].resize(11, axis=0)
    assert opened(path, "a").sizes["row"] == 12  # xarray fills up what is short
    with h5py.File(path) as file:
        assert valid_rows(file["a"]) == 10
        (table,) = tables(file)
        assert table.ragged
    with RecordFile.reopen(path, kind="sweep") as file:
        assert file.group("a").rows(X | {"k": Column(dtype=int)}).count == 10
    assert opened(path, "a").sizes["row"] == 10


def test_an_index_that_was_not_written_counts_for_nothing(path):
    with RecordFile(path, kind="sweep") as file:
        file.rows(X).append(x=np.ones((10, 3)))
    with h5py.File(path, "r+") as file:
        for name in ("x", "row"):
            file[name].resize(3000, axis=0)  # as a kill leaves it: lengths without data
        assert valid_rows(file) == 10


def test_what_cannot_go_on_is_refused(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        RecordFile.reopen(path, kind="sweep")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        RecordFile.reopen(tmp_path, kind="sweep")
    path.write_text("no HDF5")
    with pytest.raises(OSError, match=r"run.h5 is damaged and cannot be opened .* `pnn log check`"):
        RecordFile.reopen(path, kind="sweep")
    path.unlink()
    RecordFile(path, kind="train").close()
    with pytest.raises(ValueError, match=r"of the kind 'train' and layout 1, not 'sweep' and 1"):
        RecordFile.reopen(path, kind="sweep")
    with h5py.File(path, "r+") as file:
        del file.attrs["sessions"]
        assert schema_of(file) == 0
    with pytest.raises(ValueError, match=r"layout 0, .*pnn log migrate"):
        RecordFile.reopen(path, kind="train")
    with h5py.File(path, "w"):
        pass
    with pytest.raises(ValueError, match="kind None and layout None"):
        RecordFile.reopen(path, kind="train")


def test_a_folder_in_the_files_place_is_named(tmp_path):
    (tmp_path / "run.h5").mkdir()
    with pytest.raises(FileExistsError, match=r"run\.h5 is a folder"):
        RecordFile(tmp_path / "run.h5", kind="train")


@pytest.mark.skipif(sys.platform == "win32", reason="locks are those of POSIX")
def test_a_file_that_another_program_has_open_is_named(path):
    with RecordFile(path, kind="train") as file:
        file.flush()
        done = python(
            """
            import sys
            from devices.hdf5 import RecordFile
            try:
                RecordFile.reopen(sys.argv[1], kind="train")
            except BlockingIOError as error:
                print(error)
            """,
            path,
        )
    assert "is open in another program" in done.stdout


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder nobody can write to")
def test_a_file_in_a_place_for_reading_is_named():
    with pytest.raises(OSError, match="/proc/version"):
        RecordFile.reopen("/proc/version", kind="train")


# -- room ------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are those of POSIX")
@pytest.mark.parametrize(("limit", "width", "rows"), [(150_000, 3, 7), (2_000_000, 1000, 50)])
def test_a_full_disk_ends_a_run_in_order(path, limit, width, rows):
    done = python(
        """
        import resource, sys
        import numpy as np
        from devices.hdf5 import Column, RecordFile, RecordFull
        path, limit, width, n = sys.argv[1], *map(int, sys.argv[2:])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        appended = 0
        try:
            with RecordFile(path, kind="train") as file:
                log = file.rows({"x": Column(dims={"i": width}), "k": Column(dtype=int)})
                while True:
                    k = np.arange(appended, appended + n)
                    appended += n
                    log.append(x=np.repeat(k[:, None], width, axis=1), k=k)
        except RecordFull as error:
            print(appended)
            print(error)
        """,
        path, limit, width, rows,
    )  # fmt: skip
    appended, message = done.stdout.splitlines()
    assert f"under the file-size limit of {limit} bytes" in message
    assert path.stat().st_size <= limit
    found = opened(path)
    np.testing.assert_array_equal(found["k"], np.arange(int(appended)))  # not one is lost
    np.testing.assert_array_equal(found["x"][:, -1], np.arange(int(appended)))
    assert attributes(path)["status"] == "failed"
    assert "RecordFull" in attributes(path)["error"]


def test_rows_that_another_program_leaves_no_room_for_are_reported(path, monkeypatch):
    free = [10**9]
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free[0]})())
    monkeypatch.setattr("devices.hdf5.rows._FLUSH_SHARE", 1e-12)
    monkeypatch.setattr("devices.hdf5.session.WAIT_SECONDS", 1e3)
    file = RecordFile(path, kind="train")
    log = file.rows(X)
    log.append(x=np.zeros((1, 3)))
    log.append(x=np.zeros((4, 3)))
    assert log.waiting == 4
    free[0] = 1000
    with pytest.raises(RecordFull, match="no room for the 4 rows that wait"):
        file.close()
    assert attributes(path)["status"] == "failed"
    assert "4 rows did not fit" in attributes(path)["error"]
    assert opened(path).sizes["row"] == 1


def test_room_is_looked_for_ahead(path, monkeypatch):
    with RecordFile(path, kind="train") as file:
        log = file.rows(X)
        log.make_room(1000)
        with pytest.raises(RecordFull, match=r"no room for .* more rows after 0"):
            log.make_room(10**13)
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**20})())
        with pytest.raises(RecordFull, match="no room for big of 8000000 bytes"):
            file.write("big", np.zeros(10**6), ["n"])


# -- readers while it grows ------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="needs a second process that reads")
def test_a_live_file_can_be_read_while_it_grows(path):
    reader = """
        import sys, h5py
        file = h5py.File(sys.argv[1], "r", swmr=True)
        for line in sys.stdin:
            for name in ("x", "row"):
                file[name].refresh()
            print(len(file["row"]), file["x"][:].sum(), flush=True)
        """
    with RecordFile(path, kind="train", live=True) as file:
        log = file.rows(X)
        log.append(x=np.ones((1, 3)))
        log.flush()
        command = [sys.executable, "-c", textwrap.dedent(reader), str(path)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            for rows in (1, 500, 1000):
                log.append(x=np.ones((rows - log.count, 3)))
                log.flush()
                process.stdin.write("look\n")
                process.stdin.flush()
                assert process.stdout.readline().split() == [str(rows), str(3.0 * rows)]
            process.stdin.close()
        with pytest.raises(StructureError, match="nothing can be added to a live file"):
            file.restructuring().__enter__()
        file.set(status="half way")
    assert opened(path).sizes["row"] == 1000
    assert attributes(path)["status"] == "done"
