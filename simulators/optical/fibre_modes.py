"""Modes of a graded-index fibre, and random coupling between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GradedIndexModes", "random_coupling"]

Array = NDArray[Any]


class GradedIndexModes:
    """Guided modes, one polarisation, of ``n(r)^2 = n1^2 (1 - 2 D r^2 / a^2)``.

    With the numerical aperture ``NA = n1 sqrt(2 D)`` and the wavenumber k in vacuum they are
    Hermite-Gauss functions, like the states of a two-dimensional harmonic oscillator (Marcuse,
    Light Transmission Optics, ch. 7; Ghatak and Thyagarajan, Introduction to Fiber Optics)::

        psi_mn = h_m(x) h_n(y),   h_0 ~ exp(-x^2 / w^2),   w^2 = 2 a / (k NA)
        beta_g^2 = (n1 k)^2 - 2 g k NA / a,   g = m + n + 1

    A group g holds g modes; those with beta above the cladding's wavenumber are guided,
    ``g <= k a NA / 2``. The parabola is taken to go on beyond the core: the modes of the last
    group are somewhat wrong. Weak guidance, scalar fields, no loss.

    Parameters
    ----------
    core_radius_m : float
        a, in m.
    numerical_aperture : float
    wavelength_m : float
        In vacuum, in m.
    core_index : float
        n1.

    Attributes
    ----------
    numbers : ndarray of shape (n_modes, 2)
        m and n, by group.
    groups : ndarray of shape (n_modes,)
        g.
    beta : ndarray of shape (n_modes,)
        Propagation constants in rad/m.
    waist_m : float
        w, in m.

    Raises
    ------
    ValueError
        If no mode is guided.
    """

    def __init__(
        self,
        *,
        core_radius_m: float,
        numerical_aperture: float,
        wavelength_m: float,
        core_index: float = 1.45,
    ) -> None:
        k = 2 * math.pi / wavelength_m
        top = math.floor(k * core_radius_m * numerical_aperture / 2)
        if top < 1:
            raise ValueError(
                f"GradedIndexModes: no mode is guided: k a NA / 2 = "
                f"{k * core_radius_m * numerical_aperture / 2:.3g} must be at least 1; raise "
                "core_radius_m or numerical_aperture, or lower wavelength_m"
            )
        self.numbers = np.array([(m, g - 1 - m) for g in range(1, top + 1) for m in range(g)])
        self.groups = self.numbers.sum(axis=1) + 1
        self.beta = np.sqrt(
            (core_index * k) ** 2 - 2 * self.groups * k * numerical_aperture / core_radius_m
        )
        self.waist_m = math.sqrt(2 * core_radius_m / (k * numerical_aperture))

    def profiles(self, x_m: Array) -> Array:
        """Return h_m at places, (n_orders, len(x_m)), in 1 / sqrt(m): ``int h_m^2 dx = 1``."""
        s = math.sqrt(2) * np.asarray(x_m) / self.waist_m
        h = np.zeros((int(self.groups.max()), len(s)))
        h[0] = np.pi**-0.25 * np.exp(-(s**2) / 2)
        for m in range(1, len(h)):
            h[m] = math.sqrt(2 / m) * s * h[m - 1]
            if m > 1:
                h[m] -= math.sqrt((m - 1) / m) * h[m - 2]
        return h * math.sqrt(math.sqrt(2) / self.waist_m)

    def at(self, points_m: Array) -> Array:
        """Return the modes' fields at points (count, 2) in m, as (n_modes, count) in 1/m."""
        x, y = self.profiles(points_m[:, 0]), self.profiles(points_m[:, 1])
        return x[self.numbers[:, 0]] * y[self.numbers[:, 1]]

    def overlap(self, centres_m: Array, width_m: float) -> Array:
        """Return what even squares of light of unit power put into the modes.

        Parameters
        ----------
        centres_m : ndarray of shape (count, 2)
            Of the squares, in m.
        width_m : float
            Of a square, in m.

        Returns
        -------
        ndarray of shape (n_modes, count)
            ``int psi_mode dA / width``; a column's squares add up to the share that is guided.
        """
        nodes, weights = np.polynomial.legendre.leggauss(
            # Enough for the finest mode, whose half period is about w / sqrt(2 g).
            8 + math.ceil(2 * width_m / self.waist_m * math.sqrt(2 * self.groups.max()))
        )
        along = []
        for axis in (0, 1):
            places = centres_m[:, axis, None] + nodes * (width_m / 2)
            h = self.profiles(places.ravel()).reshape(-1, *places.shape)
            along.append(h @ weights * (math.sqrt(width_m) / 2))
        return along[0][self.numbers[:, 0]] * along[1][self.numbers[:, 1]]


def random_coupling(
    modes: GradedIndexModes,
    length_m: float,
    strength: float,
    random: np.random.Generator,
    sections: int = 8,
) -> Array:
    """Return the unitary matrix, (n_modes, n_modes), of a fibre that couples its modes at random.

    The fibre is a chain of sections, ``prod exp(i strength H_s / sqrt(sections))
    exp(i beta L / sections)``, each with its own random Hermitian H (the picture of Ho and Kahn,
    J. Lightwave Technol. 29, 3119, 2011). Bends and imperfections couple modes by the spatial
    frequency of their difference in beta, and have little of the high ones (Marcuse, Theory of
    Dielectric Optical Waveguides, 1974): entries of H are Gaussian with a standard deviation that
    falls as ``(1 + |g - g'|)^-2`` between groups, and a row's squares sum to 1 on average.

    Parameters
    ----------
    modes : GradedIndexModes
    length_m : float
    strength : float
        0 couples nothing. The share ``exp(-strength^2)`` of the power, about, stays in its mode;
        from about 2 on it is spread over all groups.
    random : numpy.random.Generator
    sections : int
    """
    n = len(modes.beta)
    phase = np.exp(1j * modes.beta * (length_m / sections))
    scale = 1.0 / (1 + np.abs(modes.groups[:, None] - modes.groups)) ** 2
    scale /= np.sqrt(np.mean(np.sum(scale**2, axis=1)))
    matrix = np.eye(n, dtype=complex)
    for _ in range(sections):
        matrix *= phase[:, None]
        if strength:
            draw = random.standard_normal((n, n, 2)).view(np.complex128)[..., 0] / 2
            values, vectors = np.linalg.eigh(scale * (draw + draw.conj().T))
            turn = np.exp(1j * strength / math.sqrt(sections) * values)
            matrix = (vectors * turn) @ (vectors.conj().T @ matrix)
    return matrix
