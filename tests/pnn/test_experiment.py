"""One experiment: what it writes, and what is left when it ends badly."""

import h5py
import numpy as np
import pytest
import xarray
from black_boxes import digits, slope

from devices import DeviceError
from pnn.config import Config
from pnn.data import Dataset, split
from pnn.experiment import load_data, plan, run

DATA = digits(rows=150)


def config(out, device="test:box?n_inputs=20", **tables):
    content = {
        "name": "trial",
        "data": "digits",
        "device": device,
        "rule": "phyll",
        "network": {"width": 12},
        "training": {"epochs": 4, "check_every": 2},
        "run": {"threads": 1, "out": str(out), "controls": []},
    }
    for table, keys in tables.items():
        before = content.get(table)
        both = isinstance(before, dict) and isinstance(keys, dict)
        content[table] = before | keys if both else keys
    return Config.model_validate(content)


@pytest.fixture(scope="module")
def done(named_devices, tmp_path_factory):
    """A run of two seeds with everything on: its result, and the boxes that it drove."""
    out = tmp_path_factory.mktemp("runs") / "new" / "run.h5"
    named_devices.clear()
    settings = config(
        out,
        network={"layers": 2, "width": 12, "adapter": "project"},
        run={"seeds": 2, "record": True, "controls": ["linear", "affine"]},
    )
    seen = []
    result = run(settings, DATA, lambda *step: seen.append(step))
    driven = [box for box in named_devices if len(box.rows)]
    return result, driven, seen


def groups(path):
    """Every group of a file, by its full name."""
    with h5py.File(path) as file:
        names = ["/"]
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Group) else None
        )
    return names


def opened(path, group):
    return xarray.open_dataset(path, engine="h5netcdf", group=group)


# -- the file of a run -------------------------------------------------------------------------


def test_every_group_opens_in_xarray_with_named_dimensions(done):
    result, *_ = done
    names = groups(result.path)
    wanted = {"seed_0", "seed_1", "seed_0/weights", "seed_1/metrics", "seed_0/measurements_0"}
    assert wanted <= set(names)
    for name in names:
        with opened(result.path, name) as content:
            assert not any("phony" in str(dim) for dim in content.dims), (name, content.dims)
            content.load()


def test_the_root_says_what_was_run_and_where_it_comes_from(done):
    result, *_ = done
    with opened(result.path, "/") as content:
        attributes = content.attrs
    assert attributes["status"] == "done"
    assert attributes["kind"] == "train"
    assert attributes["dataset"] == "few-digits"
    assert attributes["dataset_digest"] == DATA.digest()
    for package in ("python", "pnn-toolkit", "numpy", "torch"):
        assert package in attributes["versions"]
    for key in ("started", "ended", "platform", "host", "command", "config", "plan", "summary"):
        assert attributes[key]


def test_each_seed_has_its_split_its_scores_and_its_ledger(done):
    result, *_ = done
    for seed, one in zip((0, 1), result.seeds, strict=True):
        train, test = split(DATA, seed, 0.2)
        with opened(result.path, f"seed_{seed}") as content:
            np.testing.assert_array_equal(content["train_row"], train)
            np.testing.assert_array_equal(content["test_row"], test)
            for arm in ("device", "linear", "affine"):
                merit = content[f"merit_{arm}"]
                assert merit.dims == ("test_row",)
                assert float(merit.mean()) == pytest.approx(one.arms[arm].score)
            assert content.attrs["status"] == "done"
            assert '"queries"' in content.attrs["ledger"]


def test_metrics_are_those_of_each_look_at_the_validation_rows(done):
    result, *_ = done
    with opened(result.path, "seed_0/metrics") as content:
        assert set(content) == {"layer", "epoch", "loss", "validation_loss", "validation_accuracy"}
        np.testing.assert_array_equal(content["layer"], [0, 0, 1, 1])
        np.testing.assert_array_equal(content["epoch"], [2, 4, 2, 4])


def test_what_is_recorded_is_what_the_device_was_driven_with_and_answered(done):
    result, driven, _ = done
    assert len(driven) == 2  # one for each seed
    for seed, box in enumerate(driven):
        with opened(result.path, f"seed_{seed}/measurements_0") as content:
            assert content["drives"].dims == ("row", "input")
            np.testing.assert_array_equal(content["drives"], box.rows)
            # To the last bit but one: what a matrix product rounds to depends on its rows.
            np.testing.assert_allclose(content["answers"], box.respond(box.rows), rtol=1e-12)
        assert box.ledger.total == len(box.rows)
        assert box.ledger.as_dict() == result.seeds[seed].ledger


def test_queries_of_a_seed_are_within_the_plan(done):
    result, *_ = done
    for seed in result.seeds:
        for purpose, rows in result.plan.queries.items():
            assert seed.ledger["queries"][purpose] <= rows
        assert seed.ledger["queries"]["train"] == result.plan.queries["train"]


def test_devices_are_off_and_closed_afterwards(done):
    _, driven, _ = done
    for box in driven:
        assert box.calls[0] == "open"
        assert box.calls[-2:] == ["safe", "close"]
        assert box.calls.count("close") == 1


def test_progress_goes_from_nothing_to_all_for_each_arm_of_each_seed(done):
    *_, seen = done
    arms = list(dict.fromkeys((seed, arm) for seed, arm, *_ in seen))
    assert arms == [(s, arm) for s in (0, 1) for arm in ("device", "linear", "affine")]
    assert all(0 < share <= 1 for _, _, share, _ in seen)
    for pair in arms:
        assert [share for seed, arm, share, _ in seen if (seed, arm) == pair][-1] > 0.3


@pytest.mark.usefixtures("named_devices")
def test_twice_the_same_run_gives_the_same_numbers(tmp_path):
    results = [
        run(config(tmp_path / f"{i}.h5", run={"controls": ["affine", "matched_digital"]}), DATA)
        for i in range(2)
    ]
    one, two = (result.seeds[0] for result in results)
    for arm in one.arms:
        np.testing.assert_array_equal(one.arms[arm].merit, two.arms[arm].merit)
    with h5py.File(results[0].path) as a, h5py.File(results[1].path) as b:
        for name, values in a["seed_0/weights"].items():
            np.testing.assert_array_equal(values, b["seed_0/weights"][name])


@pytest.mark.usefixtures("named_devices")
def test_a_complex_device_for_each_layer_is_recorded_too(tmp_path):
    name = "test:box?n_inputs=20&output_dtype=complex128"
    settings = config(
        tmp_path / "run.h5", device=[name, name], network={"width": 20}, run={"record": True}
    )
    result = run(settings, DATA)
    with h5py.File(result.path) as file:
        assert file["seed_0/measurements_1/answers"].dtype == np.complex128
        rows = [len(file[f"seed_0/measurements_{i}/drives"]) for i in (0, 1)]
    assert sum(rows) == result.plan.queries["total"]


@pytest.mark.usefixtures("named_devices")
def test_numbers_are_merited_by_their_error(tmp_path):
    result = run(config(tmp_path / "run.h5", rule="readout", run={"controls": ["linear"]}), slope())
    arms = result.seeds[0].arms
    assert arms["device"].score > 0.5
    assert arms["device"].merit.max() <= 1
    assert arms["linear"].parameters == 4


@pytest.mark.usefixtures("named_devices")
def test_without_a_path_files_are_named_by_run_and_time_and_never_clash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = config(None, rule="readout").with_(run={"out": None})
    paths = [run(settings, DATA).path for _ in range(2)]
    assert len(set(paths)) == 2
    for path in paths:
        assert path.parent.name == "runs"
        assert path.name.startswith("trial-")
        assert path.is_file()


# -- before anything is driven -----------------------------------------------------------------


def test_a_plan_drives_and_opens_nothing(named_devices, tmp_path):
    named_devices.clear()
    intended = plan(config(tmp_path / "run.h5"), DATA)
    assert intended.rows["train"] + intended.rows["validation"] + intended.rows["test"] == 150
    assert intended.queries["total"] == sum(
        n for purpose, n in intended.queries.items() if purpose != "total"
    )
    assert [box.calls for box in named_devices] == [[]]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"rule": {"name": "readout"}, "training": {"schedule": "joint"}}, "layer by layer"),
        ({"device": "test:box?n_inputs=20&memory=true"}, "keeps memory"),
        ({"network": {"encoder": "phase"}}, "PhaseEncoder cannot drive box"),
        ({"device": "test:box?n_inputs=4", "network": {"adapter": "pad"}}, "too few for 19"),
        ({"device": "test:box?n_inputs=0"}, "n_inputs=0"),
        ({"device": []}, "0 devices"),
        ({"rule": {"name": "phyll", "slope": 1}}, "rule 'phyll'"),
    ],
)
def test_what_does_not_go_together_is_refused_before_a_file_is_made(
    named_devices, tmp_path, tables, message
):
    named_devices.clear()
    with pytest.raises(ValueError, match=message):
        run(config(tmp_path / "run.h5", **tables), DATA)
    assert not list(tmp_path.iterdir())
    assert not any(box.calls for box in named_devices)


def test_a_test_part_too_small_to_judge_by_is_refused(named_devices, tmp_path):
    named_devices.clear()
    few = Dataset(name="few", X=np.eye(6), y=np.arange(6.0), task="regression")
    with pytest.raises(ValueError, match=r"few: run\.test=0\.1 of 6 rows leaves 1 to test on"):
        run(config(tmp_path / "run.h5", rule="readout", run={"test": 0.1}), few)
    assert not any(box.calls for box in named_devices)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_in_the_way_is_named_and_left_alone(named_devices, tmp_path, what):
    named_devices.clear()
    (tmp_path / "here").write_text("mine")
    out = tmp_path / "here" if what == "file" else tmp_path / "here" / "run.h5"
    with pytest.raises(OSError, match="here"):
        run(config(out), DATA)
    assert (tmp_path / "here").read_text() == "mine"
    assert not any(box.calls for box in named_devices)


def test_the_data_of_a_configuration_are_read_with_its_options():
    data = load_data(config("x", data={"source": "digits", "pool": 4}))
    assert data.X.shape == (1797, 4)


# -- a run that ends badly ---------------------------------------------------------------------


@pytest.mark.parametrize("record", [False, True])
def test_a_device_that_dies_leaves_a_file_with_the_rows_measured_so_far(
    named_devices, tmp_path, record
):
    named_devices.clear()
    settings = config(
        tmp_path / "run.h5", device="test:box?n_inputs=20&dies_after=70", run={"record": record}
    )
    with pytest.raises(DeviceError, match="the lamp went out"):
        run(settings, DATA)
    box = named_devices[-1]
    assert len(box.rows) == 70
    assert box.calls[0] == "open"
    assert box.calls[-2:] == ["safe", "close"]
    for name in groups(tmp_path / "run.h5"):
        opened(tmp_path / "run.h5", name).close()
    with h5py.File(tmp_path / "run.h5") as file:
        assert file.attrs["status"] == b"failed"
        assert b"the lamp went out" in file.attrs["error"]
        seed = file["seed_0"]
        assert seed.attrs["status"] == b"failed"
        np.testing.assert_array_equal(seed["failure/answers"], box.respond(box.rows))
        assert seed["failure"].attrs["failed_row"] == 70
        if record:
            np.testing.assert_array_equal(seed["measurements_0/drives"], box.rows)


def test_the_rows_of_a_later_call_are_kept_as_that_call_counts_them(named_devices, tmp_path):
    named_devices.clear()
    n = plan(config(tmp_path / "run.h5"), DATA).queries["train"]
    device = f"test:box?n_inputs=20&dies_after={n + 5}"
    with pytest.raises(DeviceError, match="row 5 failed"):
        run(config(tmp_path / "run.h5", device=device), DATA)
    box = named_devices[-1]
    with h5py.File(tmp_path / "run.h5") as file:
        kept = file["seed_0/failure/answers"]
        np.testing.assert_array_equal(kept, box.respond(box.rows[-5:]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(143), RuntimeError("a bug")])
def test_a_run_that_is_broken_off_is_closed_with_its_status(
    named_devices, tmp_path, monkeypatch, error
):
    named_devices.clear()
    settings = config(tmp_path / "run.h5")

    def broken(seed, arm, share, what):
        if what.startswith("layer 1 3/"):
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        run(settings, DATA, broken)
    status = "failed" if isinstance(error, RuntimeError) else "interrupted"
    with h5py.File(tmp_path / "run.h5") as file:
        assert file.attrs["status"] == status.encode()
        assert file["seed_0"].attrs["status"] == status.encode()
        assert len(file["seed_0/weights"]) > 0  # the best state until then
    calls = named_devices[-1].calls
    assert (calls[0], calls[-2:]) == ("open", ["safe", "close"])
