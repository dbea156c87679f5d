"""Coupled dipoles in two dimensions: their interaction matrix, channels and fields.

After PhysFad (Faqiri, Saigre-Tardif, Alexandropoulos, Shlezinger, Imani, del Hougne, IEEE Trans.
Wireless Commun. 22, 580 (2023)). Frequencies are in units of a reference frequency and lengths in
wavelengths at that frequency, so that the wavenumber is ``k = 2 pi f``; time goes as exp(+i w t).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.special import j0, y0

__all__ = ["channel", "coupling", "interaction_matrix", "self_interaction"]

Array = NDArray[Any]


def coupling(here: ArrayLike, there: ArrayLike, frequency: float) -> Array:
    """Return ``i (k^2 / 4) H0^(2)(k r)``, the negative of the field at `here` of dipoles `there`.

    Parameters
    ----------
    here, there : array_like of shape (n, 2) and (m, 2)
        Positions, in wavelengths at f = 1.
    frequency : float
        f.

    Returns
    -------
    ndarray of shape (n, m), complex
        Infinite where two positions coincide.
    """
    k = 2 * np.pi * frequency
    r = k * cdist(np.asarray(here, float), np.asarray(there, float))
    # i H0^(2) = i (J0 - i Y0) = Y0 + i J0. The real functions are several times faster.
    matrix = np.empty(r.shape, complex)
    matrix.real, matrix.imag = y0(r), j0(r)
    matrix *= k**2 / 4
    return matrix


def self_interaction(
    frequency: ArrayLike, resonance: ArrayLike, chi: ArrayLike, gamma: ArrayLike
) -> Array:
    """Return a dipole's inverse polarisability, the diagonal of the interaction matrix.

    ``((2 pi f_i)^2 - (2 pi f)^2) / chi^2 + i (k^2 / 4 + 2 pi f gamma / chi^2)``: resonance,
    radiation damping and absorption.

    Parameters
    ----------
    frequency, resonance : array_like
        f and f_i.
    chi, gamma : array_like
        Coupling to the field, above 0, and absorption, at least 0.

    Returns
    -------
    ndarray, complex
        Of the shape that the arguments broadcast to.
    """
    w, w0 = 2 * np.pi * np.asarray(frequency, float), 2 * np.pi * np.asarray(resonance, float)
    strength = np.asarray(chi, float) ** 2
    real = (w0**2 - w**2) / strength
    imag: Array = w**2 / 4 + w * np.asarray(gamma, float) / strength
    return real + 1j * imag


def interaction_matrix(positions: ArrayLike, frequency: float, diagonal: ArrayLike) -> Array:
    """Return W: the couplings, and `diagonal` of the dipoles' own terms; W p is the driving field.

    W is symmetric (reciprocity), and its imaginary part, ``(k^2 / 4) J0(k r)`` and absorption on
    the diagonal, is positive semi-definite (passivity).

    Parameters
    ----------
    positions : array_like of shape (n, 2)
    frequency : float
    diagonal : array_like of shape (n,), or one number
        From `self_interaction`.

    Returns
    -------
    ndarray of shape (n, n), complex
    """
    places = np.asarray(positions, float)
    with np.errstate(invalid="ignore"):  # a dipole's coupling to itself, replaced below
        matrix = coupling(places, places, frequency)
    np.fill_diagonal(matrix, diagonal)
    return matrix


def channel(matrix: Array, receivers: ArrayLike, transmitters: ArrayLike) -> Array:
    """Return ``H = [diag(W) W^-1]_(receivers, transmitters)`` by solving the whole system.

    H is the field at a receiver, but for its own, of a unit drive at a transmitter.

    Parameters
    ----------
    matrix : ndarray of shape (..., n, n)
        W.
    receivers, transmitters : array_like of int
        Their indices.

    Returns
    -------
    ndarray of shape (..., n_receivers, n_transmitters), complex
    """
    rows, columns = np.atleast_1d(receivers), np.atleast_1d(transmitters)
    drive = np.zeros((matrix.shape[-1], len(columns)), matrix.dtype)
    drive[columns, np.arange(len(columns))] = 1.0
    moments = np.linalg.solve(matrix, np.broadcast_to(drive, (*matrix.shape[:-1], len(columns))))
    answers: Array = matrix[..., rows, rows][..., None] * moments[..., rows, :]
    return answers
