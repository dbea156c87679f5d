"""Coupled dipoles: the published check values, and elimination against the whole system."""

import numpy as np
import pytest

from simulators.microwave.dipole_reduction import BinarySolver, Reduced
from simulators.microwave.dipoles import channel, coupling, interaction_matrix, self_interaction


def scattered(n, seed=0, side=4.0):
    """Random places, none nearer than 0.1 to another."""
    random = np.random.default_rng(seed)
    places = [random.uniform(0, side, 2)]
    while len(places) < n:
        new = random.uniform(0, side, 2)
        if min(np.hypot(*(new - p)) for p in places) > 0.1:
            places.append(new)
    return np.array(places)


def test_two_dipoles():
    own = self_interaction(1.0, 1.0, 0.5, 0.0)
    assert own == pytest.approx(9.8696j, rel=1e-5)
    matrix = interaction_matrix([[0, 0], [1, 0]], 1.0, own)
    assert matrix[0, 1] == pytest.approx(-2.26121 + 2.17405j, rel=3e-6)
    assert channel(matrix, 1, 0)[0, 0] == pytest.approx(-0.194498 - 0.247757j, rel=3e-6)


def test_own_term_has_resonance_radiation_and_absorption():
    # ((2 pi 10)^2 - (2 pi 0.9)^2) / 50^2 + i ((2 pi 0.9)^2 / 4 + 2 pi 0.9 100 / 50^2)
    assert self_interaction(0.9, 10.0, 50.0, 100.0) == pytest.approx(
        (3947.841760 - 31.977518) / 2500 + (31.977518 / 4 + 565.486678 / 2500) * 1j, rel=1e-8
    )


def test_matrix_is_symmetric_and_passive():
    places = scattered(40)
    for frequency, gamma in ((0.9, 0.0), (1.1, 0.5)):
        own = self_interaction(frequency, np.linspace(1, 5, 40), 0.5, gamma)
        matrix = interaction_matrix(places, frequency, own)
        np.testing.assert_array_equal(matrix, matrix.T)
        radiated = matrix.imag - np.diag(2 * np.pi * frequency * gamma / 0.25 * np.ones(40))
        k = 2 * np.pi * frequency
        distance = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
        # J0 from its integral, (1 / pi) int cos(x sin t) dt, exact by midpoints.
        t = (np.arange(60) + 0.5) * np.pi / 60
        bessel = np.cos(k * distance[..., None] * np.sin(t)).mean(axis=-1)
        np.testing.assert_allclose(radiated, k**2 / 4 * bessel, atol=1e-12)
        assert np.linalg.eigvalsh(matrix.imag).min() > gamma - 1e-12


def test_energy_is_kept_without_absorption():
    # Work done by the drive = radiated power: Im(p* e) against p^H Im(W) p, for any drive.
    matrix = interaction_matrix(scattered(30), 1.0, self_interaction(1.0, 1.2, 0.5, 0.0))
    random = np.random.default_rng(0)
    drive = random.normal(size=30) + 1j * random.normal(size=30)
    moments = np.linalg.solve(matrix, drive)
    work = np.imag(moments.conj() @ drive)
    assert work > 0
    assert work == pytest.approx(np.real(moments.conj() @ matrix.imag @ moments), rel=1e-10)


def test_channel_is_the_field_of_the_other_dipoles_at_the_receiver():
    places = scattered(12)
    matrix = interaction_matrix(places, 1.0, self_interaction(1.0, 1.0, 0.5, 0.0))
    moments = np.linalg.solve(matrix, np.eye(12)[0])
    field = -coupling(places[3:4], np.delete(places, 3, 0), 1.0) @ np.delete(moments, 3)
    assert field[0] == pytest.approx(channel(matrix, 3, 0)[0, 0], rel=1e-10)
    both = channel(matrix, [3, 0], [0, 3])
    assert both[0, 0] == pytest.approx(both[1, 1], rel=1e-10)  # reciprocity


@pytest.fixture(scope="module")
def systems():
    """Whole matrices at two frequencies, the last 10 of 30 dipoles variable; and the reduction."""
    places, frequencies = scattered(30), (0.95, 1.05)
    whole = [interaction_matrix(places, f, self_interaction(f, 1.0, 0.5, 0.1)) for f in frequencies]
    parts = [Reduced.eliminate(matrix, [2, 3, 4], [0, 1], 10) for matrix in whole]
    return np.array(frequencies), np.array(whole), Reduced.stack(parts)


def solved(whole, own):
    """(W^-1)_RT of the whole systems with the last entries of the diagonal replaced."""
    n = len(whole[0]) - own.shape[-1]
    answers = np.empty((*own.shape[:2], 3, 2), complex)
    for f, matrix in enumerate(whole):
        for row, diagonal in enumerate(own[f]):
            full = matrix.copy()
            full[range(n, len(full)), range(n, len(full))] = diagonal
            answers[f, row] = np.linalg.inv(full)[2:5, :2]
    return answers


def relative(got, expected):
    return np.abs(got - expected).max() / np.abs(expected).max()


def test_elimination_equals_the_whole_system(systems):
    frequencies, whole, reduced = systems
    resonances = np.random.default_rng(1).uniform(0.8, 5, (7, 10))
    own = self_interaction(frequencies[:, None, None], resonances, 0.5, 0.0)
    expected = solved(whole, own)
    assert relative(reduced.solve(own), expected) < 1e-12
    assert relative(reduced.astype(np.complex64).solve(own), expected) < 1e-5


def test_elimination_in_two_steps(systems):
    frequencies, whole, reduced = systems
    resonances = np.random.default_rng(1).uniform(0.8, 1.2, (7, 10))
    resonances[:, 6:] = resonances[0, 6:]  # the last four are the same in all rows
    own = self_interaction(frequencies[:, None, None], resonances, 0.5, 0.0)
    rest = reduced.absorb(own[:, 0, 6:])
    assert rest.core.shape == (2, 6, 6)
    assert relative(rest.solve(own[:, :, :6]), solved(whole, own)) < 1e-12
    assert rest.absorb(own[:, 0, :0]) is rest


def test_bits_from_either_side(systems):
    frequencies, whole, reduced = systems
    values = [self_interaction(frequencies, f, 0.5, 0.0) for f in (5.0, 1.0)]
    random = np.random.default_rng(1)
    bits = np.concatenate([random.integers(0, 2, (20, 10)), np.eye(10), 1 - np.eye(10)]) > 0.5
    bits = np.concatenate([bits, np.zeros((1, 10), bool), np.ones((2, 10), bool)])
    own = np.stack([np.where(bits, on, off) for off, on in zip(*values, strict=True)])
    expected = solved(whole, own)
    assert relative(BinarySolver(reduced, *values, np.complex128).solve(bits), expected) < 1e-11
    assert relative(BinarySolver(reduced, *values, np.complex64).solve(bits), expected) < 1e-5
    assert BinarySolver(reduced, *values, complex).solve(bits[:0]).shape == (2, 0, 3, 2)
