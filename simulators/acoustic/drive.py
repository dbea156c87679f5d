"""From a row of numbers to what loudspeakers play: tones, samples, or time bins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import whole
from simulators.acoustic.tones import band_room, fit_tones, newman_phases

__all__ = ["INPUTS", "SoundDrive"]

Array = NDArray[Any]

#: What an input may be.
INPUTS = ("tones", "waveform", "bins")


class SoundDrive:
    """The linear map from inputs to the samples of one period of the loudspeakers' signals.

    Loudspeaker l has the inputs i with ``i mod n_speakers = l``. ``tones``: an input is the
    amplitude of a tone on a whole bin of the window. ``waveform``: it is a sample, held as a
    digital-to-analog converter does. ``bins``: it is the amplitude, held for a time bin, of a
    carrier: equal tones on the harmonics of the bin inside the band, with Newman's phases and
    the power of one full tone.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    kind : {"tones", "waveform", "bins"}
    n_inputs, n_speakers : int
        For samples and time bins, n_inputs is a multiple of n_speakers.
    band : (float, float)
        In Hz: of the tones, and of the carrier; held samples are short enough for it.
    sample_rate : float
        In Hz.
    n_window : int or None
        Samples of a period; None chooses.
    grid : str
        Spacing of the tones, see `tone_bins`.
    shortest : int
        Shortest window that None chooses for tones.

    Attributes
    ----------
    n_window : int
        Samples of a period.
    bins : ndarray of shape (n_inputs,)
        The tones' bins; empty for the other kinds.
    table : ndarray of shape (n_window, n_speakers, n_inputs)
        The map.
    low, high : float
        Limits of an input.

    Raises
    ------
    ValueError
        If the inputs do not fit into the window.
    """

    def __init__(
        self,
        owner: str,
        kind: str,
        n_inputs: int,
        n_speakers: int,
        band: tuple[float, float],
        sample_rate: float,
        n_window: int | None,
        *,
        grid: str,
        shortest: int,
    ) -> None:
        self.kind, self.low, self.high = kind, -1.0 if kind == "waveform" else 0.0, 1.0
        self.bins = np.empty(0, int)
        inputs, speakers = np.arange(n_inputs), np.arange(n_speakers)
        mine = inputs % n_speakers == speakers[:, None]  # (n_speakers, n_inputs)
        if kind == "tones":
            self.bins, self.n_window = fit_tones(
                owner, n_inputs, band, sample_rate, n_window, grid=grid, shortest=shortest
            )
            shape = _tones(self.bins, newman_phases(n_inputs), self.n_window)
        else:
            slots, rest = divmod(n_inputs, n_speakers)
            if rest:
                raise ValueError(
                    f"{owner}: n_inputs={n_inputs} must be a multiple of the {n_speakers} "
                    f"loudspeakers for input={kind!r}"
                )
            hold = self._hold(owner, slots, band, sample_rate, n_window)
            self.n_window = hold * slots
            carrier = np.ones(hold)
            if kind == "bins":
                carrier = _carrier(owner, band, sample_rate, hold)
            now = np.arange(self.n_window)[:, None] // hold == inputs // n_speakers
            shape = np.tile(carrier, slots)[:, None] * now
        self.table: Array = shape[:, None, :] * mine

    def power(self) -> Array:
        """Return the mean power at the bins 0 to n_window // 2, summed over loudspeakers.

        Over inputs that are uniform between their limits, and independent.
        """
        spectrum = np.fft.rfft(self.table, axis=0) / self.n_window
        mean, variance = (self.low + self.high) / 2, (self.high - self.low) ** 2 / 12
        each = (np.abs(spectrum) ** 2).sum(axis=(1, 2))
        common = (np.abs(spectrum.sum(axis=2)) ** 2).sum(axis=1)
        both_sides = np.full(len(each), 2.0)
        both_sides[0] = 1.0
        if self.n_window % 2 == 0:
            both_sides[-1] = 1.0
        return both_sides * (variance * each + mean**2 * common)

    def _hold(
        self,
        owner: str,
        slots: int,
        band: tuple[float, float],
        sample_rate: float,
        n_window: int | None,
    ) -> int:
        """Return how many steps an input is held."""
        if n_window is None:
            # Samples just fast enough for the top of the band; time bins as long as a period
            # of its lowest frequency.
            fastest = max(1, math.floor(sample_rate / (2 * band[1])))
            return fastest if self.kind == "waveform" else math.ceil(sample_rate / band[0])
        hold, rest = divmod(whole(owner, "n_window", n_window, 4), slots)
        if rest or not hold:
            raise ValueError(
                f"{owner}: n_window={n_window} must be a multiple of the {slots} inputs that a "
                f"loudspeaker plays one after the other with input={self.kind!r}"
            )
        return hold


def _tones(bins: Array, phases: Array, length: int) -> Array:
    """Return cosines, (length, n_tones)."""
    # A share of a cycle in whole numbers first: no rounding grows along the window.
    share = np.arange(length)[:, None] * bins % length / length
    return np.cos(2 * np.pi * share + phases)


def _carrier(owner: str, band: tuple[float, float], sample_rate: float, hold: int) -> Array:
    first, last = band_room(band, sample_rate / hold)
    harmonics = np.arange(max(1, first), last + 1)
    if not len(harmonics):
        raise ValueError(
            f"{owner}: a time bin of {hold} samples has its harmonics {sample_rate / hold:g} Hz "
            f"apart, none of them in band={band!r} Hz; raise n_window or widen the band"
        )
    waves = _tones(harmonics, newman_phases(len(harmonics)), hold)
    return waves.sum(axis=1) / math.sqrt(len(harmonics))
