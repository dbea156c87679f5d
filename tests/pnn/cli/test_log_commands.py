"""``pnn log`` on every kind of file that a command writes."""

import json
import shutil

import h5py
import numpy as np
import pytest
from black_boxes import digits
from typer.testing import CliRunner

import pnn
from devices import Flag
from devices.hdf5 import RecordFile, tables
from pnn.cli.main import app

DEVICE = "sim:scattering-medium?n_inputs=6&n_outputs=8&seed=1"
SWEEP = f"""
device = "{DEVICE}"
[[axis]]
what = "drive.0"
values = [0.0, 1.0]
"""
TRAIN = """
data = "some.npz"
device = "sim:scattering-medium?n_outputs=24&seed=1"
rule = "readout"
[run]
seeds = 4
record = true
controls = ["linear"]
"""
COMPARE = """
data = "some.npz"
rules = ["readout"]
devices = ["sim:random-features?n_outputs=24"]
budgets = [400]
[run]
seeds = 1
jobs = 1
"""
COMMANDS = {
    "trained.h5": "train train.toml --out trained.h5",
    "swept.h5": "sweep sweep.toml --out swept.h5",
    "characterised.h5": f"characterise {DEVICE} --rows 120 --out characterised.h5 --no-plots",
    "calibration.h5": f"calibrate {DEVICE} --folder calibrations --only noise",
    "imported.h5": "log import drives.csv answers.csv --out imported.h5",
    "twin.h5": "twin fit recorded.h5 --kind affine --splits 1 --out twin.h5 --no-plot",
    "compared.h5": "compare compare.toml --no-plots --out compared.h5",
}
SHOWN = {
    "recorded.h5": [
        "recording, done",
        "60 of 6 drives and 8 answers",
        "60 probe",
        "in the device",
        "faults",
        "calibration none",
    ],
    "trained.h5": [
        "small",
        "train, layout 1",
        "rule",
        "readout",
        "accuracy",
        "linear",
        "queries",
        "faults",
        "calibration",
    ],
    "swept.h5": ["sweep, done", "points", "2 of 2 measured"],
    "characterised.h5": ["characterisation, done", "verdict"],
    "calibration.h5": ["noise, done", "calibration, layout 1", "id ", "snr_db: ", " dB", "valid "],
    "imported.h5": ["recording, done", "drives"],
    "twin.h5": ["twin, done", "law ", "affine", "held-out R2", "affine share", "of  "],
    "compared.h5": ["compare, done", "rules", "readout", "accuracy %", "Linear model"],
}


def pnn_(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        data = digits(rows=120)
        np.savez("some.npz", X=data.X, y=data.y)
        drives = np.random.default_rng(0).random((60, 6))
        with pnn.Recorded(pnn.build_device(DEVICE), "recorded.h5") as device:
            answers = device.measure(drives)
        np.savetxt("drives.csv", drives, delimiter=",")
        np.savetxt("answers.csv", answers, delimiter=",")
        configs = {"train": 'name = "small"\n' + TRAIN, "sweep": SWEEP, "compare": COMPARE}
        for name, text in configs.items():
            (folder / f"{name}.toml").write_text(text, encoding="utf-8")
        for command in COMMANDS.values():
            done = pnn_(*command.split())
            assert done.exit_code == 0, done.output
        (made,) = (folder / "calibrations").glob("noise-*.h5")
        made.rename(folder / "calibration.h5")
    return folder


@pytest.mark.parametrize("name", SHOWN)
def test_every_file_is_shown_in_a_screenful(folder, name):
    shown = pnn_("log", "show", folder / name)
    assert shown.exit_code == 0
    for part in SHOWN[name]:
        assert part in shown.stdout
    lines = shown.stdout.splitlines()
    assert len(lines) < 40
    content = json.loads(pnn_("log", "show", folder / name, "--json").stdout)
    assert content["file"]["layout"] == 1
    assert content["status"] == "done"


@pytest.mark.parametrize("name", SHOWN)
def test_every_file_is_whole_and_can_be_handed_on(folder, name, tmp_path):
    checked = pnn_("log", "check", folder / name)
    assert checked.exit_code == 0, checked.stdout
    assert ": whole; " in checked.stdout
    with pnn.open_run(folder / name) as run:
        group = next(group for group in run.groups if run.dataset(group).sizes)
    for suffix in ("csv", "npz", "nc"):
        out = tmp_path / f"rows.{suffix}"
        done = pnn_("log", "export", folder / name, out, "--group", group)
        assert done.exit_code == 0, done.output
        assert out.stat().st_size > 0
    done = pnn_("log", "repair", folder / name, "--out", tmp_path / "copy.h5")
    assert "nothing was wrong" in done.stdout


def test_faults_calibrations_and_errors_are_shown(tmp_path):
    path = tmp_path / "run.h5"
    with pnn.Recorded(pnn.FunctionDevice(lambda u: u, 1, 1, name="box"), path) as device:
        device.measure([[0.1], [0.2], [0.3]], purpose="train")
    with h5py.File(path, "r+") as file:
        file["flags"][1:] = [Flag.RETRIED | Flag.CLIPPED, Flag.CLIPPED]
        file["attempts"][1] = 3
    RecordFile.reopen(path, kind="recording").close("failed", RuntimeError("the lamp went out"))
    shown = pnn_("log", "show", path).stdout
    assert "1 retried, 2 clipped, 2 attempts in vain" in shown
    assert "RuntimeError: the lamp went out" in shown
    assert "resumed     1 times" in shown
    faults = json.loads(pnn_("log", "show", path, "--json").stdout)["recordings"]["/"]["faults"]
    assert faults["clipped"] == 2


def test_a_run_that_failed_says_how_far_it_came_and_how_to_go_on(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.py").write_text(
        "def measure(drives):\n"
        "    if len(drives) < 30:\n"
        "        raise RuntimeError('no power')\n"
        "    return drives\n",
        encoding="utf-8",
    )
    device = "function?function=bench.py:measure&n_inputs=64&n_outputs=64"
    shutil.copy(folder / "some.npz", tmp_path)
    done = pnn_("train", folder / "train.toml", "--device", device, "--out", "run.h5")
    assert done.exit_code == 3, done.output
    shown = pnn_("log", "show", "run.h5").stdout
    assert "small, failed" in shown
    assert "queries     96 so far" in shown
    assert "no power" in shown
    assert "pnn train --resume run.h5" in shown


def test_a_damaged_file_ends_with_4_and_is_repaired(folder, tmp_path):
    path = tmp_path / "cut.h5"
    path.write_bytes((folder / "recorded.h5").read_bytes()[:-2000])
    checked = pnn_("log", "check", path)
    assert checked.exit_code == 4
    assert "it was cut short: 2000 of" in checked.stdout
    told = json.loads(pnn_("log", "check", path, "--json").stdout)
    assert told["good"] is False
    shown = pnn_("log", "show", path)
    assert shown.exit_code == 4
    assert shown.stderr.startswith("error: a file is damaged\n")
    assert "`pnn log check` says what is wrong" in shown.stderr
    assert "`pnn log repair` makes a copy" in shown.stderr
    mended = json.loads(pnn_("log", "repair", path, "--json").stdout)
    assert mended["copy"] == str(tmp_path / "cut.repaired.h5")
    assert pnn_("log", "check", mended["copy"]).exit_code == 0
    again = pnn_("log", "repair", path)
    assert again.exit_code == 4
    assert "is not overwritten" in again.stderr


@pytest.mark.parametrize("name", ["trained.h5", "swept.h5"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_what_is_left_of_a_cut_file_is_read_by_every_tool(folder, tmp_path, name, share):
    whole = (folder / name).read_bytes()
    path, mended = tmp_path / "cut.h5", tmp_path / "cut.repaired.h5"
    path.write_bytes(whole[: int(share * len(whole))])
    done = pnn_("log", "repair", path)
    if "too much is lost" in done.stderr:
        assert done.exit_code == 2
        assert share < 0.5
        assert not mended.exists()
        return
    assert done.exit_code == 0, done.output
    assert pnn_("log", "check", mended).exit_code == 0
    assert pnn_("log", "show", mended).exit_code == 0
    with pnn.open_run(mended) as run:
        for group in run.groups:
            run.dataset(group).load()
    with h5py.File(folder / name) as file, h5py.File(mended) as other:
        for table in tables(other):
            for column in table.lengths:
                place = f"{table.group.name}/{column}"
                np.testing.assert_array_equal(other[place], file[place][: table.rows])


def test_rows_are_printed(folder):
    printed = pnn_("log", "tail", folder / "recorded.h5", "-n", 2).stdout.splitlines()
    assert [line.split("  ")[0] for line in printed] == ["row 58", "row 59"]
    (line,) = pnn_(
        "log", "tail", folder / "trained.h5", "-n", 1, "-f", "--json"
    ).stdout.splitlines()
    assert len(json.loads(line)["answers"]) == 24


def test_what_is_new_needs_no_migration(folder):
    done = pnn_("log", "migrate", folder / "recorded.h5")
    assert done.exit_code == 2
    assert "nothing to do" in done.stderr


@pytest.mark.parametrize("verb", ["show", "check", "repair", "tail", "migrate"])
def test_what_is_not_there_is_told(verb, tmp_path):
    done = pnn_("log", verb, tmp_path / "none.h5")
    assert done.exit_code == 4
    assert "there is no file" in done.stderr
    done = pnn_("log", verb, tmp_path)
    assert done.exit_code == 4
    assert "is a folder" in done.stderr
