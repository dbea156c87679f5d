"""Instruments of PyMeasure in roles and as devices, by the names of their properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.drivers.attributes import AttributeDevice, AttributeInstrument, as_list
from devices.extras import require

__all__ = ["PymeasureDevice", "PymeasureInstrument", "PymeasureModulator", "PymeasureMonitor"]


class PymeasureInstrument(AttributeInstrument):
    """A PyMeasure instrument, whose properties are set and read; see `AttributeInstrument`.

    Examples
    --------
    >>> from devices.drivers.pymeasure_adapter import PymeasureInstrument
    >>> PymeasureInstrument("pymeasure.instruments.keithley:Keithley2400", "GPIB::4").name
    'instrument'
    """

    def _make(self, kind: Any, address: str, options: dict[str, Any]) -> Any:
        require("pymeasure", "pymeasure")
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


class PymeasureModulator(PymeasureInstrument):
    """Properties of a PyMeasure instrument as a `Modulator`.

    Parameters
    ----------
    instrument, address
        See `AttributeInstrument`.
    inputs : sequence of str
        Properties, one for each element.
    settle_s : float
        Time that they take to settle.
    **options
        As `AttributeInstrument`.
    """

    def __init__(
        self,
        instrument: Any,
        address: str = "",
        *,
        inputs: Sequence[str],
        settle_s: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(instrument, address, **options)
        self._inputs, self.settle_s = list(inputs), settle_s
        self.n_elements = len(self._inputs)

    def set(self, values: NDArray[Any]) -> None:
        """Set each property."""
        self.write_all(self._inputs, np.asarray(values))


class PymeasureMonitor(PymeasureInstrument):
    """A property of a PyMeasure instrument as a `Monitor`.

    Parameters
    ----------
    instrument, address
        See `AttributeInstrument`.
    output : str
        The property.
    unit : str
        Its SI unit.
    **options
        As `AttributeInstrument`.
    """

    def __init__(
        self, instrument: Any, address: str = "", *, output: str, unit: str = "1", **options: Any
    ) -> None:
        super().__init__(instrument, address, **options)
        self._output, self.unit = output, unit

    def read(self) -> float:
        """Read the property."""
        return float(self._checked(self.get, self._output))


class PymeasureDevice(AttributeDevice):
    """PyMeasure instrument whose properties are inputs and outputs.

    Parameters
    ----------
    instrument, address, options, on, off, name
        See `AttributeInstrument`.
    inputs, outputs, n_outputs, low, high, settle_s, **spec
        See `AttributeDevice`.
    """

    def __init__(
        self,
        instrument: Any,
        address: str = "",
        *,
        inputs: Sequence[str],
        outputs: Sequence[str],
        options: dict[str, Any] | None = None,
        on: dict[str, Any] | None = None,
        off: dict[str, Any] | None = None,
        name: str = "pymeasure",
        **spec: Any,
    ) -> None:
        port = PymeasureInstrument(instrument, address, options=options, on=on, off=off, name=name)
        super().__init__(port, inputs=as_list(inputs), outputs=as_list(outputs), **spec)
