"""Light through a rectangle of Mach-Zehnder cells as it was made: uneven, leaking, lossy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from simulators._arrays import namespace
from simulators._tensors import constant
from simulators.optical.clements import cell_places

__all__ = ["MeshChip"]

Array = NDArray[Any]

_REACH = 2.5  # distance of heaters, in pitches, beyond which cross-talk is left out


class MeshChip:
    """A rectangle of cells with imperfect couplers, heaters that warm each other, and loss.

    A cell is ``B(d2) diag(exp(i inner), 1) B(d1) diag(exp(i outer), 1)``, where the coupler
    ``B(d) = [[cos a, i sin a], [i sin a, cos a]]`` has ``a = pi / 4 + d``. The heater of a phase
    warms the others: the phase at heater j is ``p_j + sum_k crosstalk^(distance_jk) p_k`` with
    the distance in pitches (a linear superposition of temperatures, as measured by Milanizadeh et
    al., J. Lightwave Technol. 37, 1325, 2019); the two heaters of a cell are one pitch apart, cells
    of the same column two.

    Parameters
    ----------
    n : int
        Ports.
    errors : ndarray of shape (2, n_cells) or None
        d1 and d2 of each cell, in rad. None: even couplers.
    crosstalk : float
        Share of a phase that reaches the heater one pitch away.
    transmission : float
        Amplitude behind a cell, per amplitude before it.

    Attributes
    ----------
    n_phases : int
        n^2: all inner phases, all outer phases (in the order of `clements.cell_places`), then
        those of the output ports.
    """

    def __init__(
        self, n: int, errors: Array | None = None, crosstalk: float = 0.0, transmission: float = 1.0
    ) -> None:
        places = cell_places(n)
        self.n, self.n_cells, self.n_phases = n, len(places), n * n
        angle = math.pi / 4 + (np.zeros((2, self.n_cells)) if errors is None else errors)
        self._bar, self._cross = np.cos(angle), 1j * np.sin(angle)
        self._transmission = transmission
        self._columns = [np.flatnonzero(places[:, 0] == column) for column in range(n)]
        self._leak = self._neighbours(places, crosstalk)

    def effective(self, phases: Any) -> Any:
        """Return the phases that the light meets, (n_phases,), from those that are set."""
        xp = namespace(phases)
        to, start, share = (constant(a, phases) for a in self._leak)
        if not len(share):
            return phases
        leaked = share * phases[start]
        if xp is np:
            return phases + np.bincount(to, leaked, self.n_phases)
        return phases.index_add(0, to, leaked)

    def through(self, fields: Any, phases: Any, keep: list[Any] | None = None) -> Any:
        """Return the fields behind the rectangle.

        Parameters
        ----------
        fields : ndarray or torch tensor of shape (rows, n), complex
        phases : of shape (n_phases,) or (rows, n_phases)
            As the light meets them.
        keep : list or None
            Gets the fields before each column and behind the last.
        """
        xp = namespace(fields)
        turn = xp.exp(1j * phases)
        inner, outer = turn[..., : self.n_cells], turn[..., self.n_cells : 2 * self.n_cells]
        bar, cross = (
            constant(a * self._transmission**0.5, fields) for a in (self._bar, self._cross)
        )
        for column, cells in enumerate(self._columns):
            if keep is not None:
                keep.append(fields)
            if not len(cells):
                continue
            first, end = column % 2, column % 2 + 2 * len(cells)
            span = slice(int(cells[0]), int(cells[-1]) + 1)
            upper = fields[:, first:end:2] * outer[..., span]
            lower = fields[:, first + 1 : end : 2]
            for k in (0, 1):
                b, c = bar[k, span], cross[k, span]
                upper, lower = b * upper + c * lower, c * upper + b * lower
                if k == 0:
                    upper = upper * inner[..., span]
            both = xp.stack([upper, lower], -1).reshape(len(fields), -1)
            fields = xp.concatenate([fields[:, :first], both, fields[:, end:]], 1)
        fields = fields * turn[..., 2 * self.n_cells :]
        if keep is not None:
            keep.append(fields)
        return fields

    def matrix(self, phases: Any) -> Any:
        """Return the transfer matrix, (n, n), at phases (n_phases,) as the light meets them."""
        return self.through(constant(np.eye(self.n, dtype=complex), phases), phases).T

    def _neighbours(self, places: Array, crosstalk: float) -> tuple[Array, Array, Array]:
        """Return where, whence and how much each heater's warmth leaks."""
        if not crosstalk:
            return np.empty(0, int), np.empty(0, int), np.empty(0)
        column, port = places.T
        ports = np.arange(self.n)
        x = np.concatenate([2 * column + 1, 2 * column, np.full(self.n, 2 * self.n)])
        y = np.concatenate([port, port, ports])
        at = np.stack([x, y], axis=1).astype(float)
        pairs = cKDTree(at).query_pairs(_REACH, output_type="ndarray")
        share = crosstalk ** np.linalg.norm(at[pairs[:, 0]] - at[pairs[:, 1]], axis=1)
        to, start = np.concatenate([pairs, pairs[:, ::-1]]).T
        return to, start, np.concatenate([share, share])
