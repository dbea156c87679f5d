import numpy as np
import pytest

from calibration import PhaseTable, drive_for
from devices import FunctionDevice, Noisy


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
