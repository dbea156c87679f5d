"""From a recording to a twin and to training through it, at the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from devices import FunctionDevice, Recorded
from pnn.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "twins.md"
CAVITY = ROOT.parent / "shared" / "data" / "acoustic_cavity"


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def recording(tmp_path):
    """A cavity in small: magnitudes of a linear field, through the import."""
    random = np.random.default_rng(0)
    drives = random.random((500, 4))
    field = drives @ random.normal(size=(4, 6)) + 1j * drives @ random.normal(size=(4, 6)) + 0.2
    np.savetxt(tmp_path / "drives.csv", drives, delimiter=",")
    np.savetxt(tmp_path / "answers.csv", np.abs(field), delimiter=",")
    path = tmp_path / "cavity.h5"
    done = run(
        "log", "import", tmp_path / "drives.csv", tmp_path / "answers.csv",
        "--domain", "tones", "--unit", "V", "--low", 0, "--high", 1, "--out", path, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 500
    return path


def trained_as_the_page_says():
    """Train through replay and twin of the recording ``cavity.h5`` in this folder."""
    page = PAGE.read_text(encoding="utf-8").partition("## Training on a recording")[2]
    blocks = dict(re.findall(r"```(python|toml)\n(.*?)```", page, re.DOTALL))
    exec(blocks["python"], {})
    Path("far.toml").write_text(blocks["toml"], encoding="utf-8")
    fit = run("twin", "fit", "cavity.h5", "--kind", "magnitude", "--splits", 1, "--no-plot")
    assert fit.exit_code == 0, fit.stderr
    found = []
    for through in ((), ("--device", "twin?path=cavity-twin.h5")):
        out = f"run{len(found)}.h5"
        done = run("train", "far.toml", "--seeds", 1, "--json", "--out", out, *through)
        assert done.exit_code == 0, done.stderr
        found.append(json.loads(done.stdout))
    return found


def test_training_goes_through_replay_and_twin_of_any_recording(recording, monkeypatch):
    monkeypatch.chdir(recording.parent)
    replay, twin = trained_as_the_page_says()
    assert replay["accuracy"] > 0.6
    assert twin["accuracy"] == pytest.approx(replay["accuracy"], abs=0.05)


@pytest.mark.skipif(not CAVITY.is_dir(), reason="the recording is not here")
def test_training_goes_through_replay_and_twin_of_the_recorded_cavity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = (CAVITY / "drives.csv", CAVITY / "answers.csv")
    done = run("log", "import", *files, "--domain", "tones", "--out", "cavity.h5")
    assert done.exit_code == 0, done.stderr
    for content in trained_as_the_page_says():
        assert content["rows"]["train"] + content["rows"]["test"] == 5001
        # What the drive, or any affine map of it, cannot do.
        assert 0.56 < content["accuracy"] < 0.65
        assert content["gains"]["bypassed"]["low"] > 0
        assert content["gains"]["affine"]["low"] > 0


def test_a_recording_becomes_a_twin_that_is_trained_through(recording, tmp_path):
    done = run("twin", "fit", recording, "--splits", 2, "--epochs", 20)
    assert done.exit_code == 0, done.stderr
    assert "law           magnitude" in done.stdout
    assert "in 2 of 2 splits" in done.stdout
    twin = tmp_path / "cavity-twin.h5"
    assert twin.with_suffix(".png").stat().st_size > 10_000
    X = np.random.default_rng(1).random((120, 4))
    np.savez(tmp_path / "data.npz", X=X, y=(X[:, 0] > X[:, 1]).astype(int))
    table = tmp_path / "train.toml"
    table.write_text(
        f'data = "{(tmp_path / "data.npz").as_posix()}"\ndevice = "twin"\n'
        '[rule]\nname = "readout"\n'
        "[run]\nthreads = 1\nseeds = 1\ncontrols = []\n",
        encoding="utf-8",
    )
    runs = {}
    for device in (
        f"twin?path={twin.as_posix()}",
        f"replay?path={(tmp_path / 'run0.h5').as_posix()}",
    ):
        out = tmp_path / f"run{len(runs)}.h5"
        done = run("train", table, "--device", device, "--out", out, "--record", "--json")
        assert done.exit_code == 0, done.stderr
        runs[device] = json.loads(done.stdout)["accuracy"]
    # The replay of what the twin was asked answers the same questions alike.
    assert len(set(runs.values())) == 1
    assert min(runs.values()) > 0.8
    # Another training asks for drives that were never recorded.
    done = run("train", table, "--device", device, "--seed", 1, "--out", tmp_path / "x.h5")
    assert done.exit_code == 3
    assert "the nearest recorded drive is" in done.stderr


def test_json_and_errors(recording, tmp_path):
    out = tmp_path / "new" / "twin.h5"
    fit = ("twin", "fit", recording, "--kind", "quadratic", "--splits", 1, "--no-plot")
    done = run(*fit, "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["kind"] == "quadratic"
    assert content["files"] == [str(out)]
    assert len(content["r2_by_split"]) == 1
    again = run(*fit, "--out", out)
    assert again.exit_code == 4
    assert "exists already" in again.stderr
    wrong = run("twin", "fit", recording, "--kind", "cubic", "--no-plot")
    assert wrong.exit_code == 2
    assert "kind='cubic' is not one of" in wrong.stderr
    none = run(
        "log", "import", tmp_path / "drives.csv", "--drives", "9", "--out", tmp_path / "n.h5"
    )
    assert none.exit_code == 2
    assert "counted from 1 to 4" in none.stderr


def test_our_own_recordings_with_complex_answers(tmp_path):
    wires = np.random.default_rng(0).normal(size=(3, 2)) @ [[1], [1j]]
    box = FunctionDevice(lambda u: u @ wires + 1j, 3, 1, output_dtype="complex128")
    with Recorded(box, tmp_path / "r.h5") as device:
        device.measure(np.random.default_rng(1).random((200, 3)))
    done = run("twin", "fit", tmp_path / "r.h5", "--splits", 1, "--epochs", 5)
    assert done.exit_code == 0, done.stderr
    assert "held-out R2   1.0000" in done.stdout
