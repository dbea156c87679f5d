"""`pnn calibrate` and `pnn characterise` from the command line, in process and over sockets."""

import json
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration import CalibrationFolder, load_calibration
from devices import build_device
from pnn.cli.main import app
from simulators.bench import Bench, with_addresses

CAVITY = "sim:acoustic-cavity?n_inputs=2&n_outputs=2&n_settle=64"
RIG = """
[rig]
kind = "waveform"
n_inputs = 4
window_samples = 256
settle_samples = 256

[instruments.generator]
driver = "keysight-33500"
address = "TCPIP::192.0.2.1::5025::SOCKET"
load_ohm = inf
[instruments.oscilloscope]
driver = "infiniivision"
address = "TCPIP::192.0.2.2::5025::SOCKET"
channels = [1]
points = 2000

[limits]
peak_v = 5.0

[sim]
device = "sim:acoustic-cavity?n_inputs=4&n_outputs=4&n_window=256&n_settle=256"
"""


def run(verb, *arguments):
    return CliRunner().invoke(app, [verb, *map(str, arguments)])


def test_procedures_run_in_order_and_say_what_they_cost_before(tmp_path):
    done = run("calibrate", CAVITY, "--only", "linearity,offset", "--folder", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content["queries"] == 305
    assert list(content["files"]) == ["offset", "linearity"]
    assert content["results"]["linearity"]["gain"] > 0
    gain = load_calibration(content["files"]["linearity"])
    assert gain.parents == (load_calibration(content["files"]["offset"]).id,)
    told = done.stderr.splitlines()
    assert told[0].startswith("offset: 100 queries")
    assert told.index("in all: 305 queries") < told.index("offset ...")
    again = run("calibrate", CAVITY, "--only", "offset", "--folder", tmp_path)
    assert "out of date: linearity builds on offset" in again.stdout


def test_a_calibrated_device_is_calibrated_further(tmp_path):
    run("calibrate", CAVITY, "--only", "offset", "--folder", tmp_path)
    (offset,) = CalibrationFolder(tmp_path).all()
    device = tmp_path / "device.toml"
    device.write_text(f"""
[device]
name = "{CAVITY}"
[[device.wrap]]
name = "calibrated"
calibration = "{(tmp_path / offset.file_name).as_posix()}"
""")
    done = run("calibrate", device, "--only", "linearity", "--folder", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    gain = load_calibration(json.loads(done.stdout)["files"]["linearity"])
    assert gain.parents == (offset.id,)
    assert gain["answers"][0] == pytest.approx(np.zeros(2), abs=0.01)


def test_a_dry_run_drives_nothing_and_leaves_out_what_makes_no_sense(tmp_path):
    dry = run("calibrate", CAVITY, "--dry-run", "--folder", tmp_path / "none")
    assert dry.exit_code == 0, dry.output
    assert "linearity: 205 queries" in dry.stderr
    assert "transmission-matrix" in dry.stderr.splitlines()[-1]
    assert dry.stderr.splitlines()[-1].startswith("left out: settling, delay")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "gain"], "'gain' is not one of settling, offset"),
        (["--only", "memory"], "has no memory"),
        (["--only", "linearity"], "linearity needs offset first"),
        (["--valid", "warm"], "--valid 'warm' must be NAME=LOW:HIGH"),
        (["--valid", "t=a:b"], "--valid 't=a:b' must be NAME=LOW:HIGH"),
        (["--valid", "t=9:1"], "the validity of t from 9 to 1 is empty"),
        (["--valid", "t=nan:1"], "the validity of t from nan to 1 is empty"),
        (["--margin", "temp=x"], "--margin 'temp=x' must be NAME=VALUE"),
        (["--margin", "temp=-1"], "the margin of temp=-1.0 must be"),
        (["--margin", "temp=1"], "acoustic-cavity has no monitors"),
        (["--valid-for-h", "-3"], "--valid-for-h=-3.0 must be"),
        (["--not-needed", "foo"], "'foo' is not one of settling, offset"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_bad_requests_are_refused_before_anything_is_driven(tmp_path, arguments, message, dry):
    if "--only" not in arguments:
        arguments = ["--only", "offset", *arguments]
    done = run("calibrate", CAVITY, "--folder", tmp_path / "none", *arguments, *dry)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert "offset ..." not in done.stderr
    assert not (tmp_path / "none").exists()


def test_rows_that_are_waveforms(tmp_path):
    name = "sim:acoustic-cavity?n_inputs=1024&n_outputs=1024&input=waveform&output=waveform"
    only = "delay,enob,swept-sine"
    done = run(
        "calibrate", name, "--only", only, "--not-needed", "settling",
        "--folder", tmp_path, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content["queries"] == 4 + 1 + 1
    assert set(content["files"]) == {"delay", "enob", "swept-sine"}


@pytest.fixture
def served(tmp_path):
    pytest.importorskip("pyvisa_py")
    path, copy = tmp_path / "rig.toml", tmp_path / "served.toml"
    path.write_text(RIG)
    with Bench(tomllib.loads(RIG)) as bench:
        with_addresses(path, copy, bench.serve())
        yield copy


def test_a_rig_is_calibrated_and_characterised_over_sockets(served, tmp_path):
    folder = tmp_path / "files"
    done = run("calibrate", served, "--only", "offset", "--folder", folder)
    assert done.exit_code == 0, done.output
    (offset,) = CalibrationFolder(folder).all()
    assert set(offset.device["instruments"]) == {"generator", "oscilloscope"}
    assert offset.raw["drives"].values.shape == (100, 4)
    offset.check(build_device(served))
    renamed = served.rename(served.with_name("renamed.toml"))
    offset.check(build_device(renamed))
    seen = run("characterise", renamed, "--rows", 40, "--out", tmp_path / "seen.h5", "--json")
    assert seen.exit_code == 0, seen.output
    content = json.loads(seen.stdout)
    assert content["queries"] == 80
    assert content["snr_db"] > 10
    with h5py.File(tmp_path / "seen.h5") as file:
        assert np.isfinite(file["measurements/answers"][:]).all()
    assert Path(content["files"][1]).read_bytes()[:4] == b"\x89PNG"
