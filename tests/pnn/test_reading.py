"""``pnn.open_run``: every kind of file as xarray objects."""

import sys

import h5py
import numpy as np
import pytest
from black_boxes import digits

import pnn
from devices import Noisy, extras
from devices.errors import DamagedFile
from pnn.experiment import run as train

xarray = pytest.importorskip("xarray")


@pytest.fixture
def device():
    return pnn.build_device("sim:scattering-medium?n_inputs=4&n_outputs=6&seed=1")


@pytest.fixture
def recording(device, tmp_path):
    path = tmp_path / "rows.h5"
    with pnn.Recorded(device, path) as recorded:
        recorded.measure(np.random.default_rng(0).random((40, 4)))
    return path


def test_a_recording_shows_its_rows_and_what_it_is(recording):
    with pnn.open_run(recording) as run:
        assert (run.kind, run.status) == ("recording", "done")
        assert run.rows.drives.shape == (40, 4)
        assert run.rows.drives.attrs["units"] == "rad"
        assert run.rows.time.dtype.kind == "M"
        assert "recording, done" in repr(run)
        assert "answers 40x6" in repr(run)
        with pytest.raises(ValueError, match=r"kind 'recording', which has no grid"):
            _ = run.grid
        with pytest.raises(ValueError, match="no metrics"):
            _ = run.metrics
        with pytest.raises(ValueError, match=r"no group 'seed_0'; it has \['/'\]"):
            run.dataset("seed_0")


def test_values_are_read_when_they_are_used(recording):
    with pnn.open_run(recording) as run:
        assert not run.rows.answers.variable._in_memory


def test_rows_that_a_kill_left_ragged_are_none(recording):
    with h5py.File(recording, "r+") as file:
        file["answers"].resize(31, axis=0)
        file.attrs["status"] = b"running"
    with pnn.open_run(recording) as run:
        assert run.status == "running"
        assert run.rows.sizes["row"] == 31
        assert run.rows.drives.shape == (31, 4)
        assert np.isfinite(run.rows.answers).all()


def test_a_training_run_has_its_metrics_along_the_seeds(tmp_path, named_devices):
    data = digits(rows=120)
    config = pnn.Config.model_validate(
        {
            "data": "none",
            "device": "test:box?n_inputs=20",
            "network": {"width": 8},
            "training": {"epochs": 4, "check_every": 1},
            "run": {
                "seeds": 2,
                "seed": 5,
                "controls": [],
                "record": True,
                "out": str(tmp_path / "run.h5"),
            },
        }
    )
    train(config, data)
    with pnn.open_run(tmp_path / "run.h5") as run:
        assert run.kind == "train"
        assert run.config["training"]["epochs"] == 4
        metrics = run.metrics
        assert metrics.seed.values.tolist() == [5, 6]
        assert metrics.loss.dims == ("seed", "check")
        with pytest.raises(ValueError, match=r"choose one with dataset\(\)"):
            _ = run.rows
        assert "drives" in run.dataset("seed_5/measurements_0")


def test_a_calibration_opens(device, tmp_path):
    import calibration

    with Noisy(device, 0.01) as noisy:
        chosen = calibration.procedures_for(noisy, ["noise"])
        made = calibration.calibrate(noisy, chosen, tmp_path, not_needed=["settling"])
    with pnn.open_run(tmp_path / f"noise-{made[0].id}.h5") as run:
        assert run.kind == "calibration"
        assert len(run.dataset("data"))


def test_a_damaged_file_is_told_with_what_to_do(recording, tmp_path):
    (tmp_path / "cut.h5").write_bytes(recording.read_bytes()[:-2000])
    for read in (pnn.open_run, pnn.load):
        with pytest.raises(DamagedFile, match=r"cut.h5 is damaged .* `pnn log repair`"):
            read(tmp_path / "cut.h5")


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere.h5"):
        pnn.open_run(tmp_path / "nowhere.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(ValueError, match=r"it is no HDF5 file"):
        pnn.open_run(tmp_path / "text.h5")
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(ValueError, match="no file of this toolkit"):
        pnn.open_run(tmp_path / "other.h5")


def test_without_xarray_the_extra_is_named(recording, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    run = pnn.open_run(recording)
    assert run.status == "done"  # attributes need no extra
    with pytest.raises(extras.MissingExtraError, match=r"pnn-toolkit\[xarray\]"):
        _ = run.rows
