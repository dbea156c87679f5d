"""How long what carries the wave takes to swing in: from one record of a periodic signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.roles import Record

__all__ = ["Transient", "find_transient"]

Array = NDArray[Any]

_BLOCKS = 16  # per window
_CLEAR = 4.0  # standard deviations above the noise: no chance
_MOST_HARMONICS = 400


@dataclass(frozen=True)
class Transient:
    """What is left of the transient against time.

    Attributes
    ----------
    settle_s : float
        Time from the beginning of the signal after which less than `tolerance` is left; beyond
        the record, or below its noise, by the exponential that fits the decay; nan if there is
        none to fit.
    time_constant_s : float
        Of that exponential; nan if there is none.
    settled : bool
        Whether the transient ended before the last window of the record.
    tolerance : float
        As a share of the steady signal, rms.
    times_s, left : ndarray of shape (blocks,)
        Ends of the blocks, and what is left in them as a share of the steady signal.
    """

    settle_s: float
    time_constant_s: float
    settled: bool
    tolerance: float
    times_s: Array
    left: Array


def find_transient(
    record: Record, start_s: float, window_s: float, end_s: float, tolerance: float
) -> Transient:
    """Compare a signal that repeats itself with its last period.

    The last window is described by its harmonics, least squares, and this is continued to the
    beginning: what differs there by more than in the last window itself is the transient.

    Parameters
    ----------
    record : Record
        Mean of several, for low noise.
    start_s, end_s : float
        Beginning and end of the signal, on the record's clock.
    window_s : float
        Its period.
    tolerance : float
        Share of the steady signal, rms.

    Raises
    ------
    ValueError
        If there is less than a block of signal before the last window, or no signal.
    """
    times = record.start_s + np.arange(record.volts.shape[1]) * record.step_s
    inside = (times >= start_s) & (times < end_s - record.step_s / 2)
    times, volts = times[inside] - start_s, record.volts[:, inside]
    last = times >= end_s - start_s - window_s - record.step_s / 2
    block = max(2, round(window_s / _BLOCKS / record.step_s))
    n_blocks = (len(times) - int(last.sum())) // block
    if n_blocks < 1:
        raise ValueError(
            f"the signal lasts {end_s - start_s:.4g} s, of which {window_s:.4g} s are the window: "
            "there is nothing before it in which a transient could be seen"
        )
    order = np.arange(min(_MOST_HARMONICS, int(last.sum()) // 3) + 1)
    angles = 2 * np.pi / window_s * np.outer(times, order)
    model = np.concatenate([np.cos(angles), np.sin(angles[:, 1:])], axis=1)
    weights = np.linalg.lstsq(model[last], volts[:, last].T, rcond=None)[0]
    steady = (model @ weights).T
    free = 1 - model.shape[1] / last.sum()  # what the fit leaves of the noise in its own window
    away = ((volts - steady) ** 2).sum(axis=0)
    noise = float(away[last].mean() / free) * (2 - free)  # elsewhere the fit's own error adds
    power = float((steady[:, last] ** 2).sum(axis=0).mean())
    if not power > 1e-6 * noise:
        raise ValueError("there is no signal; check cables, gain and trigger")
    blocks = away[: n_blocks * block].reshape(n_blocks, block).mean(axis=1)
    ends = (np.arange(n_blocks) + 1) * block * record.step_s
    left = np.sqrt(np.maximum(blocks - noise, 0.0) / power)
    # Below this a block cannot be told from noise.
    floor = np.sqrt(noise * _CLEAR * np.sqrt(2 / (block * len(volts))) / power)
    level = max(tolerance, float(floor))
    above = np.flatnonzero(left > level)
    first = int(above[-1]) + 1 if len(above) else 0
    constant, crossing = _decay(ends[:first], left[:first], tolerance)
    settled = first < n_blocks
    seen = float(ends[first - 1]) if first else 0.0
    if settled and floor <= tolerance:
        settle = seen
    elif first == 0:  # nothing stands out, at a noise that would hide the tolerance
        settle = 0.0
    else:
        settle = max(seen, crossing)
    return Transient(settle, constant, settled, tolerance, ends, left)


def _decay(times: Array, left: Array, tolerance: float) -> tuple[float, float]:
    """Return the time constant of a decay, and when it reaches the tolerance; nan if none."""
    if len(times) < 3:
        return np.nan, np.nan
    slope, offset = np.polyfit(times, np.log(left), 1)
    if slope >= 0:
        return np.nan, np.nan
    return float(-1 / slope), float((np.log(tolerance) - offset) / slope)
