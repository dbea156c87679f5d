"""Checkpoints of arrays of any names and shapes."""

import numpy as np
import pytest

from devices.hdf5 import Column, RecordFile, read_bundle

xarray = pytest.importorskip("xarray")

STATE = {
    "layer0.W": np.arange(6, dtype=np.float32).reshape(2, 3),
    "mask": np.array([True, False]),
    "rows": np.array(7),
    "field": np.array([1 + 2j]),
}


@pytest.fixture
def file(tmp_path):
    with RecordFile(tmp_path / "some.h5", kind="demo") as made:
        yield made


def assert_holds(file, arrays):
    found = read_bundle(file.h5, "state")
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == np.asarray(values).dtype


def test_what_was_written_last_is_read_whatever_its_shape(file):
    bundle, log = file.bundle("state"), file.rows({"x": Column()})
    assert read_bundle(file.h5, "state") is None
    assert read_bundle(file.h5, "another") is None
    log.append(x=[1.0])  # from now on, nothing new may be created
    for arrays in ({"first": np.zeros(3)}, STATE, STATE | {"more": np.ones((300, 200))}, STATE):
        bundle.write(arrays)
        assert_holds(file, arrays)
    bundle.clear()
    assert read_bundle(file.h5, "state") is None
    bundle.write(STATE)
    assert_holds(file, STATE)


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_write_that_was_cut_off_leaves_the_one_before(file, at):
    bundle = file.bundle("state")
    bundle.write({"a": np.zeros(9)})
    bundle.write(STATE)
    newest = max("ab", key=lambda name: file.h5["state"][name].attrs["sequence"])
    data = file.h5["state"][newest]
    data[at if at >= 0 else int(data.attrs["length"]) - 1] ^= 1
    assert_holds(file, {"a": np.zeros(9)})
    bundle.write(STATE)
    assert_holds(file, STATE)


def test_it_goes_on_in_a_file_that_is_opened_again_and_xarray_reads_it(tmp_path):
    path = tmp_path / "some.h5"
    with RecordFile(path, kind="demo") as file:
        file.bundle("state").write(STATE)
    with RecordFile.reopen(path, kind="demo") as file:
        assert_holds(file, STATE)
        file.bundle("state").write({"b": np.ones(2)})
        assert_holds(file, {"b": np.ones(2)})
    with xarray.open_dataset(path, engine="h5netcdf", group="state") as content:
        assert set(content) == {"a", "b"}
        content.load()
