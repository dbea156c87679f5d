"""Dipole systems in which only a few diagonal entries change: eliminate the rest once.

Write W in blocks of fixed dipoles F (walls, antennas) and variable ones E, and split off the
diagonal d of the latter. Block inversion (the Schur complement) gives, for antennas R, T in F::

    (W^-1)_RT = G + P (M + diag(d))^-1 Q
    G = (W_FF^-1)_RT,  P = (W_FF^-1 W_FE)_R,  Q = (W_EF W_FF^-1)_T,  M = W_EE - W_EF W_FF^-1 W_FE

M, P, Q and G do not depend on the configuration. It is an identity, not an approximation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["BinarySolver", "Reduced"]

Array = NDArray[Any]

_BLOCK = 2**18  # complex numbers of the small systems held at once: 4 MB in double precision


@dataclass(frozen=True)
class Reduced:
    """What is left of a system after elimination, at several frequencies.

    Parameters
    ----------
    direct : ndarray of shape (n_frequencies, n_receivers, n_transmitters)
        G of the equations above.
    left : ndarray of shape (n_frequencies, n_receivers, n)
        P.
    core : ndarray of shape (n_frequencies, n, n)
        M, without the diagonal d.
    right : ndarray of shape (n_frequencies, n, n_transmitters)
        Q, with the sign of its place in the equation: P (M + d)^-1 Q is added.
    """

    direct: Array
    left: Array
    core: Array
    right: Array

    @classmethod
    def eliminate(
        cls, matrix: Array, receivers: ArrayLike, transmitters: ArrayLike, variable: int
    ) -> Self:
        """Eliminate all but the last `variable` dipoles of a W, at one frequency.

        Parameters
        ----------
        matrix : ndarray of shape (n, n)
            W; the diagonal of the last `variable` dipoles is not read.
        receivers, transmitters : array_like of int
            Indices of fixed dipoles.
        variable : int
        """
        n = len(matrix) - variable
        rows, columns = np.asarray(receivers), np.asarray(transmitters)
        across = matrix[:n, n:]
        drive = np.zeros((n, len(columns)), complex)
        drive[columns, np.arange(len(columns))] = 1.0
        solved = np.linalg.solve(matrix[:n, :n], np.concatenate([across, drive], axis=1))
        inner, moments = solved[:, :variable], solved[:, variable:]
        core = matrix[n:, n:].copy()
        np.fill_diagonal(core, 0.0)
        core -= across.T @ inner
        return cls(moments[rows][None], inner[rows][None], core[None], (across.T @ moments)[None])

    @classmethod
    def stack(cls, parts: list[Self]) -> Self:
        """Put systems of one frequency each into one."""
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("direct", "left", "core", "right")
            )
        )

    def astype(self, dtype: DTypeLike) -> Self:
        """Return the same in another precision."""
        parts = (self.direct, self.left, self.core, self.right)
        return type(self)(*(part.astype(dtype) for part in parts))

    def absorb(self, diagonal: Array) -> Self:
        """Fix the last dipoles at a diagonal, (n_frequencies, count), and eliminate them too."""
        count = diagonal.shape[1]
        if not count:
            return self
        n = self.core.shape[1] - count
        across = self.core[:, :n, n:]
        own = _with_diagonal(self.core[:, n:, n:], diagonal)
        right = np.concatenate([self.core[:, n:, :n], self.right[:, n:]], axis=2)
        solved = np.linalg.solve(own, right)
        inner, moments = solved[:, :, :n], solved[:, :, n:]
        left = self.left[:, :, n:]
        return type(self)(
            self.direct + left @ moments,
            self.left[:, :, :n] - left @ inner,
            self.core[:, :n, :n] - across @ inner,
            self.right[:, :n] - across @ moments,
        )

    def solve(self, diagonal: Array) -> Array:
        """Return (W^-1)_RT of many configurations.

        Parameters
        ----------
        diagonal : ndarray of shape (n_frequencies, batch, n)
            d of every configuration.

        Returns
        -------
        ndarray of shape (n_frequencies, batch, n_receivers, n_transmitters)
        """
        frequencies, batch, n = diagonal.shape
        answers = np.empty((frequencies, batch, *self.direct.shape[1:]), self.direct.dtype)
        size = max(1, _BLOCK // n**2)
        for f in range(frequencies):
            for start in range(0, batch, size):
                rows = slice(start, start + size)
                own = _with_diagonal(self.core[f], diagonal[f, rows])
                right = np.broadcast_to(self.right[f], (len(own), *self.right.shape[1:]))
                answers[f, rows] = self.left[f] @ np.linalg.solve(own, right)
        answers += self.direct[:, None]
        return answers


class BinarySolver:
    """The same where every d takes one of two values: only the elements in a minority remain.

    Start from the configuration in which all elements are alike, `off` or `on`, whichever is
    nearer. With S its matrix and J the k <= n / 2 elements that differ from it, by ``delta`` in d,
    the Sherman-Morrison-Woodbury identity leaves a system of size k::

        P (S + delta I_JJ)^-1 Q = P S^-1 Q - delta (P S^-1)_J [S^-1 (S + delta I)]_JJ^-1 (S^-1 Q)_J

    The bracket is S^-1 times the opposite start's matrix, computed once, and a configuration takes
    a block of it: nothing is subtracted, so that single precision loses no digits on the way.

    Parameters
    ----------
    reduced : Reduced
        In double precision.
    off, on : ndarray of shape (n_frequencies,)
        The two values of d at each frequency; they differ.
    dtype : dtype
        What is computed in: complex64 or complex128.
    """

    def __init__(self, reduced: Reduced, off: Array, on: Array, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        n = reduced.core.shape[1]
        self._starts = []
        for here, there in ((off, on), (on, off)):
            start = _with_diagonal(reduced.core, np.broadcast_to(here[:, None], (len(here), n)))
            other = _with_diagonal(reduced.core, np.broadcast_to(there[:, None], (len(here), n)))
            solved = np.linalg.solve(start, np.concatenate([other, reduced.right], axis=2))
            bracket, right = solved[:, :, :n], solved[:, :, n:]
            # S is symmetric, hence P S^-1 = (S^-1 P^T)^T.
            left = np.linalg.solve(start, reduced.left.transpose(0, 2, 1)).transpose(0, 2, 1)
            direct = reduced.direct + reduced.left @ right
            left = left * (there - here)[:, None, None]
            self._starts.append(
                Reduced(direct, left, np.ascontiguousarray(bracket), right).astype(dtype)
            )

    def solve(self, on: Array) -> Array:
        """Return (W^-1)_RT of many configurations.

        Parameters
        ----------
        on : ndarray of shape (batch, n), bool
            Which elements are on.

        Returns
        -------
        ndarray of shape (n_frequencies, batch, n_receivers, n_transmitters)
        """
        batch, n = on.shape
        frequencies, *antennas = self._starts[0].direct.shape
        answers = np.empty((frequencies, batch, *antennas), self._dtype)
        count = on.sum(axis=1)
        from_on = count > n - count
        count = np.minimum(count, n - count)
        for base, start in enumerate(self._starts):
            differ = ~on if base else on
            for k in np.unique(count[from_on == base]):
                chosen = np.flatnonzero((from_on == base) & (count == k))
                size = max(1, _BLOCK // max(1, frequencies * k * k))
                for first in range(0, len(chosen), size):
                    rows = chosen[first : first + size]
                    which = np.nonzero(differ[rows])[1].reshape(len(rows), k)
                    answers[:, rows] = _update(start, which)
        return answers


def _update(start: Reduced, which: Array) -> Array:
    """Return the answers of a start with the elements `which`, (rows, k), moved to the other d."""
    frequencies, n, _ = start.core.shape
    if not which.shape[1]:
        return start.direct[:, None]
    block = which[:, :, None] * n + which[:, None, :]
    systems = np.take(start.core.reshape(frequencies, -1), block, axis=1)
    moments = np.linalg.solve(systems, np.take(start.right, which, axis=1))
    left = np.take(start.left, which, axis=2).transpose(0, 2, 1, 3)
    answers: Array = start.direct[:, None] - left @ moments
    return answers


def _with_diagonal(core: Array, diagonal: Array) -> Array:
    """Return ``core + diag(diagonal)``, (..., n, n), for diagonals (..., n)."""
    systems = np.empty((*diagonal.shape, diagonal.shape[-1]), core.dtype)
    systems[:] = core
    n = diagonal.shape[-1]
    systems.reshape(*diagonal.shape[:-1], n * n)[..., :: n + 1] += diagonal
    return systems
