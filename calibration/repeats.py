"""The same drives several times, in another random order each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.randomness import generator
from devices import Device, DeviceSpec, Purpose

__all__ = ["measure_passes", "no_memory"]

_PARTS = 20  # of a pass whose progress is told


def no_memory(owner: str, spec: DeviceSpec) -> None:
    """Raise `ValueError` for a device whose rows cannot be shuffled."""
    if spec.memory:
        raise ValueError(
            f"{owner}: {spec.name} has memory, so that a repeated row is no repeat; how many rows "
            "back it remembers is found by `pnn calibrate DEVICE --only memory`"
        )


def measure_passes(
    device: Device,
    drives: NDArray[np.float64],
    passes: int,
    seed: int = 0,
    purpose: Purpose = "calibration",
    progress: Callable[[int, int], None] | None = None,
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
    progress : callable, optional
        Is given the rows done, and how many there are; a pass is then measured in parts.
    """
    no_memory("measure_passes", device.spec)
    random = generator(seed, "order of a pass")
    done = 0
    answers = np.empty((passes, len(drives), device.spec.n_outputs), device.spec.output_dtype)
    for one in answers:
        order = random.permutation(len(drives))
        parts = 1 if progress is None else min(_PARTS, len(order))
        for part in np.array_split(order, parts):
            one[part] = device.measure(drives[part], purpose=purpose)
            done += len(part)
            if progress is not None:
                progress(done, passes * len(drives))
    return answers
