"""A file that cannot be written is an error before anything is driven, whatever the command."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from black_boxes import digits
from typer.testing import CliRunner

from devices import FunctionDevice, Recorded
from devices.hdf5 import read_attributes, valid_rows
from pnn.cli.main import app

BENCH = """
import pathlib, numpy as np
def measure(drives):
    if pathlib.Path("off").exists():
        raise RuntimeError("no power")
    with open("driven", "a") as count:
        count.write("x" * len(drives))
    return np.abs(drives @ np.ones((drives.shape[1], 8))) + np.arange(8)
"""
DEVICE = "function?function=bench.py:measure&n_outputs=8"
CONFIGS = {
    "train": f"""
        data = "some.npz"
        rule = "readout"
        device = "{DEVICE}&n_inputs=64"
        [run]
        seeds = 1
        controls = []
    """,
    "sweep": f"""
        device = "{DEVICE}&n_inputs=6"
        [[axis]]
        what = "drive.0"
        from = 0.0
        to = 1.0
        points = 100
    """,
    "compare": f"""
        rules = ["readout"]
        devices = ["{DEVICE}&n_inputs=64"]
        budgets = [400]
        data = "some.npz"
        [run]
        seeds = 1
        jobs = 1
    """,
}
COMMANDS = {
    "train": "train train.toml --out",
    "sweep": "sweep sweep.toml --out",
    "compare": "compare compare.toml --no-plots --out",
    "characterise": f"characterise {DEVICE}&n_inputs=6 --rows 40 --no-plots --out",
    "calibrate": f"calibrate {DEVICE}&n_inputs=6 --only noise --folder",
}
PLACES = {
    "folder.h5": "is a folder|exists already",
    "file/run.h5": "cannot make the folder|cannot be written into",
    "there.h5": "is not overwritten|cannot be written into",
    "locked/run.h5": "cannot write the record|cannot be written into",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = digits(rows=60)
    np.savez("some.npz", X=data.X, y=data.y)
    (tmp_path / "bench.py").write_text(BENCH, encoding="utf-8")
    for name, text in CONFIGS.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "file").write_text("a text")
    (tmp_path / "there.h5").write_text("a text")
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    yield tmp_path
    locked.chmod(0o700)


def writable(place):
    """Whether this user may write where others may not, as an administrator does."""
    return place.startswith("locked") and os.access("locked", os.W_OK)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_driven_for_a_file_that_cannot_be_written(folder, command, place):
    if writable(place) or (command == "calibrate" and place == "folder.h5"):
        pytest.skip("it can be written")
    done = CliRunner().invoke(app, [*COMMANDS[command].split(), place])
    assert done.exit_code == 4
    assert any(text in done.stderr for text in PLACES[place].split("|")), done.stderr
    assert place in done.stderr
    assert not (folder / "driven").exists()


@pytest.mark.parametrize("place", PLACES)
def test_a_device_is_not_opened_for_a_record_that_cannot_be_written(folder, place):
    if writable(place):
        pytest.skip("it can be written")
    driven = []
    device = Recorded(FunctionDevice(lambda u: driven.append(u) or u, 2, 2), place)
    with pytest.raises(OSError, match=place.replace(".", r"\.")), device:
        raise AssertionError
    assert not driven
    assert not device.is_open


@pytest.mark.skipif(sys.platform == "win32", reason="locks are those of POSIX")
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_a_run_that_another_program_has_open_is_not_resumed(folder, command):
    unfinished(folder, command)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import h5py; f = h5py.File('run.h5', 'r+'); print(1); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "1\n"
        done = CliRunner().invoke(app, [command, "--resume", "run.h5"])
    finally:
        holder.communicate("\n")
    assert done.exit_code in (2, 4)
    assert "run.h5" in done.stderr
    assert not (folder / "driven").exists()
    assert CliRunner().invoke(app, [command, "--resume", "run.h5"]).exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are those of POSIX")
def test_a_disk_that_fills_ends_a_sweep_in_order_and_it_goes_on_with_more_room(folder):
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (240_000, 240_000)); "
        "from pnn.cli.main import app; app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "sweep", "sweep.toml", "--out", "run.h5"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "under the file-size limit of 240000 bytes" in done.stderr
    with h5py.File("run.h5") as file:
        assert read_attributes(file)["status"] == "failed"
        kept = valid_rows(file["rows"])
        assert 0 < kept < 1600
    again = CliRunner().invoke(app, ["sweep", "--resume", "run.h5"])
    assert again.exit_code == 0, again.output
    with h5py.File("run.h5") as file:
        assert valid_rows(file["rows"]) == 1600
        assert file["grid/done"][()].all()


def unfinished(folder, command):
    """Leave a run of which nothing is measured yet."""
    (folder / "off").touch()
    done = CliRunner().invoke(app, [*COMMANDS[command].split(), "run.h5"])
    assert done.exit_code == 3, done.output
    (folder / "off").unlink()
