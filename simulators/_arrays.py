"""Arrays: NumPy or torch, complex as pairs of real ones, pixels on a square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["complex_of", "grid_side", "kernel_of", "namespace", "product"]

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


def complex_of(real: Array, imag: Array) -> Array:
    """Return the complex array of two real ones, in their precision."""
    both = np.empty(real.shape, np.result_type(real, np.complex64))
    both.real, both.imag = real, imag
    return both


def kernel_of(matrix: Array, complex_light: bool, dtype: np.dtype[Any]) -> tuple[Array, ...]:
    """Return what `product` needs of T, (n_outputs, n_inputs), complex.

    For T = A + i B and light c + i s three real products replace the four of the complex one
    (Gauss): with ``P = (c + s) A, Q = c (B - A), R = s (A + B)`` the field is
    ``(P - R) + i (P + Q)``. Its parts come out apart, so that |.|^2 is cheap. Real light needs
    A and B only.
    """
    a, b = matrix.real.T, matrix.imag.T
    parts = (a, b - a, a + b) if complex_light else (a, b)
    return tuple(np.ascontiguousarray(part, dtype) for part in parts)


def product(real: Array, imag: Array | None, kernel: tuple[Array, ...], out: Array) -> None:
    """Put the real part of the field into out[0] and the imaginary one into out[1].

    Parameters
    ----------
    real, imag : ndarray of shape (batch, n_inputs)
        The light; None where it is real.
    kernel : tuple of ndarrays
        From `kernel_of`, for that kind of light.
    out : ndarray of shape (3, batch, n_outputs)
        The third part is scratch.
    """
    if imag is None:
        np.matmul(real, kernel[0], out=out[0])
        np.matmul(real, kernel[1], out=out[1])
        return
    np.matmul(real + imag, kernel[0], out=out[0])
    np.matmul(real, kernel[1], out=out[1])
    np.matmul(imag, kernel[2], out=out[2])
    out[1] += out[0]
    out[0] -= out[2]
