"""Which phase a modulator shows for which drive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.fringes import phase_of
from calibration.procedure import Procedure, quantity
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["PhaseTable", "PhaseTableResult", "drive_for"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class PhaseTableResult:
    """Look-up table of a phase modulator.

    Attributes
    ----------
    drives : ndarray of shape (levels,)
        In input_unit.
    phase_rad : ndarray of shape (levels,)
        Phase against the first drive, unwrapped.
    range_rad : float
        Largest phase less the smallest.
    phase_error_rad : float
        Standard error of the phases, rms over the levels.
    largest_error_rad : float
        By how much the worst phase of such a table is off, rms over tables.
    residual_rad : float
        rms distance of the points from the circle, as an angle. It tells how well the answers suit
        interference; the phases are known less well, as the circle itself is fitted.
    """

    drives: Array = field(metadata=quantity("level", unit="input"))
    phase_rad: Array = field(metadata=quantity("level", unit="rad"))
    range_rad: float = field(metadata=quantity(unit="rad"))
    # Not among the residuals: the headline is to say how good the table is.
    phase_error_rad: float = field(metadata=quantity(unit="rad"))
    largest_error_rad: float = field(metadata=quantity(unit="rad"))
    residual_rad: float = field(metadata=quantity(unit="rad", residual=True))


@dataclass(frozen=True, kw_only=True)
class PhaseTable(Procedure[PhaseTableResult]):
    """Let one half of the pixels interfere with the other while it goes through its drives.

    Parameters
    ----------
    inputs : sequence of int or None
        Pixels that are swept; the others stay at the lower limit. None: every other one.
    levels : int
        Drives between the limits; steps of phase should stay below pi.
    repeats : int
        How often each is measured, in random order.
    seed : int
        Of the order.
    wavelength_m : float or None
        Of the light: a table serves one wavelength. It becomes a condition of the calibration,
        valid within 0.1 %.
    """

    kind: ClassVar[str] = "phase-table"
    needs: ClassVar[tuple[str, ...]] = ("settling",)
    inputs: Sequence[int] | None = None
    levels: int = 65
    repeats: int = 2
    seed: int = 0
    wavelength_m: float | None = None

    def __post_init__(self) -> None:
        whole("PhaseTable", "levels", self.levels, 9)
        whole("PhaseTable", "repeats", self.repeats, 1)
        if self.wavelength_m is not None:
            number("PhaseTable", "wavelength_m", self.wavelength_m, 0.0, above=True)

    def validity(self) -> dict[str, tuple[float, float]]:
        """Return the wavelength, where it is known."""
        if self.wavelength_m is None:
            return {}
        return {"wavelength_m": (0.999 * self.wavelength_m, 1.001 * self.wavelength_m)}

    def check(self, spec: DeviceSpec) -> None:
        """Refuse memory, bits, unequal limits, and fewer than two numbers per answer."""
        no_memory("PhaseTable", spec)
        low, high = spec.limits
        if spec.domain == "bits" or np.ptp(low) or np.ptp(high):
            raise ValueError(
                f"PhaseTable: {spec.name} must have inputs with the same range of values, not "
                f"{spec.domain} from {np.unique(low)[:3]} to {np.unique(high)[:3]}"
            )
        for i in self._swept(spec):
            whole("PhaseTable", "inputs", i, 0, spec.n_inputs - 1)
        if not 0 < len(set(self._swept(spec))) < spec.n_inputs:
            raise ValueError(
                f"PhaseTable: inputs={self.inputs!r} must leave some of the {spec.n_inputs} inputs "
                "as reference"
            )
        if spec.n_outputs * (1 + spec.is_complex) < 2:
            raise ValueError(f"PhaseTable: {spec.name} must have at least 2 outputs, it has 1")

    def queries(self, spec: DeviceSpec) -> int:
        """Return levels times repeats."""
        return len(self._levels(spec)) * self.repeats

    def _swept(self, spec: DeviceSpec) -> list[int]:
        return list(range(0, spec.n_inputs, 2) if self.inputs is None else self.inputs)

    def _levels(self, spec: DeviceSpec) -> Array:
        low, high = spec.limits
        levels = np.linspace(low[0], high[0], self.levels)
        if spec.domain == "codes":
            levels = np.unique(
                np.round(np.linspace(np.ceil(low[0]), np.floor(high[0]), self.levels))
            )
        return levels

    def _run(self, device: Device) -> PhaseTableResult:
        levels = self._levels(device.spec)
        low, _ = device.spec.limits
        rest = np.ceil(low) if device.spec.domain == "codes" else low
        drives = np.repeat(rest[None], len(levels), axis=0)
        drives[:, self._swept(device.spec)] = levels[:, None]
        found = phase_of(measure_passes(device, drives, self.repeats, self.seed), self.seed)
        return PhaseTableResult(
            drives=levels,
            phase_rad=found.phase_rad,
            range_rad=float(np.ptp(found.phase_rad)),
            phase_error_rad=found.error_rad,
            largest_error_rad=found.largest_error_rad,
            residual_rad=found.residual_rad,
        )


def drive_for(phase_rad: ArrayLike, drives: Array, table_rad: Array) -> Array:
    """Return the drives that show the phases, by linear interpolation in a table.

    Parameters
    ----------
    phase_rad : array_like
        From 0 to the range of the table; smaller and larger ones are an error.
    drives, table_rad : ndarray of shape (levels,)
        Of a `PhaseTableResult`. Small steps back, as by noise, are levelled.

    Raises
    ------
    ValueError
        If a phase is outside the table, or the table goes back by more than 5 % of its range.
    """
    wanted = np.asarray(phase_rad, float)
    start = table_rad - table_rad.min()
    rising = np.maximum.accumulate(start)
    if np.max(rising - start) > 0.05 * np.ptp(start):
        raise ValueError(
            f"drive_for: the table goes back by {np.max(rising - start):.3g} rad; it must rise, "
            "shorten the range of drives"
        )
    if wanted.size and (wanted.min() < -1e-9 or wanted.max() > rising[-1] + 1e-9):
        raise ValueError(
            f"drive_for: phases from {wanted.min():g} to {wanted.max():g} rad must be in "
            f"[0, {rising[-1]:g}], the range of the table"
        )
    # Equal phases have no inverse; a hair's breadth apart, the first of them is meant.
    return np.interp(wanted, rising + 1e-12 * np.arange(len(rising)), drives)
