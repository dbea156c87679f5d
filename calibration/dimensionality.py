"""In how many directions a device's answers move."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["participation_ratio"]


def participation_ratio(answers: NDArray[Any], *, standardised: bool = True) -> float:
    """Return ``(sum l)^2 / sum l^2`` over the eigenvalues l of the answers' covariance.

    It is the number of equally strong independent directions with the same spread, between 1 and
    the number of outputs. Noise counts as movement, and few rows bias it downwards: measure
    several times more rows than outputs.

    Parameters
    ----------
    answers : ndarray of shape (rows, n_outputs)
    standardised : bool
        Whether every output is brought to unit variance first, so that loud ones do not rule.
        Outputs that never move are left out.

    Raises
    ------
    ValueError
        If nothing moves.
    """
    centred = answers - answers.mean(axis=0)
    spread = np.sqrt(np.mean(np.abs(centred) ** 2, axis=0))
    moving = spread > 1e-12 * max(float(spread.max()), 1e-300)
    if not moving.any():
        raise ValueError("participation_ratio: no output moves")
    centred = centred[:, moving]
    if standardised:
        centred = centred / spread[moving]
    # Both traces come from the smaller of the two Gram matrices.
    rows, outputs = centred.shape
    gram = centred @ centred.conj().T if rows < outputs else centred.conj().T @ centred
    return float(np.trace(gram).real ** 2 / np.sum(np.abs(gram) ** 2))
