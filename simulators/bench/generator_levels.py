"""The levels of a generator's channel: volts shown, volts made, loads and limits."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from simulators.bench.values import INFINITY, ScpiError

__all__ = ["OWN_OHM", "Levels"]

OWN_OHM = 50.0  # of the output
_EMF_LIMIT = 10.0  # V, either way: 5 V into 50 ohm
_MOST_OHM = 1e4
_CREST = 2 * math.sqrt(2)  # volts peak to peak per volt rms, of a sine


class Levels:
    """Amplitude and offset of one channel, kept open-circuit: what the amplifier makes.

    What is set and shown is what the *declared* load would get.

    Attributes
    ----------
    load_ohm : float
        Declared; 9.9e37 is infinite.
    limits : list of float
        Lowest and highest voltage allowed, at the declared load.
    limited : bool
        Whether the limits count.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Return to 0.1 V peak to peak into 50 ohm, no limits."""
        self.load_ohm = OWN_OHM
        self.limits = [-5.0, 5.0]
        self.limited = False
        self._amplitude, self._offset = 0.2, 0.0

    def emf(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return open-circuit volts for a waveform from -1 to 1."""
        return self._amplitude / 2 * values + self._offset

    def now(self) -> tuple[float, float]:
        """Return amplitude (peak to peak) and offset at the declared load, in V."""
        share = self._share()
        return self._amplitude * share, self._offset * share

    def edges(self) -> tuple[float, float]:
        """Return the low and the high level at the declared load, in V."""
        amplitude, offset = self.now()
        return offset - amplitude / 2, offset + amplitude / 2

    def shown_amplitude(self, unit: str) -> float:
        """Return the amplitude in VPP, VRMS or DBM."""
        amplitude = self.now()[0]
        if unit == "VRMS":
            return amplitude / _CREST
        if unit == "DBM":
            return 10 * math.log10((amplitude / _CREST) ** 2 / self.load_ohm / 1e-3)
        return amplitude

    def set_amplitude(self, value: float, unit: str) -> None:
        """Set the amplitude, given in VPP, VRMS or DBM."""
        if unit == "VRMS":
            value *= _CREST
        elif unit == "DBM":
            value = _CREST * math.sqrt(1e-3 * 10 ** (value / 10) * self.load_ohm)
        self._put(value, self.now()[1])

    def set_offset(self, value: float) -> None:
        """Set the offset, in V."""
        self._put(self.now()[0], value)

    def set_edge(self, side: int, value: float) -> None:
        """Set the low (0) or high (1) level, in V.

        Raises
        ------
        ScpiError
            -221 if the low level would be above the high one.
        """
        both = list(self.edges())
        both[side] = value
        if both[0] > both[1]:
            raise ScpiError(-221, "Settings conflict; low level above high level")
        self._put(both[1] - both[0], (both[0] + both[1]) / 2)

    def set_limit(self, side: int, value: float) -> None:
        """Set the low (0) or high (1) limit, in V."""
        self.limits[side] = value
        self.limit(self.limited)

    def limit(self, on: bool) -> None:
        """Switch the limits; those that the present output breaks are refused.

        Raises
        ------
        ScpiError
            -221 if they are.
        """
        self.limited = on
        low, high = self.edges()
        if on and not self.limits[0] <= low <= high <= self.limits[1]:
            self.limited = False
            raise ScpiError(-221, "Settings conflict; the output is outside these limits")

    def set_load(self, ohm: float) -> None:
        """Declare a load: the open-circuit voltage stays, the volts shown change.

        Raises
        ------
        ScpiError
            -221 while limits are on.
        """
        if self.limited:
            raise ScpiError(-221, "Settings conflict; turn the voltage limits off first")
        self.load_ohm = INFINITY if ohm >= INFINITY else min(ohm, _MOST_OHM)

    def _share(self) -> float:
        """Return what part of the open-circuit voltage the declared load would get."""
        return 1.0 if self.load_ohm >= INFINITY else self.load_ohm / (self.load_ohm + OWN_OHM)

    def _put(self, amplitude: float, offset: float) -> None:
        """Set amplitude and offset, in V at the declared load, if they are legal."""
        share, low, high = self._share(), offset - amplitude / 2, offset + amplitude / 2
        if amplitude < 0 or max(abs(high), abs(low)) > _EMF_LIMIT * share * (1 + 1e-12):
            raise ScpiError(-222, "Data out of range; amplitude and offset exceed the output")
        if self.limited and not self.limits[0] <= low <= high <= self.limits[1]:
            raise ScpiError(-222, "Data out of range; value outside the voltage limits")
        self._amplitude, self._offset = amplitude / share, offset / share
