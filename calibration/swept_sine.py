"""Impulse responses of every harmonic order from one exponential sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.procedure import Procedure, quantity
from calibration.waveform import cost_of_playing, play, playable
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["SweptSine", "SweptSineResult", "exponential_sweep", "harmonic_lead_s", "separate"]

Array = NDArray[Any]

# A response stands out of its window by this factor; noise and the ringing of others do not.
_CLEAR = 8.0


def harmonic_lead_s(duration_s: float, low_hz: float, high_hz: float, order: int) -> float:
    """Return by how many seconds the response of a harmonic order leads: ``L ln n``.

    ``L = T / ln(f2 / f1)`` (Farina, 108th AES Convention, paper 5093 (2000)).

    Examples
    --------
    >>> round(harmonic_lead_s(2.0, 20.0, 20_000.0, 2), 6)
    0.200687
    >>> round(harmonic_lead_s(2.0, 20.0, 20_000.0, 3), 6)
    0.318081
    """
    number("harmonic_lead_s", "duration_s", duration_s, 0.0, above=True)
    number("harmonic_lead_s", "low_hz", low_hz, 0.0, above=True)
    number("harmonic_lead_s", "high_hz", high_hz, low_hz, above=True)
    whole("harmonic_lead_s", "order", order, 1)
    return float(duration_s / np.log(high_hz / low_hz) * np.log(order))


def exponential_sweep(
    duration_s: float, low_hz: float, high_hz: float, sample_rate_hz: float
) -> Array:
    """Return the sweep ``sin(2 pi f1 L (exp(t / L) - 1))``, of amplitude 1.

    Its ends are faded over two periods of f1 and a hundredth of the sweep.
    """
    n = round(duration_s * sample_rate_hz)
    t = np.arange(n) / sample_rate_hz
    scale = duration_s / np.log(high_hz / low_hz)
    sweep = np.sin(2 * np.pi * low_hz * scale * np.expm1(t / scale))
    first = min(n // 4, round(2 * sample_rate_hz / low_hz))
    last = max(1, n // 100)
    sweep[:first] *= np.sin(np.linspace(0, np.pi / 2, first)) ** 2
    sweep[n - last :] *= np.cos(np.linspace(0, np.pi / 2, last)) ** 2
    return sweep


@dataclass(frozen=True, kw_only=True)
class SweptSineResult:
    """Responses by harmonic order.

    Attributes
    ----------
    responses : ndarray of shape (orders, channels, samples)
        Impulse responses of the orders 1, 2, ...; time 0 is at sample `samples // 4`, in
        output_unit per unit of the sweep (half of the used range of the drive).
    lead_s : ndarray of shape (orders, channels)
        By how much each order led that of order 1, from the peaks of their envelopes; nan
        where an order is below the noise.
    expected_lead_s : ndarray of shape (orders,)
        ``L ln n``.
    level_db : ndarray of shape (orders, channels)
        Energy of each order over that of the first.
    distortion_db : float
        Energy of all higher orders over that of the first, pooled over channels.
    sample_rate_hz : float
    """

    responses: Array = field(metadata=quantity("order", "channel", "time", unit="output"))
    lead_s: Array = field(metadata=quantity("order", "channel", unit="s"))
    expected_lead_s: Array = field(metadata=quantity("order", unit="s"))
    level_db: Array = field(metadata=quantity("order", "channel", unit="dB"))
    distortion_db: float = field(metadata=quantity(unit="dB"))
    sample_rate_hz: float = field(metadata=quantity(unit="Hz"))


@dataclass(frozen=True, kw_only=True)
class SweptSine(Procedure[SweptSineResult]):
    """Play an exponential sweep and take the answer apart by harmonic order.

    Parameters
    ----------
    sample_rate_hz : float
        Of the device's samples.
    low_hz, high_hz : float
        Band; the upper end at most half of the sample rate.
    duration_s : float or None
        Of the sweep. Where a row is a waveform, None: 0.8 of it; the rest is silence, in which
        the device rings down.
    silence_s : float
        Silence after the sweep where a row is a moment.
    orders : int
        Highest order.
    level : float
        Share of the range.
    waveform, channels
        See `calibration.waveform.playable`.
    """

    kind: ClassVar[str] = "swept-sine"
    needs: ClassVar[tuple[str, ...]] = ("settling",)
    sample_rate_hz: float
    low_hz: float
    high_hz: float
    duration_s: float | None = None
    silence_s: float = 0.1
    orders: int = 3
    level: float = 1.0
    waveform: bool = True
    channels: int = 1

    def __post_init__(self) -> None:
        me = "SweptSine"
        number(me, "sample_rate_hz", self.sample_rate_hz, 0.0, above=True)
        number(me, "low_hz", self.low_hz, 0.0, above=True)
        number(me, "high_hz", self.high_hz, self.low_hz, self.sample_rate_hz / 2, above=True)
        if self.duration_s is not None:
            number(me, "duration_s", self.duration_s, 4 / self.low_hz)
        number(me, "silence_s", self.silence_s, 0.0)
        whole(me, "orders", self.orders, 1, 10)
        number(me, "level", self.level, 0.0, 1.0, above=True)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device that cannot play the sweep."""
        sweep, n = self._lengths(spec)
        playable("SweptSine", spec, n, waveform=self.waveform, channels=self.channels)
        if sweep > n or sweep < 4 * self.sample_rate_hz / self.low_hz:
            raise ValueError(
                f"SweptSine: a sweep of {sweep} samples must have at least 4 periods of "
                f"low_hz={self.low_hz:g} and at most the {n} samples that are played"
            )

    def queries(self, spec: DeviceSpec) -> int:
        """One per sample, or one for a waveform."""
        return cost_of_playing(self._lengths(spec)[1], waveform=self.waveform)

    def _lengths(self, spec: DeviceSpec) -> tuple[int, int]:
        """Return the samples of the sweep and of all that is played."""
        if self.waveform:
            n = spec.n_inputs
            share = 0.8 * n if self.duration_s is None else self.duration_s * self.sample_rate_hz
            return round(share), n
        sweep = round((self.duration_s or 1.0) * self.sample_rate_hz)
        return sweep, sweep + round(self.silence_s * self.sample_rate_hz)

    def _run(self, device: Device) -> SweptSineResult:
        length, n = self._lengths(device.spec)
        duration = length / self.sample_rate_hz
        sweep = exponential_sweep(duration, self.low_hz, self.high_hz, self.sample_rate_hz)
        played = np.concatenate([sweep, np.zeros(n - length)])
        received = play(
            device, played, waveform=self.waveform, channels=self.channels, level=self.level
        )
        return separate(
            sweep, received, duration, self.low_hz, self.high_hz, self.sample_rate_hz, self.orders
        )


def separate(
    sweep: Array,
    received: Array,
    duration_s: float,
    low_hz: float,
    high_hz: float,
    sample_rate_hz: float,
    orders: int = 3,
) -> SweptSineResult:
    """Deconvolve the answer to an exponential sweep and cut it at the leads ``L ln n``.

    The deconvolution divides the spectra inside the band of the sweep and fades to zero
    outside, so that distortion beyond the band does not fold back into it.

    Parameters
    ----------
    sweep : ndarray of shape (n,)
        From `exponential_sweep`, with the same arguments.
    received : ndarray of shape (channels, samples)
        From the start of the sweep on, at least as long as it.

    Raises
    ------
    ValueError
        If the answer is shorter than the sweep, or the orders are too close for the sweep.
    """
    if received.ndim != 2 or received.shape[1] < len(sweep):
        raise ValueError(
            f"separate: received has shape {received.shape}, it must be (channels, samples) with "
            f"at least the {len(sweep)} samples of the sweep"
        )
    leads = np.array(
        [harmonic_lead_s(duration_s, low_hz, high_hz, n + 1) for n in range(orders + 1)]
    )
    gap = int((leads[-1] - leads[-2]) * sample_rate_hz)  # to the order after the last
    if gap < 16:
        raise ValueError(
            f"separate: order {orders} leads the next by {gap} samples only; take a longer sweep"
        )
    size = 2 ** int(np.ceil(np.log2(len(sweep) + received.shape[1])))
    y = received.real - received.real.mean(axis=1, keepdims=True)
    x, y = np.fft.rfft(sweep, size), np.fft.rfft(y, size)
    f = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    inverse = x.conj() * _fade(f, low_hz, high_hz) / np.maximum(np.abs(x) ** 2, 1e-12)
    whole_response = np.fft.irfft(y * inverse, size)
    before = gap // 4
    responses, found, clear = [], [], []
    for lead in leads[:-1]:
        start = round(lead * sample_rate_hz)
        at = (np.arange(gap) - before - start) % size
        piece = whole_response[:, at]
        responses.append(piece)
        envelope = _envelope(piece)
        found.append(_peak(envelope) - start)
        clear.append(envelope.max(axis=1) > _CLEAR * np.median(envelope, axis=1))
    stack = np.array(responses)
    energy = np.sum(stack**2, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = 10 * np.log10(energy / energy[0])
        distortion = 10 * np.log10(energy[1:].sum() / energy[0].sum())
    lead = (np.array(found)[0] - np.array(found)) / sample_rate_hz
    return SweptSineResult(
        responses=stack,
        lead_s=np.where(clear, lead, np.nan),
        expected_lead_s=leads[:-1],
        level_db=level,
        distortion_db=float(distortion),
        sample_rate_hz=sample_rate_hz,
    )


def _peak(waves: Array) -> Array:
    """Return where each wave is highest, between samples, by a parabola."""
    top = np.clip(np.argmax(waves, axis=1), 1, waves.shape[1] - 2)
    a, b, c = (waves[np.arange(len(waves)), top + k] for k in (-1, 0, 1))
    bend = a - 2 * b + c
    peak: Array = top + np.divide(a - c, 2 * bend, out=np.zeros(len(top)), where=bend < 0)
    return peak


def _fade(f: Array, low: float, high: float) -> Array:
    """Return a raised cosine, 0 at the ends of the band and 1 a sixth of an octave inside."""
    edge = 2 ** (1 / 6)
    with np.errstate(divide="ignore"):
        octave = np.log(np.maximum(f, 1e-300))
    up = np.clip((octave - np.log(low)) / np.log(edge), 0, 1)
    down = np.clip((np.log(high) - octave) / np.log(edge), 0, 1)
    return np.sin(np.pi / 2 * up) ** 2 * np.sin(np.pi / 2 * down) ** 2


def _envelope(waves: Array) -> Array:
    n = waves.shape[1]
    keep = np.zeros(n)
    keep[: (n + 1) // 2] = 2
    keep[0] = 1
    if n % 2 == 0:
        keep[n // 2] = 1
    return np.abs(np.fft.ifft(np.fft.fft(waves, axis=1) * keep, axis=1))
