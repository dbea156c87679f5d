"""A device around a device: it transforms drives and answers and does nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

from numpy.typing import NDArray

from devices.device import Device
from devices.errors import DeviceError
from devices.measurement import Ledger, Measurement, Purpose

__all__ = ["Wrapper"]

Array = NDArray[Any]


class Wrapper(Device):
    """Base of all wrappers; a subclass writes ``_drives`` or ``_answers`` or both.

    Settling, retries and counting happen once, in the innermost device: `ledger` is that
    device's. The rows of a measurement that fails half way are transformed as well.

    Parameters
    ----------
    device : Device
        The device that is wrapped, as `inner`. It is opened and closed with the wrapper.
    """

    def __init__(self, device: Device) -> None:
        self.inner = device
        self.spec = device.spec

    def _drives(self, drives: Array) -> Array:
        """Return the drives for the inner device."""
        return drives

    def _answers(self, answers: Array, drives: Array) -> Array:
        """Return the wrapper's answers, from those of the inner device to the same rows."""
        return answers

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        with self._lock:
            try:
                inner = self.inner.acquire(self._drives(drives), purpose=purpose)
            except DeviceError as error:
                if error.rows is not None and len(error.rows):
                    error.rows = self._cast(self._answers(error.rows, drives[: len(error.rows)]))
                raise
            return replace(inner, outputs=self._cast(self._answers(inner.outputs, drives)))

    def _cast(self, answers: Array) -> Array:
        return answers.astype(self.spec.output_dtype, copy=False)

    @final
    def _measure(self, drives: Array) -> Array:
        return self._acquire(drives, "probe").outputs

    def _open(self) -> None:
        self.inner.open()

    def _close(self) -> None:
        self.inner.close()

    def _safe(self) -> None:
        self.inner.safe()

    def _reset(self) -> None:
        self.inner.reset()

    @property
    def ledger(self) -> Ledger:
        """What was spent on the innermost device."""
        return self.inner.ledger

    @property
    def state_id(self) -> str:
        """The inner device's state."""
        return self.inner.state_id

    @property
    def reproducible(self) -> bool:
        """Whether the inner device's recipe determines every answer."""
        return self.inner.reproducible
