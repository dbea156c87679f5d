"""`pnn train` of a device that drifts: what is done, told and kept, and runs that are resumed."""

import json
import re

import h5py
import numpy as np
import pytest
from black_boxes import digits
from run_content import assert_same, content
from typer.testing import CliRunner

from calibration import Noise, Offset, calibrate
from pnn import build_device
from pnn.cli.main import app
from pnn.config import Config, ConfigError, load_config
from pnn.experiment import plan, resume, run
from pnn.report import result_text, summary
from pnn.run_file import RunFileError, load

DATA = digits(rows=200)
JUMPING = {
    "name": "sim:scattering-medium",
    "n_outputs": 60,
    "zero_order": 0.25,
    "ideal": True,
    "wrap": [{"name": "jumping", "after": 220, "gain": 0.5, "mixing": 0.6}, {"name": "cached"}],
}
DRIFTING = JUMPING | {"wrap": [{"name": "drifting", "rate": 0.02}, {"name": "cached"}]}
BENCH = {
    "name": "test:box?n_inputs=16&n_outputs=40&max_batch=1",
    "wrap": [{"name": "jumping", "after": 220, "gain": 0.5, "mixing": 0.6}],
}


def config(out, device=JUMPING, **tables):
    content = {
        "data": "digits",
        "device": device,
        "rule": {"name": "mono-forward"},
        "network": {"width": 16, "scaling": "global"},
        "training": {"epochs": 8, "check_every": 1, "patience": 99},
        "drift": {"every_epochs": 2, "share": 0.3},
        "run": {"threads": 1, "out": str(out), "controls": ["affine"]},
    }
    for table, keys in tables.items():
        content[table] = content.get(table, {}) | keys if keys else {}
    return Config.model_validate(content)


def assert_no_more(spent, announced):
    """Assert that no purpose, and not all together, had more queries than was said."""
    more = {purpose: n for purpose, n in spent.items() if n > announced.get(purpose, 0)}
    assert not more, f"spent {more} of {announced}"


def test_a_run_mends_itself_and_says_so(tmp_path):
    told = []
    settings = config(tmp_path / "watched.h5")
    intended = plan(settings, DATA)
    result = run(settings, DATA, lambda seed, arm, share, what: told.append((arm, what)))
    found = summary(result)
    [drift] = found["drift"]["drifts"]
    assert (drift["reaction"], drift["tried"], drift["seed"]) == ("refit", ["refit"], 0)
    assert drift["relative_change"] > 0.3
    assert drift["agreement"] > 0.8
    assert found["drift"]["looks"] >= 4
    assert found["queries"]["probe"] == 8 * (found["drift"]["looks"] + 6)
    assert found["estimate"] == intended.queries
    assert_no_more(found["queries"], intended.queries)
    assert any("reactions to drift may spend" in note for note in intended.notes)
    text = result_text(found)
    assert "looks at the probe drives, drift in 1" in text
    assert f"seed 0, epoch {drift['epoch']}: " in text
    assert any("; drifted by" in what and "refit" in what for arm, what in told if arm == "device")
    assert not any("drifted" in what for arm, what in told if arm != "device")
    json.dumps(found, allow_nan=False)
    alone = run(config(tmp_path / "alone.h5", drift={}), DATA)
    assert "drift" not in summary(alone)
    assert found["accuracy"] > summary(alone)["accuracy"] + 0.1
    # The loaded network has the repair, too: on the medium as it is now, it is as good.
    with h5py.File(tmp_path / "watched.h5") as file:
        test = file["seed_0/test_row"][()]
        assert file["seed_0/drift/drifted"][()].sum() == 1
        assert "alignment.A" in "".join(file["seed_0/weights"])
    now = JUMPING | {"wrap": [JUMPING["wrap"][0] | {"after": 0}]}
    network = load(tmp_path / "watched.h5", device=build_device(now, defaults={"n_inputs": 16}))
    accuracy = np.mean(network.predict(DATA.X[test]) == DATA.y[test])
    assert accuracy == found["accuracy"]


def test_a_slow_walk_is_followed_for_no_more_than_was_said(tmp_path):
    watch = {"every_epochs": 1, "share": 0.2, "tolerance": 0.1, "budget": 2.0}
    settings = config(tmp_path / "a.h5", DRIFTING, drift=watch)
    watched = summary(run(settings, DATA))
    assert_no_more(watched["queries"], plan(settings, DATA).queries)
    alone = summary(run(config(tmp_path / "b.h5", DRIFTING, drift={}), DATA))
    assert len(watched["drift"]["drifts"]) > 2
    assert watched["accuracy"] > alone["accuracy"]


@pytest.mark.parametrize(
    ("device", "rule"),
    [(JUMPING, "mono-forward"), (BENCH, "node-perturbation")],
    ids=["simulator", "bench"],
)
def test_a_watched_run_is_resumed_to_the_same_bits(named_devices, tmp_path, device, rule):
    whole, broken = tmp_path / "whole.h5", tmp_path / "broken.h5"
    tables = {"rule": {"name": rule}, "drift": {"reactions": ["refit"]}}
    tables["training"] = {"epochs": 4}
    first = summary(run(config(whole, device, **tables), DATA))
    assert len(first["drift"]["drifts"]) == 1

    def progress(seed, arm, share, what):
        if what.startswith(("layer 1 4", "all layers 4")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config(broken, device, **tables), DATA, progress)
    named_devices.clear()
    again = summary(resume(broken, DATA, accept=True))
    assert again["drift"] == first["drift"]
    assert_same(content(broken), content(whole))


def noise_file(device, folder):
    with build_device(device, defaults={"n_inputs": 16}) as bench:
        (made,) = calibrate(bench, [Noise(rows=8, series=64)], folder, not_needed=["settling"])
    return (folder / made.file_name).as_posix()


def test_a_run_that_knows_the_noise_from_a_file_is_resumed(named_devices, tmp_path):
    file = noise_file(BENCH["name"], tmp_path)
    tables = {"drift": {"repeatability": file}, "training": {"epochs": 4}}
    settings = config(tmp_path / "run.h5", {"name": BENCH["name"]}, **tables)

    def progress(seed, arm, share, what):
        if what.startswith("layer 1 4"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings, DATA, progress)
    found = summary(resume(tmp_path / "run.h5", DATA, accept=True))
    assert found["drift"] == {"looks": 3, "drifts": []}


def test_a_run_that_calibrates_a_bench_anew_is_not_resumed(named_devices, tmp_path):
    with build_device(BENCH["name"]) as bench:
        calibrate(bench, [Offset()], tmp_path, not_needed=["settling"])
    wrap = {"name": "calibrated", "calibration": str(next(tmp_path.glob("offset*.h5")))}
    device = BENCH | {"wrap": [wrap]}
    path = tmp_path / "run.h5"
    settings = config(
        path, device, drift={"reactions": ["recalibrate"], "calibrations": str(tmp_path)}
    )

    def progress(seed, arm, share, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings, DATA, progress)
    with pytest.raises(RunFileError, match="recalibrates its device when it drifts"):
        resume(path, DATA, accept=True)


CONFIG = """
data = "digits"
rule = "mono-forward"
[device]
name = "sim:scattering-medium"
n_outputs = 40
[[device.wrap]]
name = "jumping"
after = 1500
gain = 0.5
[training]
epochs = 8
[drift]
every_epochs = 2
reactions = ["stop"]
[run]
out = "run.h5"
controls = []
"""


def test_the_command_stops_where_that_is_configured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stop.toml").write_text(CONFIG)
    for command in (["train", "stop.toml"], ["train", "--resume", "run.h5"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 3, done.output
        assert "has drifted by" in done.stderr
        assert "the outputs are off" in done.stderr
        assert "go on with" not in done.stderr
    done = CliRunner().invoke(app, ["train", "stop.toml", "--dry-run"])
    assert "probe)" in done.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing", "none.h5: there is no such file"),
        ("no calibration", "text.h5: it is no whole HDF5 file"),
        ("of another kind", "'offset' is not one of noise, consistency"),
        ("of another device", "does not apply to .* recipe is .* Measure it on this device"),
        ("negative", "repeatability=-1.0 must be a finite number of at least 0"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_repeatability_that_is_not_known_is_refused_before_anything_is_driven(
    tmp_path, monkeypatch, source, message, options
):
    monkeypatch.chdir(tmp_path)
    device = {"name": "sim:scattering-medium", "n_outputs": 40}
    (tmp_path / "text.h5").write_text("0.01")
    given = {"missing": "none.h5", "no calibration": "text.h5", "negative": -1.0}.get(source)
    if source == "of another kind":
        with build_device(device, defaults={"n_inputs": 16}) as bench:
            (made,) = calibrate(bench, [Offset()], tmp_path, not_needed=["settling"])
        given = made.file_name
    elif source == "of another device":
        given = noise_file(device, tmp_path)
    table = f"reactions = ['stop']\nrepeatability = {given!r}"
    (tmp_path / "stop.toml").write_text(CONFIG.replace('reactions = ["stop"]', table))
    done = CliRunner().invoke(app, ["train", "stop.toml", *options])
    assert done.exit_code == 2, done.output
    assert "error: cannot do this" in done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert "go on with" not in done.stderr
    assert not (tmp_path / "run.h5").exists()


def test_a_table_that_does_nothing_is_refused(tmp_path):
    (tmp_path / "some.toml").write_text(CONFIG.replace("every_epochs = 2", ""))
    with pytest.raises(ConfigError, match=r"some.toml: drift = .*say every_epochs or every_q"):
        load_config(tmp_path / "some.toml")
    assert config("x", drift={}).drift.settings() is None
