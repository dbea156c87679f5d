import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from pnn.data import Dataset, load, split, split_rows


def test_every_row_is_on_one_side_and_the_classes_keep_their_share():
    data = load("digits")
    train, test = split(data, seed=3)
    assert sorted([*train, *test]) == list(range(1797))
    assert len(test) == 360
    share = np.bincount(data.y[test]) / np.bincount(data.y)
    assert abs(share - 0.2).max() < 0.01


def test_it_is_the_split_that_scikit_learn_makes():
    data = load("digits")
    expected = train_test_split(np.arange(1797), test_size=0.2, random_state=7, stratify=data.y)
    for ours, theirs in zip(split(data, seed=7), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_seed_decides_the_split(grouped, task):
    y = np.tile([0, 1, 2], 40)
    groups = np.arange(120) // 6 if grouped else None
    first = split_rows(y, groups, 1, 0.25, task)
    again = split_rows(y, groups, 1, 0.25, task)
    other = split_rows(y, groups, 2, 0.25, task)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert set(a) != set(c)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.integers(2, 4),
    n_groups=st.integers(5, 25),
    per_group=st.integers(1, 3),
    share=st.sampled_from([0.1, 0.15, 0.2, 0.3, 0.5, 0.7]),
)
def test_no_group_is_split_and_every_class_is_on_both_sides(
    seed, n_classes, n_groups, per_group, share
):
    # Every group says every class `per_group` times, as speakers do with vowels.
    y = np.tile(np.arange(n_classes), n_groups * per_group)
    groups = np.repeat(np.arange(n_groups), n_classes * per_group)
    if n_groups * per_group * min(share, 1 - share) < 1:
        with pytest.raises(ValueError, match="it needs at least"):
            split_rows(y, groups, seed, share)
        return
    kept, held_out = split_rows(y, groups, seed, share)
    assert sorted([*kept, *held_out]) == list(range(len(y)))
    assert not set(groups[kept]) & set(groups[held_out])
    assert set(y[kept]) == set(y[held_out]) == set(range(n_classes))
    # A group cannot be divided: the share is met within about one of them and one fold.
    assert abs(len(held_out) / len(y) - share) <= 1 / n_groups + 0.05


def test_uneven_groups_are_spread_so_that_classes_stay_in_proportion():
    rng = np.random.default_rng(0)
    # Each group has mostly one class, which a random choice of groups would often miss.
    groups = np.repeat(np.arange(40), 10)
    y = np.where(rng.random(400) < 0.9, groups % 4, rng.integers(0, 4, 400))
    kept, held_out = split_rows(y, groups, 5, 0.25)
    assert not set(groups[kept]) & set(groups[held_out])
    share = np.bincount(y[held_out]) / np.bincount(y)
    assert abs(share - 0.25).max() < 0.08


@pytest.mark.parametrize("seed", range(10))
def test_a_class_that_few_groups_have_is_still_on_both_sides(seed):
    groups = np.repeat(np.arange(10), 12)
    y = np.where((groups < 3) & (np.arange(120) % 2 == 0), 1, 0)
    kept, held_out = split_rows(y, groups, seed, 0.2)
    assert set(y[kept]) == set(y[held_out]) == {0, 1}
    assert len(held_out) == 24


@pytest.mark.parametrize(("share", "held"), [(0.04, 1), (0.96, 9)])
def test_a_share_below_one_group_is_one_group(share, held):
    groups = np.repeat(np.arange(10), 50)
    _, held_out = split_rows(np.arange(500) % 2, groups, 0, share)
    assert len(set(groups[held_out])) == held


def test_the_order_is_shuffled_so_that_drift_does_not_follow_the_class():
    y = np.repeat([0, 1], 100)
    for groups in (None, np.arange(200) // 4):
        for rows in split_rows(y, groups, 0, 0.2):
            first_half = y[rows[: len(rows) // 2]]
            assert 0.2 < first_half.mean() < 0.8


def test_regression_is_split_with_and_without_groups():
    y = np.linspace(0, 1, 50)
    kept, held_out = split_rows(y, None, 0, 0.2, "regression")
    assert (len(kept), len(held_out)) == (40, 10)
    groups = np.repeat(np.arange(10), 5)
    kept, held_out = split_rows(y, groups, 0, 0.2, "regression")
    assert sorted([*kept, *held_out]) == list(range(50))
    assert len(set(groups[held_out])) == 2
    assert not set(groups[kept]) & set(groups[held_out])


def test_a_class_with_too_few_rows_is_named_with_the_number_it_needs():
    y = np.array([0] * 20 + [1] * 20 + [2] * 4)
    data = Dataset(name="toy", X=np.ones((44, 1)), y=y, classes=("iy", "aa", "uw"))
    with pytest.raises(ValueError, match=r"^toy: class 'uw' has 4 rows; .*needs at least 5"):
        split(data, seed=0)
    train, test = split(data, seed=0, test=0.25)
    assert (y[train] == 2).sum() == 3
    assert (y[test] == 2).sum() == 1
    with pytest.raises(ValueError, match=r"class 'b' has 1 rows; .*at least 2"):
        split_rows(np.array(["a", "a", "b"]), None, 0, 0.5)


def test_a_class_of_one_group_cannot_be_on_both_sides():
    y = np.array([0, 1] * 20 + [2] * 10)
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4] * 4 + [5] * 10)
    with pytest.raises(ValueError, match=r"class 2 has no row in the .* in too few groups"):
        split_rows(y, groups, 0, 0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 0.0}, "between 0 and 1"),
        ({"share": 1.0}, "between 0 and 1"),
        ({"share": float("nan")}, "between 0 and 1"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"seed": True}, "seed=True"),
        ({"groups": np.zeros(10)}, "all rows are of one group"),
        ({"groups": np.zeros(9)}, r"groups has shape \(9,\), expected \(10,\)"),
        ({"y": np.array([1])}, "there are 1 rows"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    usual = {"y": np.array([0, 1] * 5), "groups": None, "seed": 0, "share": 0.2}
    with pytest.raises(ValueError, match=message):
        split_rows(**(usual | arguments))
