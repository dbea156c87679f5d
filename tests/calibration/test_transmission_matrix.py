import numpy as np
import pytest

from calibration import TransmissionMatrix
from devices import FunctionDevice, Noisy
from simulators import ScatteringMedium


def correlation(found, truth):
    """Return |<found, truth>|^2 / |found|^2 |truth|^2 of each row."""
    overlap = np.abs(np.sum(found.conj() * truth, axis=1)) ** 2
    return overlap / np.sum(np.abs(found) ** 2, axis=1) / np.sum(np.abs(truth) ** 2, axis=1)


@pytest.mark.parametrize("phase_range", [np.pi, 2 * np.pi])
@pytest.mark.parametrize("n_inputs", [7, 32])
@pytest.mark.parametrize("zero_order", [0.0, 0.2])
def test_matrix_without_noise_is_exact(phase_range, n_inputs, zero_order):
    medium = ScatteringMedium(
        n_inputs=n_inputs, n_outputs=50, ideal=True, phase_range=phase_range,
        zero_order=zero_order, precision="double",
    )  # fmt: skip
    procedure = TransmissionMatrix()
    with medium as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec)
    assert correlation(found.matrix, medium.transmission_matrix).min() > 1 - 1e-9
    assert found.fidelity_noise.min() > 1 - 1e-9


def test_matrix_to_its_noise_limit_and_the_enhancement_that_it_predicts():
    medium = ScatteringMedium(n_inputs=64, n_outputs=100, ideal=True, phase_range=2 * np.pi, seed=4)
    with Noisy(medium, 0.3, seed=1) as device:
        found = TransmissionMatrix().run(device)
    truth = medium.transmission_matrix
    measured = correlation(found.matrix, truth)
    # The stated fidelity is that against the truth; dark references scatter more.
    assert np.median(measured) == pytest.approx(np.median(found.fidelity_noise), abs=0.04)
    assert np.median(found.fidelity_amplitude) == pytest.approx(np.pi / 4, abs=0.03)
    focus = np.mod(-np.angle(found.matrix), 2 * np.pi)
    with medium as device:
        reached = np.diag(device.measure(focus))
    reached = reached / np.sum(np.abs(truth) ** 2, axis=1)
    assert np.median(reached / found.predicted_enhancement) == pytest.approx(1, abs=0.1)


def test_matrix_of_a_device_with_complex_answers():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(9, 12)) + 1j * rng.normal(size=(9, 12))
    box = FunctionDevice(
        lambda u: np.exp(1j * u) @ truth.T, 12, 9, low=-np.pi, high=np.pi, domain="phase",
        output_dtype="complex128",
    )  # fmt: skip
    with Noisy(box, 0.5) as device:
        found = TransmissionMatrix().run(device)
        assert device.ledger.total == TransmissionMatrix().queries(device.spec) == 64
    assert found.matrix == pytest.approx(truth, abs=0.3)
    assert correlation(found.matrix, truth).mean() == pytest.approx(
        found.fidelity_noise.mean(), abs=0.005
    )


def test_matrix_needs_phases():
    with FunctionDevice(abs, 4, 4) as device, pytest.raises(ValueError, match="phases in rad"):
        TransmissionMatrix().run(device)
