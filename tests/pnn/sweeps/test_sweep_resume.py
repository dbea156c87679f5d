"""A sweep that ends early goes on with exactly the missing points."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import pnn
from devices import DeviceError, FunctionDevice
from devices.hdf5 import read_attributes, valid_rows
from pnn.config import ConfigError
from pnn.resume_check import DifferentError

pytest.importorskip("xarray")

AXES = {"drive.0": {"from": 0, "to": 1, "points": 10}, "drive.1": [0.0, 0.5, 1.0]}
BENCH = """
import time

def measure(drives):
    time.sleep(0.004)
    return drives * 2
"""
CONFIG = """
repeats = 2
device = "function?function=bench.py:measure&n_inputs=3&n_outputs=3"
metrics = ["mean"]
[probe]
rows = 3
[[axis]]
what = "drive.0"
from = 0.0
to = 1.0
points = 20
[[axis]]
what = "drive.1"
values = [0.0, 0.5, 1.0]
"""


class Flaky:
    """Doubles drives; fails at the n-th call, after one row."""

    def __init__(self, fails_at=10**9, error=None):
        self.calls, self.fails_at, self.error = 0, fails_at, error

    def __call__(self, drives):
        self.calls += 1
        if self.calls == self.fails_at:
            raise self.error or DeviceError("lost", rows=drives[:1] * 2)
        return drives * 2


def device_of(function):
    return FunctionDevice(function, 3, 3, name="doubler")


def check_whole(path, points, drives=16):
    """Every point is there, once, with the right answers; the grid agrees with the rows."""
    with h5py.File(path) as file:
        assert file.attrs["status"] == b"done"
        rows = file["rows"]
        assert valid_rows(rows) == points * drives
        there = list(zip(rows["point"][()], rows["drive"][()], strict=True))
        assert sorted(there) == [(p, d) for p in range(points) for d in range(drives)]
        np.testing.assert_array_equal(rows["answers"], 2 * rows["drives"][()])
        grid = file["grid"]
        assert grid["done"][()].all()
        assert np.isfinite(grid["time"][()]).all()
        assert np.isfinite(grid["answers"][()]).all()


@pytest.mark.parametrize("order", ["random", "grid"])
@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), SystemExit(1)])
def test_after_a_failure_exactly_the_missing_points_are_measured(tmp_path, error, order):
    path = tmp_path / "s.h5"
    with pytest.raises(type(error) if error else DeviceError):
        pnn.sweep(device=device_of(Flaky(12, error)), axes=AXES, out=str(path), order=order)
    with h5py.File(path) as file:
        assert file.attrs["status"] == (b"failed" if error is None else b"interrupted")
        assert valid_rows(file["rows"]) == 11 * 16
        assert file["grid"]["done"][()].sum() == 11
        if error is None:  # the row before the failure is kept, apart
            assert file["incomplete_0/answer"].shape == (1, 3)
    run = pnn.open_run(path)
    assert int(run.grid.done.sum()) == 11
    assert np.isnan(run.grid.answers.values).mean() == pytest.approx(19 / 30)
    run.close()
    second = Flaky()
    run = pnn.sweep(resume=path, device=device_of(second), accept=True)
    assert second.calls == 19
    check_whole(path, 30)


class Unplugged(pnn.Device):
    """The doubler, which cannot be opened any more."""

    def __init__(self):
        self.spec = device_of(Flaky()).spec

    def _open(self):
        raise DeviceError("no power")

    def _measure(self, drives):
        raise AssertionError


def test_of_a_finished_sweep_neither_file_nor_device_is_touched(tmp_path):
    path = tmp_path / "s.h5"
    pnn.sweep(device=device_of(Flaky()), axes=AXES, out=str(path))
    content = path.read_bytes()
    run = pnn.sweep(resume=path, device=Unplugged())
    assert run.status == "done"
    assert path.read_bytes() == content


def test_a_sweep_that_was_killed_behind_its_last_point_is_finished_without_the_device(tmp_path):
    def metric(drives, answers):
        assert not broken
        return answers.mean()

    path, broken = tmp_path / "s.h5", [True]
    axes = {"drive.0": [0.5]}
    with pytest.raises(ValueError, match="mend the metric and resume"):
        pnn.sweep(device=device_of(Flaky()), axes=axes, metrics=[metric], out=str(path))
    broken.clear()
    run = pnn.sweep(resume=path, device=Unplugged(), metrics=[metric])
    assert run.status == "done"
    assert np.isfinite(run.grid.metric).all()
    check_whole(path, 1)


def test_another_plan_is_refused_and_says_what_differs(tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(DeviceError):
        pnn.sweep(device=device_of(Flaky(5)), axes=AXES, out=str(path))
    other = {"drive.0": {"from": 0, "to": 1, "points": 11}, "drive.2": [0.0]}
    with pytest.raises(ConfigError) as caught:
        pnn.sweep(resume=path, device=device_of(Flaky()), axes=other, repeats=3)
    text = str(caught.value)
    assert "axis drive_0: 10 values from 0.0 to 1.0 in the file, not 11 values" in text
    assert "axis drive_1: planned in the file" in text
    assert "axis drive_2: not planned in the file" in text
    assert "repeats: 1 in the file, not 3" in text
    with pytest.raises(ConfigError, match="has them in its file"):
        pnn.sweep(resume=path, device=device_of(Flaky()), repeats=3)
    pnn.sweep(resume=path, device=device_of(Flaky()), axes=AXES, accept=True)
    check_whole(path, 30)


def test_another_device_needs_to_be_accepted(tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(DeviceError):
        pnn.sweep(device=device_of(Flaky(5)), axes=AXES, out=str(path))
    function = Flaky()
    other = FunctionDevice(function, 3, 3, name="doubler", high=2.0)
    with pytest.raises(DifferentError, match="--accept"):
        pnn.sweep(resume=path, device=other)
    assert function.calls == 0
    with h5py.File(path) as file:  # as it was
        assert file.attrs["status"] == b"failed"
    pnn.sweep(resume=path, device=other, accept=True)
    check_whole(path, 30)
    with h5py.File(path) as file:
        assert any("limits" in line for line in read_attributes(file)["accepted"])


def test_a_device_object_must_be_given_again(tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(DeviceError):
        pnn.sweep(device=device_of(Flaky(5)), axes=AXES, out=str(path))
    with pytest.raises(ConfigError, match="needs a device"):
        pnn.sweep(resume=path)


def test_a_tail_that_a_repair_cut_within_a_point_is_measured_again(tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(DeviceError):
        pnn.sweep(device=device_of(Flaky(5)), axes=AXES, out=str(path))
    with h5py.File(path, "r+") as file:
        for name in ("row", "answers"):
            file["rows"][name].resize(3 * 16 + 7, axis=0)
    pnn.sweep(resume=path, device=device_of(Flaky()), accept=True)
    check_whole(path, 30)


def started(folder, *arguments):
    (folder / "bench.py").write_text(BENCH)
    (folder / "sweep.toml").write_text(CONFIG)
    return subprocess.Popen(
        [sys.executable, "-m", "pnn", "sweep", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_the_first_point(process):
    for line in process.stderr:
        if line.startswith("point 1/"):
            return


def test_killed_at_a_random_moment_it_goes_on_without_hole_or_duplicate(tmp_path):
    path = tmp_path / "s.h5"
    process = started(tmp_path, "sweep.toml", "--out", "s.h5")
    wait_for_the_first_point(process)
    time.sleep(np.random.default_rng().uniform(0, 0.4))
    process.kill()
    process.communicate()
    before = pnn.open_run(path)  # opens as it is
    assert before.status == "running"
    if "/rows" in before.groups:
        done = before.rows.sizes["row"] // 3
        assert done < 120
        np.testing.assert_array_equal(before.rows.answers, 2 * before.rows.drives)
    before.close()
    process = started(tmp_path, "--resume", "s.h5")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    check_whole(path, 120, drives=3)


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_ctrl_c_pauses_at_a_point_and_says_how_to_go_on(tmp_path):
    path = tmp_path / "s.h5"
    process = started(tmp_path, "sweep.toml", "--out", "s.h5")
    wait_for_the_first_point(process)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finishing this point" in errors
    assert "pnn sweep --resume s.h5" in errors
    with h5py.File(path) as file:
        assert file.attrs["status"] == b"interrupted"
        measured = valid_rows(file["rows"])
        assert measured % 3 == 0
        assert 0 < measured < 360
        assert np.isfinite(file["grid/answers"][()]).sum() == 3 * measured
    process = started(tmp_path, "--resume", "s.h5", "--json")
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert f"resumed {measured // 3} points are measured" in errors
    assert '"status": "done"' in out
    check_whole(path, 120, drives=3)
