"""A pulse behind a shaper: bins of its spectrum, or of time, each with its own modulation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from devices.checks import number, whole

__all__ = ["Launch"]

Array = NDArray[np.complex128]

# The shaper's resolution: half width at 1/e of its Gaussian spot, in bins.
_SPOT = 0.25


class Launch:
    """The fields that the bins of a shaper let through, and the grid on which they stand.

    The pulse is ``sqrt(power) sech(t)`` with spectral bins, and of constant `power` with
    temporal bins. Bin j lets through what lies between its edges, smoothed by the shaper's
    resolution: ``w_j(x) = (erf((x - a_j) / s) - erf((x - b_j) / s)) / 2`` with s a quarter of a
    bin; nothing passes outside the outermost edges.

    Parameters
    ----------
    owner : str
        Whom a message is about.
    temporal : bool
        Whether bins are of time or of angular frequency.
    n_bins : int
    span : float or None
        All bins together, in T0 or rad / T0. None: 1 T0 per bin, or 4 rad / T0.
    power : float
        Peak power of the pulse.
    broadening : float
        By how much the light may broaden in the fibre, in rad / T0: room on the grid.
    output_band : float or None
        Width of the spectrum to be read. None: 1.5 times that of the light.
    n_samples : int or None
        None takes the smallest power of two that has room.

    Attributes
    ----------
    output_band : float
        As given, or chosen.
    window : float
        Length of the time window: 4 samples of frequency per spectral bin, or 1.25 times all
        temporal bins.
    n_samples : int
    reach : float
        Highest angular frequency of the grid.
    spectra : ndarray of shape (n_bins, n_samples), complex
        FFT of the field of each bin at the modulation 1.
    peak : float
        Bound of the power that the shaper can launch; reached with all bins at 1.

    Raises
    ------
    ValueError
        If the samples have no room for the light and the spectrum to be read.
    """

    def __init__(
        self,
        owner: str,
        *,
        temporal: bool,
        n_bins: int,
        span: float | None,
        power: float,
        broadening: float,
        output_band: float | None,
        n_samples: int | None,
    ) -> None:
        if span is None:
            span = float(n_bins) if temporal else 4.0
        width = number(owner, "span", span, 0.0, above=True) / n_bins
        # Light modulated in slots of width w has most of its power within 2 pi / w.
        light = 2 * math.pi / width if temporal else span
        self.output_band = 1.5 * light if output_band is None else output_band
        number(owner, "output_band", self.output_band, 0.0, above=True)
        self.window = 1.25 * (span + 2 * width) if temporal else 4 * 2 * math.pi / width
        least = max(self.output_band / 2, light)
        needed = max(16, 2 ** math.ceil(math.log2((least + broadening) * self.window / math.pi)))
        self.n_samples = needed if n_samples is None else whole(owner, "n_samples", n_samples, 16)
        self.reach = math.pi * self.n_samples / self.window
        if self.reach < least:
            raise ValueError(
                f"{owner}: n_samples={n_samples} in the window of {self.window:.4g} T0 reach up "
                f"to {self.reach:.4g} rad / T0; the light and output_band={self.output_band:.4g} "
                f"need {least:.4g}, take {needed} samples"
            )
        dt = self.window / self.n_samples
        edges = np.linspace(-span / 2, span / 2, n_bins + 1)[:, None] / (_SPOT * width)
        time = (np.arange(self.n_samples) - self.n_samples // 2) * dt
        if temporal:
            steps = erf(time / (_SPOT * width) - edges)
            self.spectra = np.fft.fft(math.sqrt(power) * (steps[:-1] - steps[1:]) / 2)
        else:
            omega = 2 * np.pi * np.fft.fftfreq(self.n_samples, dt)
            steps = erf(omega / (_SPOT * width) - edges)
            pulse = np.fft.fft(math.sqrt(power) / np.cosh(time))
            self.spectra = pulse * (steps[:-1] - steps[1:]) / 2
        fields = np.abs(np.fft.ifft(self.spectra))
        self.peak = float((fields.sum(axis=0) ** 2).max())
        # Gram matrix of the bins, whose quadratic form is the launched energy (of the spectra).
        self._gram = (self.spectra.conj() @ self.spectra.T).real

    def mean_energy(self, power: float, mean: float) -> float:
        """Return the mean of ``sum |spectrum|^2`` over independent modulations m.

        Parameters
        ----------
        power, mean : float
            Mean of |m|^2, and absolute value of the mean of m.
        """
        own = float(np.trace(self._gram))
        return mean**2 * float(self._gram.sum()) + (power - mean**2) * own
