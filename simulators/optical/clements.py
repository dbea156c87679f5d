"""Any unitary as a rectangle of Mach-Zehnder cells (Clements et al. 2016)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cell", "cell_places", "decompose", "rebuild"]

Array = NDArray[Any]


def cell(inner: float, outer: float) -> Array:
    """Return the 2 x 2 matrix of a cell, ``C = B diag(exp(i inner), 1) B diag(exp(i outer), 1)``.

    B is a coupler that splits evenly, ``[[1, i], [i, 1]] / sqrt(2)``, so that, with s and c the
    sine and cosine of ``inner / 2``, ``C = i exp(i inner / 2) [[s, c], [c, -s]] diag(exp(i outer),
    1)``: the outer phase acts on the upper port before the cell. ``inner = pi`` is the bar state,
    0 the cross state.

    Parameters
    ----------
    inner, outer : float
        Phases in rad.
    """
    s, c = math.sin(inner / 2), math.cos(inner / 2)
    real = np.array([[s, c], [c, -s]])
    both: Array = 1j * np.exp(0.5j * inner) * real * np.array([np.exp(1j * outer), 1.0])
    return both


def cell_places(n: int) -> Array:
    """Return column and upper port of each cell of the rectangle, (n (n - 1) / 2, 2), by column.

    Light meets column 0 first. Even columns have their cells at the ports 0, 2, ..., odd ones at
    1, 3, ...
    """
    places = [(column, port) for column in range(n) for port in range(column % 2, n - 1, 2)]
    return np.array(places, int).reshape(-1, 2)


def decompose(unitary: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the phases of the rectangle that is a unitary matrix.

    ``U = diag(exp(i out)) C_last ... C_first``, each C the `cell` on two neighbouring ports and
    the identity elsewhere, in the order of `cell_places`. Elements below the diagonal are nulled
    one by one along the antidiagonals, from the right by C^-1 and from the left by C in turn
    (Clements et al., Optica 3, 1460, 2016); the cells from the left are then passed through the
    diagonal that remains.

    Parameters
    ----------
    unitary : array_like of shape (n, n), complex

    Returns
    -------
    inner, outer : ndarray of shape (n (n - 1) / 2,)
        In rad; inner in [0, pi], outer in [0, 2 pi).
    out : ndarray of shape (n,)
        In [0, 2 pi).

    Raises
    ------
    ValueError
        If the matrix is not square, or is not unitary within 1e-8.
    """
    left = np.array(unitary, complex)
    if left.ndim != 2 or left.shape[0] != left.shape[1]:
        raise ValueError(f"decompose: unitary has shape {left.shape}; it must be square")
    n = len(left)
    defect = float(np.abs(left.conj().T @ left - np.eye(n)).max(initial=0.0))
    if not defect <= 1e-8:
        raise ValueError(
            f"decompose: unitary has U^H U = 1 + {defect:.3g}; at most 1e-08 is allowed. A "
            "general matrix is a layer of two unitaries with attenuators between them"
        )
    before: list[tuple[int, float, float]] = []  # cells that were nulled with from the right
    after: list[tuple[int, float, float]] = []
    for antidiagonal in range(n - 1):
        for k in range(antidiagonal + 1):
            if antidiagonal % 2 == 0:
                row, port = n - 1 - k, antidiagonal - k
                a, b = left[row, port], left[row, port + 1]
                # (a exp(-i outer), b) [[s, c], [c, -s]] has a zero first.
                inner, outer = 2 * math.atan2(abs(b), abs(a)), _angle(-a * b.conjugate())
                pair = left[:, port : port + 2]
                pair[:] = pair @ cell(inner, outer).conj().T
                before.append((port, inner, outer))
            else:
                row, column = n - 1 - antidiagonal + k, k
                port = row - 1
                a, b = left[port, column], left[row, column]
                # [[s, c], [c, -s]] (a exp(i outer), b) has a zero last.
                inner, outer = 2 * math.atan2(abs(a), abs(b)), _angle(b * a.conjugate())
                pair = left[port : port + 2]
                pair[:] = cell(inner, outer) @ pair
                after.append((port, inner, outer))
    diagonal = np.diag(left).copy()
    passed = []
    for port, inner, outer in reversed(after):
        # C^-1 diag(d) = diag(d') C': the same inner phase, another outer one.
        upper, lower = diagonal[port], diagonal[port + 1]
        passed.append((port, inner, _angle(upper * lower.conjugate())))
        diagonal[port] = -np.exp(-1j * (inner + outer)) * lower
        diagonal[port + 1] = -np.exp(-1j * inner) * lower
    return _in_columns(n, before + passed, diagonal)


def rebuild(inner: Array, outer: Array, out: Array) -> Array:
    """Return the unitary matrix of a rectangle's phases; the inverse of `decompose`."""
    n = len(out)
    unitary = np.eye(n, dtype=complex)
    for (_, port), i, o in zip(cell_places(n), inner, outer, strict=True):
        unitary[port : port + 2] = cell(i, o) @ unitary[port : port + 2]
    whole: Array = np.exp(1j * np.asarray(out))[:, None] * unitary
    return whole


def _in_columns(
    n: int, cells: list[tuple[int, float, float]], diagonal: Array
) -> tuple[Array, Array, Array]:
    """Put cells, in the order in which light meets them, into the columns of `cell_places`."""
    index = {(int(c), int(p)): k for k, (c, p) in enumerate(cell_places(n))}
    free = np.zeros(n, int)  # the first column that a port can still take
    inners, outers = np.zeros(len(cells)), np.zeros(len(cells))
    for port, inner, outer in cells:
        column = int(free[port : port + 2].max())
        k = index[column, port]
        inners[k], outers[k] = inner, outer
        free[port : port + 2] = column + 1
    return inners, outers, np.array([_angle(d) for d in diagonal])


def _angle(z: complex) -> float:
    """Return the phase in [0, 2 pi): a tiny negative one would round up to 2 pi itself."""
    angle = math.atan2(z.imag, z.real) % (2 * math.pi)
    return 0.0 if angle >= 2 * math.pi else angle
