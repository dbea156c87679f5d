"""The published comparison as one command: a medium that changes, results, and a report."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from devices import DeviceError, FunctionDevice, build_device
from pnn.cli.main import app
from pnn.importing import write_recording
from pnn.reproduce import prepare, systems
from pnn.reproduce.perturbation import DifferentiablePerturbed, Perturbed, perturbed
from pnn.reproduce.recordings import read_recording, simulated_recording
from simulators.digital import RandomFeatures

DRIVES = np.random.default_rng(0).random((6, 4))


def medium(**options):
    return perturbed(RandomFeatures(n_inputs=4, n_outputs=5), gain=0.2, mixing=0.4, **options)


# -- the medium ------------------------------------------------------------------------------------


def test_the_medium_changes_at_its_share_of_the_training_and_stays_so():
    with medium(share=0.5, seed=1) as device:
        device.follow(0.0)
        before = device.measure(DRIVES, purpose="train")
        device.follow(0.49)
        np.testing.assert_array_equal(device.measure(DRIVES, purpose="train"), before)
        tested = device.measure(DRIVES, purpose="test")  # the medium at the end
        device.follow(0.5)
        np.testing.assert_array_equal(device.measure(DRIVES, purpose="train"), tested)
    np.testing.assert_array_equal(before, RandomFeatures(4, 5).open().measure(DRIVES))
    assert np.abs(tested - before).max() > 0.05


def test_the_same_seed_is_the_same_change_whatever_was_driven_before():
    def tested(seed, rows):
        with medium(share=1.0, seed=seed) as device:
            device.follow(0.0)
            for _ in range(rows):
                device.measure(DRIVES, purpose="train")
            return device.measure(DRIVES, purpose="test")

    np.testing.assert_array_equal(tested(3, 0), tested(3, 7))
    assert not np.array_equal(tested(3, 0), tested(4, 0))


def test_derivatives_are_those_of_the_medium_as_it_is():
    device = medium(share=0.5, seed=2)
    assert isinstance(device, DifferentiablePerturbed)
    for share in (0.0, 1.0):
        with device:
            device.follow(share)
            measured = device.measure(DRIVES, purpose="train")
            drives = torch.tensor(DRIVES, requires_grad=True)
            modelled = device.forward(drives)
            np.testing.assert_allclose(modelled.detach().numpy(), measured)
            (slopes,) = torch.autograd.grad(modelled.sum(), drives)
            step = np.zeros_like(DRIVES)
            step[:, 1] = 1e-6
            moved = device.measure(DRIVES + step, purpose="train") - measured
        np.testing.assert_allclose(slopes[:, 1].numpy(), moved.sum(axis=1) / 1e-6, rtol=1e-4)


def test_a_black_box_stays_one():
    box = FunctionDevice(np.sin, 3, 3)
    assert type(perturbed(box)) is Perturbed
    assert not hasattr(perturbed(box), "forward")


def test_a_test_without_a_training_that_was_followed_is_refused():
    source = {"name": "sim:random-features", "n_inputs": 4, "wrap": [{"name": "perturbed"}]}
    with build_device(source) as device, pytest.raises(DeviceError, match="pnn compare"):
        device.measure(DRIVES, purpose="test")


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_between_nothing_and_all(share):
    with pytest.raises(ValueError, match="share"):
        medium(share=share)


# -- recordings ------------------------------------------------------------------------------------


def test_recordings_are_folders_of_two_tables_or_files_of_ours(tmp_path):
    rows = simulated_recording(20, seed=0)
    assert rows.drives.shape == rows.answers.shape == (20, 20)
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("drives", "answers"):
        np.savetxt(folder / f"{name}.csv", getattr(rows, name), delimiter=",")
    write_recording(rows, tmp_path / "ours.h5")
    for path in (folder, tmp_path / "ours.h5"):
        again = read_recording(path)
        np.testing.assert_allclose(again.drives, rows.drives, rtol=1e-6)
        np.testing.assert_allclose(again.answers, rows.answers, rtol=1e-6)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_recording(tmp_path / "nothing")


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Two rules, two epochs, and a folder where no recording is near."""
    pytest.importorskip("parselmouth")
    for rule in ("phyll", "phyll-unsupervised", "physics-aware", "ideal-backprop"):
        monkeypatch.delitem(systems.RULES, rule)
    monkeypatch.setitem(systems.CONDITIONS, "at inference", 1.0)
    monkeypatch.delitem(systems.CONDITIONS, "while training")
    monkeypatch.chdir(tmp_path)
    return ["reproduce", "momeni2023", "--quick", "--seeds", "1", "--jobs", "1", "--out", "made"]


def test_the_command_writes_a_report_and_goes_on_where_it_was(small, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = [*small, "--system", "microwave", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    results = content["systems"]["microwave"]["results"]
    assert {entry["rule"] for entry in results} == {"phyll-remeasured", "in-silico"}
    found = {(entry["rule"], entry["condition"]): entry for entry in results}
    still, changed = (found["phyll-remeasured", name] for name in ("still", "at inference"))
    assert still["accuracy"] > 0.4  # chance is 0.14
    assert changed["accuracy"] < still["accuracy"]
    assert still["curve"]["accuracy"][-1] == pytest.approx(still["accuracy"], abs=0.1)
    # 308 rows, 3 layers: 7 labels to fix the scalings, and 2 of them in each of 4 epochs.
    assert still["queries"] == 308 * 3 * (7 + 2 * 4)
    assert found["in-silico", "still"]["queries"] == (308 + 1000) * 3
    made = tmp_path / "made"
    text = (made / "report.md").read_text("utf-8")
    for part in ("quick look", "published code", "left open", "Linear model", "microwave.png"):
        assert part in text
    assert (made / "microwave.png").stat().st_size > 10_000
    assert json.loads((made / "report.json").read_text("utf-8"))["systems"] == content["systems"]
    again = CliRunner().invoke(app, arguments)  # nothing is trained a second time
    assert json.loads(again.stdout)["systems"] == content["systems"]
    assert "trainings done" not in again.stderr
    other = CliRunner().invoke(app, [*arguments, "--seed", "5"])
    assert other.exit_code == 2
    assert "other settings" in other.stderr


def test_without_a_recording_its_system_is_left_out_and_a_dry_run_drives_nothing(small, tmp_path):
    done = CliRunner().invoke(app, [*small, "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    estimate = json.loads(done.stdout)
    assert estimate["systems"] == ["acoustic", "microwave", "optical"]
    assert "--recording" in estimate["skipped"]["acoustic-recorded"]
    assert estimate["trainings"] == 3 * 2 * 2
    assert not (tmp_path / "made").exists()
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        prepare(tmp_path / "made", recording=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="acoustic, acoustic-recorded, microwave, optical"):
        prepare(tmp_path / "made", systems=("mechanical",))
