"""Comparisons that were stopped: at any moment they can be shown, asked what they lack, resumed."""

import json
import re
import signal
import subprocess
import sys
import tomllib

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pnn.cli.main import app
from pnn.compare import CompareConfig, compare, read_comparison, resume
from pnn.compare import run as runs
from pnn.compare.references import linear_merit
from pnn.data import Dataset

CONFIG = """
data = "corners.npz"
rules = ["readout", "cafo"]
devices = [{ name = "sim:random-features", n_outputs = 24, label = "relu" }]
budgets = [500]
[run]
seeds = 2
jobs = 1
out = "small.h5"
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(CONFIG)
    X = np.random.default_rng(0).uniform(-1, 1, (150, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    np.savez("corners.npz", X=X, y=y)
    return Dataset(name="corners", X=X, y=y, classes=("unlike", "alike"))


def settings():
    return CompareConfig.model_validate({"name": "small", **tomllib.loads(CONFIG)})


def pnn(*arguments):
    return CliRunner().invoke(app, ["compare", *arguments])


def content(path):
    """Everything that was found out, whatever the order."""
    with h5py.File(path) as file:
        order = np.argsort(file["results/cell"][()])
        return [file["references/linear"][()], file["results/merit"][()][order]]


def test_what_is_stopped_among_the_linear_models_is_gone_on_with(data, monkeypatch):
    whole = pnn("small.toml", "--no-plots", "--out", "whole.h5")
    assert "fitting linear models to the raw input of 2 splits" in whole.stderr
    asked = []

    def stop(config, dataset, seed):
        asked.append(seed)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return linear_merit(config, dataset, seed)

    monkeypatch.setattr(runs, "linear_merit", stop)
    stopped = pnn("small.toml", "--no-plots")
    assert stopped.exit_code == 130
    assert "go on with: pnn compare --resume small.h5" in stopped.stderr
    shown = pnn("--show", "small.h5", "--no-plots")
    assert shown.exit_code == 0
    assert "Linear model on the raw input: not all fitted yet" in shown.stdout
    assert "4 trainings are not done yet" in shown.stdout
    done = pnn("--resume", "small.h5", "--no-plots")
    assert done.exit_code == 0, done.stderr
    assert asked == [0, 1, 1]
    for found, expected in zip(content("small.h5"), content("whole.h5"), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_file_without_its_places_is_told_in_words(data, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_results", stop)
        assert pnn("small.toml").exit_code == 130
    for verb in ("--resume", "--show"):
        done = pnn(verb, "small.h5")
        assert done.exit_code == 2
        assert "was broken off before anything was computed" in done.stderr
        missing = pnn(verb, "other.h5")
        assert missing.exit_code == 4
        assert "other.h5 does not exist" in missing.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_among_the_linear_models_leaves_a_file_that_can_be_gone_on_with(data, tmp_path):
    command = [sys.executable, "-c", KILLED, "killed.h5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert read_comparison("killed.h5").missing == 4
    resume(tmp_path / "killed.h5", lambda _: data)
    assert read_comparison("killed.h5").missing == 0


#: Says when the second linear model begins, and waits there.
KILLED = """
import sys, time
import pnn.compare.run as runs
from pnn.compare import compare, load_compare
from pnn.data import load
fit = runs.linear_merit
def slow(config, dataset, seed):
    if seed == 1:
        print("second", flush=True)
        time.sleep(60)
    return fit(config, dataset, seed)
runs.linear_merit = slow
config = load_compare("small.toml")
config = config.model_copy(update={"run": config.run.model_copy(update={"out": sys.argv[1]})})
compare(config, load(source="corners.npz"))
"""


def test_a_dry_resumption_tells_what_is_missing_and_drives_nothing(data):
    def stop(done, total, cell):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(settings(), data, progress=stop)
    told = pnn("--resume", "small.h5", "--dry-run")
    assert told.exit_code == 0
    assert re.search(r"^missing  3 of 4 trainings, at most \d+ queries", told.stdout)
    assert "cafo on relu at budget 500: seeds 0, 1" in told.stdout
    assert "readout on relu at budget 500: seed 1" in told.stdout
    lacks = json.loads(pnn("--resume", "small.h5", "--dry-run", "--json").stdout)
    assert len(lacks["missing"]) == 3
    assert read_comparison("small.h5").missing == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resume", "small.h5", "--seeds", "3"), "leave --seeds out"),
        (("--resume", "small.h5", "--out", "b.h5"), "leave --out out"),
        (("--show", "small.h5", "--jobs", "2"), "leave --jobs out"),
    ],
)
def test_options_that_the_file_has_answered_are_refused(data, arguments, message):
    compare(settings(), data)
    done = pnn(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_number_of_processes_may_be_another_one(data, monkeypatch):
    compare(settings(), data)
    asked = []
    monkeypatch.setattr(runs, "_outcomes", lambda *a: asked.append(a[-1]) or ())
    assert pnn("--resume", "small.h5", "--no-plots", "--jobs", "3").exit_code == 0
    assert pnn("--resume", "small.h5", "--no-plots").exit_code == 0
    assert asked == [3, 1]


def test_linear_models_take_one_thread(data, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "pnn.compare.references.fit_linear", lambda *_, **__: seen.append(torch.get_num_threads())
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(AttributeError):
            linear_merit(settings(), data, 0)
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_test_sets_of_different_sizes_fit_into_one_table(data):
    groups = np.random.default_rng(1).choice(9, len(data.y), p=np.arange(9) / 36)
    grouped = Dataset(name="corners", X=data.X, y=data.y, classes=data.classes, groups=groups)
    five = settings()
    five = five.model_copy(update={"run": five.run.model_copy(update={"seeds": 5})})
    path = compare(five, grouped)
    with h5py.File(path) as file:
        n = (~np.isnan(file["results/merit"][()])).sum(axis=1)
    assert len(set(n)) > 1
    assert read_comparison(path).lines[0].gain is not None
