"""The affine map that explains a device best: y = A u + b."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AffineMap"]

Array = NDArray[Any]


class AffineMap:
    """Least-squares affine map from drives to answers, learned from rows as they come.

    Only sums are kept, (n_inputs + 1) x (n_inputs + n_outputs) numbers, so that it costs next
    to nothing to look on while something else is measured. Directions in which the drives never
    moved get the coefficient zero (the least-norm solution).

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of one drive and of one answer.
    """

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        self.n_inputs, self.n_outputs = n_inputs, n_outputs
        self.rows = 0
        self._origin: tuple[Array, Array] | None = None
        self._uu = np.zeros((n_inputs + 1, n_inputs + 1))
        self._uy: Array = np.zeros((n_inputs + 1, n_outputs))
        self._yy = np.zeros(n_outputs)

    def update(self, drives: Array, answers: Array) -> None:
        """Look at rows: drives (batch, n_inputs) and answers (batch, n_outputs)."""
        if not len(drives):
            return
        if self._origin is None:
            # Sums about the first rows' mean: about zero, a small variation on a large
            # offset would be lost in rounding.
            self._origin = drives.mean(axis=0), answers.mean(axis=0)
        u = np.hstack([drives - self._origin[0], np.ones((len(drives), 1))])
        y = answers - self._origin[1]
        self._uu += u.T @ u
        self._uy = self._uy + u.T @ y
        self._yy += (np.abs(y) ** 2).sum(axis=0)
        self.rows += len(drives)

    def solve(self) -> tuple[Array, Array]:
        """Return the matrix A, (n_outputs, n_inputs), and the offset b, (n_outputs,).

        Raises
        ------
        ValueError
            If no rows were seen.
        """
        coefficients, (drive, answer) = self._coefficients()
        matrix = coefficients[:-1].T
        return matrix, answer + coefficients[-1] - matrix @ drive

    def explained(self) -> float:
        """Return the share of the answers' variance that the map explains in the rows seen.

        The in-sample R2, pooled over outputs: 1 where there are no more rows than inputs.

        Raises
        ------
        ValueError
            If no rows were seen.
        """
        coefficients, _ = self._coefficients()
        offset = np.sum(np.abs(self._uy[-1]) ** 2) / self.rows
        total = self._yy.sum() - offset
        model = np.sum(coefficients.conj() * self._uy).real - offset
        return float(model / total) if total > 0 else 1.0

    def _coefficients(self) -> tuple[Array, tuple[Array, Array]]:
        if self._origin is None:
            raise ValueError("AffineMap: no rows were seen; call update() first")
        inverse = np.linalg.pinv(self._uu, rcond=1e-10, hermitian=True)
        return inverse @ self._uy, self._origin
