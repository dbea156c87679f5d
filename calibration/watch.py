"""Watch for drift while something else goes on, as training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.nonlinearity import uniform_drives
from calibration.repeats import no_memory
from devices import Device, Purpose
from devices.checks import number

__all__ = ["DriftReport", "DriftWatch"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """What one look at the probe drives has found.

    Attributes
    ----------
    drifted : bool
        Whether the change is beyond what repeatability allows.
    z : float
        Mean square change over the one that noise gives, less 1, in standard deviations.
    relative_change : float
        rms change over rms answer, the noise taken out.
    correlation : float
        Pearson correlation of the answers with those of the start, corrected for noise; nan where
        the probes do not differ beyond it.
    queries : int
        Spent since the watch was made.
    """

    drifted: bool
    z: float
    relative_change: float
    correlation: float
    queries: int


class DriftWatch:
    """Probe drives, measured at the start and again whenever asked.

    Parameters
    ----------
    device : Device
        Open, without memory.
    probes : int or array_like of shape (probes, n_inputs)
        Drives, or how many to draw between the limits.
    repeatability : array_like of shape (n_outputs,), optional
        Standard deviation of one answer, from a calibration (`ConsistencyResult.repeatability`,
        `NoiseResult.noise_std`). None: the start measures its probes `repeats` times instead.
    repeats : int
        Measurements of each probe at the start.
    tolerance : float
        Relative change that is no reason to act, however sure.
    sigmas : float
        How sure a report of drift is, in standard deviations of the noise's mean square.
    seed : int
        Of the probes.
    purpose : str
        What the queries are counted under.

    Attributes
    ----------
    device : Device
    drives : ndarray of shape (probes, n_inputs)
    queries : int
        Spent so far.

    Examples
    --------
    >>> import numpy as np
    >>> from devices import FunctionDevice
    >>> with FunctionDevice(np.sin, 3, 3) as device:
    ...     watch = DriftWatch(device, probes=4)
    ...     watch.look().drifted
    False
    """

    def __init__(
        self,
        device: Device,
        probes: int | ArrayLike = 8,
        *,
        repeatability: ArrayLike | None = None,
        repeats: int = 3,
        tolerance: float = 0.01,
        sigmas: float = 5.0,
        seed: int = 0,
        purpose: Purpose = "probe",
    ) -> None:
        no_memory("DriftWatch", device.spec)
        number("DriftWatch", "tolerance", tolerance, 0.0)
        number("DriftWatch", "sigmas", sigmas, 0.0)
        number("DriftWatch", "repeats", repeats, 1 if repeatability is not None else 2)
        self.device, self._purpose = device, purpose
        self.drives = (
            uniform_drives(device, probes, seed)
            if isinstance(probes, int)
            else np.asarray(probes, float)
        )
        self.tolerance, self.sigmas = tolerance, sigmas
        self._repeats, self._repeatability = repeats, repeatability
        self.queries = 0
        self.start()

    def start(self) -> None:
        """Measure the probes anew and compare with these from now on, as after a recalibration."""
        n = len(self.drives)
        rows = self._measure(np.tile(self.drives, (self._repeats, 1))).reshape(self._repeats, n, -1)
        self._reference = rows.mean(axis=0)
        if self._repeatability is None:
            self._variance = np.var(rows, axis=0, ddof=1).mean(axis=0)
            self._freedom = n * (self._repeats - 1)
        else:
            self._variance = np.broadcast_to(
                np.asarray(self._repeatability, float) ** 2, rows.shape[-1:]
            )
            self._freedom = 10**9  # as good as known

    def look(self) -> DriftReport:
        """Measure every probe once and compare; it costs as many queries as there are probes."""
        answers = self._measure(self.drives)
        gap = np.abs(answers - self._reference) ** 2
        # Noise of this look, and what is left of it in the mean of the start.
        expected = self._variance * (1 + 1 / self._repeats)
        noise = float(expected.sum()) * len(gap)
        excess = float(gap.sum()) - noise
        # Outputs of unequal noise: the scatter of a sum of squares is that of its weights. Few
        # repeats at the start know their own variance badly.
        weights = float(np.sum(expected**2))
        scatter = np.sqrt(2 * weights * len(gap) * (1 + len(gap) / self._freedom))
        power = float(np.sum(np.abs(self._reference) ** 2)) - noise / (1 + self._repeats)
        # Rounding is no drift.
        floor = 1e-24 * float(np.sum(np.abs(self._reference) ** 2))
        z = excess / scatter if noise > floor else (np.inf if excess > floor else 0.0)
        change = float(np.sqrt(max(excess, 0.0) / power)) if power > 0 else np.inf
        if excess <= floor:
            change = 0.0
        return DriftReport(
            drifted=bool(z > self.sigmas and change > self.tolerance),
            z=float(z),
            relative_change=change,
            correlation=self._correlation(answers),
            queries=self.queries,
        )

    def _correlation(self, answers: Array) -> float:
        a, b = (y - y.mean(axis=0) for y in (self._reference, answers))
        noise = float(self._variance.sum()) * (len(a) - 1)
        powers = [
            float(np.sum(np.abs(y) ** 2)) - noise / n for y, n in ((a, self._repeats), (b, 1))
        ]
        if min(powers) <= 0:
            return float("nan")  # the probes are alike, or the noise covers what they differ by
        together = np.sum(a.conj() * b).real
        return float(np.clip(together / np.sqrt(powers[0]) / np.sqrt(powers[1]), -1.0, 1.0))

    def _measure(self, drives: Array) -> Array:
        self.queries += len(drives)
        return self.device.measure(drives, purpose=self._purpose)
