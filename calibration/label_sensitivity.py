"""How far a label that is laid over a drive moves the answers, compared with the noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.nonlinearity import uniform_drives
from calibration.procedure import Procedure, quantity
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["LabelSensitivity", "LabelSensitivityResult"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class LabelSensitivityResult:
    """Movement of the answers by the label.

    Attributes
    ----------
    label_share : float
        Share of the answers' variance (noise taken out) that changes with the label: a rule
        that compares labels has to live on it.
    label_to_noise_db : float
        Variance by the label over that of the noise, pooled over outputs; inf without noise.
    interaction_share : float
        Part of the label's variance that depends on the row it is laid over. Where it is 0, the
        label only adds a constant to the answers, and no linear readout can use it.
    per_output_db : ndarray of shape (n_outputs,)
        Label over noise of each output.
    """

    label_share: float = field(metadata=quantity())
    label_to_noise_db: float = field(metadata=quantity(unit="dB"))
    interaction_share: float = field(metadata=quantity())
    per_output_db: Array = field(metadata=quantity("output", unit="dB"))


@dataclass(frozen=True, kw_only=True)
class LabelSensitivity(Procedure[LabelSensitivityResult]):
    """Overlay every label, one-hot, on the first inputs of random rows; each twice.

    Parameters
    ----------
    labels : int
        Classes, each with one input: at the upper limit for the true label, else at the lower.
    rows : int
        Different rows below the labels.
    span : float
        Share of the range that the other inputs use, from the lower limit on.
    seed : int
        Of rows and orders.
    """

    kind: ClassVar[str] = "label-sensitivity"
    labels: int = 10
    rows: int = 50
    span: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        whole("LabelSensitivity", "labels", self.labels, 2)
        whole("LabelSensitivity", "rows", self.rows, 2)
        number("LabelSensitivity", "span", self.span, 0.0, 1.0)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse memory, and fewer inputs than labels."""
        no_memory("LabelSensitivity", spec)
        whole("LabelSensitivity", "labels", self.labels, 2, spec.n_inputs)

    def queries(self, spec: DeviceSpec) -> int:
        """Two for every label on every row."""
        return 2 * self.labels * self.rows

    def _run(self, device: Device) -> LabelSensitivityResult:
        low, high = device.spec.limits
        below = uniform_drives(device, self.rows, self.seed)
        if device.spec.domain not in ("bits", "codes"):
            below = low + self.span * (below - low)
        drives = np.repeat(below[None], self.labels, axis=0)
        codes = device.spec.domain == "codes"
        low, high = (np.ceil(low), np.floor(high)) if codes else (low, high)
        for label, rows in enumerate(drives):
            rows[:, : self.labels] = low[: self.labels]
            rows[:, label] = high[label]
        first, second = measure_passes(
            device, drives.reshape(-1, device.spec.n_inputs), 2, self.seed + 1
        )
        shape = (self.labels, self.rows, -1)
        return label_sensitivity(first.reshape(shape), second.reshape(shape))


def label_sensitivity(first: Array, second: Array) -> LabelSensitivityResult:
    """Return the movement by the label from two repeats, (labels, rows, n_outputs) each.

    A two-way analysis of variance, label by row; products of the two repeats keep the noise out.
    """
    noise = np.mean(np.abs(first - second) ** 2, axis=(0, 1)) / 2
    # Deviations from the mean over labels: what the label does.
    a, b = (part - part.mean(axis=0) for part in (first, second))
    label = _covariance(a, b)
    interaction = _covariance(a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True))
    a, b = (part - part.mean(axis=(0, 1)) for part in (first, second))
    total = _covariance(a, b)
    moved, mixed = max(float(label.sum()), 0.0), max(float(interaction.sum()), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = 10 * np.log10(np.divide(moved, noise.sum()))
        each = 10 * np.log10(np.clip(label, 0.0, None) / noise)
    return LabelSensitivityResult(
        label_share=moved / float(total.sum()) if total.sum() > 0 else 0.0,
        label_to_noise_db=float(pooled),
        interaction_share=mixed / moved if moved > 0 else 0.0,
        per_output_db=np.where(label > 0, each, -np.inf),
    )


def _covariance(a: Array, b: Array) -> Array:
    # Scatters about zero where there is nothing; only sums over outputs are cut at zero.
    return np.mean((a.conj() * b).real, axis=(0, 1))
