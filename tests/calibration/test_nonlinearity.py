import numpy as np
import pytest

from calibration import affine_share, uniform_drives
from devices import DeviceSpec, FunctionDevice


def box(**spec):
    return FunctionDevice(lambda u: u, 4, 4, **spec)


def test_an_affine_device_is_all_affine_and_noise_is_what_is_missing():
    rng = np.random.default_rng(0)
    drives = uniform_drives(box(), 4000)
    answers = drives @ rng.normal(size=(4, 6)) + 3.0
    assert affine_share(drives, answers) == pytest.approx(1.0, abs=1e-9)
    noisy = answers + rng.normal(size=answers.shape) * answers.std(axis=0)
    # Noise as strong as the signal leaves half of the variance.
    assert affine_share(drives, noisy) == pytest.approx(0.5, abs=0.03)


def test_an_even_law_has_no_affine_share():
    drives = uniform_drives(box(low=-1, high=1), 4000)
    # Uniform on [-1, 1]: u^2 does not correlate with u.
    assert affine_share(drives, drives**2) == pytest.approx(0.0, abs=0.02)


def test_too_few_rows_are_refused():
    drives = uniform_drives(box(), 8)
    with pytest.raises(ValueError, match="at least 12"):
        affine_share(drives, drives)


@pytest.mark.parametrize(
    "spec",
    [
        {"low": -2.0, "high": (0.0, 1.0, 2.0, 3.0)},
        {"domain": "bits"},
        {"domain": "codes", "low": -1.5, "high": 3.5},
    ],
)
def test_uniform_drives_are_legal_and_reach_the_whole_range(spec):
    device = box(**spec)
    drives = uniform_drives(device, 500, seed=1)
    assert isinstance(device.spec, DeviceSpec)
    device.spec.check_drives(drives)
    low, high = device.spec.limits
    if device.spec.domain == "codes":
        assert set(np.unique(drives)) == {-1.0, 0.0, 1.0, 2.0, 3.0}
    else:
        assert (drives.min(axis=0) < low + 0.05 * (high - low)).all()
        assert (drives.max(axis=0) > high - 0.05 * (high - low)).all()
    assert (uniform_drives(device, 500, seed=1) == drives).all()
