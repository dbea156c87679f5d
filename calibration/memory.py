"""How far back a device with memory remembers its drive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.procedure import Procedure, quantity
from calibration.randomness import generator
from calibration.waveform import play, playable
from devices import Device, DeviceSpec
from devices.checks import table, whole

__all__ = ["MemoryCapacity", "MemoryCapacityResult", "memory_curve"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class MemoryCapacityResult:
    """Linear memory of a device.

    Attributes
    ----------
    capacity : float
        Sum over delays of at least 1 of the squared correlation above the floor; at most the
        number of outputs. In rows.
    curve : ndarray of shape (lags,)
        Squared correlation of the fit with the drive so many rows ago, less the floor, from a
        delay of 0 on.
    floor : float
        The mean squared correlation that shuffled drives get; what is less than three of its
        standard deviations above it does not count.
    """

    capacity: float = field(metadata=quantity(unit="row"))
    curve: Array = field(metadata=quantity("lag"))
    floor: float = field(metadata=quantity(residual=True))


@dataclass(frozen=True, kw_only=True)
class MemoryCapacity(Procedure[MemoryCapacityResult]):
    """Drive a random sequence and recover its past from the answers.

    Parameters
    ----------
    rows : int
        Length of the sequence, uniform between the limits, the same in all inputs.
    longest : int
        Longest delay, in rows.
    input : int or None
        Which input plays, the others in the middle of their range; None: all.
    warm_up : int
        Rows before those that count.
    seed : int
        Of the sequence.
    """

    kind: ClassVar[str] = "memory"
    rows: int = 4000
    longest: int = 50
    input: int | None = None
    warm_up: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        whole("MemoryCapacity", "longest", self.longest, 1)
        whole("MemoryCapacity", "warm_up", self.warm_up, 0)
        whole("MemoryCapacity", "rows", self.rows, 8 * (self.longest + 1))

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device without memory, and fewer than ten rows per output."""
        playable("MemoryCapacity", spec, self.rows, waveform=False)
        if not spec.memory:
            raise ValueError(f"MemoryCapacity: {spec.name} has no memory (spec.memory is False)")
        if self.rows < 10 * spec.n_outputs:
            raise ValueError(
                f"MemoryCapacity: rows={self.rows} for {spec.n_outputs} outputs must be at least "
                f"{10 * spec.n_outputs}"
            )
        if self.input is not None:
            whole("MemoryCapacity", "input", self.input, 0, spec.n_inputs - 1)

    def queries(self, spec: DeviceSpec) -> int:
        """Return the length of the sequence with its warm-up."""
        return self.rows + self.warm_up

    def _run(self, device: Device) -> MemoryCapacityResult:
        sequence = generator(self.seed, "memory").uniform(-1, 1, self.queries(device.spec))
        inputs = None if self.input is None else [self.input]
        answers = play(device, sequence, waveform=False, inputs=inputs).T
        # Drives of the warm-up are remembered and may be asked for.
        return memory_curve(sequence, answers, self.longest, skip=self.warm_up, seed=self.seed)


def memory_curve(
    sequence: Array, answers: Array, longest: int, *, skip: int = 0, seed: int = 0
) -> MemoryCapacityResult:
    """Return the squared correlation of a linear fit with past drives, held out.

    ``MC = sum_d r^2(u(n - d), w_d . y(n))`` (Jaeger, GMD report 152 (2001)), each w_d fitted on
    the first half of the rows and judged on the second. The same with shuffled drives is the
    floor, which is taken off.

    Parameters
    ----------
    sequence : ndarray of shape (rows,)
        Drives, independent from row to row.
    answers : ndarray of shape (rows, n_outputs)
    longest : int
        Longest delay.
    skip : int
        Rows at the beginning that do not count.
    seed : int
        Of the shuffles.
    """
    answers = table("memory_curve", "answers", answers, rows=len(sequence))
    features = np.concatenate([answers.real, answers.imag], axis=1) if np.iscomplexobj(answers) \
        else answers  # fmt: skip
    start = max(skip, longest)
    rows = np.arange(start, len(sequence))
    targets = np.stack([sequence[rows - d] for d in range(longest + 1)], axis=1)
    random = np.random.default_rng(seed)
    shuffled = np.stack([random.permutation(targets[:, 0]) for _ in range(40)], axis=1)
    score = _held_out(features[rows], np.hstack([targets, shuffled]))
    noise = score[longest + 1 :]
    floor = float(noise.mean())
    curve = score[: longest + 1] - floor
    curve = np.where(curve > 3 * noise.std(), curve, 0.0)
    return MemoryCapacityResult(capacity=float(curve[1:].sum()), curve=curve, floor=floor)


def _held_out(features: Array, targets: Array) -> Array:
    half = len(features) // 2
    design = np.hstack([features, np.ones((len(features), 1))])
    scale = np.abs(design).max(axis=0)
    design = design / np.where(scale > 0, scale, 1.0)
    weights, *_ = np.linalg.lstsq(design[:half], targets[:half], rcond=1e-10)
    fit, truth = design[half:] @ weights, targets[half:]
    fit, truth = fit - fit.mean(axis=0), truth - truth.mean(axis=0)
    power = np.sum(fit**2, axis=0) * np.sum(truth**2, axis=0)
    product = np.sum(fit * truth, axis=0) ** 2
    return np.divide(product, power, out=np.zeros_like(power), where=power > 0)
