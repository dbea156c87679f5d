"""Runs that are broken off and gone on with: the same bits, nothing measured twice."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from black_boxes import digits
from run_content import assert_same, content

import pnn
from devices import DeviceError, FunctionDevice
from devices.hdf5 import read_attributes
from devices.resumed import RecordMismatch
from pnn import experiment
from pnn.config import Config
from pnn.experiment import resume, run
from pnn.resume_check import DifferentError
from pnn.run_file import RunFileError, load

DATA = digits(rows=100)
BENCH = "test:box?n_inputs=20&n_outputs=16&max_batch=1"
SIMULATOR = {
    "name": "sim:scattering-medium",
    "n_outputs": 16,
    "wrap": [{"name": "noisy", "additive": 0.05, "multiplicative": 0.02, "seed": 3}],
}
WRAPPED = {
    "name": BENCH,
    "wrap": [
        {"name": "noisy", "additive": 0.05, "seed": 3},
        {"name": "averaged", "n": 2},
        {"name": "cached", "purposes": ["train", "validation"]},
    ],
}


def config(out, device=SIMULATOR, rule="mono-forward", **tables):
    content = {
        "data": "digits",
        "device": device,
        "rule": rule,
        "network": {"width": 8, "layers": 2, "adapter": "project"},
        "training": {"epochs": 4, "check_every": 2, "schedule": "joint"},
        "run": {
            "threads": 1,
            "out": str(out),
            "seeds": 2,
            "controls": ["linear", "affine", "shuffled"],
        },
    }
    for table, keys in tables.items():
        content[table] = content.get(table, {}) | keys
    return Config.model_validate(content)


def broken_off(settings, at, error=KeyboardInterrupt):
    """Run until progress says `at` = (seed, arm, what)."""

    def progress(seed, arm, share, what):
        if (seed, arm) == at[:2] and what.startswith(at[2]):
            raise error

    with pytest.raises(error):
        run(settings, DATA, progress)


@pytest.fixture(scope="module")
def whole(named_devices, tmp_path_factory):
    """What runs without a break give, by device."""
    found = {}

    def of(device):
        key = str(device)
        if key not in found:
            path = tmp_path_factory.mktemp("whole") / "run.h5"
            run(config(path, device), DATA)
            found[key] = content(path)
        return found[key]

    return of


# -- the same bits -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "at"),
    [
        (SIMULATOR, (0, "device", "all layers 3")),
        (SIMULATOR, (1, "device", "all layers 2")),
        (BENCH, (0, "device", "measure")),
        (BENCH, (0, "affine", "all layers 1")),
        (BENCH, (1, "device", "all layers 3")),
        (WRAPPED, (0, "device", "all layers 3")),
    ],
    ids=["sim", "sim seed 1", "bench", "bench control", "bench seed 1", "wraps"],
)
@pytest.mark.usefixtures("named_devices")
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, whole, device, at):
    path = tmp_path / "run.h5"
    broken_off(config(path, device), at)
    result = resume(path, DATA, accept=True)
    assert_same(content(path), whole(device))
    assert result.seeds[1].arms["device"].score == whole(device)["seed_1 scores"]["device"]
    network = load(path, seed=1)
    with h5py.File(path) as file:
        right = file["seed_1/merit_device"][()].astype(bool)
        test = file["seed_1/test_row"][()]
    if device is BENCH:
        np.testing.assert_array_equal(network.predict(DATA.X[test]) == DATA.y[test], right)


DRIFTING = {
    **SIMULATOR,
    "wrap": [*SIMULATOR["wrap"], {"name": "drifting", "rate": 1e-3, "seed": 5}, {"name": "cached"}],
}


@pytest.mark.parametrize(
    ("rule", "schedule"),
    [
        ("phyll", "layerwise"),
        ("phyll", "joint"),
        ("node-perturbation", "layerwise"),
        pytest.param("physics-aware", "layerwise", marks=pytest.mark.slow),  # fits twins
        ("spsa", "layerwise"),
        ("readout", "layerwise"),
    ],
)
def test_every_kind_of_rule_comes_to_the_same_bits(tmp_path, rule, schedule):
    def settings(name):
        return config(
            tmp_path / name,
            DRIFTING,
            rule,
            training={"epochs": 2, "check_every": 1, "schedule": schedule},
            run={"seeds": 1, "controls": ["affine"]},
        )

    steps = []
    run(settings("whole.h5"), DATA, lambda seed, arm, share, what: steps.append(arm))
    path = tmp_path / "run.h5"
    begin = [lambda told: run(settings("run.h5"), DATA, told)]
    go_on = [lambda told: resume(path, DATA, told, accept=True)]
    for arm, session in zip(("device", "affine"), begin + go_on, strict=True):
        left = iter(range(steps.count(arm) - 1))  # to its last step

        def told(seed, now, share, what, arm=arm, left=left):
            if now == arm and next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            session(told)
    resume(path, DATA, accept=True)
    assert_same(content(path), content(tmp_path / "whole.h5"))


@pytest.mark.usefixtures("named_devices")
def test_it_may_be_broken_off_again_and_again(tmp_path, whole):
    path = tmp_path / "run.h5"
    broken_off(config(path, BENCH), (0, "device", "all layers 1"))
    for at in [(0, "device", "all layers 2"), (0, "affine", "all layers"), (1, "device", "all")]:

        def progress(seed, arm, share, what, at=at):
            if (seed, arm) == at[:2] and what.startswith(at[2]):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            resume(path, DATA, progress, accept=True)
    resume(path, DATA, accept=True)
    assert_same(content(path), whole(BENCH))
    with h5py.File(path) as file:
        assert len(read_attributes(file)["sessions"]) == 4


@pytest.mark.parametrize("device", [BENCH, WRAPPED], ids=["bench", "wraps"])
def test_nothing_is_measured_twice(named_devices, tmp_path, whole, device):
    needed = sum(whole(device)[f"seed_{seed} spent"][0]["total"] for seed in (0, 1))
    named_devices.clear()
    path = tmp_path / "run.h5"
    broken_off(config(path, device), (0, "device", "all layers 3"))
    before = sum(len(box.rows) for box in named_devices)
    resume(path, DATA, accept=True)
    assert 0 < before < needed
    assert sum(len(box.rows) for box in named_devices) == needed


def test_arms_that_are_done_open_no_device(named_devices, tmp_path):
    path = tmp_path / "run.h5"
    broken_off(config(path, BENCH, run={"seeds": 1}), (0, "affine", "all layers 1"))
    named_devices.clear()
    resume(path, DATA, accept=True)
    assert not any(box.calls for box in named_devices)


def test_a_device_that_failed_goes_on_where_it_failed(named_devices, tmp_path, whole):
    path = tmp_path / "run.h5"
    named_devices.clear()
    settings = config(path, BENCH + "&dies_after=222")
    with pytest.raises(DeviceError, match="lamp went out"):
        run(settings, DATA)
    with h5py.File(path, "r+") as file:  # the lamp is replaced: the same device, in good health
        text = file.attrs["config"].replace("&dies_after=222", "")
        file.attrs["config"] = text
    named_devices.clear()
    resume(path, DATA, accept=True)
    assert_same({k: v for k, v in content(path).items() if "failure" not in k}, whole(BENCH))


def test_a_simulator_that_is_recorded_is_recorded_anew(tmp_path):
    path, other = tmp_path / "run.h5", tmp_path / "whole.h5"
    run(config(other, run={"record": True, "seeds": 1}), DATA)
    broken_off(config(path, run={"record": True, "seeds": 1}), (0, "device", "all layers 3"))
    resume(path, DATA, accept=True)
    assert_same(content(path), content(other))


# -- what is refused ---------------------------------------------------------------------------


@pytest.fixture
def paused(named_devices, tmp_path):
    path = tmp_path / "run.h5"
    broken_off(config(path, BENCH, run={"seeds": 1}), (0, "device", "all layers 3"))
    named_devices.clear()
    return path


def test_a_record_that_was_changed_is_refused_with_its_row(named_devices, paused):
    with h5py.File(paused, "r+") as file:
        file["seed_0/measurements_0/drives"][37, 5] += 1e-12
    with pytest.raises(RecordMismatch, match=r"row 37 .* input 5 differs by 1e-12"):
        resume(paused, DATA, accept=True)
    assert not any(len(box.rows) for box in named_devices)
    with h5py.File(paused) as file:
        assert read_attributes(file)["status"] == "failed"


def test_other_code_or_packages_need_to_be_accepted_and_are_noted(paused, monkeypatch):
    there = experiment.provenance()
    there["versions"] |= {"numpy": "0.1"}
    monkeypatch.setattr(experiment, "provenance", lambda: there)
    before = paused.read_bytes()
    with pytest.raises(DifferentError, match=r"--accept.*\n(.*\n)*  versions.numpy: .* -> 0.1"):
        resume(paused, DATA)
    assert paused.read_bytes() == before
    resume(paused, DATA, accept=True)
    with h5py.File(paused) as file:
        assert any("versions.numpy" in line for line in read_attributes(file)["accepted"])


def test_other_data_are_refused_whatever_is_accepted(paused):
    with pytest.raises(DifferentError, match="the data are not those"):
        resume(paused, digits(rows=101), accept=True)


def test_a_device_built_otherwise_is_a_difference(named_devices, paused):
    with h5py.File(paused, "r+") as file:
        file.attrs["config"] = file.attrs["config"].replace("n_outputs=16", "n_outputs=16&seed=1")
    with pytest.raises(DifferentError, match=r"recipe: .* -> "):
        resume(paused, DATA)


def test_a_run_without_a_layout_has_nothing_to_go_on_with(paused):
    with h5py.File(paused, "r+") as file:
        del file.attrs["standing"]
    with pytest.raises(RunFileError, match="broken off before anything was driven"):
        resume(paused, DATA)


# -- what is recorded --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "record", "recorded"),
    [
        (SIMULATOR, "auto", False),
        (SIMULATOR, True, True),
        (BENCH, "auto", True),
        (BENCH, False, False),
    ],
)
@pytest.mark.usefixtures("named_devices")
def test_rows_that_cannot_be_had_again_are_recorded(tmp_path, device, record, recorded):
    settings = config(
        tmp_path / "run.h5", device, run={"record": record, "seeds": 1, "controls": []}
    )
    run(settings, DATA)
    with h5py.File(tmp_path / "run.h5") as file:
        assert ("measurements_0" in file["seed_0"]) == recorded


@pytest.mark.usefixtures("named_devices")
def test_a_run_of_an_unrecorded_bench_begins_its_arm_anew(tmp_path, whole):
    path = tmp_path / "run.h5"
    broken_off(config(path, BENCH, run={"record": False}), (1, "device", "all layers 2"))
    resume(path, DATA, accept=True)
    expected = {k: v for k, v in whole(BENCH).items() if "measurements" not in k}
    assert_same(content(path), expected)


def test_functions_are_reproducible_if_they_are_said_to_be():
    assert not FunctionDevice(np.tanh, 2, 2).reproducible
    assert FunctionDevice(np.tanh, 2, 2, reproducible=True).reproducible
    with pytest.raises(ValueError, match="reproducible='no' must be True or False"):
        FunctionDevice(np.tanh, 2, 2, reproducible="no")


def test_simulators_are_reproducible_and_so_are_wrappers_around_them():
    for name in pnn.available_devices():
        if name.startswith("sim:"):
            assert pnn.build_device(name).reproducible, name
    assert pnn.build_device(SIMULATOR, defaults={"n_inputs": 4}).reproducible


# -- real processes ----------------------------------------------------------------------------

BENCH_CODE = """
import pathlib, time
import numpy as np
MATRIX = np.random.default_rng(0).standard_normal((64, 24))
def measure(drives):
    time.sleep(0.03 * len(drives))
    pathlib.Path("measured").touch()
    return np.abs(np.array([np.exp(3j * row) @ MATRIX for row in drives])) ** 2
"""
BENCH_CONFIG = """
data = "some.npz"
rule = "mono-forward"
[device]
name = "function"
function = "bench.py:measure"
n_inputs = 64
n_outputs = 24
max_batch = 1
[network]
width = 8
[training]
epochs = 2
check_every = 1
[run]
out = "run.h5"
controls = ["linear"]
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGKILL", -9)])
def test_a_process_that_is_ended_leaves_a_run_that_goes_on(tmp_path, monkeypatch, number, status):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.py").write_text(BENCH_CODE)
    (tmp_path / "run.toml").write_text(BENCH_CONFIG)
    rows = np.random.default_rng(0).uniform(0, 1, (200, 64))
    np.savez("some.npz", X=rows, y=(rows[:, 0] > rows[:, 1]).astype(int))
    command = [sys.executable, "-m", "pnn", "train", "run.toml"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    path, deadline = tmp_path / "run.h5", time.monotonic() + 60
    while not (tmp_path / "measured").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1.5)  # rows are written after a second at the most; all of them take four
    process.send_signal(getattr(signal, number))
    _, told = process.communicate(timeout=30)
    assert process.returncode == status, told
    with h5py.File(path) as file:
        rows = len(file["seed_0/measurements_0/row"])
        left = read_attributes(file)["status"]
    assert rows > 0
    if number == "SIGKILL":
        assert left == "running"
    else:
        assert left == "interrupted"
        assert f"go on with: pnn train --resume {path.name}" in told
    from pnn.config import load_config

    settings = load_config("run.toml")
    data = experiment.load_data(settings)
    (tmp_path / "bench.py").write_text(BENCH_CODE.replace("0.03", "0"))
    resume("run.h5", data, accept=True)
    run(settings.with_(run={"out": "whole.h5"}), data)
    assert_same(content("run.h5"), content("whole.h5"))
