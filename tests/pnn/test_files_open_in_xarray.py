"""Every file that a command writes opens in plain xarray, with named dimensions in every group."""

import h5py
import numpy as np
import pytest
from black_boxes import digits
from typer.testing import CliRunner

import pnn
from pnn.cli.main import app

xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")

DEVICE = "sim:scattering-medium?n_inputs=6&n_outputs=8&seed=1"
TRAIN = """
data = "some.npz"
device = "sim:scattering-medium?n_outputs=24&seed=1"
rule = "readout"
[run]
seeds = 2
record = true
controls = ["linear"]
"""
SWEEP = f"""
device = "{DEVICE}"
metrics = ["mean"]
[[axis]]
what = "drive.0"
values = [0.0, 1.0]
[[axis]]
what = "device.setting"
values = ["rich", "measured-like"]
[[axis]]
what = "device.read_noise"
from = 0.0
to = 0.1
[sampling]
points = 4
"""
COMPARE = """
rules = ["readout"]
devices = ["sim:random-features?n_outputs=24"]
budgets = [400]
data = "some.npz"
[network]
width = 8
[training]
epochs = 2
[run]
seeds = 1
jobs = 1
out = "compared.h5"
"""
COMMANDS = {
    "train": "train train.toml --out trained.h5",
    "sweep": "sweep sweep.toml --out swept.h5",
    "characterise": f"characterise {DEVICE} --rows 120 --out characterised.h5 --no-plots",
    "calibrate": f"calibrate {DEVICE} --folder calibrations --only noise",
    "import": "log import drives.csv answers.csv --out imported.h5",
    "twin": "twin fit recorded.h5 --kind affine --splits 1 --out twin.h5 --no-plot",
    "compare": "compare compare.toml --no-plots",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which there is something to work on, a recording among it."""
    folder = tmp_path_factory.mktemp("files")
    data = digits(rows=120)
    np.savez(folder / "some.npz", X=data.X, y=data.y)
    drives = np.random.default_rng(0).random((60, 6))
    with pnn.Recorded(pnn.build_device(DEVICE), folder / "recorded.h5") as device:
        answers = device.measure(drives)
    for name, values in (("drives", drives), ("answers", answers)):
        np.savetxt(folder / f"{name}.csv", values, delimiter=",")
    for name, text in (("train", TRAIN), ("sweep", SWEEP), ("compare", COMPARE)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("command", ["recorded", *COMMANDS])
def test_every_file_opens_in_every_group(folder, command, monkeypatch):
    monkeypatch.chdir(folder)
    before = set() if command == "recorded" else set(folder.rglob("*.h5"))
    if command != "recorded":
        done = CliRunner().invoke(app, COMMANDS[command].split(), catch_exceptions=False)
        assert done.exit_code == 0, done.output
    written = [path for path in set(folder.rglob("*.h5")) - before if "runs" not in path.parts]
    assert written
    wrong = [problem for path in written for problem in problems(path)]
    assert not wrong, "\n".join(wrong)
    for path in written:
        with pnn.open_run(path) as run:
            assert run.status == "done"
            assert run.kind in repr(run)
            for group in run.groups:
                run.dataset(group).load()


def problems(path):
    """Yield what plain xarray does not show as it should."""
    with h5py.File(path) as file:
        groups = {"/": file}
        file.visititems(lambda n, item: groups.update({n: item} if is_group(item) else {}))
        here = {
            name: [key for key, item in group.items() if shown(item)]
            for name, group in groups.items()
        }
    for group, arrays in here.items():
        where = f"{path.name}, group {group}"
        try:
            with xarray.open_dataset(path, engine="h5netcdf", group=group) as dataset:
                dataset.load()
        except Exception as error:
            yield f"{where}: {type(error).__name__}: {error}"
            continue
        yield from (f"{where}: {key} is not shown" for key in arrays if key not in dataset)
        for name, array in dataset.variables.items():
            if any(str(dim).startswith("phony_dim") for dim in array.dims):
                yield f"{where}: {name} has axes without names: {array.dims}"
            if name == "time" and array.dtype.kind != "M":
                yield f"{where}: {name} is {array.dtype}, no time"


def is_group(item):
    return isinstance(item, h5py.Group)


def shown(item):
    """Whether an item is an array, and not a mere dimension."""
    mere = b"This is a netCDF dimension but not a netCDF variable"
    return isinstance(item, h5py.Dataset) and mere not in item.attrs.get("NAME", b"")
