"""The converters of a board: codes to volts, volts to words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole

__all__ = ["Converters", "Physics"]

Array = NDArray[Any]
#: From volts at the DACs, (rows, n_dac), to volts at the ADCs, (rows, n_adc).
Physics = Callable[[Array], Array]

_FULL = 0xFFFF  # of an ADC word


class Converters:
    """DACs and ADCs of one board.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    n_dac, n_adc : int
    dac_bits, adc_bits : int
        Resolution, 1 to 16.
    dac_volts, adc_volts : (float, float)
        Ranges.
    rest_v : float
        Of an output that is off.

    Attributes
    ----------
    top : int
        Highest DAC code.
    rest : ndarray of shape (n_dac,), uint16
        Codes of outputs that are off.
    lowest_v, highest_v : float
        Extremes of what the DACs have put out.
    """

    def __init__(
        self,
        owner: str,
        n_dac: int,
        n_adc: int,
        dac_bits: int,
        adc_bits: int,
        dac_volts: tuple[float, float],
        adc_volts: tuple[float, float],
        rest_v: float,
    ) -> None:
        self.n_dac, self.n_adc = (
            whole(owner, "n_dac", n_dac, 1, 255),
            whole(owner, "n_adc", n_adc, 1, 255),
        )
        self.dac_bits = whole(owner, "dac_bits", dac_bits, 1, 16)
        self.adc_bits = whole(owner, "adc_bits", adc_bits, 1, 16)
        self.dac_volts = _range(owner, "dac_volts", dac_volts)
        self.adc_volts = _range(owner, "adc_volts", adc_volts)
        number(owner, "rest_v", rest_v, *self.dac_volts)
        self.top = (1 << dac_bits) - 1
        low, high = self.dac_volts
        self.rest = np.full(n_dac, round((rest_v - low) / (high - low) * self.top), np.uint16)
        self.lowest_v = self.highest_v = float(self.volts(self.rest)[0])

    def volts(self, codes: Array) -> Array:
        """Return the volts of DAC codes."""
        low, high = self.dac_volts
        return low + codes / self.top * (high - low)

    def drive(self, rows: Array) -> None:
        """Take note of rows of codes that are put out."""
        volts = self.volts(rows)
        self.lowest_v = min(self.lowest_v, float(volts.min()))
        self.highest_v = max(self.highest_v, float(volts.max()))

    def words(self, physics: Physics, rows: Array, conversions: int, gain: float) -> Array:
        """Return what the ADCs say to rows of codes, (rows,), of flags u8 and words u16.

        Each of the `conversions` is a measurement of its own, with noise of its own.
        """
        packed = np.zeros(len(rows), [("flags", "u1"), ("words", "<u2", (self.n_adc,))])
        if not len(rows):
            return packed
        top, (low, high) = (1 << self.adc_bits) - 1, self.adc_volts
        total = np.zeros((len(rows), self.n_adc))
        for _ in range(conversions):
            share = (gain * physics(self.volts(rows)) - low) / (high - low)
            codes = np.clip(np.rint(share * top), 0, top)
            packed["flags"] |= ((codes <= 0) | (codes >= top)).any(axis=1).astype(np.uint8)
            total += codes * (_FULL / top)
        packed["words"] = np.rint(total / conversions)
        return packed


def _range(owner: str, name: str, volts: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(v) for v in volts)
    if not low < high:
        raise ValueError(f"{owner}: {name}={volts!r} must be a lower and a higher voltage")
    return low, high
