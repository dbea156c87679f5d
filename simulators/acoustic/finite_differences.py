"""The damped wave equation on a grid: finite differences in space and time, with NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.acoustic.finite_differences_numba import NumbaSteps

__all__ = ["WaveGrid"]

Array = NDArray[Any]

_HIGHEST_COURANT = 1 / math.sqrt(2)
_BLOCK = 2**18  # bytes of one array of a block of rows, few enough for the L2 cache


class WaveGrid:
    """Integrates ``p_tt + 2 s p_t = c^2 (p_xx + p_yy) + F`` between rigid walls, from rest.

    Pressures live at the centres of square cells. Second differences in space and time give,
    with the step h in time, d in space, and ``v = p(t) - p(t - h)``, which keeps rounding small::

        v <- [(1 - s h) v + (c h / d)^2 (p_E + p_W + p_N + p_S - 4 p) + h^2 F] / (1 + s h)
        p <- p + v

    where a wall mirrors the cell before it. Without damping, a plane wave obeys
    ``sin^2(w h / 2) = (c h / d)^2 [sin^2(kx d / 2) + sin^2(ky d / 2)]``, which is the cosine
    modes of the box too, and is stable for ``c h / d <= 1 / sqrt(2)`` (Strikwerda, Finite
    Difference Schemes, ch. 8; Taflove and Hagness, Computational Electrodynamics, ch. 4).

    The force is ``F = sum_l S_l d_l(t) - strength sum_s S_s R(p_s)`` with ``R(x) = a x^2 + b x^3``
    and ``p_s = sum w_s p`` over the cells of a place. Its weights w add up to 1, and
    ``S = n_cells w - 1`` is what a point of unit mean over the box is, less that mean: the box
    has a leak that keeps its mean pressure.

    A frozen slope R' = r adds a stiffness; the step is stable while the non-linear wave speed
    ``c_nl^2 = c^2 + d^2 strength r n_cells G / 8`` fulfils ``c_nl h / d <= 1 / sqrt(2)``, with G
    the largest eigenvalue of the places' Gram matrix ``w_s . w_t``.

    Parameters
    ----------
    speed : float
        c, in m/s.
    spacing : float
        d, in m.
    step : float
        h, in s.
    damping : ndarray of shape (ny, nx)
        s of each cell, in 1/s.
    drive, react, hear : ndarray of shape (count, ny, nx)
        Weights w of the loudspeakers, of the places that react, and of the ears; `hear` may also
        be a list of cells, ``y nx + x``, as an ndarray of shape (count,).
    gain, strength : float
        Factors of the drives and of the reaction.
    quadratic, cubic : float
        a and b.
    precision : {"single", "double"}
        Of the fields.
    numba : bool
        Whether numba runs the steps: the same in fewer seconds.

    Attributes
    ----------
    linear : bool
        Whether nothing reacts.
    highest_stiffness : float
        The largest R' for which the step is stable; infinite in a linear system.

    Raises
    ------
    ValueError
        If the step is too long for the linear wave speed already.
    """

    def __init__(
        self,
        *,
        speed: float,
        spacing: float,
        step: float,
        damping: Array,
        drive: Array,
        react: Array,
        hear: Array,
        gain: float,
        strength: float,
        quadratic: float,
        cubic: float,
        precision: str = "double",
        numba: bool = False,
    ) -> None:
        self._real = np.dtype(np.float32 if precision == "single" else np.float64)
        self.shape, cells = damping.shape, damping.size
        self.linear = not len(react) or not strength or not (quadratic or cubic)
        self._quadratic, self._cubic = quadratic, cubic
        self._courant, self._gram = (speed * step / spacing) ** 2, 0.0
        if self._courant > _HIGHEST_COURANT**2 * (1 + 1e-12):
            raise ValueError(
                f"WaveGrid: c h / d = {self.courant():.4g} with c = {speed:g} m/s, h = {step:g} s "
                f"and d = {spacing:g} m; the step is stable up to {_HIGHEST_COURANT:.4g}"
            )
        self.highest_stiffness = math.inf
        if self.linear:
            react = react[:0]
        else:
            flat = react.reshape(len(react), -1)
            top = np.linalg.eigvalsh(flat @ flat.T)[-1]
            self._gram = float(strength * cells * top * step**2)
            self.highest_stiffness = max(0.0, (4 - 8 * self._courant) / self._gram)
        keep, take = (1 - damping * step) / (1 + damping * step), 1 / (1 + damping * step)
        keep = np.where(keep == 0, 1e-9, keep)  # a step divides by it
        if np.ptp(damping) == 0:  # one number instead of an array: faster
            keep, take = keep[:1, :1], take[:1, :1]
        self._keep, self._couple = (
            keep.astype(self._real),
            (self._courant * take).astype(self._real),
        )
        # The places that are touched, as a list of cells with dense weights.
        sources = np.concatenate([gain * drive, -strength * react])
        self._n_drives = len(drive)
        self._touched = np.flatnonzero((sources != 0).any(axis=0))
        take_at = np.broadcast_to(take, self.shape).reshape(-1)
        weights = cells * step**2 * sources.reshape(len(sources), cells)
        self._push = (weights[:, self._touched] * take_at[self._touched]).T.astype(self._real)
        # The leak: the same taken from all cells.
        self._leak = (-weights.sum(axis=1) / cells).astype(self._real)
        self._take = take.astype(self._real)
        self._sense = react.reshape(len(react), cells)[:, self._touched].astype(self._real)
        # Weights of the cells heard; None where each is an ear of its own.
        self._hear: Array | None = None
        self._heard_at, self._n_ears = hear, len(hear)
        if hear.ndim > 1:
            flat = hear.reshape(len(hear), cells)
            self._heard_at = np.flatnonzero(flat.any(axis=0))
            self._hear = flat[:, self._heard_at].astype(self._real)
        self._numba = NumbaSteps(self._steps_arguments()) if numba else None

    def courant(self, stiffness: float = 0.0) -> float:
        """Return ``c_nl h / d``, where the places have the slope R' = `stiffness`."""
        return math.sqrt(self._courant + self._gram * max(0.0, stiffness) / 8)

    @property
    def block(self) -> int:
        """How many rows are best run together."""
        if self._numba is not None:
            return 64
        return max(1, _BLOCK // (self.shape[0] * self.shape[1] * self._real.itemsize))

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
            In the precision of the fields; infinite or NaN in a row that diverges.
        reached : ndarray of shape (rows,)
            The largest magnitude at a place that reacts, in all steps; 0 in a linear system.
        """
        played = played.astype(self._real)
        if self._numba is not None:
            return self._numba.run(played, steps, first)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._run(played, steps, first)

    def _run(self, played: Array, steps: int, first: int) -> tuple[Array, Array]:
        period, n_drives, rows = played.shape
        ny, nx = self.shape
        heard = np.empty((steps - first, self._n_ears, rows), self._real)
        p = np.zeros((ny + 2, nx + 2, rows), self._real)  # with a margin that mirrors the walls
        v, around, scratch = (np.zeros((ny, nx, rows), self._real) for _ in range(3))
        inner = p[1:-1, 1:-1]
        flat_p, flat_v = p.reshape(-1, rows), v.reshape(-1, rows)
        at = _in_margin(self._touched, nx)
        heard_at = _in_margin(self._heard_at, nx)
        keep, couple, take = (a[..., None] for a in (self._keep, self._couple, self._take))
        acting = np.empty((self._push.shape[1], rows), self._real)
        peak = np.zeros((len(self._sense), rows), self._real)
        four = self._real.type(4)
        for step in range(steps):
            if step >= first:
                cells = flat_p[heard_at]
                heard[step - first] = cells if self._hear is None else self._hear @ cells
            acting[:n_drives] = played[step % period]
            if step == 0:
                acting[:n_drives] *= 0.5  # the half kick at the start
            if not self.linear:
                local = self._sense @ flat_p[at]
                square = local * local
                np.fmax(peak, square, out=peak)  # too large long before it is NaN
                local *= self._real.type(self._cubic)
                local += self._real.type(self._quadratic)
                np.multiply(local, square, out=acting[n_drives:])
            np.add(p[:-2, 1:-1], p[2:, 1:-1], out=around)
            around += p[1:-1, :-2]
            around += p[1:-1, 2:]
            np.multiply(inner, four, out=scratch)
            around -= scratch
            around *= couple
            around += (self._leak @ acting) * take
            v *= keep
            v += around
            flat_v[self._touched] += self._push @ acting
            inner += v
            p[0], p[-1] = p[1], p[-2]
            p[:, 0], p[:, -1] = p[:, 1], p[:, -2]
        return heard, np.sqrt(peak.max(axis=0, initial=0.0))

    def _steps_arguments(self) -> dict[str, Any]:
        """Return what `NumbaSteps` needs."""
        return {
            "shape": self.shape,
            "quadratic": self._quadratic,
            "cubic": self._cubic,
            "keep": self._keep,
            "couple": self._couple,
            "take": self._take,
            "touched": self._touched,
            "push": self._push,
            "leak": self._leak,
            "sense": self._sense,
            "heard_at": self._heard_at,
            "hear": np.eye(self._n_ears, dtype=self._real) if self._hear is None else self._hear,
        }


def _in_margin(cells: Array, nx: int) -> Array:
    """Return where cells of the grid are in the flat array that has a margin."""
    return (cells // nx + 1) * (nx + 2) + cells % nx + 1
