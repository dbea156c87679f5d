"""Effective number of bits, from a sine over the full range."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.procedure import Procedure, quantity
from calibration.waveform import cost_of_playing, play, playable
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["EffectiveBits", "EffectiveBitsResult", "sine_quality"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class EffectiveBitsResult:
    """Quality of a full-scale sine, per recorded channel.

    Attributes
    ----------
    enob_bits : ndarray of shape (channels,)
        ``(SINAD - 1.76) / 6.02``.
    sinad_db : ndarray of shape (channels,)
        Power of the sine over that of everything else but the offset.
    thd_db : ndarray of shape (channels,)
        Power of the harmonics 2 to 6 over that of the sine.
    amplitude : ndarray of shape (channels,)
        Of the sine, in output_unit. Bits are counted on its range, not on the converter's: a
        sine of half the converter's range has one bit less.
    """

    enob_bits: Array = field(metadata=quantity("channel", unit="bit"))
    sinad_db: Array = field(metadata=quantity("channel", unit="dB"))
    thd_db: Array = field(metadata=quantity("channel", unit="dB"))
    amplitude: Array = field(metadata=quantity("channel", unit="output"))


@dataclass(frozen=True, kw_only=True)
class EffectiveBits(Procedure[EffectiveBitsResult]):
    """Play a sine over the full range and see what is not that sine.

    Parameters
    ----------
    samples : int
        Length of the sine; ignored where a row is a waveform.
    cycles : int
        Whole periods in it; prime to the samples, so that every sample hits another phase.
    input : int or None
        Which input plays, the others in the middle of their range; None: all.
    waveform : bool
        Whether a row is a waveform, of the device's inputs as its samples.
    channels : int
        Recorded waveforms in a row.
    level : float
        Share of the range.
    """

    kind: ClassVar[str] = "enob"
    needs: ClassVar[tuple[str, ...]] = ("settling",)
    samples: int = 1024
    cycles: int = 37
    input: int | None = None
    waveform: bool = False
    channels: int = 1
    level: float = 1.0

    def __post_init__(self) -> None:
        me = "EffectiveBits"
        whole(me, "samples", self.samples, 32)
        whole(me, "cycles", self.cycles, 1)
        whole(me, "channels", self.channels, 1)
        number(me, "level", self.level, 0.0, 1.0, above=True)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device that cannot play the sine, and an input that it has not."""
        n = self._samples(spec)
        playable("EffectiveBits", spec, n, waveform=self.waveform, channels=self.channels)
        if self.input is not None:
            whole("EffectiveBits", "input", self.input, 0, spec.n_inputs - 1)
        if not self.cycles < n / 2 or math.gcd(self.cycles, n) > 1:
            raise ValueError(
                f"EffectiveBits: cycles={self.cycles} must be below half of the {n} samples and "
                "have no divisor in common with them"
            )

    def queries(self, spec: DeviceSpec) -> int:
        """One per sample, or one for a waveform."""
        return cost_of_playing(self._samples(spec), waveform=self.waveform)

    def _samples(self, spec: DeviceSpec) -> int:
        return spec.n_inputs if self.waveform else self.samples

    def _run(self, device: Device) -> EffectiveBitsResult:
        n = self._samples(device.spec)
        sine = np.sin(2 * np.pi * self.cycles * np.arange(n) / n)
        inputs = None if self.input is None else [self.input]
        received = play(
            device, sine, waveform=self.waveform, channels=self.channels, level=self.level,
            inputs=inputs,
        )  # fmt: skip
        if received.shape[1] < n:
            raise ValueError(
                f"EffectiveBits: {device.spec.name} answers with {received.shape[1]} samples to {n}"
            )
        return sine_quality(received[:, :n], self.cycles)


def sine_quality(received: Array, cycles: int) -> EffectiveBitsResult:
    """Return the quality of sines of a known number of periods.

    The sine is fitted by least squares (IEEE Std 1057, three parameters), which for whole
    periods is the Fourier component; ENOB = (SINAD - 1.76 dB) / 6.02 dB (IEEE Std 1241). An
    output that does not move has -inf.

    Parameters
    ----------
    received : ndarray of shape (channels, samples)
        Whole periods, settled.
    cycles : int
        How many.
    """
    n = received.shape[1]
    power = np.abs(np.fft.fft(received - received.mean(axis=1, keepdims=True), axis=1)) ** 2 / n**2
    two = power + power[:, -np.arange(n) % n]  # both signs of the frequency
    sine, total = two[:, cycles], power.sum(axis=1)
    rest = np.clip(total - sine, 0.0, None)
    harmonics = {h * cycles % n for h in range(2, 7)}
    harmonics = {min(h, n - h) for h in harmonics} - {0, cycles}
    distortion = sum((two[:, h] for h in harmonics), np.zeros(len(received)))
    scale = np.mean(np.abs(received) ** 2, axis=1)
    still = sine <= 1e-28 * scale
    with np.errstate(divide="ignore", invalid="ignore"):
        sinad = np.where(still, -np.inf, 10 * np.log10(sine / rest))
        thd = np.where(still, np.nan, 10 * np.log10(distortion / sine))
    return EffectiveBitsResult(
        enob_bits=(sinad - 1.76) / 6.02,
        sinad_db=sinad,
        thd_db=thd,
        amplitude=np.sqrt(2 * sine),
    )
