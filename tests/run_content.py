"""What must be the same in two run files of the same run."""

import h5py
import numpy as np

from devices.hdf5 import read_attributes

#: Times differ; of a checkpoint, which of its buffers is the newer one.
_LEFT_OUT = ("time", "monotonic", "duration", "state", "controls")


def content(path):
    """Return all arrays of the seeds of a finished run, with what they spent and scored."""
    found = {}

    def keep(group, name):
        for key, item in group.items():
            inside = isinstance(item, h5py.Group)
            # A row's parameters have the same name as a checkpoint.
            if key in _LEFT_OUT and (inside or key not in ("state", "controls")):
                continue
            if inside:
                keep(item, f"{name}/{key}")
            elif not item.is_scale or item.dtype.kind == "i":
                found[f"{name}/{key}"] = item[()]

    with h5py.File(path) as file:
        assert read_attributes(file)["status"] == "done"
        for name in [name for name in file if name.startswith("seed_")]:
            keep(file[name], name)
            told = read_attributes(file[name])
            assert told["status"] == "done"
            found[f"{name} spent"] = [told["ledger"]["queries"], told["ledger"]["retries"]]
            found[f"{name} scores"] = told["scores"]
    return found


def assert_same(one, other):
    """Compare two contents bit for bit."""
    assert one.keys() == other.keys()
    for name, values in one.items():
        if isinstance(values, np.ndarray):
            np.testing.assert_array_equal(values, other[name], err_msg=name)
        else:
            assert values == other[name], name
