"""Axes and the grid of points: spacing, zips, samples, order."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnn.config import ConfigError
from pnn.sweeps.config import load_sweep
from pnn.sweeps.design import design_of


def design(*axes, **settings):
    return design_of(load_sweep({"device": "none", "axis": list(axes), **settings}))


def test_linear_log_listed_and_whole_values():
    made = design(
        {"what": "drive.0", "from": 0, "to": 1, "points": 5},
        {"what": "device.noise", "from": 1e-3, "to": 1, "points": 4, "scale": "log"},
        {"what": "device.bits", "from": 4, "to": 10, "points": 3, "integer": True},
        {"what": "device.setting", "values": ["rich", "measured-like"]},
        repeats=2,
    )
    assert made.shape == (5, 4, 3, 2, 2)
    assert made.dims == ("drive_0", "noise", "bits", "setting", "repeat")
    linear, log, whole, texts = made.axes
    assert linear.values.tolist() == [0, 0.25, 0.5, 0.75, 1]
    np.testing.assert_allclose(log.values, [1e-3, 1e-2, 1e-1, 1])
    assert whole.values.tolist() == [4, 7, 10]
    assert isinstance(whole.plain(0), int)
    assert texts.plain(1) == "measured-like"


def test_every_combination_is_a_point_and_is_there_once():
    made = design(
        {"what": "drive.0", "values": [1, 2, 3]},
        {"what": "drive.1", "values": [4, 5]},
    )
    points = {tuple(axis.values[k] for axis, k in made.places(point)) for point in range(len(made))}
    assert points == {(a, b) for a in (1, 2, 3) for b in (4, 5)}


def test_zipped_axes_advance_together():
    made = design(
        {"what": "drive.0", "values": [1, 2, 3], "zip": "pair"},
        {"what": "drive.1", "values": [4, 5, 6], "zip": "pair"},
        {"what": "drive.2", "values": [0, 1]},
    )
    assert made.dims == ("pair", "drive_2", "repeat")
    pairs = {(a[1], b[1]) for a, b, _ in map(made.places, range(len(made)))}
    assert pairs == {(0, 0), (1, 1), (2, 2)}
    with pytest.raises(ConfigError, match=r"axis drive_1: 2 values, but drive_0.* has 3"):
        design(
            {"what": "drive.0", "values": [1, 2, 3], "zip": "pair"},
            {"what": "drive.1", "values": [4, 5], "zip": "pair"},
        )


@pytest.mark.parametrize("method", ["sobol", "latin-hypercube", "uniform"])
def test_samples_fill_the_box_and_depend_on_the_seed_alone(method):
    axes = (
        {"what": "drive.0", "from": -1, "to": 1},
        {"what": "device.noise", "from": 0.01, "to": 1, "scale": "log"},
    )
    made = [
        design(*axes, sampling={"points": 64, "method": method}, seed=seed) for seed in (3, 3, 4)
    ]
    first, again, other = ([axis.values for axis in one.axes] for one in made)
    assert made[0].dims == ("sample", "repeat")
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert ((first[0] >= -1) & (first[0] <= 1)).all()
    assert ((first[1] >= 0.01) & (first[1] <= 1)).all()
    if method != "uniform":  # one sample in each of 64 equal parts of each axis
        parts = np.floor((first[0] + 1) / 2 * 64), np.floor(np.log10(first[1] / 0.01) / 2 * 64)
        assert [len(set(p)) for p in parts] == [64, 64]


@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 99),
    random=st.booleans(),
)
def test_the_order_visits_each_point_once_and_each_device_in_one_go(lengths, repeats, seed, random):
    kinds = ("drive.0", "device.noise", "drive.1")
    made = design(
        *({"what": w, "values": list(range(n))} for w, n in zip(kinds, lengths, strict=False)),
        repeats=repeats,
    )
    order = made.order(random=random, seed=seed)
    assert sorted(order) == list(range(len(made)))
    np.testing.assert_array_equal(order, made.order(random=random, seed=seed))
    noise = [k for point in order for axis, k in made.places(point) if axis.rebuilds]
    assert [k for k, _ in itertools.groupby(noise)] == list(dict.fromkeys(noise))


def test_random_order_is_random_and_grid_order_is_not():
    made = design({"what": "drive.0", "values": list(range(50))})
    assert made.order(random=False, seed=0).tolist() == list(range(50))
    shuffled = made.order(random=True, seed=0)
    assert abs(np.corrcoef(shuffled, np.arange(50))[0, 1]) < 0.5


@pytest.mark.parametrize(
    ("axes", "settings", "message"),
    [
        ([], {}, "needs an axis"),
        ([{"what": "foo", "values": [1]}], {}, "it must be drive, drive.N"),
        ([{"what": "drive.0", "values": []}], {}, "values is empty"),
        ([{"what": "drive.0", "values": [1, 1]}], {}, "a value is there twice"),
        ([{"what": "drive.0", "values": [1], "to": 2}], {}, "give one of values, from and to"),
        ([{"what": "drive.0", "from": 1}], {}, "from and to belong together"),
        ([{"what": "drive.0", "from": 0, "to": 1, "points": 3, "scale": "log"}], {}, "above 0"),
        ([{"what": "drive.0", "from": 0, "to": 1}], {}, r"neither points nor a table \[sampling\]"),
        ([{"what": "drive.0", "values": [1]}], {"sampling": {"points": 3}}, "no axis is sampled"),
        ([{"what": "drive.0", "values": [1]}] * 2, {}, "two have this name"),
        ([{"what": "drive.0", "values": [1], "name": "row"}], {}, "has a meaning in the file"),
        ([{"what": "drive.0", "values": [1], "name": "a/b"}], {}, "letters, digits and _"),
        ([{"what": "device.x", "table": [[1.0]]}], {}, "a table is for drive and parameter"),
        ([{"what": "drive", "table": "nowhere.csv"}], {}, "nowhere.csv"),
        ([{"what": "drive.0", "values": [1, "a"]}], {}, "texts and numbers"),
        ([{"what": "drive.0", "value": [1]}], {}, "no key axis.0.value; did you mean 'values'"),
    ],
)
def test_what_makes_no_sense_is_refused(axes, settings, message):
    with pytest.raises(ConfigError, match=message):
        design(*axes, **settings)
