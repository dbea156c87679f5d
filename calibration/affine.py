"""The affine map that explains a device best: y = A u + b."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["AffineMap"]

Array = NDArray[Any]


class AffineMap:
    """Least-squares affine map from drives to answers, learned from rows as they come.

    Only sums are kept, (n_inputs + 1) x (n_inputs + n_outputs) numbers, so that it costs next
    to nothing to look on while something else is measured. Directions in which the drives never
    moved get the coefficient zero (the least-norm solution, each input in units of its spread).

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

    def state(self) -> dict[str, Array]:
        """Return the sums, by name, for `restore`."""
        drive, answer = self._origin or (np.empty(0), np.empty(0))
        sums = {"uu": self._uu, "uy": self._uy, "yy": self._yy}
        return sums | {"rows": np.array(self.rows), "drive": drive, "answer": answer}

    def restore(self, state: Mapping[str, Array]) -> Self:
        """Take over what `state` of another map returned."""
        self._uu, self._uy, self._yy = (state[name] for name in ("uu", "uy", "yy"))
        self.rows = int(state["rows"])
        self._origin = (state["drive"], state["answer"]) if self.rows else None
        return self

    def solve(self) -> tuple[Array, Array]:
        """Return the matrix A, (n_outputs, n_inputs), and the offset b, (n_outputs,).

        Raises
        ------
        ValueError
            If no rows were seen.
        """
        slopes, drive, answer = self._fit()
        matrix = slopes.T
        return matrix, answer - matrix @ drive

    def explained(self) -> float:
        """Return the share of the answers' variance that the map explains in the rows seen.

        The in-sample R2, pooled over outputs: 1 where there are no more rows than inputs.

        Raises
        ------
        ValueError
            If no rows were seen.
        """
        slopes, _, _ = self._fit()
        mean = self._uy[-1] / self.rows
        total = self._yy.sum() - self.rows * np.sum(np.abs(mean) ** 2)
        model = np.sum(slopes.conj() * self._centred()[1]).real
        return float(np.clip(model / total, 0.0, 1.0)) if total > 0 else 1.0

    def _centred(self) -> tuple[Array, Array]:
        """Return the sums of products about the means: drives by drives, drives by answers."""
        sums = self._uu[-1, :-1]
        return (
            self._uu[:-1, :-1] - np.outer(sums, sums) / self.rows,
            self._uy[:-1] - np.outer(sums, self._uy[-1]) / self.rows,
        )

    def _fit(self) -> tuple[Array, Array, Array]:
        """Return the slopes, (n_inputs, n_outputs), the mean drive and the mean answer."""
        if self._origin is None:
            raise ValueError("AffineMap: no rows were seen; call update() first")
        drive = self._origin[0] + self._uu[-1, :-1] / self.rows
        answer = self._origin[1] + self._uy[-1] / self.rows
        uu, uy = self._centred()
        # Every input in units of its spread: microamperes and volts are equally good drives. A
        # spread at the size of the rounding error is none.
        spread = np.sqrt(np.clip(np.diag(uu), 0.0, None))
        still = spread <= 1e-12 * np.sqrt(self.rows) * np.abs(drive)
        unit = np.where(still, 0.0, 1.0 / np.where(still, 1.0, spread))[:, None]
        inverse = np.linalg.pinv(uu * unit * unit.T, rcond=1e-10, hermitian=True)
        return unit * (inverse @ (unit * uy)), drive, answer
