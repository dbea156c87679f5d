"""The fit behind laws of waves: rows of a complex matrix from magnitudes alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["beginning", "fit_fields", "least_rows", "quadratic_terms"]

Array = NDArray[Any]

_MOST_EVALUATIONS = 100


def quadratic_terms(n: int) -> int:
    """Return the terms of a quadratic form of n variables."""
    return n * (n + 1) // 2


def least_rows(n: int) -> int:
    """Return how many magnitudes tell n complex numbers, with half as many again to spare.

    4 n is what a general vector needs (Balan, Casazza and Edidin, Appl. Comput. Harmon. Anal. 20,
    345 (2006)).
    """
    return 6 * n


def fit_fields(z: Array, amplitudes: Array, begin: Array) -> tuple[Array, int]:
    """Return the complex rows h_k that fit ``|z h_k|`` to amplitudes, and the multiply-adds spent.

    A Levenberg-Marquardt fit of each output on its own.

    Parameters
    ----------
    z : ndarray of shape (rows, n)
        Real or complex; with a column of 1 for a field that is always there.
    amplitudes : ndarray of shape (rows, n_outputs)
        Not negative, but for noise.
    begin : ndarray of shape (n_outputs, n), complex
        Where to start, see `beginning`.
    """
    rows, n = z.shape
    found, spent = np.empty((amplitudes.shape[1], n), complex), 0
    for k, y in enumerate(amplitudes.T):
        found[k], evaluations = _refined(z, y, begin[k])
        spent += evaluations * rows * (2 * n) ** 2
    return found, spent


def beginning(z: Array, amplitudes: Array) -> Array:
    """Return rows to start from, (n_outputs, n), complex, from the squared amplitudes.

    ``|z h|^2`` is a form ``z^H (h h^H) z``. Where z is real and rows suffice, a linear fit finds
    the matrix of the form, and its two strongest eigenvectors are real and imaginary part of h.
    Else they come from the mean of the squares times ``z z^H`` (the spectral method, Candes, Li
    and Soltanolkotabi, IEEE Trans. Inf. Theory 61, 1985 (2015)).
    """
    if not np.iscomplexobj(z) and len(z) >= 2 * quadratic_terms(z.shape[1]):
        begin = _from_form(z, amplitudes)
        if begin is not None:
            return begin
    return _from_mean(z, amplitudes)


def _from_form(z: Array, y: Array) -> Array | None:
    n = z.shape[1]
    i, j = np.triu_indices(n)
    terms = z[:, i] * z[:, j] * np.where(i == j, 1.0, 2.0)
    coefficients, _, rank, _ = np.linalg.lstsq(terms, y**2, rcond=1e-10)
    if rank < len(i):
        return None  # squares of bits are no terms of their own
    forms = np.zeros((y.shape[1], n, n))
    forms[:, i, j] = forms[:, j, i] = coefficients.T
    values, vectors = np.linalg.eigh(forms)
    least = 1e-6 * np.maximum(values[:, -1:], 1e-6)
    parts = vectors[:, :, -2:] * np.sqrt(np.clip(values[:, -2:], least, None))[:, None]
    begin: Array = parts @ [1, 1j]
    return begin


def _from_mean(z: Array, y: Array) -> Array:
    rows, n = z.shape
    # In directions that vary alike; those that hardly ever vary are left to the fit.
    size, basis = np.linalg.eigh(z.conj().T @ z / rows)
    white = basis * np.where(size > 1e-4 * size[-1], 1 / np.sqrt(np.abs(size) + 1e-300), 0.0)
    w = z @ white
    begin = np.empty((y.shape[1], n), complex)
    for k, power in enumerate((y**2).T):
        # Few very bright rows would rule the mean.
        weights = np.minimum(power, 9 * power.mean())
        values, vectors = np.linalg.eigh((w.conj().T * weights) @ w / rows)
        if np.iscomplexobj(z):
            h = vectors[:, -1]
        else:
            above = np.sqrt(np.maximum(values[-2:] - np.median(values), 1e-3 * values[-1]))
            h = vectors[:, -2:] @ (above * [1j, 1])
        begin[k] = white @ h
        shown = np.mean(np.abs(z @ begin[k]) ** 2)
        begin[k] *= np.sqrt(power.mean() / shown) if shown > 0 else 0.0
    return begin


def _refined(z: Array, y: Array, begin: Array) -> tuple[Array, int]:
    """Return the row that fits one output best, and the evaluations it took.

    Normal equations: several times faster than the QR of MINPACK at a hundred unknowns, and what is
    fitted is noisy far above their rounding. Damping holds the phase of the row, which is free.
    """
    n = z.shape[1]
    row, damping, spent = begin, 1e-2, 1
    fields = z @ row
    gap = np.abs(fields) - y
    cost, gained = float(gap @ gap), True
    while gained and spent < _MOST_EVALUATIONS:
        turned = (fields.conj() / np.maximum(np.abs(fields), 1e-9))[:, None] * z
        slope = np.hstack([turned.real, -turned.imag])
        gram, downhill = slope.T @ slope, slope.T @ gap
        size = np.diag(np.diag(gram) + 1e-6 * np.trace(gram) / n + 1e-300)
        gained = False
        while not gained and spent < _MOST_EVALUATIONS and damping < 1e12:
            step = np.linalg.solve(gram + damping * size, downhill)
            tried = row - step[:n] - 1j * step[n:]
            new_fields = z @ tried
            new_gap = np.abs(new_fields) - y
            new_cost, spent = float(new_gap @ new_gap), spent + 1
            gained = new_cost < cost
            damping = max(0.2 * damping, 1e-9) if gained else 4 * damping
        if gained:
            gained = cost - new_cost > 1e-7 * cost
            row, fields, gap, cost = tried, new_fields, new_gap, new_cost
    return row, spent
