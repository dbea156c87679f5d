"""How long to wait between driving and measuring."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.identity import innermost
from calibration.procedure import Procedure, quantity
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["Settling", "SettlingResult", "wait_of_contract"]

Array = NDArray[Any]

#: Sets the waiting time of a device, in seconds, inside a ``with`` block.
SetWait = Callable[[Device, float], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class SettlingResult:
    """The answer against the waiting time.

    Attributes
    ----------
    recommended_wait_s : float
        Shortest wait from which on every answer is within the tolerance of the last; nan if
        only the longest is, so that longer ones should be tried.
    time_constant_s : float
        Of the exponential that fits the decay above the noise; nan if there is none.
    waits_s : ndarray of shape (waits,)
    deviation : ndarray of shape (waits,)
        rms distance from the settled answer, as a share of the rms step; noise included.
    noise_floor : float
        The deviation that noise alone gives.
    """

    recommended_wait_s: float = field(metadata=quantity(unit="s"))
    time_constant_s: float = field(metadata=quantity(unit="s"))
    waits_s: Array = field(metadata=quantity("wait", unit="s"))
    deviation: Array = field(metadata=quantity("wait"))
    noise_floor: float = field(metadata=quantity(residual=True))


@dataclass(frozen=True, kw_only=True)
class Settling(Procedure[SettlingResult]):
    """Step back and forth between two drives and measure after longer and longer waits.

    Parameters
    ----------
    longest_s : float
        Longest wait, taken for settled.
    waits : int
        How many, from longest_s / 1000 to longest_s at equal ratios, and 0.
    steps : int
        Steps for each wait, half of them up and half down.
    tolerance : float
        Largest deviation, as a share of the step.
    set_wait : callable, optional
        For a device whose waiting time is not ``spec.settle_s`` of the innermost device.
    """

    kind: ClassVar[str] = "settling"
    longest_s: float = 0.1
    waits: int = 12
    steps: int = 8
    tolerance: float = 0.01
    set_wait: SetWait | None = None

    def __post_init__(self) -> None:
        number("Settling", "longest_s", self.longest_s, 0.0, above=True)
        whole("Settling", "waits", self.waits, 3)
        whole("Settling", "steps", self.steps, 2)
        number("Settling", "tolerance", self.tolerance, 0.0, 1.0, above=True)
        if self.steps % 2:
            raise ValueError(f"Settling: steps={self.steps} must be even")

    def queries(self, spec: DeviceSpec) -> int:
        """Return the steps of every wait, of 0, and of the longest once more; one lead-in each."""
        return (self.waits + 2) * (self.steps + 1)

    def _run(self, device: Device) -> SettlingResult:
        set_wait = self.set_wait or wait_of_contract
        low, high = device.spec.limits
        pair = np.stack([low, high])
        if device.spec.domain == "codes":
            pair = np.stack([np.ceil(low), np.floor(high)])
        # One row in front, so that each that counts is a step.
        rows = pair[np.arange(self.steps + 1) % 2]
        waits = np.concatenate(
            [[0.0], np.geomspace(self.longest_s / 1000, self.longest_s, self.waits)]
        )
        answers = []
        for wait in [*waits, self.longest_s]:
            with set_wait(device, float(wait)):
                answers.append(device.measure(rows, purpose="calibration")[1:])
        *measured, settled = answers
        by_side = [settled[side::2].mean(axis=0) for side in (0, 1)]
        target = np.stack([by_side[k % 2] for k in range(self.steps)])
        size = float(np.sqrt(np.mean(np.abs(by_side[0] - by_side[1]) ** 2)))
        if not size > 0:
            raise ValueError(
                f"Settling: the answers of {device.spec.name} to the lowest and the highest drives "
                "are equal; there is no step to follow"
            )
        deviation = np.array([np.sqrt(np.mean(np.abs(y - target) ** 2)) for y in measured]) / size
        floor = float(np.sqrt(np.mean(np.abs(settled - target) ** 2))) / size
        good = deviation <= np.hypot(self.tolerance, 1.5 * floor)
        bad = np.flatnonzero(~good)
        first = bad[-1] + 1 if len(bad) else 0
        settled_in_time = first < len(waits) - 1
        return SettlingResult(
            recommended_wait_s=float(waits[first]) if settled_in_time else np.nan,
            time_constant_s=_time_constant(waits, deviation, max(3 * floor, self.tolerance / 3)),
            waits_s=waits,
            deviation=deviation,
            noise_floor=floor,
        )


@contextlib.contextmanager
def wait_of_contract(device: Device, wait_s: float) -> Iterator[None]:
    """Set ``spec.settle_s`` of the innermost device for the duration of a ``with`` block.

    Raises
    ------
    ValueError
        If the device drives and measures in one step, so that there is no moment to wait in.
    """
    device = innermost(device)
    if not device.settles:
        raise ValueError(
            f"Settling: {device.spec.name} drives and measures in one step (it has no hook "
            "_drive); pass set_wait, which sets its waiting time. The transient of a waveform rig "
            "is measured by `pnn rig check`"
        )
    before = device.spec
    device.spec = replace(before, settle_s=wait_s)
    try:
        yield
    finally:
        device.spec = before


def _time_constant(waits: Array, deviation: Array, floor: float) -> float:
    above = deviation > floor
    end = int(np.argmin(above)) if not above.all() else len(above)
    if end < 3:
        return float("nan")
    # A device that steps back and forth does not arrive either way: with e = exp(-t / tau) it stays
    # e / (1 + e) of a step short, and e = d / (1 - d).
    short = np.minimum(deviation[:end], 0.49)
    slope = np.polyfit(waits[:end], np.log(short / (1 - short)), 1)[0]
    return float(-1 / slope) if slope < 0 else float("nan")
