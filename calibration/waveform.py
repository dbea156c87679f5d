"""Play a signal through a device, whether a row is a moment or a whole waveform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceSpec

__all__ = ["cost_of_playing", "play", "playable"]

Array = NDArray[Any]


def playable(
    owner: str, spec: DeviceSpec, n_samples: int, *, waveform: bool, channels: int = 1
) -> None:
    """Raise `ValueError` where a signal of so many samples cannot be played.

    Parameters
    ----------
    waveform : bool
        Whether a row is a waveform: the inputs are its samples, the outputs those of one or
        several recorded waveforms, one after another. Otherwise a row is a moment, and the signal
        goes through the inputs row by row.
    channels : int
        Recorded waveforms in a row.
    """
    if spec.domain in ("bits", "phase"):
        raise ValueError(f"{owner}: {spec.name} has inputs of the domain {spec.domain!r}; a signal "
                         "needs amplitudes or codes")  # fmt: skip
    if waveform and spec.n_inputs != n_samples:
        raise ValueError(
            f"{owner}: {n_samples} samples for {spec.name}, whose rows are waveforms of "
            f"{spec.n_inputs}"
        )
    if waveform and spec.n_outputs % channels:
        raise ValueError(
            f"{owner}: channels={channels} must divide the {spec.n_outputs} outputs of {spec.name}"
        )


def cost_of_playing(n_samples: int, *, waveform: bool) -> int:
    """Return the queries of playing a signal once: its samples, or one."""
    return 1 if waveform else n_samples


def play(
    device: Device,
    signal: Array,
    *,
    waveform: bool,
    channels: int = 1,
    level: float = 1.0,
    inputs: Sequence[int] | None = None,
) -> Array:
    """Return what comes back, (channels, samples).

    Parameters
    ----------
    device : Device
        Open; one with memory is reset first.
    signal : ndarray of shape (samples,)
        From -1 to 1: the lower and the upper limit of the inputs, at `level` 1.
    waveform, channels
        See `playable`. Where a row is a moment, the outputs are the channels.
    level : float
        Share of the range about its middle that is used.
    inputs : sequence of int, optional
        Which inputs play; the others stay in the middle. None: all. Not for waveforms.
    """
    low, high = device.spec.limits
    middle, reach = (low + high) / 2, (high - low) / 2 * level
    if waveform:
        rows = (middle + reach * signal)[None, :]
    else:
        rows = np.repeat(middle[None, :], len(signal), axis=0)
        chosen = slice(None) if inputs is None else list(inputs)
        rows[:, chosen] = (middle + reach * signal[:, None])[:, chosen]
    if device.spec.domain == "codes":
        rows = np.round(rows)
    device.reset()
    answers = device.measure(np.clip(rows, low, high), purpose="calibration")
    return answers.reshape(channels, -1) if waveform else answers.T
