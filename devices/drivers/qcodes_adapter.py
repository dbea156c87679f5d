"""Instruments of QCoDeS in roles and as devices, by the names of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.drivers.attributes import AttributeDevice, AttributeInstrument, as_list
from devices.extras import require

__all__ = ["QcodesDevice", "QcodesInstrument", "QcodesModulator", "QcodesMonitor"]


class QcodesInstrument(AttributeInstrument):
    """A QCoDeS instrument, whose parameters are set and read; see `AttributeInstrument`.

    Values are checked by QCoDeS' own validators, and ramped as its parameters' ``step`` says.
    """

    def _make(self, kind: Any, address: str, options: dict[str, Any]) -> Any:
        require("qcodes", "qcodes")
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


class QcodesModulator(QcodesInstrument):
    """Parameters of a QCoDeS instrument as a `Modulator`.

    Parameters
    ----------
    instrument, address
        See `AttributeInstrument`.
    inputs : sequence of str
        Parameters, one for each element.
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
        """Set each parameter."""
        self.write_all(self._inputs, np.asarray(values))


class QcodesMonitor(QcodesInstrument):
    """A parameter of a QCoDeS instrument as a `Monitor`.

    Parameters
    ----------
    instrument, address
        See `AttributeInstrument`.
    output : str
        The parameter.
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
        """Read the parameter."""
        return float(self._checked(self.get, self._output))


class QcodesDevice(AttributeDevice):
    """QCoDeS instrument whose parameters are inputs and outputs.

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
        name: str = "qcodes",
        **spec: Any,
    ) -> None:
        port = QcodesInstrument(instrument, address, options=options, on=on, off=off, name=name)
        super().__init__(port, inputs=as_list(inputs), outputs=as_list(outputs), **spec)
