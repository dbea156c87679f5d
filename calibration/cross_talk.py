"""Which outputs an input moves, beside its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.procedure import Procedure, quantity, rest_drive
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["CrossTalkResult", "CrossTalkTest"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class CrossTalkResult:
    """Steps of all outputs when one input steps.

    Attributes
    ----------
    response : ndarray of shape (n_outputs, n_inputs)
        Change of the answers when an input goes from rest to its step, in output_unit.
    standard_error : ndarray of shape (n_outputs,)
        Of these changes, in output_unit.
    partner : ndarray of shape (n_inputs,)
        The output that an input moves most; -1 where nothing moves above six standard errors.
    cross_talk_db : ndarray of shape (n_outputs, n_inputs)
        Response over that of the input's partner, 20 lg.
    worst_db : float
        The largest off the partners; -inf if there is none.
    """

    response: Array = field(metadata=quantity("output", "input", unit="output"))
    standard_error: Array = field(metadata=quantity("output", unit="output", residual=True))
    partner: Array = field(metadata=quantity("input"))
    cross_talk_db: Array = field(metadata=quantity("output", "input", unit="dB"))
    worst_db: float = field(metadata=quantity(unit="dB"))


@dataclass(frozen=True, kw_only=True)
class CrossTalkTest(Procedure[CrossTalkResult]):
    """Step one input after the other from rest.

    Parameters
    ----------
    step : float
        As a share of the way from rest to the farther limit; bits always step fully.
    repeats : int
        How often each step is measured, in random order.
    seed : int
        Of the order.
    """

    kind: ClassVar[str] = "cross-talk"
    needs: ClassVar[tuple[str, ...]] = ("settling", "linearity")
    step: float = 1.0
    repeats: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        number("CrossTalkTest", "step", self.step, 0.0, 1.0, above=True)
        whole("CrossTalkTest", "repeats", self.repeats, 2)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device with memory."""
        no_memory("CrossTalkTest", spec)

    def queries(self, spec: DeviceSpec) -> int:
        """Return one row per input and one at rest, times the repeats."""
        return (spec.n_inputs + 1) * self.repeats

    def _run(self, device: Device) -> CrossTalkResult:
        spec = device.spec
        rest = rest_drive(spec)
        low, high = spec.limits
        far = np.where(high - rest >= rest - low, high, low)
        stepped = far if spec.domain == "bits" else rest + self.step * (far - rest)
        if spec.domain == "codes":
            stepped = np.where(far == high, np.floor(stepped), np.ceil(stepped))
        drives = np.repeat(rest[None], spec.n_inputs + 1, axis=0)
        np.fill_diagonal(drives[1:], stepped)
        passes = measure_passes(device, drives, self.repeats, self.seed)
        mean = passes.mean(axis=0)
        variance = np.var(passes, axis=0, ddof=1).mean(axis=0)
        response = (mean[1:] - mean[0]).T
        error = np.sqrt(2 * variance / self.repeats)
        size = np.abs(response)
        partner = size.argmax(axis=0)
        own = size[partner, np.arange(spec.n_inputs)]
        alive = (own > 6 * error[partner]) & (own > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share_db = np.where(alive, 20 * np.log10(size / own), np.nan)
        off = share_db.copy()
        off[partner, np.arange(spec.n_inputs)] = np.nan
        return CrossTalkResult(
            response=response,
            standard_error=error,
            partner=np.where(alive, partner, -1),
            cross_talk_db=share_db,
            worst_db=float(np.nanmax(off)) if np.isfinite(off).any() else -np.inf,
        )
