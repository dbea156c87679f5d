"""Resampling of recordings."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

__all__ = ["resampled"]

Array = NDArray[Any]


def resampled(signals: Array, rate: float, new_rate: float, length: int | None = None) -> Array:
    """Return signals, (count, n), at another rate, by SciPy's polyphase filter.

    The ratio of the rates is taken as the nearest fraction with a denominator up to 1000, which
    for the usual rates of recordings is exact. `length` cuts or pads with silence at the end.
    """
    ratio = Fraction(new_rate / rate).limit_denominator(1000)
    up, down = max(1, ratio.numerator), ratio.denominator
    new: Array = signals if up == down else resample_poly(signals, up, down, axis=-1)
    if length is None or new.shape[-1] == length:
        return new
    new = new[..., :length]
    return np.pad(new, ((0, 0), (0, length - new.shape[-1])))
