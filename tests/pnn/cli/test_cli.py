"""The command line: what it prints, how it ends, what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from black_boxes import digits
from typer.testing import CliRunner

from pnn import __version__
from pnn.cli.main import app
from pnn.config import Config, presets
from pnn.controls import CONTROLS


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Digits in a file, and the same rows without their labels."""
    folder = tmp_path_factory.mktemp("data")
    data = digits(rows=150)
    np.savez(folder / "some.npz", X=data.X, y=data.y)
    np.savetxt(folder / "bare.csv", data.X[:20], delimiter=",")
    return folder


@pytest.fixture(scope="module")
def config(rows, named_devices):
    path = rows / "small.toml"
    path.write_text(
        f'data = "{(rows / "some.npz").as_posix()}"\n'
        'device = "test:box?n_inputs=20"\n'
        "[network]\nwidth = 12\n[training]\nepochs = 25\n[run]\nthreads = 1\n",
        encoding="utf-8",
    )
    return str(path)


TABLES = ("data", "network", "rule", "training", "run")


def pnn(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(config, rows):
    """The output of a training of two seeds, and its run file."""
    out = rows / "run.h5"
    return pnn("train", config, "--seeds", 2, "--out", out, "--json"), out


# -- train -------------------------------------------------------------------------------------


def test_json_alone_stands_on_stdout_and_the_plan_on_stderr(trained):
    done, out = trained
    assert done.exit_code == 0
    content = json.loads(done.stdout)
    assert content["run"] == str(out)
    assert content["seeds"] == [0, 1]
    assert set(content["controls"]) == set(CONTROLS)
    for key in ("accuracy", "accuracy_std", "gains", "verdict", "queries", "seconds", "arms"):
        assert key in content
    assert content["queries"]["total"] > 0
    assert "rule     phyll (class OUTPUTS)" in done.stderr
    assert "queries  at most" in done.stderr


def test_people_get_a_block_that_ends_with_the_file(config, tmp_path):
    done = pnn("train", config, "--no-controls", "--out", tmp_path / "run.h5")
    assert done.exit_code == 0
    assert "some, phyll: accuracy" in done.stdout
    assert "No controls were run" in done.stdout
    assert done.stdout.strip().endswith(f"file     {tmp_path / 'run.h5'}")


def test_options_take_precedence_over_the_file(config, tmp_path):
    done = pnn(
        *("train", config, "--json", "--no-controls", "--record", "--out", tmp_path / "run.h5"),
        *("--device", "test:box?n_inputs=16&n_outputs=7", "--rule", "mono-forward"),
        *("--seed", 5, "--seeds", 2, "--epochs", 2, "--threads", 1),
    )
    content = json.loads(done.stdout)
    assert content["device"] == "Box(n_inputs=16, n_outputs=7)"
    assert (content["rule"], content["seeds"]) == ("mono-forward", [5, 6])
    assert content["controls"] == {}
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["seed_5/metrics/epoch"][-1] == 2
        assert len(file["seed_6/measurements_0/drives"]) == content["queries"]["total"]
        config_kept = json.loads(file.attrs["config"])
    assert config_kept["training"]["epochs"] == 2
    assert config_kept["run"]["seed"] == 5


def test_what_is_warned_of_while_training_is_noted(rows, tmp_path):
    done = pnn(
        *("train", "digits-optical", "--data", rows / "some.npz", "--rule", "dfa", "--epochs", 1),
        *("--device", "sim:scattering-medium?n_outputs=64", "--no-controls", "--json"),
        *("--seeds", 2, "--threads", 1, "--out", tmp_path / "run.h5"),
    )
    assert done.exit_code == 0, done.stderr
    notes = [n for n in json.loads(done.stdout)["notes"] if "act on each drive" in n]
    assert len(notes) == 1
    assert done.stderr.count(f"note     {notes[0]}") == 1


def test_other_data_leave_the_options_of_the_presets_own_behind(tmp_path, rows):
    done = pnn("train", "vowels-acoustic", "--data", rows / "some.npz", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["test"] == 30


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_checks_and_estimates_and_drives_nothing(
    config, named_devices, tmp_path, monkeypatch, as_json
):
    monkeypatch.chdir(tmp_path)
    named_devices.clear()
    done = pnn("train", config, "--dry-run", *(["--json"] if as_json else []))
    assert done.exit_code == 0
    assert "queries  at most" in done.stderr
    if as_json:
        assert json.loads(done.stdout)["queries"]["total"] > 0
    else:
        assert "nothing was driven" in done.stdout
    assert not any(box.calls for box in named_devices)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", ["digits-optical", "digits-acoustic"])
def test_presets_check_out(preset):
    assert pnn("train", preset, "--dry-run").exit_code == 0


# -- exit codes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "digits-optcal"], "Did you mean 'digits-optical'?"),
        (["train", "digits-optical", "--rule", "backprop"], "is not one of phyll, "),
        (["train", "digits-optical", "--device", "sim:scatering-medium"], "Did you mean 'sim:sca"),
        (["train", "digits-optical", "--device", "sim:scattering-medium?pixels=3"], "its argument"),
        (["train", "digits-optical", "--epochs", "0"], "training.epochs = 0"),
        (["train", "digits-optical", "--data", "digit"], "Did you mean 'digits'?"),
        (["train", "digits-optical", "--data", "nowhere.xyz"], "there is no data source"),
        (["train", "digits-optical", "--epocs", "3"], "--epocs"),
    ],
)
def test_a_typo_ends_with_2_and_its_remedy(arguments, message):
    done = pnn(*arguments, *(["--dry-run"] if "--epocs" not in arguments else []))
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_mistake_in_a_file_is_one_readable_block(config, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(Path(config).read_text(encoding="utf-8") + "sedes = 3\n", encoding="utf-8")
    done = pnn("train", wrong)
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "error: cannot do this",
        f"  {wrong}: there is no key run.sedes; did you mean 'seeds'?",
    ]


def test_a_dying_device_ends_with_3_and_its_rows_are_in_the_file(config, tmp_path, named_devices):
    out = tmp_path / "run.h5"
    done = pnn("train", config, "--device", "test:box?n_inputs=20&dies_after=40", "--out", out)
    assert done.exit_code == 3
    assert "error: the device failed" in done.stderr
    assert "the lamp went out" in done.stderr
    with h5py.File(out) as file:
        assert file.attrs["status"] == b"failed"
        assert file["seed_0/failure/answers"].shape == (40, 32)
    assert named_devices[-1].calls[-1] == "close"
    shown = pnn("log", "show", out)
    assert shown.exit_code == 0
    assert "failed" in shown.stdout
    assert "the lamp went out" in shown.stdout
    assert "seed_0: failed" in shown.stdout


def test_a_file_in_the_way_ends_with_4(config, tmp_path):
    out = tmp_path / "run.h5"
    out.write_text("mine")
    done = pnn("train", config, "--out", out)
    assert done.exit_code == 4
    assert "exists already and is not overwritten" in done.stderr
    assert out.read_text() == "mine"


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_missing_data_end_with_4(config, suffix):
    done = pnn("train", config, "--data", f"nowhere.{suffix}")
    assert done.exit_code == 4
    assert "there is no such file" in done.stderr


def test_a_bug_is_shown_as_one(config, tmp_path, monkeypatch):
    def broken(config):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("pnn.experiment.load_data", broken)
    with pytest.raises(ZeroDivisionError):  # a traceback, and 1, from Python itself
        pnn("train", config, "--out", tmp_path / "run.h5")


# -- predict and log ---------------------------------------------------------------------------


def test_bare_features_are_predicted_row_by_row(trained, rows):
    _, out = trained
    done = pnn("predict", out, rows / "bare.csv", "--json")
    assert done.exit_code == 0
    content = json.loads(done.stdout)
    assert len(content["predictions"]) == 20
    assert set(content["predictions"]) <= {"0", "1", "2"}
    assert content["accuracy"] is None
    lines = pnn("predict", out, rows / "bare.csv").stdout.split()
    assert lines == content["predictions"]


def test_labelled_data_are_scored_too(trained, rows):
    _, out = trained
    done = pnn("predict", out, rows / "some.npz", "--json")
    content = json.loads(done.stdout)
    assert len(content["predictions"]) == 150
    assert content["accuracy"] > 0.6
    people = pnn("predict", out, rows / "some.npz")
    assert "of 150 labels match" in people.stderr


def test_named_data_are_read_as_in_the_run(tmp_path):
    out = tmp_path / "run.h5"
    settings = tmp_path / "pooled.toml"
    settings.write_text(
        'device = "sim:scattering-medium?n_outputs=64"\nrule = "readout"\n'
        '[data]\nsource = "digits"\npool = 2\n[run]\nthreads = 1\n'
    )
    assert pnn("train", settings, "--out", out, "--no-controls").exit_code == 0
    done = pnn("predict", out, "digits", "--json")
    assert len(json.loads(done.stdout)["predictions"]) == 1797
    assert json.loads(done.stdout)["accuracy"] > 0.7


def test_another_seed_and_device_can_be_chosen(trained, rows):
    _, out = trained
    first, second, other = (
        json.loads(pnn("predict", out, rows / "bare.csv", "--json", *more).stdout)["predictions"]
        for more in ([], ["--seed", 1], ["--device", "test:box?n_inputs=20&seed=8"])
    )
    assert len(first) == len(second) == len(other) == 20
    assert other != first
    done = pnn("predict", out, rows / "bare.csv", "--seed", 9)
    assert done.exit_code == 2
    assert "no trained network for seed 9; it has 0, 1" in done.stderr


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        ("nowhere.csv", 4, "there is no such file"),
        ("digits", 2, "digits has 64 features, the network takes 16"),
    ],
)
def test_data_that_do_not_fit_are_refused(trained, data, code, message):
    done = pnn("predict", trained[1], data)
    assert done.exit_code == code
    assert message in done.stderr


def test_what_is_no_run_is_refused(rows):
    for command in (["log", "show"], ["predict"]):
        arguments = [*command, rows / "some.npz", *([rows / "bare.csv"] * (command == ["predict"]))]
        done = pnn(*arguments)
        assert done.exit_code == 2
        assert "as a run file" in done.stderr


def test_a_log_shows_what_the_run_said(trained):
    done, out = trained
    content = json.loads(done.stdout)
    shown = pnn("log", "show", out)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{out}: small, done, started ")
    assert re.search(r"^device +Box\(n_inputs=20\)", shown.stdout, re.MULTILINE)
    assert "pnn-toolkit" in shown.stdout
    assert content["verdict"] in shown.stdout
    whole = json.loads(pnn("log", "show", out, "--json").stdout)
    assert whole["summary"] == content
    assert list(whole["seeds"]) == ["seed_0", "seed_1"]


# -- lists -------------------------------------------------------------------------------------


def test_presets_are_listed_with_what_they_are():
    assert set(json.loads(pnn("presets", "--json").stdout)) == set(presets())
    assert "8 x 8 digits through a scattering medium" in pnn("presets").stdout


def test_every_key_of_a_configuration_is_listed():
    keys = pnn("presets", "--keys").stdout
    for table in (Config, *(Config.model_fields[name].annotation for name in TABLES)):
        for key in table.model_fields:
            assert f"`{key}`" in keys or f"[{key}]" in keys


def test_devices_are_listed_with_what_they_are():
    listed = json.loads(pnn("devices", "--json").stdout)
    assert listed["sim:scattering-medium"].startswith("A modulator")
    assert listed["function"]
    assert len(pnn("devices").stdout.splitlines()) == len(listed)


def test_the_version_is_printed():
    assert pnn("--version").stdout.strip() == __version__


# -- help, in a process of its own -------------------------------------------------------------


HELP = [sys.executable, "-m", "pnn"]


def test_help_names_the_verbs_and_the_exit_codes():
    done = subprocess.run([*HELP, "--help"], capture_output=True, text=True, check=True)
    for part in ("train", "predict", "log", "presets", "devices", "143"):
        assert part in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["presets"]])
def test_nothing_heavy_is_imported_for_help_and_lists(arguments):
    code = (
        "import sys\nfrom pnn.cli.main import app\n"
        f"try:\n    app({arguments!r})\nfinally:\n"
        "    print('heavy:', sorted({'torch', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


# -- signals -----------------------------------------------------------------------------------

BENCH = """
import signal
import time
from pathlib import Path

from devices import Device, DeviceSpec, register_device
from pnn.cli import main


class Bench(Device):
    def __init__(self, n_inputs=4):
        self.spec = DeviceSpec(name="bench", n_inputs=n_inputs, n_outputs=3, max_batch=1)

    def _note(self, what):
        with open("calls.txt", "a") as file:
            file.write(what + "\\n")

    def _open(self):
        self._note("open")

    def _measure(self, drives):
        self._note("measure")
        time.sleep(0.02)
        return drives[:, :3]

    def _safe(self):
        self._note("safe")

    def _close(self):
        self._note("close")


register_device("bench", Bench)
# As in a terminal: a shell's background job would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGTERM, 143, "terminated: outputs are off, the run file is closed"),
        (signal.SIGINT, 130, "interrupted: outputs are off, the run file is closed"),
    ],
)
def test_a_signal_switches_the_outputs_off_and_closes_the_run_file(
    rows, tmp_path, number, code, message
):
    (tmp_path / "bench.py").write_text(BENCH, encoding="utf-8")
    settings = ["train", "digits-optical", "--device", "bench", "--data", rows / "some.npz"]
    process = subprocess.Popen(
        [sys.executable, "bench.py", *map(str, settings), "--out", "run.h5", "--record"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    calls = tmp_path / "calls.txt"
    try:
        late = time.monotonic() + 60
        while not (calls.is_file() and calls.read_text().count("measure") > 5):
            assert time.monotonic() < late, "it did not begin to measure"
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code
    assert message in stderr
    assert "Traceback" not in stderr
    noted = calls.read_text().split()
    assert noted[-1] == "close"
    assert "safe" in noted[-1 - noted[::-1].index("measure") :]  # after the last drive
    with h5py.File(tmp_path / "run.h5") as file:
        assert file.attrs["status"] == b"interrupted"
        assert file["seed_0"].attrs["status"] == b"interrupted"
