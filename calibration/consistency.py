"""Whether the same drive gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.movement import must_move
from calibration.nonlinearity import uniform_drives
from calibration.procedure import Procedure, quantity
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import whole

__all__ = ["Consistency", "ConsistencyResult", "consistency"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ConsistencyResult:
    """Correlation between answers to repeated drives.

    Attributes
    ----------
    per_output : ndarray of shape (n_outputs,)
        Mean Pearson correlation over all pairs of passes; 0 for an output that never moves.
    mean : float
        The mean over outputs.
    repeatability : ndarray of shape (n_outputs,)
        Standard deviation of one answer about the mean of its repeats, in output_unit.
    standard_error : float
        Of `mean`, from the scatter between pairs of passes; nan with two passes.
    """

    per_output: Array = field(metadata=quantity("output"))
    mean: float = field(metadata=quantity())
    repeatability: Array = field(metadata=quantity("output", unit="output"))
    standard_error: float = field(metadata=quantity(residual=True))


@dataclass(frozen=True, kw_only=True)
class Consistency(Procedure[ConsistencyResult]):
    """Drive the same rows several times, shuffled anew, and correlate the answers.

    Parameters
    ----------
    rows : int
        Different drives, uniform between the limits.
    passes : int
        How often each is driven.
    seed : int
        Of the drives and their orders.
    """

    kind: ClassVar[str] = "consistency"
    rows: int = 200
    passes: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        whole("Consistency", "rows", self.rows, 3)
        whole("Consistency", "passes", self.passes, 2)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device with memory."""
        no_memory("Consistency", spec)

    def queries(self, spec: DeviceSpec) -> int:
        """Return rows times passes."""
        return self.rows * self.passes

    def _run(self, device: Device) -> ConsistencyResult:
        drives = uniform_drives(device, self.rows, self.seed)
        return consistency(measure_passes(device, drives, self.passes, self.seed + 1))


def consistency(passes: Array) -> ConsistencyResult:
    """Return the mean Pearson correlation between repeated answers.

    For additive noise it is ``SNR / (1 + SNR)`` with the ratio of variances. (Uchida, McAllister,
    Roy, Phys. Rev. Lett. 93, 244102 (2004); of a laser's outputs as used for learning, Skalli et
    al., Opt. Mater. Express 12, 2793 (2022).)

    Parameters
    ----------
    passes : ndarray of shape (passes, rows, n_outputs)
        Answers to the same drives in the same order. Complex answers correlate by the real part.

    Raises
    ------
    ValueError
        If there are fewer than 2 passes or 3 rows, or no answer moves.
    """
    passes = np.asarray(passes)
    if passes.ndim != 3 or len(passes) < 2 or passes.shape[1] < 3:
        raise ValueError(
            f"consistency: passes has shape {passes.shape}, it must be (passes, rows, n_outputs) "
            "with at least 2 passes and 3 rows"
        )
    must_move("consistency", passes)
    centred = passes - passes.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.sum(np.abs(centred) ** 2, axis=1))
    scale = np.abs(passes).max(axis=(0, 1))
    still = norm <= 1e-12 * np.sqrt(passes.shape[1]) * scale
    unit = centred / np.where(still, 1.0, norm)[:, None, :]
    unit = np.where(still[:, None, :], 0.0, unit)
    pairs = np.array(
        [
            np.sum(unit[i].conj() * unit[j], axis=0).real
            for i in range(len(unit))
            for j in range(i + 1, len(unit))
        ]
    )
    per_pair = pairs.mean(axis=1)
    # Each pass is in several pairs; what is independent is the passes, not the pairs.
    error = np.std(per_pair, ddof=1) / np.sqrt(len(passes)) if len(pairs) > 1 else np.nan
    variance = np.mean(np.var(passes, axis=0, ddof=1), axis=0)
    return ConsistencyResult(
        per_output=pairs.mean(axis=0),
        mean=float(per_pair.mean()),
        repeatability=np.sqrt(variance),
        standard_error=float(error),
    )
