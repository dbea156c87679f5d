"""The affine map that explains rows best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import AffineMap

rng = np.random.default_rng


def solved(drives, answers, parts=1):
    fit = AffineMap(drives.shape[1], answers.shape[1])
    for u, y in zip(np.array_split(drives, parts), np.array_split(answers, parts), strict=True):
        fit.update(u, y)
    return fit


def least_squares(drives, answers):
    full = np.hstack([drives, np.ones((len(drives), 1))])
    return np.linalg.lstsq(full, answers, rcond=None)[0]


def problem(n_inputs, n_outputs, rows, seed, complex_=False):
    random = rng(seed)
    u = random.standard_normal((rows, n_inputs)) + random.uniform(-5, 5, n_inputs)
    y = np.tanh(u) @ random.standard_normal((n_inputs, n_outputs)) + random.standard_normal(
        (rows, n_outputs)
    )
    return u, y * np.exp(1j * u[:, :1]) if complex_ else y


@settings(deadline=None)
@given(
    n_inputs=st.integers(1, 6),
    n_outputs=st.integers(1, 4),
    more=st.integers(4, 40),
    parts=st.integers(1, 5),
    complex_=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_it_is_the_least_squares_fit_in_parts_as_at_once(
    n_inputs, n_outputs, more, parts, complex_, seed
):
    u, y = problem(n_inputs, n_outputs, 2 * n_inputs + more, seed, complex_)
    expected = least_squares(u, y)
    matrix, offset = solved(u, y, parts).solve()
    np.testing.assert_allclose(matrix, expected[:-1].T, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(offset, expected[-1], rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(
    n_inputs=st.integers(1, 6),
    rows=st.integers(1, 20),
    complex_=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_the_share_explained_is_between_nothing_and_all_and_that_of_the_residuals(
    n_inputs, rows, complex_, seed
):
    u, y = problem(n_inputs, 3, rows, seed, complex_)
    fit = solved(u, y, 3)
    share = fit.explained()
    assert 0 <= share <= 1
    if rows > 1:
        matrix, offset = fit.solve()
        left = (np.abs(y - u @ matrix.T - offset) ** 2).sum()
        total = (np.abs(y - y.mean(axis=0)) ** 2).sum()
        assert share == pytest.approx(1 - left / total, abs=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_neither_small_units_nor_large_offsets_hide_a_map(unit, offset):
    """Drives may be nanoamperes, or a small change on a large bias."""
    matrix = rng(0).standard_normal((5, 3))
    u = unit * (offset + rng(1).random((200, 3)))
    y = u @ matrix.T / unit + 7
    fit = solved(u, y, 4)
    found, level = fit.solve()
    assert fit.explained() == pytest.approx(1)
    np.testing.assert_allclose(u @ found.T + level, y, atol=1e-8)


def test_inputs_of_different_scales_are_all_seen():
    scale = np.array([1.0, 1e-6, 1e4])
    u = scale * rng(0).random((100, 3))
    fit = solved(u, (u / scale).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(fit.solve()[0] * scale, [[1, 1, 1]])
    assert fit.explained() == pytest.approx(1)


def test_noise_and_what_is_even_in_the_drive_is_not_explained():
    u = rng(0).uniform(-1, 1, (20_000, 2))
    assert solved(u, rng(1).standard_normal((20_000, 3))).explained() < 0.01
    assert solved(u, u**2).explained() < 0.01


@pytest.mark.parametrize("rest", [0.0, 0.1, 1e6])
def test_a_drive_that_never_moved_has_no_slope(rest):
    u = rng(0).standard_normal((30, 3))
    u[:, 1] = rest
    y = u[:, [0]] * 2 - u[:, [2]] + 5
    matrix, offset = solved(u, y, 3).solve()
    np.testing.assert_allclose(matrix, [[2, 0, -1]], atol=1e-9)
    np.testing.assert_allclose(offset, 5, atol=1e-9)


def test_drives_that_moved_together_share_their_slope():
    u = rng(0).standard_normal((30, 1)) * np.ones(2) + 3
    matrix, offset = solved(u, 4 * u[:, :1] + 1).solve()
    np.testing.assert_allclose(matrix, [[2, 2]], atol=1e-6)
    np.testing.assert_allclose(offset, 1, atol=1e-6)


def test_fewer_rows_than_inputs_are_met_exactly():
    u, y = problem(8, 2, 4, seed=0)
    matrix, offset = solved(u, y).solve()
    np.testing.assert_allclose(u @ matrix.T + offset, y, atol=1e-6)


def test_answers_that_never_move_are_explained_by_the_offset():
    matrix, offset = solved(rng(0).random((9, 2)), np.full((9, 1), 0.3)).solve()
    np.testing.assert_allclose(matrix, 0, atol=1e-12)
    np.testing.assert_allclose(offset, 0.3)


def test_rows_are_counted_and_none_is_no_map():
    fit = AffineMap(2, 1)
    fit.update(np.empty((0, 2)), np.empty((0, 1)))
    assert fit.rows == 0
    for ask in (fit.solve, fit.explained):
        with pytest.raises(ValueError, match="no rows were seen"):
            ask()
    fit.update(np.ones((3, 2)), np.ones((3, 1)))
    assert fit.rows == 3
