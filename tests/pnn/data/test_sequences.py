"""Time series: their equations, and their order in splits."""

import numpy as np
import pytest

from pnn.data import load, split


def test_narma_obeys_its_recurrence():
    data = load("narma10", rows=600, seed=3)
    x, y = data.X[:, 0], data.y  # y[t] is the output after the step with input x[t]
    t = np.arange(20, 600)
    past = sum(y[t - 1 - i] for i in range(10))
    expected = 0.3 * y[t - 1] + 0.05 * y[t - 1] * past + 1.5 * x[t - 9] * x[t] + 0.1
    np.testing.assert_allclose(y[t], expected, rtol=1e-12)
    assert not np.array_equal(load("narma10", rows=600, seed=4).X, data.X)


def test_mackey_glass_is_the_series_itself_some_steps_later_and_stays_on_its_attractor():
    data = load("mackey-glass", rows=700, horizon=5)
    np.testing.assert_array_equal(data.y[:-5], data.X[5:, 0])
    assert 0.2 < data.X.min() < 0.5
    assert 1.2 < data.X.max() < 1.45
    for delay in (4.0, 6.0):  # with tau = 6 the series is periodic, with 4 it comes to rest at 1
        settled = load("mackey-glass", rows=600, tau=delay).X
        assert (np.ptp(settled) < 1e-3) == (delay == 4.0)
    assert np.allclose(load("mackey-glass", rows=600, tau=4.0).X, 1.0, atol=1e-3)


def test_waveforms_cannot_be_told_from_single_values_of_the_same_height():
    data = load("waveforms", rows=1200, noise=0.0)
    assert set(data.y) == {0, 1}
    assert np.unique(np.round(data.X[data.y == 1], 9)).tolist() == [-1.0, 1.0]
    assert np.abs(data.X[data.y == 0]).max() < 1.0


@pytest.mark.parametrize("seed", [0, 7])
def test_steps_stay_in_the_order_of_time(seed):
    data = load("narma10", rows=1000)
    train, test = split(data, seed, 0.25)
    np.testing.assert_array_equal(np.concatenate([train, test]), np.arange(1000))
    assert len(test) == 250


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("narma10", {"rows": 40}, "rows=40 must be a whole number of at least 500"),
        ("mackey-glass", {"horizon": 0}, "horizon=0 must be"),
        ("mackey-glass", {"tau": 0.05}, r"tau=0.05 must be a multiple of 0.1"),
        ("waveforms", {"period": 2}, "period=2 must be"),
    ],
)
def test_wrong_options_are_refused(source, options, message):
    with pytest.raises(ValueError, match=message):
        load(source, **options)


def test_a_split_that_leaves_too_little_is_refused():
    with pytest.raises(ValueError, match="are needed beside a washout of 100"):
        split(load("narma10", rows=500), 0, 0.9)
