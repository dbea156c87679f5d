"""Which procedures make sense for a device."""

from __future__ import annotations

from typing import Any

from calibration.consistency import Consistency
from calibration.cross_talk import CrossTalkTest
from calibration.drift import Drift
from calibration.laws import Nonlinearity
from calibration.linearity import Linearity
from calibration.memory import MemoryCapacity
from calibration.noise import Noise
from calibration.offset import Offset
from calibration.phase_table import PhaseTable
from calibration.procedure import Procedure
from calibration.rank import Ranks
from calibration.sequence import ORDER
from calibration.settling import Settling
from calibration.signal_dimensions import Dimensionality
from calibration.transmission_matrix import TransmissionMatrix
from devices import Device, Wrapper

__all__ = ["procedures_for"]


def procedures_for(device: Device, kinds: list[str] | None = None) -> list[Procedure[Any]]:
    """Return procedures with their usual settings, those that the device can be measured with.

    Those that need to be told more, as the sample rate of a swept sine or that rows are
    waveforms, are left out.

    Parameters
    ----------
    device : Device
        It need not be open.
    kinds : list of str, optional
        Only these; one that makes no sense for the device is then an error.

    Raises
    ------
    ValueError
        If a kind is unknown, or makes no sense for the device.
    """
    every: dict[str, Procedure[Any]] = {
        one.kind: one
        for one in (
            Settling(),
            Offset(),
            Noise(),
            Consistency(),
            Linearity(),
            PhaseTable(),
            CrossTalkTest(),
            Nonlinearity(),
            Dimensionality(),
            Ranks(),
            MemoryCapacity(),
            TransmissionMatrix(),
            Drift(),
        )
    }
    for kind in kinds or ():
        if kind not in every:
            raise ValueError(f"the procedure {kind!r} is not one of {', '.join(every)}")
    found = []
    for kind in sorted(kinds or every, key=ORDER.index):
        try:
            every[kind].check(device.spec)
            if kind == "settling" and not _two_steps(device):
                raise ValueError(f"settling: {device.spec.name} drives and measures in one step")
        except ValueError:
            if kinds:
                raise
            continue
        found.append(every[kind])
    return found


def _two_steps(device: Device) -> bool:
    while isinstance(device, Wrapper):
        device = device.inner
    return type(device)._drive is not Device._drive
