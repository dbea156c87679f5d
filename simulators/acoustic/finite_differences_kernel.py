"""The steps of `WaveGrid` for numba; imported on use, as it needs numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["run_rows"]

Array = NDArray[Any]

# Contraction to fused multiply-adds and a free order of sums change roundings only; infinite and
# undefined numbers keep their meaning, so that a row that diverges is seen.
_jit = njit(fastmath={"contract", "reassoc", "nsz"}, nogil=True, cache=True)


@_jit
def _advance(
    now: Array, new: Array, v: Array, keep: Any, couple: Any, four: Any, drain: Any
) -> None:
    """Do a step of all cells where damping is uniform."""
    ny, nx = now.shape
    for y in range(ny - 2):
        for x in range(nx - 2):
            middle = now[y + 1, x + 1]
            around = now[y, x + 1] + now[y + 2, x + 1] + now[y + 1, x] + now[y + 1, x + 2]
            moved = keep * v[y + 1, x + 1] + couple * (around - four * middle) + drain
            v[y + 1, x + 1] = moved
            new[y + 1, x + 1] = middle + moved


@_jit
def _advance_each(
    now: Array, new: Array, v: Array, keep: Array, couple: Array, take: Array, four: Any, drain: Any
) -> None:
    """Do a step of all cells where each has its own damping."""
    ny, nx = keep.shape
    for y in range(ny):
        for x in range(nx):
            middle = now[y + 1, x + 1]
            around = now[y, x + 1] + now[y + 2, x + 1] + now[y + 1, x] + now[y + 1, x + 2]
            around -= four * middle
            moved = keep[y, x] * v[y + 1, x + 1] + couple[y, x] * around + take[y, x] * drain
            v[y + 1, x + 1] = moved
            new[y + 1, x + 1] = middle + moved


@_jit
def _mirror(field: Array) -> None:
    """Set the margin: a rigid wall mirrors the cells before it."""
    ny, nx = field.shape
    for x in range(nx):
        field[0, x] = field[1, x]
        field[ny - 1, x] = field[ny - 2, x]
    for y in range(ny):
        field[y, 0] = field[y, 1]
        field[y, nx - 1] = field[y, nx - 2]


@_jit
def _weighted(flat: Array, weights: tuple[Array, Array, Array], place: int) -> Any:
    """Return the sum over the cells of a place."""
    starts, at, by = weights
    total = by[0] - by[0]
    for i in range(starts[place], starts[place + 1]):
        total += by[i] * flat[at[i]]
    return total


@_jit
def run_rows(
    played: Array,
    steps: int,
    first: int,
    ny: int,
    nx: int,
    keep: Array,
    couple: Array,
    take: Array,
    leak: Array,
    push: tuple[Array, Array, Array],
    sense: tuple[Array, Array, Array],
    hear: tuple[Array, Array, Array],
    constants: Array,
    heard: Array,
    peaks: Array,
) -> None:
    """Write what is heard, (rows, steps - first, n_ears), and the squared peaks, (rows,).

    `push`, `sense` and `hear` are starts, cells in the flat field with its margin, and weights.
    """
    rows, period, n_drives = played.shape
    starts, push_at, push_by = push
    # Constants of the fields' own type: a Python number would turn single into double precision.
    quadratic, cubic, half, four = constants[0], constants[1], constants[2], constants[3]
    zero, one = four - four, half + half
    acting = np.zeros(len(leak), played.dtype)
    fields = np.empty((3, ny + 2, nx + 2), played.dtype)  # with a margin: the walls
    uniform = keep.size == 1
    k, c, t = keep[0, 0], couple[0, 0], take[0, 0]
    for row in range(rows):
        fields[:] = zero
        now, new, v = fields[0], fields[1], fields[2]
        flat_v, peak = v.reshape(-1), zero
        for step in range(steps):
            flat = now.reshape(-1)
            if step >= first:
                for e in range(heard.shape[2]):
                    heard[row, step - first, e] = _weighted(flat, hear, e)
            share = half if step == 0 else one  # the half kick at the start
            for d in range(n_drives):
                acting[d] = share * played[row, step % period, d]
            for s in range(len(acting) - n_drives):
                local = _weighted(flat, sense, s)
                square = local * local
                if square > peak:  # noqa: PLR1730  (max() would keep NaN or lose it, by chance)
                    peak = square
                acting[n_drives + s] = (cubic * local + quadratic) * square
            drain = zero
            for d in range(len(acting)):
                drain += leak[d] * acting[d]
            # Before the step, as it takes `keep` of these; one access of memory less.
            for d in range(len(acting)):
                for i in range(starts[d], starts[d + 1]):
                    flat_v[push_at[i]] += push_by[i] * acting[d]
            if uniform:
                _advance(now, new, v, k, c, four, t * drain)
            else:
                _advance_each(now, new, v, keep, couple, take, four, drain)
            _mirror(new)
            now, new = new, now
        peaks[row] = peak
