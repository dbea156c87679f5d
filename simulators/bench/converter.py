"""From volts at an oscilloscope's input to the codes that its transfers hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

__all__ = ["Capture", "Converter"]

Array = NDArray[Any]

_SPAN = 1 << 16  # of the codes, whatever the resolution
_CENTRE = _SPAN // 2


@dataclass(frozen=True)
class Capture:
    """One acquisition of all channels, before it is converted.

    Attributes
    ----------
    signals : ndarray of shape (n_channels, n_samples)
        Volts, from the trigger on; 0 before and after.
    rate : float
        Samples per second.
    start_s, length_s : float
        Begin of the record relative to the trigger, and its length.
    """

    signals: Array
    rate: float
    start_s: float
    length_s: float

    def at(self, channel: int, n_points: int) -> Array:
        """Return the volts of a channel, counted from 0, at `n_points` times of the record."""
        if channel >= len(self.signals) or not self.signals.shape[1]:
            return np.zeros(n_points)
        signal = self.signals[channel]
        places = (self.start_s + np.arange(n_points) * self.length_s / n_points) * self.rate
        whole = np.rint(places)
        if np.allclose(places, whole, rtol=0, atol=1e-6):
            places = whole.astype(np.int64)
            inside = (places >= 0) & (places < len(signal))
            return np.where(inside, signal[np.clip(places, 0, len(signal) - 1)], 0.0)
        inside = (places >= 0) & (places <= len(signal) - 1)
        values: Array = CubicSpline(np.arange(len(signal)), signal)(places)
        return np.where(inside, values, 0.0)


@dataclass(frozen=True)
class Converter:
    """The vertical settings of a channel, and the resolution of the acquisition.

    Attributes
    ----------
    range_v, offset_v : float
        Full scale, and the voltage at the centre of the screen.
    bits : int
        8 for single samples, 12 for averaged ones.
    """

    range_v: float
    offset_v: float
    bits: int

    @property
    def step_v(self) -> float:
        """Volts per code of the 16-bit span."""
        return self.range_v / _SPAN

    def words(self, volts: Array) -> Array:
        """Return codes, uint16: the low bits beyond the resolution are 0.

        1 is clipped low, 65535 clipped high, and 0, a hole, never comes from a voltage.
        """
        coarse = _SPAN >> self.bits
        codes = np.rint((volts - self.offset_v) / (self.step_v * coarse)) * coarse + _CENTRE
        words = np.clip(codes, coarse, _SPAN - coarse).astype(np.uint16)
        words[codes < coarse] = 1
        words[codes > _SPAN - coarse] = _SPAN - 1
        return words

    def bytes_(self, volts: Array) -> Array:
        """Return codes, uint8; 1 is clipped low, 255 clipped high."""
        return np.maximum(self.words(volts) >> 8, 1).astype(np.uint8)

    def scale(self, *, words: bool) -> tuple[float, float, int]:
        """Return volts per code, the voltage at the reference, and the reference code."""
        return (
            self.step_v if words else self.step_v * 256,
            self.offset_v,
            _CENTRE if words else 128,
        )
