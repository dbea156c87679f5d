"""Modes of a rectangular box, and their motion under forces and local reactions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ModalSolver", "box_modes", "box_shapes", "mode_powers"]

Array = NDArray[Any]


def box_modes(box: Array, speed: float, top: float) -> tuple[Array, Array]:
    """Return the modes of a rigid-walled box up to a frequency, ascending.

    ``f_mn = (c / 2) sqrt((m / Lx)^2 + (n / Ly)^2)`` (Kuttruff, Room Acoustics, ch. 3). The
    uniform mode at 0 Hz is left out.

    Parameters
    ----------
    box : ndarray of shape (2,)
        Lx and Ly in m.
    speed : float
        Speed of sound in m/s.
    top : float
        Highest frequency, in Hz.

    Returns
    -------
    numbers : ndarray of shape (n_modes, 2)
        The pairs (m, n).
    frequencies : ndarray of shape (n_modes,)
        In Hz.
    """
    most_m, most_n = (int(k) for k in 2 * top / speed * box)
    m, n = np.indices((most_m + 1, most_n + 1))
    numbers = np.stack([m.ravel(), n.ravel()], axis=1)
    frequencies = speed / 2 * np.sqrt(((numbers / box) ** 2).sum(axis=1))
    order = np.argsort(frequencies, kind="stable")
    order = order[(frequencies[order] > 0) & (frequencies[order] <= top)]
    return numbers[order], frequencies[order]


def box_shapes(numbers: Array, box: Array, positions: ArrayLike) -> Array:
    """Return ``cos(m pi x / Lx) cos(n pi y / Ly)``, scaled to a mean square of 1 over the box.

    Parameters
    ----------
    numbers : ndarray of shape (n_modes, 2)
        The pairs (m, n).
    box : ndarray of shape (2,)
        Lx and Ly in m.
    positions : array_like of shape (count, 2)
        In m.

    Returns
    -------
    ndarray of shape (count, n_modes)
    """
    phase = np.pi * np.asarray(positions, float)[:, None, :] / box * numbers
    shapes: Array = (np.where(numbers > 0, math.sqrt(2.0), 1.0) * np.cos(phase)).prod(axis=-1)
    return shapes


def mode_powers(frequencies: Array, damping: Array, at: Array) -> Array:
    """Return ``sum_m |H_m|^2`` of settled modes, ``H = 1 / (w_m^2 - w^2 + i w d_m)``.

    Parameters
    ----------
    frequencies, damping : ndarray of shape (n_modes,)
        In Hz, and d = w / Q in 1/s.
    at : ndarray of shape (n_at,)
        Where, in Hz.

    Returns
    -------
    ndarray of shape (n_at,)
    """
    w_squared, w = (2 * np.pi * frequencies) ** 2, 2 * np.pi * at[:, None]
    sums: Array = (1 / ((w_squared - w**2) ** 2 + (w * damping) ** 2)).sum(axis=1)
    return sums


class ModalSolver:
    """Integrates ``q'' + (w / Q) q' + w^2 q = F``, many rows at once, from rest.

    The step is the symmetric splitting kick - propagate - kick: each damped mode is propagated
    exactly, forces act as kicks in between, of half strength at the start. Eliminating the
    velocity leaves, with ``z = exp((-w / (2 Q) + i w_d) h)``::

        q(t + h) = 2 Re(z) q(t) - |z|^2 q(t - h) + h Im(z) / w_d F(t)

    It is of second order in h, and the error is that of the forces only (Hairer, Lubich and
    Wanner, Geometric Numerical Integration, ch. XIII).

    The force is ``F = drive d(t) - react^T R(react q)``, where ``R(x) = a x^2 + b x^3`` acts on
    each row of ``react`` apart: the modes are coupled through these few places only.

    The step is stable while the stiffness ``strength R'(x)`` that the places add is small enough.
    With ``R' = r`` frozen and no damping the recursion above is ``q(t + h) + q(t - h) =
    (2 cos(w h) - (h sin(w h) / w) K) q(t)``, K = strength r react^T react, and its eigenvalues
    stay on the unit circle for ``strength r g <= 1``, where g is the largest eigenvalue of
    ``react W react^T``, W = diag(h tan(w h / 2) / (2 w)).

    Parameters
    ----------
    frequencies : ndarray of shape (n_modes,)
        In Hz.
    quality : float or ndarray of shape (n_modes,)
        Quality factor Q, of all modes or of each; above 0.5.
    step : float
        h, in s.
    drive : ndarray of shape (n_modes, n_drives)
        Force of each drive on each mode.
    react : ndarray of shape (n_places, n_modes)
        The modes at the places that react.
    hear : ndarray of shape (n_ears, n_modes)
        The modes where the sum is read.
    strength : float
        Factor of the reaction.
    quadratic, cubic : float
        a and b.

    Attributes
    ----------
    linear : bool
        Whether nothing reacts.
    highest_stiffness : float
        The largest R' for which the step is stable; infinite in a linear system.
    """

    def __init__(
        self,
        frequencies: Array,
        quality: float | Array,
        step: float,
        *,
        drive: Array,
        react: Array,
        hear: Array,
        strength: float,
        quadratic: float,
        cubic: float,
    ) -> None:
        w = 2 * np.pi * frequencies
        w_damped = w * np.sqrt(1 - 1 / (4 * np.square(quality)))
        z = np.exp((-w / (2 * quality) + 1j * w_damped) * step)
        kick = (step * z.imag / w_damped)[:, None]
        self.linear = not len(react) or not strength or not (quadratic or cubic)
        self.highest_stiffness = math.inf
        self._twice_real, self._minus_square = 2 * z.real[:, None], -(np.abs(z) ** 2)[:, None]
        self._kicks = kick * drive
        if not self.linear:
            self._kicks = np.concatenate([self._kicks, -strength * kick * react.T], axis=1)
            weight = step * np.tan(w * step / 2) / (2 * w)
            top = np.linalg.eigvalsh((react * weight) @ react.T)[-1]
            self.highest_stiffness = float(1 / (strength * top)) if top > 0 else math.inf
        self._react, self._hear = react, hear
        self._quadratic, self._cubic = quadratic, cubic

    def run(self, played: Array, steps: int, first: int = 0) -> tuple[Array, Array]:
        """Return what is heard from step `first` on, and how far the places moved.

        Parameters
        ----------
        played : ndarray of shape (period, n_drives, rows)
            The drives; they repeat where `steps` is longer.
        steps, first : int
            How long to integrate, and from when on to listen.

        Returns
        -------
        heard : ndarray of shape (steps - first, n_ears, rows)
            Infinite or NaN in a row that diverges; the other rows do not feel it.
        reached : ndarray of shape (rows,)
            The largest magnitude at a place that reacts, in all steps; 0 in a linear system.
        """
        period, n_drives, rows = played.shape
        heard = np.empty((steps - first, len(self._hear), rows))
        new, old, change = (np.zeros((len(self._kicks), rows)) for _ in range(3))
        acting = np.empty((self._kicks.shape[1], rows))
        drive, reaction = acting[:n_drives], acting[n_drives:]
        local, square, peak = (np.zeros_like(reaction) for _ in range(3))
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                if step >= first:
                    np.matmul(self._hear, new, out=heard[step - first])
                drive[:] = played[step % period]
                if step == 0:
                    drive *= 0.5  # the half kick at the start
                if not self.linear:
                    np.matmul(self._react, new, out=local)
                    np.multiply(local, local, out=square)
                    np.fmax(peak, square, out=peak)  # too large long before it is NaN
                    np.multiply(local, self._cubic, out=reaction)
                    reaction += self._quadratic
                    reaction *= square
                np.matmul(self._kicks, acting, out=change)
                old *= self._minus_square
                old += change
                np.multiply(new, self._twice_real, out=change)
                old += change
                new, old = old, new
            return heard, np.sqrt(peak.max(axis=0, initial=0.0))
