"""Instruments of QCoDeS in roles and as devices, by the names of their parameters."""

from __future__ import annotations

from typing import Any

from devices.drivers.attribute_device import AttributeDevice
from devices.drivers.attributes import AttributeInstrument, AttributeModulator, AttributeMonitor

__all__ = ["QcodesDevice", "QcodesInstrument", "QcodesModulator", "QcodesMonitor"]


class QcodesInstrument(AttributeInstrument):
    """A QCoDeS instrument, whose parameters are set and read; see `AttributeInstrument`.

    Values are checked by QCoDeS' own validators, and ramped as its parameters' ``step`` says.
    """

    package = "qcodes"

    def _make(self, kind: Any, address: str, options: dict[str, Any]) -> Any:
        return kind(*((self.name, address) if address else (self.name,)), **options)

    def put(self, name: str, value: Any) -> None:
        """Set a parameter; ``a.b`` is that of a submodule."""
        self._parameter(name)(value)

    def get(self, name: str) -> Any:
        """Read a parameter."""
        return self._parameter(name)()

    def _parameter(self, name: str) -> Any:
        target = self._instrument
        for part in name.split("."):
            target = getattr(target, part)
        return target

    def _disconnect(self, instrument: Any) -> None:
        instrument.close()


class QcodesModulator(QcodesInstrument, AttributeModulator):
    """Parameters of a QCoDeS instrument as a modulator; see `AttributeModulator`."""


class QcodesMonitor(QcodesInstrument, AttributeMonitor):
    """A parameter of a QCoDeS instrument as a monitor; see `AttributeMonitor`."""


class QcodesDevice(AttributeDevice):
    """QCoDeS instrument whose parameters are inputs and outputs; see `AttributeDevice`."""

    adapter = QcodesInstrument
