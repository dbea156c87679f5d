"""Instruments of other packages as devices, by the names of what can be set and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from devices.checks import number
from devices.device import Device
from devices.drivers.attributes import AttributeInstrument
from devices.spec import DeviceSpec

__all__ = ["AttributeDevice"]


class AttributeDevice(Device):
    """Base of the adapters that make another package's instrument a device.

    Each input is set, then after ``settle_s`` each output is read.

    Parameters
    ----------
    instrument, address, options, on, off, name
        See `AttributeInstrument`; the name is that of the package if not given.
    inputs, outputs : sequence of str
        Names of what is set and read.
    n_outputs : int or None
        Width of an answer, where an output is an array.
    low, high : float or sequence of float
        Limits of the inputs.
    settle_s : float
        Wait between setting and reading, in s.
    **spec
        Other fields of `DeviceSpec`.

    Attributes
    ----------
    adapter : type of AttributeInstrument
        Of the package.
    """

    adapter: type[AttributeInstrument]

    def __init__(
        self,
        instrument: Any,
        address: str = "",
        *,
        inputs: Sequence[str],
        outputs: Sequence[str],
        n_outputs: int | None = None,
        low: float | Sequence[float] = 0.0,
        high: float | Sequence[float] = 1.0,
        settle_s: float = 0.0,
        options: Mapping[str, Any] | None = None,
        on: Mapping[str, Any] | None = None,
        off: Mapping[str, Any] | None = None,
        name: str = "",
        **spec: Any,
    ) -> None:
        name = name or self.adapter.package
        self._port = self.adapter(instrument, address, options=options, on=on, off=off, name=name)
        self._inputs, self._outputs = _as_list(inputs), _as_list(outputs)
        number(name, "settle_s", settle_s, 0.0)
        self.spec = DeviceSpec(
            name=name,
            n_inputs=len(self._inputs),
            n_outputs=n_outputs or len(self._outputs),
            low=low if isinstance(low, (int, float)) else tuple(low),
            high=high if isinstance(high, (int, float)) else tuple(high),
            settle_s=settle_s,
            **spec,
        )

    def _open(self) -> None:
        self._port.open()

    def _close(self) -> None:
        self._port.close()

    def _safe(self) -> None:
        self._port.off()

    def _drive(self, drives: NDArray[Any]) -> None:
        self._port.write_all(self._inputs, drives[0])

    def _measure(self, drives: NDArray[Any]) -> NDArray[Any]:
        return self._port.read_all(self._outputs)[None]


def _as_list(names: str | Sequence[str]) -> list[str]:
    """Return one name as a list, and several as they are: a device's text cannot tell."""
    return [names] if isinstance(names, str) else list(names)
