"""The linear map from what a device answers now to what it answered at another time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.features import held_out_r2
from pnn.rules.readout import ridge

__all__ = ["agreement", "feature_map"]

Array = NDArray[Any]


def feature_map(now: Array, then: Array) -> tuple[Array, Array]:
    """Return A, (n_features, n_features), and c so that ``then ~ now A + c``.

    A gain and an offset of each feature, and on top a ridge regression over all of them, its
    strength by cross-validation, which shrinks towards the gains alone.

    Parameters
    ----------
    now, then : ndarray of shape (rows, n_features)
        Features of the same drives.
    """
    centre, target = now.mean(axis=0), then.mean(axis=0)
    power = np.sum((now - centre) ** 2, axis=0)
    shared = np.sum((now - centre) * (then - target), axis=0)
    gain = np.divide(shared, power, out=np.ones_like(power), where=power > 0)
    rest, offset, *_ = ridge(now, then - now * gain)
    return np.diag(gain) + rest, offset


def agreement(now: Array, then: Array) -> tuple[float, float]:
    """Return the R2 of features as they are, and mapped by a fit to three of four rows.

    Both are judged on the fourth.
    """
    judged = np.arange(len(now)) % 4 == 3
    A, c = feature_map(now[~judged], then[~judged])
    truth = then[judged]
    return held_out_r2(truth, now[judged])[0], held_out_r2(truth, now[judged] @ A + c)[0]
