"""Instruments of other packages, by the names of what they can set and read."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from devices.checks import number
from devices.drivers.recipe import Recipe
from devices.errors import DeviceError
from devices.extras import require

__all__ = ["AttributeInstrument", "AttributeModulator", "AttributeMonitor"]


class AttributeInstrument(Recipe):
    """Base of the adapters: opens another package's instrument, and sets and reads by name.

    Parameters
    ----------
    instrument : object or str
        An instrument that is open already, or the class to open, as ``"package.module:Class"``.
    address : str
        For a class: its first argument.
    options : mapping
        For a class: its further arguments.
    on, off : mapping of str to value
        What is set to switch it on and off.
    name : str
        What messages call it.

    Attributes
    ----------
    package : str
        What has to be installed, by the extra of that name.
    """

    package: str

    def __init__(
        self,
        instrument: Any,
        address: str = "",
        *,
        options: Mapping[str, Any] | None = None,
        on: Mapping[str, Any] | None = None,
        off: Mapping[str, Any] | None = None,
        name: str = "instrument",
    ) -> None:
        self.name = name
        self._given, self._address = instrument, address
        self._options = dict(options or {})
        self._on, self._off = dict(on or {}), dict(off or {})
        self._instrument: Any = None if isinstance(instrument, str) else instrument
        self.identity = ""

    @abstractmethod
    def _make(self, kind: Any, address: str, options: dict[str, Any]) -> Any:
        """Return an open instrument of this class."""

    @abstractmethod
    def put(self, name: str, value: Any) -> None:
        """Set what is called `name`."""

    @abstractmethod
    def get(self, name: str) -> Any:
        """Read what is called `name`."""

    @abstractmethod
    def _disconnect(self, instrument: Any) -> None:
        """Close an instrument that was opened here."""

    def open(self) -> Self:
        """Open the instrument, where only its class was given, and switch it on."""
        self.connect()
        self.on()
        return self

    def connect(self) -> Self:
        """Open the instrument, where only its class was given, and change nothing."""
        if self._instrument is None:
            require(self.package, self.package)
            module, _, name = self._given.rpartition(":")
            try:
                kind = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError, ValueError) as error:
                raise ValueError(
                    f"{self.name}: instrument={self._given!r} cannot be imported: {error}; it must "
                    "be 'package.module:Class'"
                ) from error
            try:
                self._instrument = self._make(kind, self._address, self._options)
            except Exception as error:  # every package has errors of its own
                raise DeviceError(
                    f"{self.name}: {self._given} at {self._address!r} cannot be opened: "
                    f"{type(error).__name__}: {error}"
                ) from error
        self.identity = str(getattr(self._instrument, "name", type(self._instrument).__name__))
        return self

    def close(self) -> None:
        """Close what was opened here; an instrument that was handed over stays open."""
        if isinstance(self._given, str) and self._instrument is not None:
            instrument, self._instrument = self._instrument, None
            self._disconnect(instrument)

    def on(self) -> None:
        """Set what `on` says, one after the other."""
        for name, value in self._on.items():
            self._checked(self.put, name, value)

    def hold(self) -> None:
        """Leave everything as it is."""

    def off(self) -> None:
        """Set what `off` says, one after the other."""
        for name, value in self._off.items():
            self._checked(self.put, name, value)

    def step(self) -> AbstractContextManager[Any]:
        """Nothing to keep together: the other package has its own ways."""
        return nullcontext()

    def settings(self) -> dict[str, Any]:
        """Return the identity."""
        return {"identity": self.identity, "instrument": str(self._given)}

    def _checked(self, function: Any, *arguments: Any) -> Any:
        if self._instrument is None:
            raise DeviceError(f"{self.name} is not open")
        try:
            return function(*arguments)
        except Exception as error:  # every package has errors of its own
            raise DeviceError(
                f"{self.name}: {arguments[0]}: {type(error).__name__}: {error}"
            ) from error

    def write_all(self, names: Sequence[str], values: NDArray[Any]) -> None:
        """Set several, in their order."""
        for name, value in zip(names, values, strict=True):
            self._checked(self.put, name, float(value))

    def read_all(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Read several; one that is an array counts as its elements."""
        return np.concatenate(
            [np.ravel(np.asarray(self._checked(self.get, name), float)) for name in names]
        )


class AttributeModulator(AttributeInstrument):
    """What is set by name, as the role `Modulator`.

    Parameters
    ----------
    instrument, address
        See `AttributeInstrument`.
    inputs : sequence of str
        Names, one for each element.
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
        self._inputs = list(inputs)
        self.settle_s = number(self.name, "settle_s", settle_s, 0.0)
        self.n_elements = len(self._inputs)

    def set(self, values: NDArray[Any]) -> None:
        """Set each of them."""
        self.write_all(self._inputs, np.asarray(values))


class AttributeMonitor(AttributeInstrument):
    """What is read by name, as the role `Monitor`.

    Parameters
    ----------
    instrument, address
        See `AttributeInstrument`.
    output : str
        The name.
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
        """Read it."""
        return float(self._checked(self.get, self._output))
