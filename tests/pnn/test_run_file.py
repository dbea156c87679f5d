"""Reading a run again: the trained network, what it says of itself, what is no run."""

import json
import warnings

import h5py
import numpy as np
import pytest
from black_boxes import digits, slope

import pnn
from devices import DeviceError
from devices.hdf5 import RecordFile
from pnn.config import Config
from pnn.experiment import run
from pnn.run_file import RunFileError, load, read_attributes

DATA = digits(rows=200)


def ran(out, dataset=DATA, *, device="test:box?n_inputs=20&n_outputs=48", interrupt="", **tables):
    """Run, or break off where progress says `interrupt`; return the path."""
    content = {
        "data": "digits",
        "device": device,
        "rule": "phyll",
        "network": {"width": 16},
        "training": {"epochs": 6, "check_every": 2},
        "run": {"threads": 1, "out": str(out), "controls": []},
    }
    for table, keys in tables.items():
        before = content.get(table)
        both = isinstance(before, dict) and isinstance(keys, dict)
        content[table] = before | keys if both else keys

    def progress(seed, arm, share, what):
        if interrupt and what.startswith(interrupt):
            raise KeyboardInterrupt

    try:
        run(Config.model_validate(content), dataset, progress)
    except KeyboardInterrupt:
        assert interrupt
    return out


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"rule": "forward-forward", "network": {"layers": 2}},
        {"rule": "mono-forward", "network": {"masks": 2, "skip": True}},
        {"rule": "readout", "network": {"layers": 2, "adapter": "project"}},
        {"training": {"schedule": "joint"}, "network": {"layers": 2}},
        {"device": "test:box?n_inputs=20&output_dtype=complex64", "rule": "mono-forward"},
        {"device": "test:box?n_inputs=40&domain=bits", "rule": "mono-forward"},
        {"device": ["test:box?n_inputs=20", "test:box?n_inputs=16&seed=1"]},
        {"device": {"name": "sim:scattering-medium", "n_outputs": 32, "ideal": True}},
    ],
    ids=lambda tables: " ".join(map(str, tables.values())) or "plain",
)
@pytest.mark.usefixtures("named_devices")
def test_a_loaded_network_predicts_as_it_did_in_the_run(tmp_path, tables):
    path = ran(tmp_path / "run.h5", **tables)
    with h5py.File(path) as file:
        test = file["seed_0/test_row"][()]
        right = file["seed_0/merit_device"][()].astype(bool)
    estimator = load(path)
    predicted = estimator.predict(DATA.X[test])
    np.testing.assert_array_equal(predicted == DATA.y[test], right)
    assert right.mean() > 0.5
    assert estimator.class_names_ == ("0", "1", "2")
    again = load(path).decision_function(DATA.X)
    np.testing.assert_array_equal(estimator.decision_function(DATA.X), again)


@pytest.mark.usefixtures("named_devices")
def test_numbers_are_predicted_again_too(tmp_path):
    data = slope()
    device = "test:box?n_inputs=6"
    path = ran(tmp_path / "run.h5", data, device=device, rule="readout")
    with h5py.File(path) as file:
        test, merit = file["seed_0/test_row"][()], file["seed_0/merit_device"][()]
    predicted = pnn.load(path).predict(data.X[test])
    error = (predicted - data.y[test]) ** 2 / np.var(data.y[test])
    np.testing.assert_allclose(1 - error, merit, atol=1e-6)


@pytest.mark.usefixtures("named_devices")
def test_any_seed_can_be_had_and_another_device_can_take_its_place(tmp_path):
    path = ran(tmp_path / "run.h5", run={"seed": 3, "seeds": 2})
    first, second = load(path), load(path, seed=4)
    assert (first.seed_, second.seed_) == (3, 4)
    assert not np.array_equal(first.decision_function(DATA.X), second.decision_function(DATA.X))
    np.testing.assert_array_equal(
        load(path, seed=3).decision_function(DATA.X), first.decision_function(DATA.X)
    )
    other = load(path, device="test:box?n_inputs=20&n_outputs=48&seed=9")
    assert not np.array_equal(other.decision_function(DATA.X), first.decision_function(DATA.X))
    with pytest.raises(RunFileError, match="no trained network for seed 7; it has 3, 4"):
        load(path, seed=7)


# -- runs that were broken off -----------------------------------------------------------------


@pytest.mark.usefixtures("named_devices")
def test_a_run_that_was_broken_off_gives_its_best_state_so_far(tmp_path):
    path = ran(tmp_path / "run.h5", interrupt="layer 1 5/6")
    with h5py.File(path) as file:
        assert file.attrs["status"] == b"interrupted"
    assert (load(path).predict(DATA.X) == DATA.y).mean() > 0.6


@pytest.mark.usefixtures("named_devices")
def test_of_layers_that_were_not_reached_a_warning_tells(tmp_path):
    path = ran(tmp_path / "run.h5", interrupt="layer 1 6/6", network={"layers": 2})
    with pytest.warns(UserWarning, match="only 1 of 2 layers were trained"):
        estimator = load(path)
    assert (estimator.predict(DATA.X) == DATA.y).mean() > 0.6


@pytest.mark.usefixtures("named_devices")
def test_a_run_that_learned_nothing_has_nothing_to_load(tmp_path):
    path = ran(tmp_path / "run.h5", interrupt="measure")
    with pytest.raises(RunFileError, match=r"no trained network for seed 0; it has none"):
        load(path)


@pytest.mark.usefixtures("named_devices")
def test_a_device_that_dies_while_testing_leaves_the_trained_network(tmp_path):
    with h5py.File(ran(tmp_path / "whole.h5")) as file:
        ledger = json.loads(file["seed_0"].attrs["ledger"])["queries"]
    before_test = ledger["train"] + ledger["validation"]
    device = f"test:box?n_inputs=20&n_outputs=48&dies_after={before_test + 3}"
    with pytest.raises(DeviceError):
        ran(tmp_path / "run.h5", device=device)
    healthy = load(tmp_path / "run.h5", device="test:box?n_inputs=20&n_outputs=48")
    expected = load(tmp_path / "whole.h5")
    np.testing.assert_array_equal(healthy.predict(DATA.X), expected.predict(DATA.X))


# -- what a run says of itself -----------------------------------------------------------------


@pytest.mark.usefixtures("named_devices")
def test_attributes_come_back_as_they_were(tmp_path):
    content = read_attributes(ran(tmp_path / "run.h5", run={"seeds": 2}))
    assert content["classes"] == ["0", "1", "2"]
    assert content["config"]["network"] == {"width": 16}
    assert content["plan"]["rule"] == "phyll"
    assert content["n_features"] == 16
    assert list(content["seeds"]) == ["seed_0", "seed_1"]
    assert content["seeds"]["seed_1"]["ledger"]["queries"]["train"] > 0
    assert content["summary"]["run"] == str(tmp_path / "run.h5")
    json.dumps(content)


@pytest.mark.usefixtures("named_devices")
def test_a_text_that_looks_like_json_stays_a_text(tmp_path):
    path = ran(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["dataset"] = "[first] {half"
    assert read_attributes(path)["dataset"] == "[first] {half"


@pytest.mark.parametrize("reader", [load, read_attributes])
def test_what_is_no_run_is_refused(tmp_path, reader):
    with pytest.raises(RunFileError, match=r"cannot open .*nowhere"):
        reader(tmp_path / "nowhere.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(RunFileError, match=r"cannot open .*text"):
        reader(tmp_path / "text.h5")
    RecordFile(tmp_path / "other.h5", kind="recording").close()
    with pytest.raises(RunFileError, match="is no run of `pnn train`"):
        reader(tmp_path / "other.h5")


@pytest.mark.usefixtures("named_devices")
def test_loading_a_finished_run_is_silent(tmp_path):
    path = ran(tmp_path / "run.h5", network={"layers": 2, "adapter": "project"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)
