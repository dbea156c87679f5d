"""The phase behind interference fringes, and how well it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.randomness import generator
from devices.checks import table

__all__ = ["FringePhase", "phase_of"]

Array = NDArray[Any]

_TRIALS = 24  # of the bootstrap: an error is known to about 15 %
_USELESS_RAD = np.pi / 4
_STEPS = 100  # of a fit; 5 do, unless the points hardly tell the ellipse


@dataclass(frozen=True)
class FringePhase:
    """Phase of each level against the first, unwrapped, and its errors.

    Attributes
    ----------
    phase_rad : ndarray of shape (levels,)
    error_rad : float
        Standard error, rms over the levels.
    largest_error_rad : float
        Largest deviation of a level, rms over the trials of the bootstrap.
    residual_rad : float
        rms distance of the points from the circle, as an angle.
    """

    phase_rad: Array
    error_rad: float
    largest_error_rad: float
    residual_rad: float


def phase_of(passes: Array, seed: int = 0) -> FringePhase:
    """Return the phase behind interference fringes.

    Every output sees ``a_k + b_k cos(phi) + c_k sin(phi)``: the answers, each output in units of
    its noise, run on an ellipse in the plane of their two principal components. The conic that
    fits them best is made a circle, the angle on it (the ellipse correction of quadrature
    interferometers, Heydemann, Applied Optics 20, 3382 (1981)) is a start for the least squares of
    ellipse and phases together. Where the phases go around less than once, most of their error
    is that of the ellipse, and all of them share it; so errors come from a parametric bootstrap
    (Efron and Tibshirani, An Introduction to the Bootstrap (1993)): the whole evaluation again,
    of the fitted fringes with new noise of the strength that was found.

    The phase counts from the first level and is taken to rise on the whole; intensities alone do
    not tell its sign.

    Parameters
    ----------
    passes : ndarray of shape (passes, levels, n_outputs)
        Repeated answers to the drives, in the order of these, at least 9 levels.
    seed : int
        Of the bootstrap.

    Raises
    ------
    ValueError
        If the answers do not run on an ellipse: no fringes, or less than a third of one; or if
        the phases cannot be told from the noise, with a standard error beyond 45 degrees.
    """
    if np.iscomplexobj(passes):
        passes = np.concatenate([passes.real, passes.imag], axis=-1)
    answers = table("phase_of", "answers", passes.mean(axis=0), rows=9)
    if len(passes) > 1 and (variance := np.var(passes, axis=0, ddof=1).mean(axis=0)).any():
        # An output that happens to repeat exactly, as rounded ones do, is not without error.
        answers = answers / np.sqrt(np.maximum(variance, variance.mean() / 10))
    plane, phase = _phases(answers)
    basis = _basis(phase)
    fringes = basis @ np.linalg.lstsq(basis, answers)[0]
    freedom = max(1, answers.size - 3 * answers.shape[1] - len(phase) + 1)
    noise = np.sqrt(np.sum((answers - fringes) ** 2) / freedom)
    random = generator(seed, "fringes")
    off = np.array(
        [
            _phases(fringes + noise * random.standard_normal(fringes.shape))[1] - phase
            for _ in range(_TRIALS)
        ]
    )
    error = float(np.sqrt(np.mean(off**2)))
    if error > _USELESS_RAD:
        raise ValueError(
            f"phase_of: the phases have a standard error of {error:.2g} rad, which must be at most "
            f"{_USELESS_RAD:.2g}; use more outputs, more repeats, or a wider range of drives"
        )
    centre, *axes = np.linalg.lstsq(basis, plane)[0]
    circle = np.linalg.solve(np.transpose(axes), (plane - centre).T)
    return FringePhase(
        phase_rad=phase,
        error_rad=error,
        largest_error_rad=float(np.sqrt(np.mean(np.max(np.abs(off), axis=1) ** 2))),
        residual_rad=float(np.std(np.hypot(*circle))),
    )


def _basis(phase: Array) -> Array:
    return np.stack([np.ones(len(phase)), np.cos(phase), np.sin(phase)], axis=1)


def _phases(answers: Array) -> tuple[Array, Array]:
    """Return the answers in the plane of their fringes, (levels, 2), and the phase."""
    centred = answers - answers.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    if len(s) < 2 or s[1] <= 1e-9 * s[0] or s[0] == 0:
        raise ValueError("phase_of: the answers show no fringes in two phases; use more outputs")
    plane = u[:, :2] * s[:2]
    phase = _fitted(plane, _on_the_conic(*(plane / s[0]).T * np.sqrt(len(u))))
    phase = phase - phase[0]
    return plane, phase if phase[-1] >= 0 else -phase


def _on_the_conic(x: Array, y: Array) -> Array:
    """Return the unwrapped angle on the circle that the best conic is made."""
    conic, *_ = np.linalg.lstsq(np.stack([x * x, x * y, y * y, x, y], axis=1), np.ones(len(x)))
    a, b, c, d, e = conic
    shape = np.array([[a, b / 2], [b / 2, c]])
    if np.linalg.eigvalsh(shape)[0] <= 0:
        raise ValueError(
            "phase_of: the answers do not run on an ellipse; the phase range is too small for a "
            "table, or the noise too strong"
        )
    centre = -np.linalg.solve(2 * shape, [d, e])
    radius = 1 + centre @ shape @ centre
    circle = np.linalg.cholesky(shape / radius).T @ (np.stack([x, y]) - centre[:, None])
    return np.unwrap(np.arctan2(circle[1], circle[0]))


def _fitted(plane: Array, phase: Array) -> Array:
    """Return the phases for which an ellipse comes nearest to the points, in the least squares.

    Levenberg and Marquardt's algorithm; the phases, one for each point, are eliminated from its
    equations, which leaves the six numbers of the ellipse.
    """
    basis, slope, rest = _nearest_ellipse(plane, phase)
    damping = 1e-3
    for _ in range(_STEPS):
        steep = (1 + damping) * np.sum(slope**2, axis=1)
        across = np.eye(2) - slope[:, :, None] * slope[:, None] / steep[:, None, None]
        matrix = np.einsum("li,lab,lj->iajb", basis, across, basis).reshape(6, 6)
        right = np.einsum("li,lab,lb->ia", basis, across, rest).ravel()
        change = np.linalg.lstsq(matrix, right)[0].reshape(3, 2)
        turned = phase + np.sum(slope * (rest - basis @ change), axis=1) / steep
        tried = _nearest_ellipse(plane, turned)
        old, new = np.sum(rest**2), np.sum(tried[2] ** 2)
        if new < old:
            phase, (basis, slope, rest) = turned, tried
        damping *= 0.1 if new < old else 10
        if damping > 1e6 or 0 <= old - new < 1e-6 * old:
            break
    return phase


def _nearest_ellipse(plane: Array, phase: Array) -> tuple[Array, Array, Array]:
    """Return the basis, the slopes of the ellipse that fits it best, and what that leaves."""
    basis = _basis(phase)
    ellipse, *_ = np.linalg.lstsq(basis, plane)
    slope = np.stack([-np.sin(phase), np.cos(phase)], axis=1) @ ellipse[1:]
    return basis, slope, plane - basis @ ellipse
