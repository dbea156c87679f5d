"""No procedure takes noise for its own drives because both come of the same seed."""

import numpy as np
import pytest

from calibration import MemoryCapacity, affine_share, uniform_drives
from devices import Device, DeviceSpec


class Hiss(Device):
    """Answers with uniform noise, whatever it is driven with."""

    def __init__(self, n, seed, memory=False):
        self.spec = DeviceSpec(name="hiss", n_inputs=n, n_outputs=n, low=-1, memory=memory)
        self.random = np.random.default_rng(seed)

    def _measure(self, drives):
        return self.random.uniform(-1, 1, drives.shape)


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_of_the_same_seed_does_not_remember_the_drives(seed):
    with Hiss(1, seed, memory=True) as device:
        found = MemoryCapacity(rows=1000, longest=5, seed=seed).run(device)
    assert found.curve.max() < 0.05


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_of_the_same_seed_is_no_affine_map_of_the_drives(seed):
    with Hiss(4, seed) as device:
        drives = uniform_drives(device, 1000, seed)
        assert affine_share(drives, device.measure(drives)) < 0.05
