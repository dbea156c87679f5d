"""Measure the calibration of a device in use anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calibration.calibrated import Calibrated
from calibration.file import Calibration
from calibration.procedure import Procedure
from calibration.sequence import calibrate

__all__ = ["recalibrate", "recalibration_queries"]


def recalibrate(device: Calibrated, folder: str | Path) -> Calibration:
    """Repeat the procedure of a device's calibration, with its settings, and use the new result.

    Parameters
    ----------
    device : Calibrated
        Open. What it wraps is measured, under the purpose ``calibration``.
    folder : path
        For the new file.

    Raises
    ------
    ValueError
        If its kind is no procedure, as that of a network analyser's standards, or the answers
        make no sense; the device keeps its calibration.
    """
    procedure = _procedure(device)
    new = calibrate(device.inner, [procedure], folder, not_needed=procedure.needs)[0]
    device.renew(new)
    return new


def recalibration_queries(device: Calibrated) -> int:
    """Return what `recalibrate` spends."""
    return _procedure(device).queries(device.inner.spec)


def _procedure(device: Calibrated) -> Procedure[Any]:
    kind = device.calibration.kind
    known = {one.kind: one for one in Procedure.__subclasses__()}
    if kind not in known:
        raise ValueError(f"the calibration {kind!r} of {device.spec.name} cannot be repeated alone")
    return known[kind](**device.calibration.settings)
