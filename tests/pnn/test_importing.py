"""Recordings of others: what comes in, and what is said of what cannot."""

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from devices import LimitError, Replay
from pnn.importing import import_rows, write_recording

DRIVES = np.arange(12.0).reshape(4, 3) / 10
ANSWERS = DRIVES[:, :2] ** 2


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "bench.csv"
    lines = ["when;x1;x2;x10;y re;y im"]
    for drive, answer in zip(DRIVES, ANSWERS, strict=True):
        lines.append(";".join(["today", *map(str, drive), *map(str, answer)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_columns_of_a_table_by_pattern_name_and_number(table):
    rows = import_rows(table, drives="x*", answers="y re,y im")
    assert (rows.drives == DRIVES).all()
    assert (rows.answers == ANSWERS).all()
    again = import_rows(table, drives="4,2-3", answers="y*")
    assert (again.drives == DRIVES[:, [2, 0, 1]]).all()
    assert rows.spec.name == "bench"
    whole = import_rows(table, drives="x*", answers="y re", imaginary="y im", answer_unit="V")
    assert (whole.answers[:, 0] == ANSWERS[:, 0] + 1j * ANSWERS[:, 1]).all()
    assert whole.spec.output_unit == "V"


def test_two_files_without_headers(tmp_path):
    for name, values in (("drives", DRIVES), ("answers", ANSWERS)):
        np.savetxt(tmp_path / f"{name}.csv", values, delimiter=",")
    rows = import_rows([tmp_path / "drives.csv", tmp_path / "answers.csv"])
    assert (rows.drives == DRIVES).all()
    assert rows.spec.name == tmp_path.name
    chosen = import_rows([tmp_path / "drives.csv", tmp_path / "answers.csv"], answers="2")
    assert (chosen.answers == ANSWERS[:, 1:]).all()


def test_what_is_left_of_a_table_are_the_answers(tmp_path):
    np.savetxt(tmp_path / "all.csv", np.hstack([DRIVES, ANSWERS]), delimiter=",")
    assert (import_rows(tmp_path / "all.csv", drives="1-3").answers == ANSWERS).all()


def write(kind, path):
    content = {"drives": DRIVES, "answers": ANSWERS, "table": np.hstack([DRIVES, ANSWERS])}
    if kind == "npz":
        np.savez(path, note="a text", **content)
    elif kind == "mat":
        savemat(path, content | {"note": "a text"})
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            for name, values in content.items():
                file[name] = values
    else:  # as MATLAB's -v7.3 writes: axes in the other order, behind a block of 512 bytes
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, values in content.items():
                file[name] = values.T
    return path


@pytest.mark.parametrize(
    ("kind", "ending"), [("npz", "npz"), ("mat", "mat"), ("mat73", "mat"), ("h5", "h5")]
)
def test_files_with_arrays(kind, ending, tmp_path):
    path = write(kind, tmp_path / f"data.{ending}")
    for mapping in ({}, {"drives": "table:1-3", "answers": "table:4-5"}):
        rows = import_rows(path, **mapping)
        assert (rows.drives == DRIVES).all()
        assert (rows.answers == ANSWERS).all()


def test_arrays_with_a_column_for_each_measurement(tmp_path):
    savemat(tmp_path / "turned.mat", {"u": DRIVES.T, "y": ANSWERS.T})
    rows = import_rows(tmp_path / "turned.mat", drives="u", answers="y", transpose=True)
    assert (rows.drives == DRIVES).all()


def test_arrays_of_one_column_each_come_in_the_order_of_their_numbers(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        for k in range(12):
            file[f"in/x{k}"] = np.full(5, k) + np.arange(5)
        file["out"] = np.arange(5.0)
    rows = import_rows(tmp_path / "c.h5", drives="in/x*", answers="out")
    assert rows.drives[0].tolist() == list(range(12))


def test_what_is_written_is_replayed(table, tmp_path):
    rows = import_rows(table, drives="x*", answers="y*", unit="V", low=0.0, high=2.0)
    path = write_recording(rows, tmp_path / "r.h5", imported_from=[str(table)])
    with Replay(path) as replay:
        assert (replay.measure(DRIVES[::-1]) == ANSWERS[::-1]).all()
        assert (replay.spec.high, replay.spec.input_unit) == (2.0, "V")
    with pytest.raises(FileExistsError, match="not overwritten"):
        write_recording(rows, path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bench.csv", "r.h5"]


def test_a_recording_opens_in_xarray(table, tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    write_recording(import_rows(table, drives="x*", answers="y*"), tmp_path / "r.h5")
    with xarray.open_dataset(tmp_path / "r.h5", engine="h5netcdf") as data:
        assert data["drives"].dims == ("row", "input")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"drives": "z*"}, r"drives 'z\*' matches nothing; there are when, x1"),
        ({"drives": "x*", "answers": "x1"}, "among the drives and among the answers"),
        ({"drives": "x*,x1"}, "'x1' twice"),
        ({"drives": "1-9"}, "counted from 1 to 6"),
        ({"drives": "x*", "answers": "when"}, "line 2, column 'when': 'today' is not a number"),
        ({"answers": "y*"}, "say which columns are drives"),
        ({"drives": "x*", "answers": "y re", "imaginary": "x1"}, "among the drives"),
        ({"drives": "x*", "answers": "y*", "transpose": True}, "not for CSV"),
    ],
)
def test_selections_that_cannot_be(table, mapping, message):
    with pytest.raises(ValueError, match=message):
        import_rows(table, **mapping)


def test_rows_that_cannot_be(tmp_path, table):
    def file(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    good = file("good.csv", "1,2\n3,4\n5,6\n")
    with pytest.raises(ValueError, match=r"3 rows of drives .*but 2 of answers"):
        import_rows([good, file("short.csv", "1\n2\n")])
    with pytest.raises(ValueError, match="line 2: it has 1 cells, expected 2"):
        import_rows([good, file("ragged.csv", "1,2\n3\n")])
    with pytest.raises(ValueError, match="line 3, column '2': 'x' is not a number"):
        import_rows([good, file("word.csv", "1,2\n3,4\n5,x\n")])
    with pytest.raises(ValueError, match=r"nan among the answers, row 2 of column '1'"):
        import_rows([good, file("nan.csv", "1\nnan\n3\n")])
    with pytest.raises(ValueError, match="it is empty"):
        import_rows([good, file("empty.csv", "")])
    with pytest.raises(ValueError, match="drives must be real"):
        import_rows([file("complex.csv", "1+2j\n3\n4\n"), good])
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.csv"):
        import_rows(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="cannot be read as an NPZ file"):
        import_rows(file("text.npz", "text"))
    with pytest.raises(ValueError, match="cannot be read as a MATLAB file"):
        import_rows(file("text.mat", "text"))
    with pytest.raises(LimitError, match="row 2, input 0"):
        import_rows([good, good], high=4.5)
    np.savez(tmp_path / "apart.npz", a=np.zeros(3), b=np.zeros(4), y=np.zeros(3))
    with pytest.raises(ValueError, match="differ in their number of rows: a 3, b 4"):
        import_rows(tmp_path / "apart.npz", drives="a,b", answers="y")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet="1,2-:x*\n;e.+j ", max_size=40), st.text(alphabet="12,-:x*", max_size=8))
def test_whatever_is_in_a_file_there_is_a_recording_or_a_clear_error(tmp_path, text, selection):
    path = tmp_path / "any.csv"
    path.write_text(text, encoding="utf-8")
    try:
        rows = import_rows(path, drives=selection)
    except ValueError:
        return
    assert len(rows.drives) == len(rows.answers) > 0
