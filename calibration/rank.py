"""Kernel rank and generalisation rank, with a tolerance set by the measured noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.nonlinearity import uniform_drives
from calibration.procedure import Procedure, quantity
from calibration.randomness import generator
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import number, table, whole

__all__ = ["Ranks", "RanksResult", "rank_above_noise"]

Array = NDArray[Any]

# The largest singular value of noise scatters by a few per cent from one draw to the next.
_MARGIN = 1.1


@dataclass(frozen=True, kw_only=True)
class RanksResult:
    """Ranks of the answers to different and to similar drives.

    Attributes
    ----------
    kernel_rank : int
        Of the answers to `rows` independent drives: how many of them can be told apart.
    generalisation_rank : int
        Of the answers to `rows` versions of one drive: how many differences that should not
        matter the device blows up above its noise.
    kernel_tolerance, generalisation_tolerance : float
        Singular value below which there is noise only, in output_unit.
    kernel_values, generalisation_values : ndarray of shape (values,)
        Singular values of the centred answers, in output_unit.
    """

    kernel_rank: int = field(metadata=quantity())
    generalisation_rank: int = field(metadata=quantity())
    kernel_tolerance: float = field(metadata=quantity(unit="output", residual=True))
    generalisation_tolerance: float = field(metadata=quantity(unit="output", residual=True))
    kernel_values: Array = field(metadata=quantity("value", unit="output"))
    generalisation_values: Array = field(metadata=quantity("value", unit="output"))


@dataclass(frozen=True, kw_only=True)
class Ranks(Procedure[RanksResult]):
    """Drive independent rows and similar rows, each twice, and count singular values.

    (Legenstein and Maass, Neural Networks 20, 323 (2007).) A good layer has a high kernel rank
    and a low generalisation rank.

    Parameters
    ----------
    rows : int or None
        Rows of each kind; None: the number of outputs, at most 500.
    similar : float
        Half width of the versions of one drive, as a share of each input's range. Inputs that
        are bits flip with this probability.
    seed : int
        Of drives and orders.
    """

    kind: ClassVar[str] = "ranks"
    rows: int | None = None
    similar: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rows is not None:
            whole("Ranks", "rows", self.rows, 2)
        number("Ranks", "similar", self.similar, 0.0, 0.5, above=True)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device with memory."""
        no_memory("Ranks", spec)

    def queries(self, spec: DeviceSpec) -> int:
        """Two for every row of either kind."""
        return 4 * self._rows(spec)

    def _rows(self, spec: DeviceSpec) -> int:
        return self.rows or int(np.clip(spec.n_outputs, 8, 500))

    def _run(self, device: Device) -> RanksResult:
        n = self._rows(device.spec)
        different = uniform_drives(device, n, self.seed)
        rows = np.concatenate([different, self._similar(device, different[0], n)])
        first, second = measure_passes(device, rows, 2, self.seed + 1)
        kernel = rank_above_noise(first[:n], second[:n])
        generalisation = rank_above_noise(first[n:], second[n:])
        return RanksResult(
            kernel_rank=kernel[0],
            generalisation_rank=generalisation[0],
            kernel_tolerance=kernel[1],
            generalisation_tolerance=generalisation[1],
            kernel_values=kernel[2],
            generalisation_values=generalisation[2],
        )

    def _similar(self, device: Device, centre: Array, rows: int) -> Array:
        low, high = device.spec.limits
        random = generator(self.seed, "similar drives")
        if device.spec.domain == "bits":
            flipped = random.random((rows, len(centre))) < self.similar
            return np.where(flipped, low + high - centre, centre)
        shift = (high - low) * random.uniform(-self.similar, self.similar, (rows, len(centre)))
        moved = centre + shift
        if device.spec.domain == "codes":
            moved, low, high = np.round(moved), np.ceil(low), np.floor(high)
        clipped: Array = np.clip(moved, low, high)
        return clipped


def rank_above_noise(first: Array, second: Array) -> tuple[int, float, Array]:
    """Return the rank of the centred answers, the tolerance, and the singular values.

    The mean and half of the difference of two repeats carry the same noise, and only the mean
    carries signal: singular values of the mean that are above the largest one of the half
    difference (by 10 %, for its scatter) are signal. This holds for noise of any colour and of
    any strength per output.

    Parameters
    ----------
    first, second : ndarray of shape (rows, n_outputs)
        Answers to the same drives in the same order.
    """
    first = table("rank_above_noise", "first", first, rows=2)
    second = table("rank_above_noise", "second", second, rows=2, columns=first.shape[1])
    mean, noise = (first + second) / 2, (first - second) / 2
    values = np.linalg.svd(mean - mean.mean(axis=0), compute_uv=False)
    largest = np.linalg.svd(noise - noise.mean(axis=0), compute_uv=False)[0]
    rounding = np.finfo(mean.dtype).eps * max(mean.shape) * np.linalg.norm(mean)
    tolerance = float(max(_MARGIN * largest, rounding))
    return int(np.sum(values > tolerance)), tolerance, values
