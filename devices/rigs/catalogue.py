"""Names in ``rig.toml``: the drivers and the kinds of rigs there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["DRIVERS", "RIGS", "Entry"]


@dataclass(frozen=True)
class Entry:
    """Where something is, imported when it is used.

    Attributes
    ----------
    module, attribute : str
        What to import.
    roles : tuple of str
        What a driver can be in a rig; for a rig, the roles that it needs.
    shares : bool
        Whether several tables may have one address: another package connects, once for each.
    """

    module: str
    attribute: str
    roles: tuple[str, ...] = ()
    shares: bool = False

    def load(self) -> Callable[..., Any]:
        """Import and return it."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), self.attribute)
        return found


def _driver(module: str, attribute: str, *roles: str, shares: bool = False) -> Entry:
    return Entry(f"devices.drivers.{module}", attribute, roles, shares)


#: Drivers by the name that ``driver`` has in a table ``[instruments.NAME]``.
DRIVERS = {
    "keysight-33500": _driver("keysight_33500", "Keysight33500", "source"),
    "infiniivision": _driver("infiniivision", "InfiniiVision", "digitizer"),
    "pna": _driver("pna", "Pna", "analyser"),
    "nanovna": _driver("nanovna", "NanoVna", "analyser"),
    "board": _driver("board", "Board", "board"),
    "metasurface": _driver("metasurface_controller", "MetasurfaceController", "modulator"),
    "slm": _driver("slmsuite_adapter", "Slm", "modulator"),
    "camera": _driver("slmsuite_adapter", "SlmCamera", "camera"),
    "callable-source": _driver("callables", "CallableSource", "source"),
    "callable-digitizer": _driver("callable_capture", "CallableDigitizer", "digitizer"),
    "callable-modulator": _driver("callables", "CallableModulator", "modulator"),
    "callable-camera": _driver("callable_capture", "CallableCamera", "camera"),
    "callable-monitor": _driver("callables", "CallableMonitor", "monitor"),
    "switch": _driver("callables", "Callables", "switch"),
    "pymeasure": _driver("pymeasure_adapter", "PymeasureModulator", "modulator", shares=True),
    "pymeasure-monitor": _driver("pymeasure_adapter", "PymeasureMonitor", "monitor", shares=True),
    "qcodes": _driver("qcodes_adapter", "QcodesModulator", "modulator", shares=True),
    "qcodes-monitor": _driver("qcodes_adapter", "QcodesMonitor", "monitor", shares=True),
}

#: Rigs by the name that ``kind`` has in the table ``[rig]``, with the roles in their order.
RIGS = {
    "waveform": Entry("devices.rigs.waveform", "WaveformRig", ("source", "digitizer")),
    "metasurface": Entry("devices.rigs.metasurface", "MetasurfaceRig", ("modulator", "analyser")),
    "optical": Entry("devices.rigs.optical", "OpticalRig", ("modulator", "camera")),
    "board": Entry("devices.rigs.board", "BoardRig", ("board",)),
}
