"""Where a twin may be believed: the range of the drives that it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["OutsideRangeWarning", "Range"]

Array = NDArray[Any]

# Of rows that are drawn alike, the farthest is not always among those seen: a new one may leave the
# box by this share of its width, and be this much farther out than the farthest seen one.
_EDGE, _SLACK = 0.01, 1.1


class OutsideRangeWarning(UserWarning):
    """A twin was asked about drives unlike all that it has seen: its answers are a guess."""


@dataclass(frozen=True)
class Range:
    """A box and an ellipsoid around the drives that were seen.

    The box has the lowest and the highest value of each input. The ellipsoid knows how inputs
    went together: the distance of a drive u is ``|W (u - centre)|``, its Mahalanobis distance
    (W W^T inverse to the covariance), and `reach` is that of the farthest drive. A drive is
    inside where it is in both, or beyond by no more than the next row of the same kind might be.

    Parameters
    ----------
    low, high, centre : ndarray of shape (n_inputs,)
    whitening : ndarray of shape (n_inputs, n_inputs)
        W.
    reach : float
    """

    low: Array
    high: Array
    centre: Array
    whitening: Array
    reach: float

    @classmethod
    def of(cls, drives: Array) -> Self:
        """Return the range of drives, (rows, n_inputs)."""
        centre, spread = drives.mean(axis=0), drives.std(axis=0)
        low, high = drives.min(axis=0), drives.max(axis=0)
        unit = np.where(spread > 0, spread, 1.0)
        # Directions that hardly moved count as a thousandth of the others' spread.
        z = (drives - centre) / unit
        values, vectors = np.linalg.eigh(z.T @ z / len(z))
        whitening = (vectors / np.sqrt(np.maximum(values, 1e-6))).T / unit
        distances = np.linalg.norm((drives - centre) @ whitening.T, axis=1)
        return cls(low, high, centre, whitening, float(distances.max()))

    def distances(self, drives: Array) -> Array:
        """Return the Mahalanobis distance of each drive over that of the farthest one seen."""
        away = np.linalg.norm((drives - self.centre) @ self.whitening.T, axis=1)
        share: Array = away / (self.reach or 1.0)
        return share

    def outside(self, drives: Array) -> tuple[NDArray[np.bool_], str]:
        """Return which drives are outside, and of the first of them in what respect."""
        rounding = 1e-9 * np.maximum(np.abs(self.low), np.abs(self.high))
        slack = _EDGE * (self.high - self.low) + rounding
        beyond = (drives < self.low - slack) | (drives > self.high + slack)
        distances = self.distances(drives)
        bad = beyond.any(axis=1) | (distances > _SLACK)
        if not bad.any():
            return bad, ""
        row = int(np.argmax(bad))
        if beyond[row].any():
            k = int(np.argmax(beyond[row]))
            why = (
                f"input {k} is {drives[row, k]:.6g}, and was from {self.low[k]:.6g} to "
                f"{self.high[k]:.6g}"
            )
        else:
            why = (
                f"its inputs are each in range, but together {distances[row]:.3g} times as far "
                "from the mean as any drive that was seen"
            )
        return bad, why
