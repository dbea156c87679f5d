import numpy as np
import pytest

from calibration import (
    LabelSensitivity,
    Nonlinearity,
    explained_share,
    find_structure,
    fit_magnitude_law,
    nonlinearity,
)
from devices import DeadChannels, FunctionDevice, Noisy


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


def test_laws_nest_and_a_bilinear_device_is_told_from_a_quadratic_one():
    drives = drives_of(4) * 2 - 1
    product = drives[:, :1] * drives[:, 1:2] + drives[:, 2:3]
    found = nonlinearity(drives, product)
    assert found.affine_share == pytest.approx(0.75, abs=0.03)  # 1/3 of 1/3 + 1/9
    assert found.bilinear_share == pytest.approx(1, abs=1e-9)
    square = nonlinearity(drives, drives[:, :1] ** 2 + drives[:, 2:3])
    assert square.bilinear_share < 0.9
    assert square.quadratic_share == pytest.approx(1, abs=1e-9)
    assert square.quadratic_index == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_index_of_a_device_does_not_count_its_noise(noise):
    box = FunctionDevice(lambda u: u[:, :1] + u[:, 1:2] ** 2, 3, 1, low=-1)
    procedure = Nonlinearity(rows=4000)
    with Noisy(box, noise, seed=1) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 8000
    truth = (4 / 45) / (1 / 3 + 4 / 45)
    assert found.affine_index == pytest.approx(truth, abs=0.02)
    assert found.quadratic_index == pytest.approx(0, abs=0.02)


def test_too_few_rows_for_a_law():
    drives = drives_of(10, 40)
    with pytest.raises(ValueError, match="measure at least 165"):
        explained_share(drives, drives, "quadratic")
    assert np.isnan(nonlinearity(drives, drives).quadratic_share)
    with pytest.raises(ValueError, match="law='cubic' is not one of"):
        explained_share(drives, drives, "cubic")


def test_label_that_moves_the_answers_less_than_the_noise():
    wires = np.random.default_rng(0).normal(size=(8, 30))
    # Labels reach the answers one tenth as strongly as the other inputs.
    box = FunctionDevice(lambda u: (u * np.r_[[0.1] * 3, [1.0] * 5]) @ wires, 8, 30)
    procedure = LabelSensitivity(labels=3, rows=300)
    with Noisy(box, 0.3) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 1800
    label = 0.01 * np.var(wires[:3], axis=0).sum()
    assert found.label_to_noise_db == pytest.approx(10 * np.log10(label / (30 * 0.09)), abs=1.5)
    assert found.label_share == pytest.approx(
        label / (label + (wires[3:] ** 2).sum() / 12), rel=0.3
    )
    # A linear device adds the label, whatever row it is laid over.
    assert found.interaction_share < 0.1


def test_label_on_a_device_that_mixes_it_with_the_row_or_loses_it():
    mixing = FunctionDevice(lambda u: (u[:, :2] @ [[1.0], [-1.0]]) * (u[:, 2:3] - 0.5), 3, 1)
    with mixing as device:
        assert LabelSensitivity(labels=2).run(device).interaction_share > 0.9
    with DeadChannels(FunctionDevice(lambda u: u, 4, 4), inputs=[0, 1]) as device:
        lost = LabelSensitivity(labels=2).run(device)
    assert lost.label_share == 0
    with mixing as device, pytest.raises(ValueError, match=r"labels=10 .* from 2 to 3"):
        LabelSensitivity().run(device)
