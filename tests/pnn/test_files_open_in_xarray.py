"""Every file that a command writes opens in plain xarray, with named dimensions in every group."""

import shutil

import h5py
import numpy as np
import pytest
from black_boxes import digits
from typer.testing import CliRunner

import pnn
from devices.hdf5 import RecordFile
from pnn.cli.main import app
from pnn.log_tools.kinds import KINDS

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
BENCH = """
def measure(drives):
    if len(drives) < 20:  # the test rows
        raise RuntimeError("the lamp went out")
    return drives[:, :8] + 1j
"""
FAILING = """
data = "some.npz"
device = "function?function=bench.py:measure&n_inputs=64&n_outputs=8&output_dtype=complex128"
rule = "readout"
[run]
seeds = 1
test = 0.1
controls = []
"""
COMMANDS = {
    "train": "train train.toml --out trained.h5",
    "sweep": "sweep sweep.toml --out swept.h5",
    "characterise": f"characterise {DEVICE} --rows 120 --out characterised.h5 --no-plots",
    "calibrate": f"calibrate {DEVICE} --folder calibrations --only noise",
    "train that fails": "train failing.toml --out failed.h5",
    "import": "log import drives.csv answers.csv --out imported.h5",
    "twin": "twin fit recorded.h5 --kind affine --splits 1 --out twin.h5 --no-plot",
    "compare": "compare compare.toml --no-plots",
    "repair of a cut file": "log repair cut.h5",
    "repair of a killed run": "log repair killed.h5",
    "migrate": "log migrate old.h5",
    "export": "log export waves.h5 exported.nc --group /",
}
KINDS_WRITTEN = {
    "train": "train",
    "train that fails": "train",
    "sweep": "sweep",
    "characterise": "characterisation",
    "calibrate": "calibration",
    "twin": "twin",
    "compare": "compare",
}  # the others: "recording"
ENDS = {
    "train that fails": "failed",
    "repair of a cut file": "interrupted",
    "repair of a killed run": "interrupted",
}
MADE = ("recorded.h5", "live.h5", "waves.h5")  # from Python


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
    configs = {"train": TRAIN, "sweep": SWEEP, "compare": COMPARE, "failing": FAILING}
    for name, text in configs.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    (folder / "bench.py").write_text(BENCH, encoding="utf-8")
    waves = pnn.FunctionDevice(lambda u: u + 1j, 6, 6, output_dtype="complex128")
    with pnn.Recorded(waves, folder / "waves.h5") as device:
        device.measure(drives)
    with pnn.Recorded(pnn.build_device(DEVICE), folder / "live.h5", live=True) as device:
        device.measure(drives)
    damage(folder)
    return folder


def damage(folder):
    """Make files that need a repair or a migration."""
    whole = (folder / "recorded.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[:-2000])
    with RecordFile(folder / "writing.h5", kind="recording") as file:
        file.write("answers", np.ones((3, 2)), ("row", "output"), unit="V")
        file.flush()
        shutil.copy(folder / "writing.h5", folder / "killed.h5")
    (folder / "old.h5").write_bytes(whole)
    with h5py.File(folder / "old.h5", "r+") as file:
        del file.attrs["sessions"], file.attrs["run_id"]
        for name in ("layer", "epoch", "monotonic"):
            del file[name]


@pytest.mark.parametrize("name", MADE)
def test_every_record_opens_in_every_group(folder, name):
    assert_opens(folder / name, "recording", "done")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_of_a_command_opens_in_every_group(folder, command, monkeypatch):
    monkeypatch.chdir(folder)
    before = files(folder)
    done = CliRunner().invoke(app, COMMANDS[command].split(), catch_exceptions=False)
    assert done.exit_code == (3 if command in ENDS and "fails" in command else 0), done.output
    written = files(folder) - before
    assert written
    for path in written:
        assert_opens(path, KINDS_WRITTEN.get(command, "recording"), ENDS.get(command, "done"))


def test_no_kind_of_file_is_forgotten():
    assert {*KINDS_WRITTEN.values(), "recording"} == set(KINDS)


def files(folder):
    return {path for path in folder.rglob("*") if path.suffix in (".h5", ".nc")}


def assert_opens(path, kind, status):
    wrong = list(problems(path))
    assert not wrong, "\n".join(wrong)
    if path.suffix == ".h5":
        with pnn.open_run(path) as run:
            assert (run.kind, run.status) == (kind, status)
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
