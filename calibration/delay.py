"""How late the answer comes, to a tenth of a sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.procedure import Procedure, quantity
from calibration.randomness import generator
from calibration.waveform import cost_of_playing, play, playable
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["Delay", "DelayResult", "advance", "delay_samples"]

Array = NDArray[Any]

_FINER = 16  # steps per sample of the correlation in which the peak is looked for


@dataclass(frozen=True, kw_only=True)
class DelayResult:
    """Delay of each recorded channel.

    Attributes
    ----------
    delay_samples : ndarray of shape (channels,)
        How many samples the answer is late; nan where none is found, or the bursts disagree by
        more than a sample, as in a room that rings longer than its direct sound lasts.
    standard_error_samples : ndarray of shape (channels,)
        From the scatter between bursts.
    correlation : ndarray of shape (channels,)
        Normalised cross-correlation at the peak, negative for an inverting device.
    """

    delay_samples: Array = field(metadata=quantity("channel", unit="sample"))
    standard_error_samples: Array = field(
        metadata=quantity("channel", unit="sample", residual=True)
    )
    correlation: Array = field(metadata=quantity("channel"))


@dataclass(frozen=True, kw_only=True)
class Delay(Procedure[DelayResult]):
    """Play bursts of noise and cross-correlate them with what comes back.

    Parameters
    ----------
    samples : int
        Length of a burst; ignored where a row is a waveform.
    bursts : int
        How many different ones.
    highest_delay : int or None
        In samples; None: half of the burst.
    bandwidth : float
        Highest frequency of the noise, as a share of the Nyquist frequency.
    waveform, channels
        See `calibration.waveform.playable`.
    level : float
        Share of the range.
    seed : int
        Of the noise.
    """

    kind: ClassVar[str] = "delay"
    needs: ClassVar[tuple[str, ...]] = ("settling",)
    samples: int = 1024
    bursts: int = 4
    highest_delay: int | None = None
    bandwidth: float = 0.5
    waveform: bool = False
    channels: int = 1
    level: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        whole("Delay", "samples", self.samples, 32)
        whole("Delay", "bursts", self.bursts, 2)
        whole("Delay", "channels", self.channels, 1)
        number("Delay", "bandwidth", self.bandwidth, 0.01, 1.0)
        number("Delay", "level", self.level, 0.0, 1.0, above=True)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device that cannot play noise, or that cannot be late."""
        playable("Delay", spec, self._n(spec), waveform=self.waveform, channels=self.channels)
        if self.highest_delay is not None:
            whole("Delay", "highest_delay", self.highest_delay, 1, self._n(spec) - 1)
        if not (self.waveform or spec.memory):
            raise ValueError(
                f"Delay: a row of {spec.name} is a whole experiment and has no delay; for a device "
                "whose rows are waveforms set waveform=True"
            )

    def queries(self, spec: DeviceSpec) -> int:
        """Return the bursts, or their samples where a row is a moment."""
        return self.bursts * cost_of_playing(self._n(spec), waveform=self.waveform)

    def _n(self, spec: DeviceSpec) -> int:
        return spec.n_inputs if self.waveform else self.samples

    def _run(self, device: Device) -> DelayResult:
        n = self._n(device.spec)
        random = generator(self.seed, "delay")
        highest = self.highest_delay or n // 2
        found, peaks = [], []
        for _ in range(self.bursts):
            burst = _band_limited(n, self.bandwidth, random)
            received = play(
                device, burst, waveform=self.waveform, channels=self.channels, level=self.level
            )
            delay, peak = delay_samples(burst, received, highest)
            found.append(delay)
            peaks.append(peak)
        scatter = np.std(found, axis=0, ddof=1)
        return DelayResult(
            delay_samples=np.where(scatter > 1, np.nan, np.mean(found, axis=0)),
            standard_error_samples=scatter / np.sqrt(self.bursts),
            correlation=np.mean(peaks, axis=0),
        )


def delay_samples(sent: Array, received: Array, highest_delay: int) -> tuple[Array, Array]:
    """Return delay and peak correlation of each channel, two arrays of shape (channels,).

    The cross-correlation is interpolated by zero-padding its spectrum and its peak by a parabola
    (Knapp and Carter, IEEE Trans. Acoust. Speech Signal Process. 24, 320 (1976)). A peak that
    noise alone would reach (six standard deviations, ``6 / sqrt(samples)``) gives nan.

    Parameters
    ----------
    sent : ndarray of shape (samples,)
    received : ndarray of shape (channels, samples)
        At the same rate, from the same moment on.
    highest_delay : int
        In samples.
    """
    x = sent - sent.mean()
    y = received.real - received.real.mean(axis=1, keepdims=True)
    n = len(x) + y.shape[1]
    spectrum = np.fft.rfft(y, n) * np.fft.rfft(x, n).conj()
    fine = np.fft.irfft(spectrum, n * _FINER) * _FINER
    # A little before zero as well, so that a delay of 0 is a peak and not an edge.
    window = np.concatenate([fine[:, -_FINER:], fine[:, : highest_delay * _FINER + _FINER]], axis=1)
    scale = np.sqrt(np.sum(x**2) * np.sum(y**2, axis=1))
    delays, peaks = np.full(len(y), np.nan), np.zeros(len(y))
    for k, (one, norm) in enumerate(zip(window, scale, strict=True)):
        if norm == 0:
            continue
        top = int(np.clip(np.argmax(np.abs(one)), 1, len(one) - 2))
        a, b, c = np.abs(one[top - 1 : top + 2])
        shift = 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c else 0.0
        peaks[k] = one[top] / norm
        if abs(peaks[k]) > min(0.9, 6 / np.sqrt(len(x))):
            delays[k] = (top + shift) / _FINER - 1
    return delays, peaks


def advance(waves: Array, samples: Array) -> Array:
    """Return waves (..., channels, n) shifted earlier by `samples`, (channels,), by their spectra.

    Band-limited interpolation; beyond its end a wave keeps its last value, as at rest.
    """
    n = waves.shape[-1]
    longest = 2 * n + 2 * int(np.ceil(np.abs(samples).max(initial=0)))
    phase = np.exp(2j * np.pi * np.fft.fftfreq(longest) * np.asarray(samples)[:, None])
    last = waves[..., -1:]
    moved = np.fft.ifft(np.fft.fft(waves - last, longest) * phase)[..., :n] + last
    return moved if waves.dtype.kind == "c" else moved.real


def _band_limited(n: int, bandwidth: float, random: np.random.Generator) -> Array:
    spectrum = np.fft.rfft(random.standard_normal(n))
    spectrum[np.arange(len(spectrum)) > bandwidth * n / 2] = 0
    burst = np.fft.irfft(spectrum, n)
    return burst / np.abs(burst).max()
