"""The same drives several times, in another random order each time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceSpec, Purpose

__all__ = ["measure_passes", "no_memory"]


def no_memory(owner: str, spec: DeviceSpec) -> None:
    """Raise `ValueError` for a device whose rows cannot be shuffled."""
    if spec.memory:
        raise ValueError(
            f"{owner}: {spec.name} has memory, so that a repeated row is no repeat; put a wrapper "
            "around it that makes a row a whole experiment"
        )


def measure_passes(
    device: Device,
    drives: NDArray[np.float64],
    passes: int,
    seed: int = 0,
    purpose: Purpose = "calibration",
) -> NDArray[Any]:
    """Return the answers to `drives`, (passes, rows, n_outputs), each pass in random order.

    A change of the device with time then looks like noise in every drive alike, and not like a
    dependence on the drive.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    passes : int
        How often each row is driven.
    seed : int
        Of the orders.
    """
    no_memory("measure_passes", device.spec)
    random = np.random.default_rng(seed)
    answers = np.empty((passes, len(drives), device.spec.n_outputs), device.spec.output_dtype)
    for one in answers:
        order = random.permutation(len(drives))
        one[order] = device.measure(drives[order], purpose=purpose)
    return answers
