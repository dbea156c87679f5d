import numpy as np
import pytest

from calibration import Drift, PhaseTable, Ranks, TransmissionMatrix, drift_of, drive_for
from devices import Drifting, FunctionDevice, Noisy
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


def modulator(law, noise=0.0, n_outputs=12):
    rng = np.random.default_rng(5)
    t = rng.normal(size=(8, n_outputs)) + 1j * rng.normal(size=(8, n_outputs))
    box = FunctionDevice(
        lambda u: np.abs(np.exp(1j * law(u)) @ t) ** 2 + 3.0, 8, n_outputs, high=255.0,
        domain="codes",
    )  # fmt: skip
    return Noisy(box, noise)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_phase_table_of_a_bent_modulator(noise):
    def law(u):
        return 2.3 * np.pi * (u / 255) ** 1.4

    procedure = PhaseTable()
    with modulator(law, noise) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 130
    assert np.abs(found.phase_rad - law(found.drives)).max() < 1e-6 + 0.25 * noise
    assert found.range_rad == pytest.approx(2.3 * np.pi, abs=1e-6 + 0.2 * noise)
    wanted = np.linspace(0, 2 * np.pi, 20)
    drives = drive_for(wanted, found.drives, found.phase_rad)
    assert np.abs(law(drives) - wanted).max() < 0.03 + 0.3 * noise


def test_a_phase_table_that_goes_back_or_has_no_fringes():
    with pytest.raises(ValueError, match="must rise"):
        drive_for([1.0], np.arange(3.0), np.array([0.0, 3.0, 1.0]))
    with pytest.raises(ValueError, match=r"in \[0, 3\]"):
        drive_for([4.0], np.arange(2.0), np.array([0.0, 3.0]))
    with modulator(lambda u: 0 * u) as device, pytest.raises(ValueError, match="no fringes"):
        PhaseTable().run(device)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("rate", [1e-3, 5e-3])
def test_drift_rate_to_a_fifth(rate, noise):
    wires = np.random.default_rng(0).random((6, 40))
    inner = FunctionDevice(lambda u: u @ wires, 6, 40)
    procedure = Drift()
    with Noisy(Drifting(inner, rate, seed=3), noise) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec)
    assert found.rate_per_sqrt_query == pytest.approx(rate, rel=0.2)
    assert found.rate_error < 0.15 * rate


def test_decorrelation_of_answers_that_forget():
    # Each answer's walk about zero forgets in `time` rows: correlation exp(-m / time).
    time, rounds, spacing = 300.0, 60, 20
    rng = np.random.default_rng(0)
    keep = np.exp(-spacing / time)
    states = [rng.normal(size=(30, 40))]
    for _ in range(rounds - 1):
        step = np.sqrt(1 - keep**2) * rng.normal(size=(30, 40))
        states.append(keep * states[-1] + step)
    answers = np.array(states)[:, None] + 0.5 * rng.normal(size=(rounds, 2, 30, 40))
    found = drift_of(answers, spacing)
    assert found.decorrelation_queries == pytest.approx(time, rel=0.1)
    assert found.noise_share == pytest.approx(0.25, rel=0.05)


def test_a_steady_device_does_not_drift():
    with Noisy(FunctionDevice(lambda u: u, 5, 5), 0.02) as device:
        found = Drift().run(device)
    assert found.correlation == pytest.approx(np.ones(23), abs=0.01)
    assert found.rate_per_sqrt_query < 5e-4


def test_ranks_above_the_noise():
    wires = np.random.default_rng(1).normal(size=(10, 5))
    out = np.random.default_rng(2).normal(size=(5, 40))
    procedure = Ranks()
    with Noisy(FunctionDevice(lambda u: (u @ wires) @ out, 10, 40), 0.05) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 160
    assert found.kernel_rank == 5
    assert found.generalisation_rank <= 5
    with Noisy(FunctionDevice(lambda u: (u @ wires) @ out, 10, 40), 0.5) as device:
        assert Ranks(similar=0.001).run(device).generalisation_rank == 0
    with FunctionDevice(lambda u: (u @ wires) @ out, 10, 40) as device:
        exact = Ranks().run(device)
    assert exact.kernel_rank == exact.generalisation_rank == 5
