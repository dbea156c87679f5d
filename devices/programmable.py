"""Devices with parameters inside: mesh phases, part of a metasurface, a bias."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.device import Device
from devices.errors import LimitError

__all__ = ["Differentiable", "Programmable", "differentiable_of", "programmable_of"]

Array = NDArray[np.float64]


class Programmable(Device):
    """A device whose law has parameters that stay put while rows are driven.

    A driver sets `parameter_low`, `parameter_high` and the start values in its constructor by
    ``_start_parameters(low, high, values)``, and writes ``_program(values)``, which puts checked
    values into effect. The values are part of `state_id`, hence of every cache key and record,
    and copies keep them.

    Attributes
    ----------
    parameter_low, parameter_high : ndarray of shape (n_parameters,)
        Limits of the parameters, ends included.
    """

    parameter_low: Array
    parameter_high: Array
    _parameters: Array

    def _start_parameters(self, low: ArrayLike, high: ArrayLike, values: ArrayLike) -> None:
        """Set limits and start values; for the constructor of a driver."""
        self._parameters = np.array(values, np.float64).ravel()
        self.parameter_low = np.broadcast_to(np.asarray(low, float), self._parameters.shape)
        self.parameter_high = np.broadcast_to(np.asarray(high, float), self._parameters.shape)

    @abstractmethod
    def _program(self, values: Array) -> None:
        """Put checked values into effect."""

    @property
    @final
    def parameters(self) -> Array:
        """The values now, (n_parameters,); a copy. Set them with `program`."""
        return self._parameters.copy()

    @final
    def program(self, values: ArrayLike) -> None:
        """Set all parameters.

        Parameters
        ----------
        values : array_like of shape (n_parameters,)
            Inside the limits.

        Raises
        ------
        LimitError
            If the number of values is wrong or one is outside its limits; nothing was changed.
        """
        new = np.array(values, np.float64)
        if new.shape != self._parameters.shape:
            raise LimitError(
                f"{self.spec.name}: the parameters have shape {new.shape}, expected "
                f"{self._parameters.shape}"
            )
        bad = ~((new >= self.parameter_low) & (new <= self.parameter_high))
        if bad.any():
            i = int(np.argmax(bad))
            raise LimitError(
                f"{self.spec.name}: parameter {i} = {new[i]:g} is outside "
                f"[{self.parameter_low[i]:g}, {self.parameter_high[i]:g}]; nothing was changed"
            )
        with self._lock:
            self._program(new)
            self._parameters = new

    @property
    def state_id(self) -> str:
        """Hash of the parameters' values."""
        return hashlib.sha256(self._parameters.tobytes()).hexdigest()[:16]

    def _settings(self) -> Array:
        return self._parameters

    def _take_over(self, settings: Array) -> None:
        self.program(settings)


@runtime_checkable
class Differentiable(Protocol):
    """A simulator that offers its derivatives; only rules of the class GRADIENT may use them."""

    def forward(self, drives: Any) -> Any:
        """Return the noiseless answers to a torch tensor of drives, differentiable by torch."""


def programmable_of(device: Device) -> Programmable | None:
    """Return the device, or the one that it wraps, whose parameters can be set; else None."""
    return next((one for one in _stack(device) if isinstance(one, Programmable)), None)


def differentiable_of(device: Device) -> Differentiable | None:
    """Return the device, or the one that it wraps, that offers its derivatives; else None.

    Wrappers on the way (noise, a converter's steps) are passed over: these are the derivatives of
    the ideal device.
    """
    return next((one for one in _stack(device) if isinstance(one, Differentiable)), None)


def _stack(device: Device | None) -> Iterator[Device]:
    """Return the device and what it wraps, outermost first."""
    while device is not None:
        yield device
        device = getattr(device, "inner", None)
