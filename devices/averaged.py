"""Drive every row several times and answer with the mean."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from devices.device import Device
from devices.measurement import Measurement, Purpose
from devices.wrapper import Wrapper

__all__ = ["Averaged"]


class Averaged(Wrapper):
    """Mean of `n` measurements of each row; additive noise falls by sqrt(n).

    Parameters
    ----------
    device : Device
        Without memory.
    n : int
        Measurements, and queries, per row.

    Raises
    ------
    ValueError
        If `n` is no whole number of at least 1; at the first measurement if the device has memory.
    """

    def __init__(self, device: Device, n: int) -> None:
        super().__init__(device)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"Averaged: n={n!r} must be a whole number of at least 1")
        self.n = n

    def _acquire(self, drives: NDArray[Any], purpose: Purpose) -> Measurement:
        return self.inner.acquire(drives, purpose=purpose, averages=self.n)
