import numpy as np
import pytest

from calibration import find_structure


def drives_of(n, rows=1500, seed=0):
    return np.random.default_rng(seed).random((rows, n))


def test_dead_inputs_quiet_outputs_and_blocks():
    rng = np.random.default_rng(1)
    h = np.zeros((8, 9), complex)
    h[:3, [0, 4]] = rng.normal(size=(3, 4)) @ np.kron(np.eye(2), [[1], [1j]])
    h[3:5, [1, 2, 6]] = rng.normal(size=(2, 6)) @ np.kron(np.eye(3), [[1], [1j]])
    h[5:, [0, 1]] = 1e-4
    drives = drives_of(9)
    answers = np.abs(drives @ h.T) + 1e-3 * rng.normal(size=(1500, 8))
    found = find_structure(drives, answers)
    assert found.dead_inputs == (3, 5, 7, 8)
    assert found.quiet_outputs == (5, 6, 7)
    assert [(b.inputs, b.outputs) for b in found.blocks] == [
        ((0, 4), (0, 1, 2)),
        ((1, 2, 6), (3, 4)),
    ]


def test_influence_is_the_share_of_the_variance():
    drives = drives_of(4, 6000) * 2 - 1
    # Variances of u, of u^2 and of u v, uniform on [-1, 1]: 1/3, 4/45, 1/9.
    answers = drives[:, :1] + drives[:, 1:2] ** 2 + drives[:, 2:3] * drives[:, :1]
    parts = np.array([1 / 3 + 1 / 9, 4 / 45, 1 / 9, 0]) / (1 / 3 + 4 / 45 + 1 / 9)
    assert find_structure(drives, answers).influence[0] == pytest.approx(parts, abs=0.02)


def test_noise_makes_an_output_quiet():
    drives = drives_of(3)
    answers = np.hstack([drives, 0.2 * drives[:, :1]])
    noisy = answers + 0.1 * np.random.default_rng(0).normal(size=answers.shape)
    found = find_structure(drives, noisy, noise_variance=np.full(4, 0.01))
    assert found.quiet_outputs == (3,)
    assert find_structure(drives, noisy).quiet_outputs == ()


def test_an_input_among_many_is_not_dead():
    rng = np.random.default_rng(0)
    drives = drives_of(200, 1000)
    wires = rng.normal(size=(200, 5))
    wires[[7, 90]] = 0
    assert find_structure(drives, drives @ wires).dead_inputs == (7, 90)


@pytest.mark.parametrize("seed", range(3))
def test_noise_links_nothing(seed):
    rng = np.random.default_rng(seed)
    drives = drives_of(12, 400, seed)
    answers = drives[:, :10] @ np.kron(np.eye(2), rng.uniform(0.8, 1, (5, 5)))
    noisy = answers + answers.std() * rng.normal(size=answers.shape)
    found = find_structure(drives, noisy, noise_variance=np.full(10, np.var(answers)))
    assert found.degree == 2
    assert found.dead_inputs == (10, 11)
    assert [len(block.inputs) for block in found.blocks] == [5, 5]


def test_outputs_that_a_law_does_not_explain_call_no_input_dead():
    drives = drives_of(5)
    found = find_structure(drives, np.cos(40 * drives[:, :4]))
    assert found.untold_outputs == (0, 1, 2, 3)
    assert found.dead_inputs == ()


def test_an_input_that_was_never_moved_is_not_dead():
    drives = drives_of(4)
    drives[:, 1] = 0.5
    found = find_structure(drives, drives[:, :3] + 1)
    assert (found.still_inputs, found.dead_inputs) == ((1,), (3,))


def test_phases_are_told_by_their_cosines():
    phases = drives_of(4) * 2 * np.pi
    t = np.array([[1.0, 1.0, 0, 0], [0, 0, 0, 0.5]])
    answers = np.abs(np.exp(1j * phases) @ t.T + 1) ** 2
    found = find_structure(phases, answers, phases=True)
    assert found.dead_inputs == (2,)
    assert [(b.inputs, b.outputs) for b in found.blocks] == [((0, 1), (0,)), ((3,), (1,))]
