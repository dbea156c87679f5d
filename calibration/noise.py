"""How loud the noise of each output is, against the signal, and of what colour."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.nonlinearity import uniform_drives
from calibration.procedure import Procedure, quantity
from calibration.repeats import no_memory
from devices import Device, DeviceSpec
from devices.checks import table, whole

__all__ = ["Noise", "NoiseResult", "noise_colour", "signal_to_noise"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class NoiseResult:
    """Noise of each output.

    Attributes
    ----------
    noise_std : ndarray of shape (n_outputs,)
        Standard deviation of repeated answers, in output_unit.
    signal_std : ndarray of shape (n_outputs,)
        Standard deviation over drives, the noise taken out, in output_unit.
    snr_db : ndarray of shape (n_outputs,)
        10 lg of the ratio of their squares; inf without noise, -inf without signal.
    median_snr_db : float
        The median over outputs.
    snr_error_db : float
        Standard error of the ratios for random drives; even ones are at least as good.
    colour : ndarray of shape (n_outputs,)
        Exponent a of a noise spectrum ``f^a``: 0 white, -1 flicker, -2 a random walk; nan for an
        output without noise.
    lag_one : ndarray of shape (n_outputs,)
        Correlation between the noise of neighbouring rows.
    common_share : float
        Share of the noise's variance in its strongest direction: 1 if all outputs shake together.
    """

    noise_std: Array = field(metadata=quantity("output", unit="output"))
    signal_std: Array = field(metadata=quantity("output", unit="output"))
    snr_db: Array = field(metadata=quantity("output", unit="dB"))
    median_snr_db: float = field(metadata=quantity(unit="dB"))
    snr_error_db: float = field(metadata=quantity(unit="dB", residual=True))
    colour: Array = field(metadata=quantity("output"))
    lag_one: Array = field(metadata=quantity("output"))
    common_share: float = field(metadata=quantity())


@dataclass(frozen=True, kw_only=True)
class Noise(Procedure[NoiseResult]):
    """Repeat many drives a few times for the ratio, and one drive many times for the colour.

    Parameters
    ----------
    rows : int
        Different drives, evenly between the limits, each repeated in a row; best a power of 2.
        The ratio's error is from the scatter of the signal's variance over them: up to
        ``4.3 sqrt(2 / rows)`` dB for many inputs, a fraction of it for few.
    repeats : int
        How often each is driven.
    series : int
        Rows of one and the same drive.
    seed : int
        Of the drives.
    """

    kind: ClassVar[str] = "noise"
    needs: ClassVar[tuple[str, ...]] = ("settling",)
    rows: int = 1024
    repeats: int = 3
    series: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        whole("Noise", "rows", self.rows, 8)
        whole("Noise", "repeats", self.repeats, 2)
        whole("Noise", "series", self.series, 64)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device with memory."""
        no_memory("Noise", spec)

    def queries(self, spec: DeviceSpec) -> int:
        """Return rows times repeats, and the series."""
        return self.rows * self.repeats + self.series

    def _run(self, device: Device) -> NoiseResult:
        drives = uniform_drives(device, self.rows, self.seed, even=True)
        repeated = device.measure(np.repeat(drives, self.repeats, axis=0), purpose="calibration")
        signal, noise = signal_to_noise(repeated.reshape(self.rows, self.repeats, -1))
        series = device.measure(np.repeat(drives[:1], self.series, axis=0), purpose="calibration")
        colour, lag_one = noise_colour(series)
        centred = series - series.mean(axis=0)
        gram = centred.conj().T @ centred
        total = np.trace(gram).real
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 10 * np.log10(signal / noise)
        ratio = np.where((noise == 0) & (signal == 0), -np.inf, ratio)
        # Of the variances of the signal and of the noise, from so many values each.
        error = 10 / np.log(10) * np.sqrt(2 / self.rows * (1 + 1 / (self.repeats - 1)))
        middle = np.sort(ratio)[(len(ratio) - 1) // 2]  # a mean of infinities is none
        return NoiseResult(
            noise_std=np.sqrt(noise),
            signal_std=np.sqrt(signal),
            snr_db=ratio,
            median_snr_db=float(middle),
            snr_error_db=float(error),
            colour=colour,
            lag_one=lag_one,
            common_share=float(np.linalg.eigvalsh(gram)[-1] / total) if total > 0 else 0.0,
        )


def signal_to_noise(repeated: Array) -> tuple[Array, Array]:
    """Return the variances of signal and noise of each output, two arrays (n_outputs,).

    One-way analysis of variance: the noise is the mean variance within the repeats of a drive;
    the signal is the variance of the means less ``noise / repeats``, at least 0.

    Parameters
    ----------
    repeated : ndarray of shape (rows, repeats, n_outputs)

    Raises
    ------
    ValueError
        If there are fewer than 2 rows or repeats.
    """
    repeated = np.asarray(repeated)
    if repeated.ndim != 3 or min(repeated.shape[:2]) < 2:
        raise ValueError(
            f"signal_to_noise: repeated has shape {repeated.shape}, it must be (rows, repeats, "
            "n_outputs) with at least 2 rows and 2 repeats"
        )
    noise = np.var(repeated, axis=1, ddof=1).mean(axis=0)
    means = np.var(repeated.mean(axis=1), axis=0, ddof=1)
    signal = np.clip(means - noise / repeated.shape[1], 0.0, None)
    # What is left when two equal rounding errors are taken from each other is no signal.
    floor = 1e-24 * np.mean(np.abs(repeated) ** 2, axis=(0, 1))
    return np.where(signal > floor, signal, 0.0), np.where(noise > floor, noise, 0.0)


def noise_colour(series: Array) -> tuple[Array, Array]:
    """Return the spectral exponent and the lag-one correlation of each output's noise.

    The exponent is the slope of the log of the periodogram over the log of the frequency, at
    equal weight per octave, below half of the Nyquist frequency, where a sampled random walk
    still has the slope of a continuous one.

    Parameters
    ----------
    series : ndarray of shape (rows, n_outputs)
        Answers to one drive, in the order of time; at least 64.

    Raises
    ------
    ValueError
        If there are fewer than 64 rows.
    """
    series = table("noise_colour", "series", series, rows=64)
    n = len(series)
    centred = series - series.mean(axis=0)
    variance = np.mean(np.abs(centred) ** 2, axis=0)
    quiet = variance <= 1e-24 * np.mean(np.abs(series) ** 2, axis=0)
    power = np.abs(np.fft.fft(centred * np.hanning(n)[:, None], axis=0)) ** 2
    # Bins in bands an octave wide: the log of a mean over many has little scatter and bias.
    edges = [2**k for k in range(1, int(np.log2(n // 4)) + 1)]
    bands = list(pairwise(edges))
    levels = np.array([power[a:b].mean(axis=0) for a, b in bands])
    centres = np.log([np.sqrt(a * (b - 1)) for a, b in bands])
    weights = np.sqrt([b - a for a, b in bands])
    with np.errstate(divide="ignore"):
        slopes = np.polyfit(centres, np.log(np.where(levels > 0, levels, 1.0)), 1, w=weights)[0]
    lag = np.sum(centred[:-1].conj() * centred[1:], axis=0).real / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(quiet, np.nan, slopes), np.where(quiet, 0.0, lag / variance)
