"""What each kind of calibration does to drives and answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.delay import advance
from calibration.file import Calibration
from calibration.linearity import drive_of
from calibration.phase_table import drive_for
from calibration.vna import VnaCorrection
from devices import DeviceSpec

__all__ = ["CORRECTIONS", "Correction"]

Array = NDArray[Any]
Rows = Callable[[Array], Array]


def _same(rows: Array) -> Array:
    return rows


@dataclass(frozen=True)
class Correction:
    """A device's face behind a calibration, and the way there and back.

    Attributes
    ----------
    spec : DeviceSpec
        Of the calibrated device.
    drives, answers : callable
        Rows of physical drives to rows for the device, and its answers to physical ones.
    ends : (ndarray, ndarray) or None
        Answers at or beyond these, (n_outputs,) each, are where the calibration ends.
    """

    spec: DeviceSpec
    drives: Rows = _same
    answers: Rows = _same
    ends: tuple[Array, Array] | None = None


def _offset(found: Calibration, spec: DeviceSpec) -> Correction:
    return Correction(spec, answers=lambda rows: rows - found["offset"])


def _linearity(found: Calibration, spec: DeviceSpec) -> Correction:
    levels, curve = found["drives"], found["answers"]
    drive_of(curve[:1], levels, curve)  # a curve that turns back is refused here
    return Correction(
        replace(spec, output_unit=spec.input_unit, saturation=None),
        answers=lambda rows: drive_of(rows, levels, curve),
        ends=(np.full(spec.n_outputs, levels[0]), np.full(spec.n_outputs, levels[-1])),
    )


def _phase_table(found: Calibration, spec: DeviceSpec) -> Correction:
    drives, table = found["drives"], found["phase_rad"]
    drive_for([0.0], drives, table)  # a table that goes back is refused here
    top = float(np.ptp(table))

    def to_drives(phases: Array) -> Array:
        inner = drive_for(np.clip(phases, 0.0, top), drives, table)
        return np.round(inner) if spec.domain == "codes" else inner

    phases = replace(spec, domain="phase", low=0.0, high=top, input_unit="rad")
    return Correction(phases, drives=to_drives)


def _delay(found: Calibration, spec: DeviceSpec) -> Correction:
    late = found["delay_samples"]
    if not np.isfinite(late).all() or spec.n_outputs % len(late):
        raise ValueError(
            f"Calibrated: delays {late} do not fit the {spec.n_outputs} outputs of {spec.name}: "
            "one number for each recorded waveform is needed"
        )
    return Correction(
        spec,
        answers=lambda rows: advance(rows.reshape(len(rows), len(late), -1), late).reshape(
            rows.shape
        ),
    )


def _transmission_matrix(found: Calibration, spec: DeviceSpec) -> Correction:
    matrix = found["matrix"]
    low, high = spec.limits

    def to_drives(amplitudes: Array) -> Array:
        phases = np.angle(amplitudes @ matrix.conj())
        # The nearest legal phase on the circle, where the limits do not go all around.
        beyond = np.mod(phases - low, 2 * np.pi)
        room = high - low
        to_end, to_start = beyond - room, 2 * np.pi - beyond
        near = np.where(to_end <= to_start, room, 0.0)
        return np.asarray(np.clip(low + np.where(beyond <= room, beyond, near), low, high))

    targets = replace(
        spec, n_inputs=len(matrix), low=0.0, high=1.0, domain="amplitude", input_unit="1"
    )
    return Correction(targets, drives=to_drives)


def _vna(found: Calibration, spec: DeviceSpec) -> Correction:
    correction = VnaCorrection.of(found)
    grid = correction.frequencies_hz
    ports = correction.ports
    if not spec.is_complex or spec.n_outputs != len(grid) * ports**2:
        raise ValueError(
            f"Calibrated: {spec.name} must answer with {len(grid) * ports**2} complex numbers, all "
            f"{ports**2} parameters at each of the {len(grid)} frequencies of the correction; it "
            f"has {spec.n_outputs} of {spec.output_dtype}"
        )

    def corrected(rows: Array) -> Array:
        # In the order S11, S21, S12, S22: the columns of the matrix one after the other.
        raw = rows.reshape(-1, len(grid), ports, ports).swapaxes(-1, -2)
        done = [correction.apply(grid, one).swapaxes(-1, -2).ravel() for one in raw]
        return np.array(done).reshape(rows.shape)

    return Correction(spec, answers=corrected)


#: By the kind of the calibration.
CORRECTIONS: dict[str, Callable[[Calibration, DeviceSpec], Correction]] = {
    "offset": _offset,
    "linearity": _linearity,
    "phase-table": _phase_table,
    "delay": _delay,
    "transmission-matrix": _transmission_matrix,
    "vna": _vna,
}
