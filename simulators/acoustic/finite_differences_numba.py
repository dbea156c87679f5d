"""The same steps as `WaveGrid`'s, compiled by numba: a row at a time, in the L1 cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NumbaSteps", "has_numba"]

Array = NDArray[Any]


def has_numba() -> bool:
    """Whether numba can be imported."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


class NumbaSteps:
    """Runs rows one after the other, each with all its steps; the time is that of the arithmetic.

    Parameters
    ----------
    grid : dict
        The arrays of a `WaveGrid`.

    Raises
    ------
    ImportError
        If numba is not installed; the message names the extra.
    """

    def __init__(self, grid: dict[str, Any]) -> None:
        try:
            from simulators.acoustic.finite_differences_kernel import run_rows
        except ImportError as error:
            raise ImportError(
                "accelerator='numba' needs numba: pip install 'pnn-toolkit[numba]'"
            ) from error
        self._grid, self._kernel = grid, run_rows
        nx = grid["shape"][1]
        keep = np.broadcast_to(grid["keep"], grid["shape"]).reshape(-1)[grid["touched"]]
        self._push = _sparse(grid["push"].T / keep, grid["touched"], nx)
        self._sense = _sparse(grid["sense"], grid["touched"], nx)
        self._hear = _sparse(grid["hear"], grid["heard_at"], nx)

    def run(self, played: Array, steps: int, first: int) -> tuple[Array, Array]:
        """Do as `WaveGrid.run` does."""
        g, rows = self._grid, played.shape[2]
        real = played.dtype
        heard = np.empty((rows, steps - first, len(g["hear"])), real)
        peaks = np.zeros(rows, real)
        self._kernel(
            np.ascontiguousarray(played.transpose(2, 0, 1)),
            steps,
            first,
            *g["shape"],
            g["keep"],
            g["couple"],
            g["take"],
            g["leak"],
            self._push,
            self._sense,
            self._hear,
            np.array([g["quadratic"], g["cubic"], 0.5, 4.0]).astype(real),
            heard,
            peaks,
        )
        return heard.transpose(1, 2, 0), np.sqrt(peaks)


def _sparse(weights: Array, cells: Array, nx: int) -> tuple[Array, Array, Array]:
    """Return the starts, cells in the grid with a margin, and weights that are not 0, by row."""
    rows, columns = np.nonzero(weights)
    starts = np.searchsorted(rows, np.arange(len(weights) + 1))
    where = cells[columns]
    at = (where // nx + 1) * (nx + 2) + where % nx + 1
    # Unsigned: numba then leaves out the test for indices that count from the end.
    return starts, at.astype(np.uintp), weights[rows, columns]
