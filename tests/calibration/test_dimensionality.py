import numpy as np
import pytest

from calibration import participation_ratio


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_a_device_with_so_many_equal_directions(rank):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(64, rank)))[0]
    answers = rng.normal(size=(20_000, rank)) @ basis.T
    # Raw: equal variances along `rank` orthogonal directions, up to sampling (rank / rows).
    assert participation_ratio(answers, standardised=False) == pytest.approx(rank, rel=0.01)


def test_a_loud_output_rules_only_without_standardising():
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(20_000, 10))
    answers[:, 0] *= 100
    assert participation_ratio(answers, standardised=False) == pytest.approx(1, abs=0.01)
    assert participation_ratio(answers) == pytest.approx(10, rel=0.01)


def test_wide_and_tall_agree():
    answers = np.random.default_rng(0).normal(size=(30, 50))
    centred = answers - answers.mean(axis=0)
    values = np.linalg.eigvalsh(centred.T @ centred)
    expected = values.sum() ** 2 / (values**2).sum()
    assert participation_ratio(answers, standardised=False) == pytest.approx(expected)


def test_complex_answers_and_dead_outputs():
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(20_000, 3)) + 1j * rng.normal(size=(20_000, 3))
    dead = np.hstack([answers, np.full((20_000, 2), 7.0)])
    assert participation_ratio(dead) == pytest.approx(3, rel=0.01)


def test_nothing_moves():
    with pytest.raises(ValueError, match="no output moves"):
        participation_ratio(np.ones((10, 3)))
