"""Which phase a modulator shows for which drive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.procedure import Procedure, quantity
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import number, table, whole

__all__ = ["PhaseTable", "PhaseTableResult", "drive_for", "phase_of"]

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
    residual_rad : float
        rms scatter of the points about the circle, as an angle.
    """

    drives: Array = field(metadata=quantity("level", unit="input"))
    phase_rad: Array = field(metadata=quantity("level", unit="rad"))
    range_rad: float = field(metadata=quantity(unit="rad"))
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
        answers = measure_passes(device, drives, self.repeats, self.seed).mean(axis=0)
        phase, residual = phase_of(answers)
        return PhaseTableResult(
            drives=levels,
            phase_rad=phase,
            range_rad=float(np.ptp(phase)),
            residual_rad=residual,
        )


def phase_of(answers: Array) -> tuple[Array, float]:
    """Return the unwrapped phase, (levels,), behind interference fringes, and its residual.

    Every output sees ``a_k + b_k cos(phi + psi_k)``: the answers run on an ellipse in the plane
    of their two principal components. The conic that fits them best is made a circle, and phi
    is the angle on it (the ellipse correction of quadrature interferometers, Heydemann, Applied
    Optics 20, 3382 (1981)). The phase counts from the first level and is taken to rise on the
    whole; intensities alone do not tell its sign.

    Parameters
    ----------
    answers : ndarray of shape (levels, n_outputs)
        In the order of the drives.

    Raises
    ------
    ValueError
        If the answers do not run on an ellipse: no fringes, or less than a third of one.
    """
    answers = table("phase_of", "answers", answers, rows=9)
    real = np.hstack([answers.real, answers.imag]) if np.iscomplexobj(answers) else answers
    centred = real - real.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    if len(s) < 2 or s[1] <= 1e-9 * s[0] or s[0] == 0:
        raise ValueError("phase_of: the answers show no fringes in two phases; use more outputs")
    x, y = (u[:, :2] * s[:2] / s[0]).T * np.sqrt(len(u))
    conic, *_ = np.linalg.lstsq(np.stack([x * x, x * y, y * y, x, y], axis=1), np.ones(len(x)))
    a, b, c, d, e = conic
    shape = np.array([[a, b / 2], [b / 2, c]])
    if np.linalg.eigvalsh(shape)[0] <= 0:
        raise ValueError(
            "phase_of: the answers do not run on an ellipse; the phase range is too small for a "
            "table, or the noise too strong"
        )
    centre = -np.linalg.solve(2 * shape, [d, e])
    radius = 1 + centre @ shape @ centre
    circle = np.linalg.cholesky(shape / radius).T @ (np.stack([x, y]) - centre[:, None])
    phase = np.unwrap(np.arctan2(circle[1], circle[0]))
    phase = phase - phase[0]
    if phase[-1] < 0:
        phase = -phase
    return phase, float(np.std(np.hypot(*circle)))


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
