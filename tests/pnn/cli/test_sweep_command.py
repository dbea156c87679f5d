"""``pnn sweep`` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from pnn.cli.main import app
from pnn.sweeps.config import sweep_reference

CONFIG = """
device = "sim:scattering-medium?n_inputs=4&n_outputs=6&seed=1"
repeats = 2
metrics = ["mean"]
[probe]
rows = 3
[[axis]]
what = "drive.0"
values = [0.0, 1.5, 3.0]
[[axis]]
what = "device.read_noise"
from = 0.1
to = 10.0
points = 3
scale = "log"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text(CONFIG)
    return tmp_path


def pnn(*arguments):
    return CliRunner().invoke(app, ["sweep", *map(str, arguments)], catch_exceptions=False)


def test_a_sweep_prints_its_plan_its_extremes_and_its_file(folder):
    done = pnn("sweep.toml", "--out", "s.h5")
    assert done.exit_code == 0
    assert "18 points (drive_0 3, read_noise 3, repeat 2), 3 drives each" in done.stderr
    assert "queries 54" in done.stderr
    assert "18 points, 54 queries, done" in done.stdout
    assert "mean, highest" in done.stdout
    assert "written: s.h5" in done.stdout


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("sweep.toml",)])
def test_of_a_finished_sweep_the_summary_is_printed_again(folder, more):
    first = pnn("sweep.toml", "--out", "s.h5")
    content = (folder / "s.h5").read_bytes()
    again = pnn("--resume", "s.h5", *more)
    assert again.exit_code == 0
    assert again.stderr == "nothing is missing: s.h5 is complete\n"
    assert again.stdout == first.stdout
    assert (folder / "s.h5").read_bytes() == content
    as_json = json.loads(pnn("--resume", "s.h5", "--json").stdout)
    assert (as_json["status"], as_json["done"]) == ("done", 18)


def test_a_dry_run_drives_and_writes_nothing(folder):
    done = pnn("sweep.toml", "--dry-run", "--json")
    content = json.loads(done.stdout)
    assert (content["points"], content["queries"]) == (18, 54)
    assert content["seconds_left"] > 0
    assert list(folder.iterdir()) == [folder / "sweep.toml"]


def test_options_stand_above_the_file(folder):
    done = pnn("sweep.toml", "--out", "s.h5", "--repeats", 1, "--order", "grid", "--seed", 3,
               "--device", "sim:scattering-medium?n_inputs=5&n_outputs=2", "--json")  # fmt: skip
    content = json.loads(done.stdout)
    assert (content["points"], content["status"], content["run"]) == (9, "done", "s.h5")
    assert set(content["metrics"]["mean"]["lowest"]["at"]) == {"drive_0", "read_noise"}
    with h5py.File("s.h5") as file:
        assert file["rows/drives"].shape == (27, 5)
        np.testing.assert_array_equal(file["grid/order"][:, :, 0].T.ravel(), np.arange(9))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "needs a configuration, or a file to resume"),
        (("nowhere.toml",), 2, "there is no file nowhere.toml"),
        (("--resume", "nowhere.h5"), 4, "there is no file nowhere.h5"),
        (("--resume", "s.h5", "--repeats", "3"), 2, "--repeats: a sweep that is resumed"),
        (("sweep.toml", "--order", "odd"), 2, "sweep.toml: order = 'odd'"),
        (("sweep.toml", "--rig", "r.toml", "--device", "x"), 2, "two devices"),
        (("sweep.toml", "--out", "sweep.toml"), 4, "exists already"),
    ],
)
def test_errors_are_readable_and_nothing_is_driven(folder, arguments, code, message):
    done = pnn(*arguments)
    assert done.exit_code == code
    assert message in done.stderr


def test_a_value_outside_the_limits_is_told_with_its_axis(folder):
    (folder / "sweep.toml").write_text(CONFIG.replace("3.0]", "9.0]"))
    done = pnn("sweep.toml")
    assert done.exit_code == 2
    assert "axis drive_0: value 9: scattering-medium: drive 9" in done.stderr
    assert "outside [0, 3.14" in done.stderr


def test_a_file_that_is_open_elsewhere_is_told(folder):
    pnn("sweep.toml", "--out", "s.h5")
    code = "import h5py, sys; f = h5py.File('s.h5', 'r+'); print(1, flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1)
    other.stdout.readline()
    done = pnn("--resume", "s.h5")
    other.communicate(b"")
    assert done.exit_code == 4
    assert "s.h5 is being written by another program" in done.stderr


def test_the_keys_are_described():
    done = pnn("--keys")
    assert done.stdout == sweep_reference()
    assert "| `from` |" in done.stdout


def test_the_page_has_the_keys_that_the_code_gives():
    page = Path(__file__).resolve().parents[3] / "docs" / "sweeps.md"
    text = page.read_text(encoding="utf-8")
    assert text.endswith(sweep_reference()), "put the output of pnn sweep --keys at its end"
