"""After how many rows a device has forgotten its answers, if that can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.randomness import generator

__all__ = ["at_lags", "correlations", "decorrelation", "overlap"]

Array = NDArray[Any]

_ORDERS = 999  # of the rounds, at random
_BY_CHANCE = 2  # so many may fall as far: of 1000 steady devices, 3 are found to fall
_GROUPS = 20  # of the jackknife, at the most
_ROUNDING = 1e-9  # of a correlation


def overlap(x: Array, y: Array) -> Array:
    """Return the real overlap of each round of x with each of y, of (rounds, probes, outputs)."""
    return np.asarray(np.einsum("kpo,jpo->kj", x.conj(), y).real)


def correlations(overlaps: Array) -> Array:
    """Return the correlation of each round with each, (rounds, rounds), corrected for noise.

    All are nan where the noise is so strong that a round does not even resemble its repeat.
    """
    own = np.diag(overlaps)
    if not own.min() > 0:
        return np.full(overlaps.shape, np.nan)
    return np.asarray(overlaps / np.sqrt(np.outer(own, own)))


def at_lags(matrix: Array) -> Array:
    """Return the mean correlation of rounds that are 1, 2, ... apart, (rounds - 1,)."""
    return np.array([np.diagonal(matrix, m).mean() for m in range(1, len(matrix))])


def decorrelation(lags: Array, x: Array, y: Array) -> tuple[float, float]:
    """Return the rows until the correlation is 1/e and their error; inf and nan if not known.

    They are known if the correlation falls beyond chance, and by more than the error of the fall.
    The error is the larger one of two jackknives, over groups of outputs and of probes.

    Parameters
    ----------
    lags : ndarray of shape (rounds - 1,)
        Rows between rounds that are 1, 2, ... apart.
    x, y : ndarray of shape (rounds, probes, outputs)
        Two repeats of centred answers.
    """
    whole = overlap(x, y)
    if not _falls(correlations(whole)):
        return np.inf, np.nan
    rate = _fall(lags, whole)
    errors = [0.0]
    for axis in (1, 2):
        count = min(_GROUPS, x.shape[axis])
        groups = np.array_split(np.arange(x.shape[axis]), count)
        without = [whole - overlap(x.take(one, axis), y.take(one, axis)) for one in groups]
        if count > 1:
            rates = [_fall(lags, one) for one in without]
            errors.append(float(np.sqrt((count - 1) * np.var(rates))))
    error = float(np.max(errors))
    return (1 / rate, error / rate**2) if rate > error else (np.inf, np.nan)


def _falls(matrix: Array) -> bool:
    """Return whether rounds that are far apart are less alike than chance would have it.

    The rounds of a steady device may be exchanged: the sum of likeness times distance is to be
    below that of nearly all random orders (Mantel, Cancer Research 27, 209 (1967)).
    """
    rounds = np.arange(len(matrix))
    distance = np.abs(rounds[:, None] - rounds)
    found = np.sum(distance * matrix) + _ROUNDING * np.sum(distance)
    random = generator(0, "decorrelation")
    orders = (random.permutation(len(matrix)) for _ in range(_ORDERS))
    as_far = sum(np.sum(distance * matrix[np.ix_(order, order)]) <= found for order in orders)
    return bool(np.isfinite(found) and as_far <= _BY_CHANCE)


def _fall(lags: Array, overlaps: Array) -> float:
    """Return 1 over the lag at which the correlation is 1/e, read off or extrapolated."""
    correlation = at_lags(correlations(overlaps))
    below = np.flatnonzero(correlation <= np.exp(-1))
    if len(below):
        k = below[0]
        before = (0.0, 1.0) if k == 0 else (lags[k - 1], correlation[k - 1])
        share = (before[1] - np.exp(-1)) / (before[1] - correlation[k])
        return float(1 / (before[0] + share * (lags[k] - before[0])))
    trust = np.arange(len(lags), 0, -1.0)  # long lags have few pairs
    return float(np.sum(trust * lags * -np.log(correlation)) / np.sum(trust * lags**2))
