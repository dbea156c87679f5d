"""`pnn train --resume`: what it asks, what it says, how it ends."""

import json

import h5py
import numpy as np
import pytest
from black_boxes import digits
from typer.testing import CliRunner

from devices.hdf5 import read_attributes
from pnn.cli.main import app


def pnn(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def folder(named_devices, tmp_path, monkeypatch):
    """A folder with a configuration, and the file of a run whose device died on the way."""
    monkeypatch.chdir(tmp_path)
    data = digits(rows=120)
    np.savez("some.npz", X=data.X, y=data.y)
    (tmp_path / "small.toml").write_text(
        'data = "some.npz"\ndevice = "test:box?n_inputs=20&max_batch=1"\nrule = "mono-forward"\n'
        "[network]\nwidth = 8\n[training]\nepochs = 4\n"
        '[run]\nout = "whole.h5"\ncontrols = ["linear"]\n'
    )
    (tmp_path / "dying.toml").write_text(
        (tmp_path / "small.toml").read_text().replace("max_batch=1", "max_batch=1&dies_after=50")
    )
    died = pnn("train", "dying.toml", "--out", "run.h5")
    assert died.exit_code == 3
    assert "go on with: pnn train --resume run.h5" in died.stderr
    with h5py.File("run.h5", "r+") as file:  # the device is mended
        file.attrs["config"] = file.attrs["config"].replace("&dies_after=50", "")
    return tmp_path


def test_a_run_goes_on_once_the_differences_are_accepted(folder):
    refused = pnn("train", "--resume", "run.h5")
    assert refused.exit_code == 2
    assert "--accept" in refused.stderr
    assert "devices[0].recipe" in refused.stderr
    resumed = pnn("train", "--resume", "run.h5", "--accept", "--json")
    assert resumed.exit_code == 0
    whole = pnn("train", "small.toml", "--json")
    one, other = (json.loads(result.stdout) for result in (resumed, whole))
    for key in ("accuracy", "controls", "queries", "arms"):
        assert one[key] == other[key]
    again = pnn("train", "--resume", "run.h5")
    assert again.exit_code == 0
    assert "nothing is missing" in again.stderr
    assert "accuracy" in again.stdout
    with h5py.File("run.h5") as file:
        told = read_attributes(file)
    assert told["status"] == "done"
    assert len(told["accepted"]) >= 2


def test_the_configuration_may_be_given_if_it_is_the_same(folder):
    assert pnn("train", "small.toml", "--resume", "run.h5", "--accept").exit_code == 0


def test_a_dry_run_lists_what_differs_and_what_is_missing(folder):
    before = (folder / "run.h5").read_bytes()
    refused = pnn("train", "--resume", "run.h5", "--dry-run")
    assert refused.exit_code == 2
    assert "devices[0].recipe" in refused.stderr
    checked = pnn("train", "--resume", "run.h5", "--dry-run", "--accept")
    assert checked.exit_code == 0
    assert "missing\n  seed 0: device, linear\n" in checked.stderr
    assert (folder / "run.h5").read_bytes() == before


def test_the_number_of_seeds_that_few_rows_ask_for_is_no_difference(folder):
    text = (folder / "small.toml").read_text()
    text = text.replace("test:box?n_inputs=20&max_batch=1", "sim:random-features?n_outputs=8")
    (folder / "sim.toml").write_text(text.replace("epochs = 4", "epochs = 1"))
    assert pnn("train", "sim.toml", "--no-controls").exit_code == 0
    with h5py.File("whole.h5") as file:
        assert "seed_9" in file
    again = pnn("train", "sim.toml", "--no-controls", "--resume", "whole.h5")
    assert again.exit_code == 0
    assert "nothing is missing" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "run.h5", "--epochs", "9"], "training.epochs: 4 -> 9"),
        (["dying.toml", "--resume", "run.h5", "--accept"], "the configuration is not that of"),
        (["--resume", "run.h5", "--out", "new.h5"], "leave --out new.h5 out"),
        (["small.toml", "--accept"], "--accept goes with --resume"),
        ([], "nothing to train"),
        (["--resume", "none.h5"], "cannot open none.h5"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused_and_the_file_left_alone(folder, arguments, message):
    before = (folder / "run.h5").read_bytes()
    refused = pnn("train", *arguments)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert (folder / "run.h5").read_bytes() == before


def test_other_data_are_refused(folder):
    data = digits(rows=119)
    np.savez("some.npz", X=data.X, y=data.y)
    refused = pnn("train", "--resume", "run.h5", "--accept")
    assert refused.exit_code == 2
    assert "the data are not those of run.h5" in refused.stderr
