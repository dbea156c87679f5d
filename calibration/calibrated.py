"""A device behind its calibration: physical drives, linear and aligned answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.corrections import CORRECTIONS
from calibration.file import Calibration, load_calibration
from calibration.sequence import CalibrationFolder
from devices import Device, DeviceError, Flag, Measurement, Purpose, Wrapper

__all__ = ["Calibrated"]

Array = NDArray[Any]
_log = logging.getLogger("calibration")


class Calibrated(Wrapper):
    """Apply one calibration and stamp its id on every measurement.

    Several are nested, in the order in which they were measured; their ids are joined by ``+``.

    * ``offset``: answers less the answer at rest.
    * ``linearity``: an answer becomes the drive that gave it in the sweep, in the unit of the
      drive; so the bend of a saturating output is taken out. Answers beyond the sweep stop at its
      ends, and their rows are flagged as saturated.
    * ``phase-table``: drives are phases in rad, from 0 to the range of the table; the domain
      becomes ``phase``.
    * ``delay``: recorded waveforms are moved earlier by their delay.
    * ``transmission-matrix``: drives are amplitudes wanted at the outputs, from 0 to 1, one for
      each; the phases shown are those of ``T^H`` times them (phase conjugation), so that a drive
      of one 1 is a focus there. The answers stay what is measured.
    * ``vna``: S-parameters, corrected for the analyser's errors; see `VnaCorrection`.

    Parameters
    ----------
    device : Device
        That was calibrated.
    calibration : Calibration or path
        Of one of the kinds above. Parents that are out of date in a file's folder are logged.
    conditions : mapping of str to float, optional
        What is known of the moment; see `Calibration.check`. What the monitors of a rig read is
        checked with every measurement, and the rig's instruments when it is opened.
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
        if isinstance(calibration, Calibration):
            found = calibration
        else:
            found = load_calibration(calibration)
            for line in CalibrationFolder(Path(calibration).parent).stale(found):
                _log.warning("out of date: %s", line)
        found.check(device, conditions, override)
        if found.kind not in CORRECTIONS:
            raise ValueError(
                f"Calibrated: kind={found.kind!r} has nothing to apply; it must be one of "
                + ", ".join(CORRECTIONS)
            )
        self._conditions, self._override = conditions, override
        self._apply(found)
        self.spec = self._correction.spec

    def renew(self, calibration: Calibration) -> None:
        """Go on with a newer calibration of the same kind and device.

        Raises
        ------
        ValueError
            If it would change what the device offers: another kind, other limits or widths.
        NotCalibrated
            If it is of another device.
        """
        old, spec = self.calibration, self.spec
        calibration.check(self.inner, self._conditions, self._override)
        with self._lock:
            if calibration.kind == old.kind:
                self._apply(calibration)
            if calibration.kind != old.kind or repr(self._correction.spec) != repr(spec):
                self._apply(old)
                raise ValueError(
                    f"Calibrated: the {calibration.kind} calibration {calibration.id} changes what "
                    f"{spec.name} offers; open the device anew with it"
                )

    def _apply(self, calibration: Calibration) -> None:
        self._correction = CORRECTIONS[calibration.kind](calibration, self.inner.spec)
        self.calibration, self.calibration_id = calibration, calibration.id

    def _open(self) -> None:
        super()._open()
        try:
            # Only now it is known which instruments answer.
            self.calibration.check(self.inner, self._conditions, self._override)
        except DeviceError:
            self.inner.close()
            raise

    def _drives(self, drives: Array) -> Array:
        return self._correction.drives(drives)

    def _answers(self, answers: Array, drives: Array) -> Array:
        return self._correction.answers(answers)

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        measured = super()._acquire(drives, purpose)
        wrong = self.calibration.outside(measured.readings)
        try:
            self.calibration.refuse(self.spec.name, wrong, self._override)
        except DeviceError:
            self.inner.safe()
            raise
        flags = measured.flags
        if self._correction.ends is not None:
            low, high = self._correction.ends
            beyond = ((measured.outputs <= low) | (measured.outputs >= high)).any(axis=1)
            flags = np.where(beyond, flags | np.uint8(Flag.SATURATED), flags)
            self.ledger.flagged((flags & ~measured.flags)[measured.attempts > 0])
        ids = [one for one in (measured.calibration_id, self.calibration_id) if one]
        return replace(measured, flags=flags, calibration_id="+".join(ids))
