import numpy as np
import pytest

from calibration import (
    Nonlinearity,
    explained_share,
    nonlinearity,
)
from devices import FunctionDevice, Noisy


def drives_of(n, rows=1500, seed=0):
    return np.random.default_rng(seed).random((rows, n))


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
