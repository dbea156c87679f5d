"""In how many directions a device's answers move beyond its noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.nonlinearity import uniform_drives
from calibration.procedure import Procedure, quantity
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import table, whole

__all__ = ["Dimensionality", "SignalDimensions", "signal_dimensions"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class SignalDimensions:
    """Dimensions of the answers with the noise taken out.

    Attributes
    ----------
    participation_ratio, participation_ratio_standardised : float
        ``(sum l)^2 / sum l^2`` of the signal's variances, of the answers as they are and of
        answers brought to unit variance; of each square, one factor comes from each half of the
        rows, so that few rows do not count more directions. 0 where all of it may be noise.
    count, count_standardised : int
        Directions in which the signal is stronger than the noise, ``l_k > s_k^2``; fewer than
        half as many as rows.
    usable, usable_standardised : float
        ``sum l / (l + s^2)``: every direction counts by its reliability.
    signal_variance, noise_variance : ndarray of shape (directions,)
        l_k and s_k^2 of the answers as they are, strongest first, in output_unit squared.
    plain_count : int
        Principal components that hold 99 % of the variance, noise included; for comparison.
    participation_ratio_error : float
        Standard error of `participation_ratio` by the noise: ``sum l`` runs over all directions,
        and the empty ones scatter by ``s^2 / sqrt(rows)`` each.
    rows : int
        Different drives.
    """

    participation_ratio: float = field(metadata=quantity())
    participation_ratio_standardised: float = field(metadata=quantity())
    count: int = field(metadata=quantity())
    count_standardised: int = field(metadata=quantity())
    usable: float = field(metadata=quantity())
    usable_standardised: float = field(metadata=quantity())
    signal_variance: Array = field(metadata=quantity("direction", unit="output^2"))
    noise_variance: Array = field(metadata=quantity("direction", unit="output^2"))
    plain_count: int = field(metadata=quantity())
    participation_ratio_error: float = field(metadata=quantity(residual=True))
    rows: int = field(metadata=quantity())


@dataclass(frozen=True, kw_only=True)
class Dimensionality(Procedure[SignalDimensions]):
    """Measure `signal_dimensions` with drives uniform between the limits.

    Parameters
    ----------
    rows : int or None
        Different drives, each measured twice; None: 20 per output, from 500 to 4000.
    seed : int
        Of the drives and their order.
    """

    kind: ClassVar[str] = "dimensionality"
    rows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rows is not None:
            whole("Dimensionality", "rows", self.rows, 8)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device with memory."""
        no_memory("Dimensionality", spec)

    def queries(self, spec: DeviceSpec) -> int:
        """Two for every drive."""
        return 2 * self._rows(spec)

    def _rows(self, spec: DeviceSpec) -> int:
        return self.rows or int(np.clip(20 * spec.n_outputs, 500, 4000))

    def _run(self, device: Device) -> SignalDimensions:
        drives = uniform_drives(device, self._rows(device.spec), self.seed)
        return signal_dimensions(*measure_passes(device, drives, 2, self.seed + 1))


def signal_dimensions(first: Array, second: Array) -> SignalDimensions:
    """Return the dimensions of the signal from two measurements of the same drives.

    The directions u_k are the eigenvectors of the symmetrised cross-covariance of the two repeats
    over one half of the drives; the other half gives the variance of the signal,
    ``l_k = u_k^T C12 u_k``, and of the noise of one measurement,
    ``s_k^2 = u_k^T Cov(Y1 - Y2) u_k / 2``. Noise is independent between repeats and does not
    enter C12 on average. Without the split, directions that happen to catch noise look like
    signal. (Cross-validated PCA: Stringer et al., Nature 571, 361 (2019).)

    Parameters
    ----------
    first, second : ndarray of shape (rows, n_outputs)
        Answers to the same drives in the same order; the drives in random order, since the rows
        are split into a first and a second half.

    Raises
    ------
    ValueError
        If the shapes differ, there are fewer than 8 rows, or nothing moves.

    Notes
    -----
    The directions need rows: with n rows, noise of a variance up to ``sqrt(n / n_outputs)`` times
    the signal's is told from it.
    """
    me = "signal_dimensions"
    first = table(me, "first", first, rows=8)
    second = table(me, "second", second, rows=8, columns=first.shape[1])
    if first.shape != second.shape:
        raise ValueError(f"{me}: the repeats have shapes {first.shape} and {second.shape}")
    spread = np.std((first + second) / 2, axis=0)
    if not spread.max() > 0:
        raise ValueError(f"{me}: no output moves")
    moving = spread > 1e-12 * spread.max()
    first, second, spread = first[:, moving], second[:, moving], spread[moving]
    chosen, signal, noise = _spectrum(first, second)
    ratio = _participation(chosen, signal, noise, len(first))
    standardised = _spectrum(first / spread, second / spread)
    eigenvalues = np.linalg.eigvalsh(np.cov(first, rowvar=False).reshape(len(spread), -1))[::-1]
    share = np.cumsum(eigenvalues) / eigenvalues.sum()
    return SignalDimensions(
        participation_ratio=ratio,
        participation_ratio_standardised=_participation(*standardised, len(first)),
        count=_count(signal, noise, len(first) // 2),
        count_standardised=_count(*standardised[1:], len(first) // 2),
        usable=_usable(signal, noise),
        usable_standardised=_usable(*standardised[1:]),
        signal_variance=signal,
        noise_variance=noise,
        plain_count=int(np.searchsorted(share, 0.99) + 1),
        participation_ratio_error=_error(ratio, signal, noise, len(first)),
        rows=len(first),
    )


def _spectrum(first: Array, second: Array) -> tuple[Array, Array, Array]:
    """Return variances along the signal's directions: of the half that chose them, of the other.

    Of the other half, of signal and of noise.
    """
    half = len(first) // 2
    chosen, directions = np.linalg.eigh(_cross(first[:half], second[:half]))
    chosen, directions = chosen[::-1], directions[:, ::-1]
    signal = _along(_cross(first[half:], second[half:]), directions)
    difference = first[half:] - second[half:]
    noise = _along(_cross(difference, difference), directions) / 2
    # Rounding is no signal: a device without noise has exact zeros beyond its rank.
    floor = 1e-13 * max(float(np.max(signal)), 0.0)
    return chosen, np.where(np.abs(signal) < floor, 0.0, signal), noise


def _cross(first: Array, second: Array) -> Array:
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    product = a.conj().T @ b / (len(a) - 1)
    return (product + product.conj().T) / 2


def _along(matrix: Array, directions: Array) -> Array:
    return np.sum(directions.conj() * (matrix @ directions), axis=0).real


def _participation(chosen: Array, signal: Array, noise: Array, rows: int) -> float:
    # Squares of one half alone would count its scatter; sums and products of both cancel it.
    squares = float(np.sum(chosen * signal))
    heard = chosen.sum() + signal.sum() > 6 * _scatter(signal, noise, rows)
    return float(chosen.sum() * signal.sum()) / squares if heard and squares > 0 else 0.0


def _count(signal: Array, noise: Array, rows: int) -> int:
    # So many rows do not tell more directions than that; the rest of the axes are arbitrary.
    return int(np.sum((signal > noise)[: rows - 1]))


def _usable(signal: Array, noise: Array) -> float:
    # Empty directions scatter about zero and cancel; cutting the negative ones would count noise.
    total = signal + noise
    return float(np.sum(np.divide(signal, total, out=np.zeros_like(total), where=total > 0)))


def _scatter(signal: Array, noise: Array, rows: int) -> float:
    """Return the standard error by the noise of the sum of the signal's variances."""
    return float(np.sqrt(np.sum(noise**2 + 2 * np.clip(signal, 0, None) * noise) / rows))


def _error(ratio: float, signal: Array, noise: Array, rows: int) -> float:
    return 2 * ratio * _scatter(signal, noise, rows) / float(signal.sum()) if ratio else 0.0
