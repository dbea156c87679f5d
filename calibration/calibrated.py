"""A device behind its calibration: physical drives, linear and aligned answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.delay import advance
from calibration.file import Calibration, load_calibration
from calibration.phase_table import drive_for
from devices import Device, Measurement, Purpose, Wrapper

__all__ = ["Calibrated"]

Array = NDArray[Any]


class Calibrated(Wrapper):
    """Apply one calibration and stamp its id on every measurement.

    Several are nested, in the order in which they were measured; their ids are joined by ``+``.

    * ``offset``: answers less the answer at rest.
    * ``linearity``: answers less their offset, over the gain: in the unit of the drive.
    * ``phase-table``: drives are phases in rad, from 0 to the range of the table; the domain
      becomes ``phase``.
    * ``delay``: recorded waveforms are moved earlier by their delay.

    Parameters
    ----------
    device : Device
        That was calibrated.
    calibration : Calibration or path
        Of one of the kinds above.
    conditions : mapping of str to float, optional
        What is known of the moment; see `Calibration.check`.
    override : str
        Reason to use a calibration that does not apply; it is logged.

    Raises
    ------
    NotCalibrated
        If the calibration is of another device, or outside its validity.
    ValueError
        If there is nothing to apply: another kind, or an output without gain or delay.
    """

    def __init__(
        self,
        device: Device,
        calibration: Calibration | str | Path,
        *,
        conditions: Mapping[str, float] | None = None,
        override: str = "",
    ) -> None:
        super().__init__(device)
        found = (
            calibration if isinstance(calibration, Calibration) else load_calibration(calibration)
        )
        found.check(device, conditions, override)
        self.calibration = found
        self.calibration_id = found.id
        spec = device.spec
        if found.kind == "linearity":
            gain = found["gain"]
            if not (np.isfinite(gain) & (gain != 0)).all():
                raise ValueError(
                    f"Calibrated: the outputs {np.flatnonzero(gain == 0).tolist()} of {spec.name} "
                    "have no gain to divide by; leave them out"
                )
            self.spec = replace(spec, output_unit=spec.input_unit, saturation=None)
        elif found.kind == "phase-table":
            # Checked here, and not when the first drive comes.
            drive_for([0.0], found["drives"], found["phase_rad"])
            table = found["phase_rad"]
            self.spec = replace(
                spec, domain="phase", low=0.0, high=float(np.ptp(table)), input_unit="rad"
            )
        elif found.kind == "delay":
            late = found["delay_samples"]
            if not np.isfinite(late).all() or spec.n_outputs % len(late):
                raise ValueError(
                    f"Calibrated: delays {late} do not fit the {spec.n_outputs} outputs of "
                    f"{spec.name}: one number for each recorded waveform is needed"
                )
        elif found.kind != "offset":
            raise ValueError(
                f"Calibrated: kind={found.kind!r} has nothing to apply; it must be offset, "
                "linearity, phase-table or delay"
            )

    def _drives(self, drives: Array) -> Array:
        found = self.calibration
        if found.kind != "phase-table":
            return drives
        phases = np.clip(drives, 0.0, self.spec.limits[1])
        inner = drive_for(phases, found["drives"], found["phase_rad"])
        return np.round(inner) if self.inner.spec.domain == "codes" else inner

    def _answers(self, answers: Array, drives: Array) -> Array:
        found = self.calibration
        if found.kind == "offset":
            return answers - found["offset"]
        if found.kind == "linearity":
            return (answers - found["offset"]) / found["gain"]
        if found.kind == "delay":
            late = found["delay_samples"]
            waves = answers.reshape(len(answers), len(late), -1)
            return advance(waves, late).reshape(answers.shape)
        return answers

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        measured = super()._acquire(drives, purpose)
        ids = [one for one in (measured.calibration_id, self.calibration_id) if one]
        return replace(measured, calibration_id="+".join(ids))
