"""Random convolutions: the same few local filters all over an image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["KERNEL", "local_filters", "side_of"]

#: Pixels along a side of a filter.
KERNEL = 3


def local_filters(
    n_features: int, n_inputs: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], str]:
    """Return random filters as a matrix, and in words what they are.

    As many maps as there is room for; where there is none for a single one, the filter moves on
    by two pixels, or more. Inputs that are left over see nothing.

    Parameters
    ----------
    n_features : int
        Pixels of a square image, row by row.
    n_inputs : int
        Room for the maps.
    rng : numpy.random.Generator
        Draws the filters.

    Returns
    -------
    ndarray of shape (n_features, n_inputs)
        A map's columns are neighbours, and all the same filter at other places.
    str

    Raises
    ------
    ValueError
        If the features are no square of `KERNEL` x `KERNEL` pixels or more.
    """
    side = side_of(n_features)
    stride = next(s for s in range(1, side) if len(range(0, side - KERNEL + 1, s)) ** 2 <= n_inputs)
    corners = range(0, side - KERNEL + 1, stride)
    places = len(corners) ** 2
    maps = n_inputs // places
    filters = rng.standard_normal((maps, KERNEL, KERNEL)) / KERNEL
    matrix = np.zeros((side, side, n_inputs))
    columns = iter(range(maps * places))
    for one in filters:
        for i in corners:
            for j in corners:
                matrix[i : i + KERNEL, j : j + KERNEL, next(columns)] = one
    words = f"convolved {side} x {side} -> {maps} x {len(corners)} x {len(corners)}"
    return matrix.reshape(n_features, n_inputs), words


def side_of(n_features: int) -> int:
    """Return the side of a square image.

    Raises
    ------
    ValueError
        If it is no square of `KERNEL` x `KERNEL` pixels or more.
    """
    side = math.isqrt(n_features)
    if side**2 != n_features or side < KERNEL:
        raise ValueError(
            f"adapter='convolve' needs features that are a square image of {KERNEL} x {KERNEL} "
            f"pixels at least, not {n_features}; use adapter='project'; between layers, a width "
            "that is a square number"
        )
    return side
