"""Weights of cells: where something stands on a grid, and how much a layer absorbs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number

__all__ = ["absorber_damping", "patch_weights"]

Array = NDArray[Any]

_CUT = 3.0  # standard deviations, at which a Gaussian patch ends


def patch_weights(positions: Array, shape: tuple[int, int], spacing: float, size: float) -> Array:
    """Return weights of the cells, of sum 1 for each position.

    Between the centres of cells a point is interpolated linearly; a patch is a Gaussian. Both
    are mirrored by the walls.

    Parameters
    ----------
    positions : ndarray of shape (count, 2)
        x and y in m.
    shape : (int, int)
        Cells along y and x.
    spacing : float
        Side of a cell in m.
    size : float
        Standard deviation of the patch in m; 0 is a point.

    Returns
    -------
    ndarray of shape (count, ny, nx)
    """
    ny, nx = shape
    along_x, along_y = (
        np.array([_along(at / spacing, n, size / spacing) for at in positions[:, axis]]).reshape(
            len(positions), n
        )
        for axis, n in ((0, nx), (1, ny))
    )
    return along_y[:, :, None] * along_x[:, None, :]


def _along(at: float, n: int, size: float) -> Array:
    """Return weights of n cells, for a place in units of a cell."""
    centres = np.arange(n) + 0.5
    weights = np.zeros(n)
    for image in (at, -at, 2 * n - at):
        away = np.abs(centres - image)
        if size == 0:
            weights += np.maximum(0.0, 1.0 - away)
        else:
            weights += np.exp(-((away / size) ** 2) / 2) * (away < _CUT * size)
    return weights / weights.sum()


def absorber_damping(
    owner: str,
    shape: tuple[int, int],
    spacing: float,
    width: float,
    reflection: float,
    speed: float,
) -> Array:
    """Return the damping s of a layer before the walls in 1/s, (ny, nx).

    It rises with the square of the depth, to ``s = 3 c ln(1 / reflection) / (2 width)``: a wave
    that goes straight in and comes back has the amplitude ``exp(-2 integral s dx / c)``,
    `reflection`. Waves much longer than the layer reflect more, at its slope.

    Raises
    ------
    ValueError
        If the layer fills half of the box, or the reflection is not between 0 and 1.
    """
    ny, nx = shape
    widest = min(shape) * spacing / 2
    number(owner, "absorber_width", width, 0.0, widest, below=True)
    number(owner, "absorber_reflection", reflection, 0.0, 1.0, above=True, below=True)
    if width == 0:
        return np.zeros(shape)
    most = 3 * speed * math.log(1 / reflection) / (2 * width)

    def rise(n: int) -> Array:
        centres = (np.arange(n) + 0.5) * spacing
        depth = width - np.minimum(centres, n * spacing - centres)
        return most * np.maximum(0.0, depth / width) ** 2

    damping: Array = rise(ny)[:, None] + rise(nx)
    return damping
