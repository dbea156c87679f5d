"""What all procedures share: they say what they cost, check what they need, and then measure."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceSpec

__all__ = ["Procedure", "quantity", "rest_drive"]

Array = NDArray[Any]
R = TypeVar("R")
_log = logging.getLogger("calibration")


def quantity(*dims: str, unit: str = "1", residual: bool = False) -> dict[str, Any]:
    """Return the metadata of a result's field: names of its axes (a number has none), and unit.

    They go into calibration files. The units ``input`` and ``output`` stand for those of the
    device's drives and answers. A `residual` says how far the result can be trusted: its error, or
    what it leaves unexplained.
    """
    return {"dims": dims, "unit": unit, "residual": residual}


@dataclass(frozen=True, kw_only=True)
class Procedure(ABC, Generic[R]):
    """A measurement of one property of a device.

    A subclass is a frozen dataclass of settings. `kind` names it, `needs` names the procedures
    whose results it builds on, `queries` is its exact cost in rows.
    """

    kind: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()

    def check(self, spec: DeviceSpec) -> None:
        """Raise `ValueError` if the procedure makes no sense on such a device."""

    def validity(self) -> dict[str, tuple[float, float]]:
        """Return the conditions that the result holds for, as far as the settings tell."""
        return {}

    @abstractmethod
    def queries(self, spec: DeviceSpec) -> int:
        """Return the rows that `run` drives; each is one query."""

    @abstractmethod
    def _run(self, device: Device) -> R:
        """Measure on a device that was checked."""

    @final
    def run(self, device: Device) -> R:
        """Announce the cost in the log ``calibration``, measure, and return the result.

        Parameters
        ----------
        device : Device
            Open. Its queries are counted under ``calibration``.

        Raises
        ------
        ValueError
            If the device cannot be measured in this way; nothing was driven.
        DeviceError
            What the device raises.
        """
        self.check(device.spec)
        _log.info("%s", self.announcement(device.spec))
        return self._run(device)

    @final
    def announcement(self, spec: DeviceSpec) -> str:
        """Return what the procedure will cost, as one line."""
        cost = self.queries(spec)
        text = f"{self.kind}: {cost} queries on {spec.name}"
        if spec.seconds_per_query:
            text += f", about {cost * spec.seconds_per_query:.3g} s"
        return text


def rest_drive(spec: DeviceSpec) -> NDArray[np.float64]:
    """Return the drive at rest, (n_inputs,): 0 where that is legal, else the limit next to it."""
    low, high = spec.limits
    rest = np.clip(0.0, low, high)
    if spec.domain == "bits":
        rest = np.where((low == 0) | (high == 0), 0.0, low)
    elif spec.domain == "codes":
        rest = np.where(low > 0, np.ceil(low), np.where(high < 0, np.floor(high), 0.0))
    return np.asarray(rest, np.float64)
