"""The frequencies of a sweep: two ends, or centre and width."""

from __future__ import annotations

from simulators.bench.values import ScpiError

__all__ = ["ENDS", "Span"]

#: What can be set, in the words of the command.
ENDS = ("STARt", "STOP", "CENTer", "SPAN", "CW")


class Span:
    """Start and stop, in Hz, between the analyser's limits.

    Parameters
    ----------
    lowest_hz, highest_hz : float
        Limits.
    """

    def __init__(self, lowest_hz: float, highest_hz: float) -> None:
        self.lowest_hz, self.highest_hz = lowest_hz, highest_hz
        self.start, self.stop = lowest_hz, highest_hz

    def preset(self) -> None:
        """Return to the whole range."""
        self.start, self.stop = self.lowest_hz, self.highest_hz

    def get(self, what: str) -> float:
        """Return one of `ENDS`, in Hz."""
        values = {
            "STARt": self.start,
            "STOP": self.stop,
            "CENTer": (self.start + self.stop) / 2,
            "SPAN": self.stop - self.start,
        }
        return values.get(what, self.start)

    def set(self, what: str, value: float) -> None:
        """Set one of `ENDS`, in Hz; the other end gives way.

        Raises
        ------
        ScpiError
            -222 outside the limits.
        """
        low, high = self.lowest_hz, self.highest_hz
        if what == "SPAN":
            low, high = 0.0, high - low
        if not low <= value <= high:
            raise ScpiError(-222, f"Data out of range; {value:g} is not in [{low:g}, {high:g}]")
        centre, half = self.get("CENTer"), self.get("SPAN") / 2
        if what == "STARt":
            self.start, self.stop = value, max(value, self.stop)
        elif what == "STOP":
            self.start, self.stop = min(value, self.start), value
        elif what == "CW":
            self.start = self.stop = value
        else:
            centre, half = (value, half) if what == "CENTer" else (centre, value / 2)
            self.start = max(centre - half, self.lowest_hz)
            self.stop = min(centre + half, self.highest_hz)
