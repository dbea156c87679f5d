"""Frames that still show what was there before: how many come after a change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.errors import DeviceError

__all__ = ["stale_frames"]

Array = NDArray[Any]

_NOISY = 3.0  # times the noise: beyond it
_FRESH = 0.02  # of the change between two rows: as good as settled


def stale_frames(owner: str, taken: Array) -> int:
    """Return how many frames after a change show the row before; see `OpticalRig.stale_frames`.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    taken : ndarray of shape (changes, frames, outputs)
        Two rows in turn; what was there before the first change does not matter.

    Raises
    ------
    DeviceError
        If nothing changes, or the last frames do still.
    """
    settled = taken[:, -max(1, taken.shape[1] // 4) :]
    sides = [settled[side::2].mean(axis=(0, 1)) for side in (0, 1)]
    size = _rms(sides[1] - sides[0])
    noise = max(_rms(settled[side::2] - sides[side]) for side in (0, 1))
    if size <= _NOISY * noise:
        raise DeviceError(
            f"{owner}: the frames do not change with the rows by more than noise, or still change "
            f"after {taken.shape[1]} frames; check light and alignment, and raise settle_s"
        )
    old = 0
    for k, frames in enumerate(taken[1:], start=1):
        away = np.array([_rms(frame - sides[k % 2]) for frame in frames])
        # Halfway is a mixture of both rows; what counts is to be as near as noise lets it be.
        late = np.flatnonzero(away > np.hypot(_FRESH * size, _NOISY * noise))
        old = max(old, int(late[-1]) + 1 if len(late) else 0)
    return old


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
