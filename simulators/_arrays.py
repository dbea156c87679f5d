"""Arrays: NumPy or torch, complex as pairs of real ones, pixels on a square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["complex_of", "grid_side", "namespace", "stacked"]

Array = NDArray[Any]


def namespace(array: Any) -> Any:
    """Return the module whose functions take `array`: numpy, or torch for everything else."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def grid_side(n: int) -> int:
    """Side of the smallest square grid that has room for `n` pixels, filled row by row."""
    return math.isqrt(n - 1) + 1


def stacked(matrix: Array, complex_light: bool) -> Array:
    """Return T for a product of real numbers, [Re E, Im E] @ stacked = [Re T E, Im T E].

    That is the same number of operations as the complex product, leaves both parts contiguous,
    so that |.|^2 is cheap, and needs only the upper half where the light is real.
    """
    real, imag = matrix.real.T, matrix.imag.T
    upper = np.concatenate([real, imag], axis=1)
    if not complex_light:
        return upper
    return np.concatenate([upper, np.concatenate([-imag, real], axis=1)])


def complex_of(real: Array, imag: Array) -> Array:
    """Return the complex array of two real ones, in their precision."""
    both = np.empty(real.shape, np.result_type(real, np.complex64))
    both.real, both.imag = real, imag
    return both
