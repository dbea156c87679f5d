"""Controls of a comparison: those of a single run, beside every training, paired with it."""

import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from pnn import experiment
from pnn.cli.main import app
from pnn.compare import CompareConfig, compare, plan_comparison, read_comparison, resume
from pnn.compare import work as works
from pnn.compare.table import table_text
from pnn.config import ConfigError, validated
from pnn.controls import CONTROLS
from pnn.data import Dataset


@pytest.fixture
def data():
    X = np.random.default_rng(0).uniform(-1, 1, (150, 2))
    return Dataset(
        name="corners", X=X, y=(X[:, 0] * X[:, 1] > 0).astype(int), classes=("unlike", "alike")
    )


def config(tmp_path, **changes):
    content = {
        "name": "controlled",
        "data": "corners.npz",
        "rules": ["readout"],
        "devices": [{"name": "sim:scattering-medium", "n_outputs": 24, "label": "speckle"}],
        "budgets": [100_000],
        "training": {"epochs": 3},
        "network": {"width": 8},
    }
    run = {"seeds": 2, "jobs": 1, "out": str(tmp_path / "compare.h5"), "controls": ["affine"]}
    content |= changes
    return CompareConfig.model_validate(content | {"run": run | changes.get("run", {})})


@pytest.mark.parametrize("rule", ["readout", "in-silico"])
def test_controls_are_those_of_a_single_run(tmp_path, data, rule):
    chosen = {"name": rule} | ({"twin_rows": 50} if rule == "in-silico" else {})
    run = {"seeds": 1, "controls": list(CONTROLS)}
    settings = config(tmp_path, rules=[chosen], run=run)
    path = compare(settings, data)
    run = {"controls": tuple(CONTROLS), "out": str(tmp_path / "run.h5")}
    alone = experiment.run(settings.config(0, 0, 0).with_(run=run), data).seeds[0]
    with h5py.File(path) as file:
        for name, arm in alone.arms.items():
            column = "merit" if name == "device" else f"merit_{name}"
            np.testing.assert_array_equal(file[f"results/{column}"][0], arm.merit, err_msg=name)


def test_the_gain_over_a_control_is_paired_over_the_seeds(tmp_path, data):
    comparison = read_comparison(compare(config(tmp_path), data))
    (line,) = comparison.lines
    with h5py.File(comparison.path) as file:
        found, control = (
            file[f"results/{name}"][()].mean(axis=1) for name in ("merit", "merit_affine")
        )
    assert line.controls["affine"].score == pytest.approx(control.mean())
    assert line.controls["affine"].gain.mean == pytest.approx((found - control).mean())
    assert line.controls["affine"].gain.paired_over == "seeds"
    assert " gain over affine " in table_text(comparison)
    content = json.loads(json.dumps(comparison.as_dict()))["lines"][0]["controls"]["affine"]
    assert content["gain"]["mean"] == line.controls["affine"].gain.mean


def test_a_comparison_without_controls_looks_as_it_did(tmp_path, data):
    path = compare(config(tmp_path, run={"controls": []}), data)
    with h5py.File(path) as file:
        assert not [name for name in file["results"] if name.startswith("merit_")]
    assert "affine" not in table_text(read_comparison(path))


def test_controls_are_resumed_with_their_training(tmp_path, data):
    def stop(done, total, cell):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(config(tmp_path), data, progress=stop)
    resume(tmp_path / "compare.h5", lambda _: data)
    (line,) = read_comparison(tmp_path / "compare.h5").lines
    assert line.seeds == 2
    assert line.controls["affine"].gain is not None


def test_a_control_that_fails_leaves_the_device_its_score(tmp_path, data, monkeypatch):
    def fail(*_):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(works, "run_control", fail)
    comparison = read_comparison(compare(config(tmp_path), data))
    assert comparison.lines[0].seeds == 2
    assert comparison.lines[0].controls["affine"] is None
    assert "readout on speckle: control affine: the loss is nan" in table_text(comparison)


def test_a_control_that_there_is_not_is_refused_by_name(tmp_path):
    content = config(tmp_path).model_dump(mode="json") | {"run": {"controls": ["afine"]}}
    with pytest.raises(ConfigError, match=r"run\.controls.*matched_digital"):
        validated(CompareConfig, content, "small.toml")


def test_the_estimate_counts_the_controls(tmp_path, data, monkeypatch):
    settings = config(tmp_path, run={"controls": ["affine", "matched_digital"]})
    with_them, without = (
        plan_comparison(one, data) for one in (settings, config(tmp_path, run={"controls": []}))
    )
    assert with_them.queries == without.queries
    assert with_them.control_trainings == 4
    assert without.control_trainings == 0
    assert with_them.multiply_adds == without.multiply_adds
    monkeypatch.chdir(tmp_path)
    np.savez("corners.npz", X=data.X, y=data.y)
    (tmp_path / "small.toml").write_text(
        'data = "corners.npz"\nrules = ["readout"]\nbudgets = [500]\n'
        'devices = [{ name = "sim:random-features", n_outputs = 24 }]\n'
        '[run]\nseeds = 2\ncontrols = ["affine", "matched_digital"]\n'
    )
    told = CliRunner().invoke(app, ["estimate", "small.toml"]).stdout
    assert "2 trainings, and 4 of the controls affine, matched_digital" in told
