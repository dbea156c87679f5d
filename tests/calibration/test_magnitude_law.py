import numpy as np
import pytest

from calibration import (
    explained_share,
    fit_magnitude_law,
)


def drives_of(n, rows=1500, seed=0):
    return np.random.default_rng(seed).random((rows, n))


@pytest.mark.parametrize("b", [0.0, 0.7])
def test_magnitude_law_is_found(b):
    rng = np.random.default_rng(2)
    h = rng.normal(size=(5, 4, 2)) @ [1, 1j]
    drives = drives_of(4)
    answers = np.abs(drives @ h.T + b)
    law = fit_magnitude_law(drives, answers)
    assert law.pooled_r2 > 0.9999
    assert np.abs(law.matrix) == pytest.approx(np.abs(h), abs=0.02)
    assert law(drives) == pytest.approx(answers, abs=0.02)
    # An offset of the amplitudes does not come out of a quadratic law alone.
    assert explained_share(drives, answers, "quadratic")[0] < law.pooled_r2


def test_magnitude_law_knows_its_worst_rows():
    drives = drives_of(2)
    answers = np.abs(drives @ np.array([[1.0], [-1j]]))
    answers[::150] += 0.5
    assert fit_magnitude_law(drives, answers).worst_rows_share > 0.9
    with pytest.raises(ValueError, match="not negative"):
        fit_magnitude_law(drives, answers - 1)
