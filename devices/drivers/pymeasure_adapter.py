"""Instruments of PyMeasure in roles and as devices, by the names of their properties."""

from __future__ import annotations

from typing import Any

from devices.drivers.attribute_device import AttributeDevice
from devices.drivers.attributes import AttributeInstrument, AttributeModulator, AttributeMonitor

__all__ = ["PymeasureDevice", "PymeasureInstrument", "PymeasureModulator", "PymeasureMonitor"]


class PymeasureInstrument(AttributeInstrument):
    """A PyMeasure instrument, whose properties are set and read; see `AttributeInstrument`.

    Examples
    --------
    >>> from devices.drivers.pymeasure_adapter import PymeasureInstrument
    >>> PymeasureInstrument("pymeasure.instruments.keithley:Keithley2400", "GPIB::4").name
    'instrument'
    """

    package = "pymeasure"

    def _make(self, kind: Any, address: str, options: dict[str, Any]) -> Any:
        return kind(address, **options)

    def put(self, name: str, value: Any) -> None:
        """Set a property; ``a.b`` is that of a channel."""
        *path, last = name.split(".")
        target = self._instrument
        for part in path:
            target = getattr(target, part)
        if not hasattr(type(target), last):
            raise AttributeError(f"{type(target).__name__} has no property {last!r}")
        setattr(target, last, value)

    def get(self, name: str) -> Any:
        """Read a property."""
        target = self._instrument
        for part in name.split("."):
            target = getattr(target, part)
        return target() if callable(target) else target

    def _disconnect(self, instrument: Any) -> None:
        instrument.shutdown()
        instrument.adapter.close()


class PymeasureModulator(PymeasureInstrument, AttributeModulator):
    """Properties of a PyMeasure instrument as a modulator; see `AttributeModulator`."""


class PymeasureMonitor(PymeasureInstrument, AttributeMonitor):
    """A property of a PyMeasure instrument as a monitor; see `AttributeMonitor`."""


class PymeasureDevice(AttributeDevice):
    """PyMeasure instrument whose properties are inputs and outputs; see `AttributeDevice`."""

    adapter = PymeasureInstrument
