"""What loudspeakers and microphones do to a signal: second-order high-pass and low-pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfreqz

from simulators.acoustic.tones import band_limits

__all__ = ["Transducers"]

Array = NDArray[Any]


class Transducers:
    """A set of channels, each a second-order high-pass, a second-order low-pass and a gain.

    A loudspeaker in a closed box is a second-order high-pass (Small, J. Audio Eng. Soc. 20, 798,
    1972); the inductance of its coil, or the mass of a microphone's membrane, limits it above.
    Both are Butterworth filters here, by the bilinear transform. The gain of a channel and its
    two corner frequencies are spread log-normally, so that channels differ in gain and phase.

    Parameters
    ----------
    owner, name : str
        Who asks and for which argument, for messages.
    count : int
        Channels.
    band : (float, float) or None
        The corner frequencies in Hz, at -3 dB; None is flat.
    spread : float
        Standard deviation of the logarithm of gains and corner frequencies.
    sample_rate : float
        In Hz.
    seed : SeedSequence
        Of the spread.

    Raises
    ------
    ValueError
        If the band is malformed or reaches beyond half the sample rate.
    """

    def __init__(
        self,
        owner: str,
        name: str,
        count: int,
        band: tuple[float, float] | None,
        spread: float,
        sample_rate: float,
        seed: np.random.SeedSequence,
    ) -> None:
        self._rate, self._sections, self._nominal = sample_rate, [], None
        # Drawn channel by channel, so that more channels only add to the first.
        drawn = np.random.default_rng(seed).standard_normal((count, 3))
        self.gains = np.exp(spread * drawn[:, 0])
        if band is None:
            return
        low, high = band_limits(owner, band, name)
        # Three standard deviations of the spread stay below half the sample rate too.
        highest = 0.49 * sample_rate * math.exp(-3 * spread)
        if high > highest:
            raise ValueError(
                f"{owner}: {name}={band!r} Hz ends above {highest:g} Hz, the most that "
                f"sample_rate={sample_rate:g} Hz and spread={spread:g} leave room for"
            )
        corners = np.exp(spread * np.clip(drawn[:, 1:], -3, 3))
        self._sections = [self._filter(low * a, high * b) for a, b in corners]
        self._nominal = self._filter(low, high)

    @property
    def flat(self) -> bool:
        """Whether a signal passes as it is."""
        return not self._sections and bool((self.gains == 1).all())

    def apply(self, signals: Array) -> Array:
        """Filter signals, (time, count, ...), along time, from rest."""
        if self.flat:
            return signals
        passed: Array = signals * self.gains.reshape(-1, *[1] * (signals.ndim - 2))
        for k, sections in enumerate(self._sections):
            passed[:, k] = sosfilt(sections, passed[:, k], axis=0)
        return passed

    def response(self, frequencies: Array) -> Array:
        """Return the complex responses at frequencies in Hz, (count, n_frequencies)."""
        answer = np.ones((len(self.gains), len(frequencies)), complex) * self.gains[:, None]
        for k, sections in enumerate(self._sections):
            answer[k] *= sosfreqz(sections, frequencies, fs=self._rate)[1]
        return answer

    def nominal(self, frequencies: Array) -> Array:
        """Return the response of a channel without spread, (n_frequencies,)."""
        if self._nominal is None:
            return np.ones(len(frequencies), complex)
        answer: Array = sosfreqz(self._nominal, frequencies, fs=self._rate)[1]
        return answer

    def _filter(self, low: float, high: float) -> Array:
        kinds = ((low, "highpass"), (high, "lowpass"))
        return np.concatenate(
            [butter(2, f, kind, fs=self._rate, output="sos") for f, kind in kinds]
        )
