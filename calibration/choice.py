"""Which procedures make sense for a device, and with which settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calibration.consistency import Consistency
from calibration.cross_talk import CrossTalkTest
from calibration.delay import Delay
from calibration.drift import Drift
from calibration.enob import EffectiveBits
from calibration.identity import innermost
from calibration.label_sensitivity import LabelSensitivity
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
from calibration.swept_sine import SweptSine
from calibration.transmission_matrix import TransmissionMatrix
from devices import Device

__all__ = ["USUAL", "Waveforms", "procedures_for", "waveforms_of"]

#: What a rig needs before it is trusted; the others tell what it is good for.
USUAL = (
    "settling", "offset", "delay", "noise", "consistency", "linearity", "phase-table", "drift",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Waveforms:
    """What the rows of a device are, where they are waveforms.

    Attributes
    ----------
    channels : int
        Recorded waveforms in an answer.
    sample_rate_hz : float or None
    band_hz : (float, float) or None
    """

    channels: int = 1
    sample_rate_hz: float | None = None
    band_hz: tuple[float, float] | None = None


def waveforms_of(device: Device) -> Waveforms | None:
    """Return what a device says of its waveforms; None where its rows are none.

    Rigs and simulators say it by the settings ``input`` and ``output``.
    """
    inner = innermost(device)
    told = inner.recipe()
    if not (told.get("input") == told.get("output") == "waveform"):
        return None
    rate = told.get("sample_rate_hz", told.get("sample_rate"))
    band = told.get("band_hz", told.get("band"))
    return Waveforms(
        channels=max(1, inner.spec.n_outputs // inner.spec.n_inputs),
        sample_rate_hz=None if rate is None else float(rate),
        band_hz=None if band is None else (float(band[0]), float(band[1])),
    )


def procedures_for(
    device: Device, kinds: Sequence[str] | None = None, *, waveforms: Waveforms | None = None
) -> list[Procedure[Any]]:
    """Return procedures with their usual settings, those that the device can be measured with.

    Parameters
    ----------
    device : Device
        It need not be open.
    kinds : sequence of str, optional
        Only these; one that makes no sense for the device is then an error. None: all.
    waveforms : Waveforms, optional
        What its rows are, where the device does not say; see `waveforms_of`.

    Raises
    ------
    ValueError
        If a kind is unknown, or makes no sense for the device.
    """
    waves = waveforms or waveforms_of(device)
    for kind in kinds or ():
        if kind not in ORDER:
            raise ValueError(f"the procedure {kind!r} is not one of {', '.join(ORDER)}")
    found = []
    for kind in sorted(kinds or ORDER, key=ORDER.index):
        try:
            procedure = _usual(kind, device, waves)
            procedure.check(device.spec)
            if kinds is None:
                _sensible(kind, device)
        except ValueError:
            if kinds is not None:
                raise
            continue
        found.append(procedure)
    return found


def _usual(kind: str, device: Device, waves: Waveforms | None) -> Procedure[Any]:
    """Return a procedure with the settings that suit the device."""
    spec = device.spec
    played: dict[str, Any] = {}
    if waves is not None:
        played = {"waveform": True, "channels": waves.channels}
    if kind == "delay":
        return Delay(**played)
    if kind == "enob":
        # About 37 periods, and no divisor in common with the samples.
        n = spec.n_inputs if waves is not None else 1024
        return EffectiveBits(**played, cycles=_prime_to(n, min(37, max(1, n // 8))))
    if kind == "swept-sine":
        if waves is None or waves.sample_rate_hz is None:
            raise ValueError(
                f"swept-sine: rows of {spec.name} are not known to be waveforms of a sample rate; "
                "say so"
            )
        low, high = waves.band_hz or (waves.sample_rate_hz / 100, waves.sample_rate_hz / 4)
        return SweptSine(
            sample_rate_hz=waves.sample_rate_hz, low_hz=low, high_hz=high, channels=waves.channels
        )
    if kind == "label-sensitivity":
        return LabelSensitivity(labels=max(2, min(10, spec.n_inputs // 2)))
    if kind == "settling" and not innermost(device).settles:
        raise ValueError(
            f"settling: {spec.name} drives and measures in one step; the transient of a waveform "
            "rig is measured by `pnn rig check`"
        )
    every: tuple[type[Procedure[Any]], ...] = (
        Settling, Offset, Noise, Consistency, Linearity, PhaseTable, CrossTalkTest, Nonlinearity,
        Dimensionality, Ranks, MemoryCapacity, TransmissionMatrix, Drift,
    )  # fmt: skip
    return next(one for one in every if one.kind == kind)()


def _sensible(kind: str, device: Device) -> None:
    """Raise `ValueError` for what can be measured, but says little unless it is asked for."""
    domain = device.spec.domain
    if (kind == "phase-table" and domain != "phase") or (kind == "enob" and domain == "tones"):
        raise ValueError(f"{kind}: nothing to expect of inputs of the domain {domain!r}")


def _prime_to(n: int, most: int) -> int:
    return next(k for k in range(most, 0, -1) if math.gcd(k, n) == 1)
