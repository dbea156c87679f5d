import numpy as np
import pytest

from calibration import PhaseTable, drive_for
from devices import FunctionDevice, Noisy
from simulators.optical.scattering_medium import ScatteringMedium


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


@pytest.mark.parametrize(
    ("n_outputs", "reach"), [(8, np.pi), (8, 2 * np.pi), (64, np.pi / 2), (64, 2 * np.pi)]
)
def test_the_stated_errors_are_those_of_the_phases(n_outputs, reach):
    off, stated = [], []
    for seed in range(6):
        with ScatteringMedium(
            n_inputs=16, n_outputs=n_outputs, phase_range=reach, seed=seed
        ) as medium:
            found = PhaseTable().run(medium)
        wrong = np.abs(found.phase_rad - found.drives)
        off.append([np.sqrt(np.mean(wrong**2)), wrong.max()])
        stated.append([found.phase_error_rad, found.largest_error_rad])
        assert found.residual_rad < found.phase_error_rad
    off, stated = (np.sqrt(np.mean(np.square(one), axis=0)) for one in (off, stated))
    assert (stated / off > 0.6).all()
    assert (stated / off < 1.7).all()
    assert off[1] < {(8, 2 * np.pi): 0.075, (64, 2 * np.pi): 0.025}.get((n_outputs, reach), 0.5)


def test_phases_that_noise_hides_are_no_table():
    with (
        ScatteringMedium(n_inputs=16, n_outputs=3, phase_range=1.0) as medium,
        pytest.raises(ValueError, match=r"phase_of: .* (noise too strong|more outputs)"),
    ):
        PhaseTable().run(medium)


def test_a_phase_table_of_single_passes_and_of_fields():
    def box(u):
        return np.exp(1j * np.pi * u) @ np.array([[1], [0.5j]])

    field = FunctionDevice(box, 2, 1, output_dtype="complex128")
    with Noisy(field, 0.02) as device:
        found = PhaseTable(repeats=1).run(device)
    assert found.phase_rad == pytest.approx(np.pi * found.drives, abs=0.2)
    assert 0.01 < found.phase_error_rad < 0.1


def test_a_phase_table_that_goes_back_or_has_no_fringes():
    with pytest.raises(ValueError, match="must rise"):
        drive_for([1.0], np.arange(3.0), np.array([0.0, 3.0, 1.0]))
    with pytest.raises(ValueError, match=r"in \[0, 3\]"):
        drive_for([4.0], np.arange(2.0), np.array([0.0, 3.0]))
    with modulator(lambda u: 0 * u) as device, pytest.raises(ValueError, match="no fringes"):
        PhaseTable().run(device)
