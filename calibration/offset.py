"""What a device answers when nothing is driven."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.procedure import Procedure, quantity, rest_drive
from devices import Device, DeviceSpec
from devices.checks import whole

__all__ = ["Offset", "OffsetResult"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class OffsetResult:
    """Answers at rest.

    Attributes
    ----------
    offset : ndarray of shape (n_outputs,)
        Mean answer at rest, the dark level of a camera, in output_unit.
    standard_error : ndarray of shape (n_outputs,)
        Of the offset, in output_unit.
    dark_noise : ndarray of shape (n_outputs,)
        Standard deviation of the answers at rest, in output_unit.
    rest : ndarray of shape (n_inputs,)
        The drive at rest, in input_unit.
    """

    offset: Array = field(metadata=quantity("output", unit="output"))
    standard_error: Array = field(metadata=quantity("output", unit="output", residual=True))
    dark_noise: Array = field(metadata=quantity("output", unit="output"))
    rest: Array = field(metadata=quantity("input", unit="input"))


@dataclass(frozen=True, kw_only=True)
class Offset(Procedure[OffsetResult]):
    """Measure the answer at rest: drives of 0, or the legal drives next to 0.

    Parameters
    ----------
    repeats : int
        Rows; the standard error falls with their square root.
    """

    kind: ClassVar[str] = "offset"
    needs: ClassVar[tuple[str, ...]] = ("settling",)
    repeats: int = 100

    def __post_init__(self) -> None:
        whole("Offset", "repeats", self.repeats, 2)

    def queries(self, spec: DeviceSpec) -> int:
        """Return the repeats."""
        return self.repeats

    def _run(self, device: Device) -> OffsetResult:
        rest = rest_drive(device.spec)
        device.reset()
        answers = device.measure(np.repeat(rest[None], self.repeats, axis=0), purpose="calibration")
        noise = np.std(answers, axis=0, ddof=1)
        return OffsetResult(
            offset=answers.mean(axis=0),
            standard_error=noise / np.sqrt(self.repeats),
            dark_noise=noise,
            rest=rest,
        )
