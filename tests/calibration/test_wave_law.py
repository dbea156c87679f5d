import numpy as np
import pytest

from calibration import find_structure, fit_magnitude_law
from calibration.wave_law import find_wave_law, influence_of, structure_by_law


def interference(n, outputs, rows=1000, seed=0, dead=()):
    """Return phases over the full circle, intensities, and the matrix behind them."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(outputs, n, 2)) @ [1, 1j]
    matrix[:, list(dead)] = 0
    phases = rng.uniform(0, 2 * np.pi, (rows, n))
    return phases, np.abs(np.exp(1j * phases) @ matrix.T) ** 2, matrix


@pytest.mark.parametrize("n", [4, 9, 64])
def test_the_matrix_behind_interfering_phases_is_found(n):
    phases, answers, matrix = interference(n, 3)
    noisy = answers + 0.05 * answers.std() * np.random.default_rng(1).normal(size=answers.shape)
    law = fit_magnitude_law(phases, noisy, power=2, phases=True)
    assert law.formula == "|T exp(ix) + b|^2"
    assert law.pooled_r2 == pytest.approx(1 / (1 + 0.05**2), abs=0.003)
    overlap = np.abs(np.sum(law.matrix.conj() * matrix, axis=1)) ** 2
    for one in (law.matrix, matrix):
        overlap /= np.sum(np.abs(one) ** 2, axis=1)
    assert overlap.min() > 0.99


@pytest.mark.parametrize("power", [1, 2])
def test_amplitudes_read_by_magnitude_or_intensity_where_products_have_too_few_rows(power):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(5, 30, 2)) @ [1, 1j]
    drives = rng.random((500, 30))
    answers = np.abs(drives @ matrix.T + 2) ** power
    structure = find_structure(drives, answers)
    assert structure.degree == 1
    law = find_wave_law(drives, answers, structure)
    assert law.power == power
    assert law.pooled_r2 > 0.999


def test_what_the_law_says_of_the_wiring():
    phases, answers, _ = interference(24, 5, dead=[3, 17])
    blind = find_structure(phases, answers, phases=True)
    # No single cosine or sine of a phase moves the intensity: nothing can be said.
    assert blind.untold_outputs == tuple(range(5))
    assert blind.dead_inputs == ()
    law = find_wave_law(phases, answers, blind, phases=True)
    told = structure_by_law(blind, law, phases)
    assert told.untold_outputs == ()
    assert told.dead_inputs == (3, 17)
    assert len(told.blocks) == 1


def test_influence_within_a_law():
    # |x1 e^(i p) + x2 e^(i q)|^2 = x1^2 + x2^2 + 2 x1 x2 cos(p - q): both phases are in all of it.
    phases, answers, _ = interference(2, 1, rows=2000)
    law = fit_magnitude_law(phases, answers, power=2, phases=True)
    assert influence_of(law, phases) == pytest.approx(np.ones((1, 2)), abs=0.05)


def test_rows_that_are_too_few_for_a_law():
    phases, answers, _ = interference(20, 2, rows=100)
    with pytest.raises(ValueError, match="80 rows in a fit are too few, at least 126"):
        fit_magnitude_law(phases, answers, power=2, phases=True)
    blind = find_structure(phases, answers, phases=True)
    assert find_wave_law(phases, answers, blind, phases=True) is None
