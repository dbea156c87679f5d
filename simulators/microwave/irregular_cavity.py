"""Random irregular cavities: a fence of dipoles, a line of elements along it, antennas inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = ["IrregularCavity"]

Array = NDArray[Any]

_SPACING = 0.25  # of the fence: at a quarter of a wavelength it holds waves back
_STANDOFF = 0.5  # of the elements from the fence
_CLEARANCE = 0.75  # of an antenna from all else
_MOST_MISSES = 1000  # places drawn in vain for one antenna
_HARMONICS = np.arange(2, 6)


class IrregularCavity:
    """A closed curve without symmetry, sampled by a fence.

    The radius is ``r = s (1 + sum_m a_m cos(m theta + b_m))``, m = 2 to 5, with a_m drawn from
    0.125 / m to 0.25 / m and b_m from all angles; s follows from the length of the fence. Rays in
    such a deformed circle are mostly chaotic, and the resonances have no pattern.

    Parameters
    ----------
    n_walls : int
        Dipoles of the fence, 0.25 apart.
    random : numpy.random.Generator

    Attributes
    ----------
    walls : ndarray of shape (n_walls, 2)
        In wavelengths at f = 1.
    """

    def __init__(self, n_walls: int, random: np.random.Generator) -> None:
        size = random.uniform(0.125, 0.25, len(_HARMONICS)) / _HARMONICS
        phase = random.uniform(0, 2 * np.pi, len(_HARMONICS))
        self._angle = np.linspace(0, 2 * np.pi, 100 * n_walls + 1)
        self._radius = 1 + size @ np.cos(np.outer(_HARMONICS, self._angle) + phase[:, None])
        curve = self._radius[:, None] * np.stack([np.cos(self._angle), np.sin(self._angle)], axis=1)
        scale = n_walls * _SPACING / _arc(curve)[-1]
        self._radius *= scale
        self._curve = scale * curve
        self.walls = _spread(self._curve, n_walls)

    def elements(self, count: int) -> Array:
        """Return `count` positions spread evenly along the fence, half a wavelength inside."""
        tangent = np.gradient(self._curve, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        inner = self._curve + _STANDOFF * tangent @ np.array([[0.0, 1.0], [-1.0, 0.0]])
        return _spread(inner, count)

    def antennas(self, count: int, taken: Array, random: np.random.Generator) -> Array | None:
        """Return `count` random places inside, 0.75 from `taken` and each other; None: no room."""
        low, high = self.walls.min(axis=0), self.walls.max(axis=0)
        found = np.empty((0, 2))
        misses = 0
        while len(found) < count:
            if misses == _MOST_MISSES:
                return None
            misses += 1
            place = random.uniform(low, high)[None]
            angle = np.arctan2(place[0, 1], place[0, 0]) % (2 * np.pi)
            if np.hypot(*place[0]) < np.interp(angle, self._angle, self._radius) and (
                cdist(place, np.concatenate([taken, found])).min() >= _CLEARANCE
            ):
                found, misses = np.concatenate([found, place]), 0
        return found


def _arc(curve: Array) -> Array:
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _spread(curve: Array, count: int) -> Array:
    """Return `count` points of a closed curve at equal distances along it."""
    length = _arc(curve)
    at = np.arange(count) / count * length[-1]
    return np.stack([np.interp(at, length, curve[:, axis]) for axis in (0, 1)], axis=1)
