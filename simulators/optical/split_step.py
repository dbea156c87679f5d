"""Light in a Kerr fibre: the nonlinear Schroedinger equation by the symmetric split step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import whole
from simulators._arrays import namespace
from simulators._tensors import constant

__all__ = ["LARGEST_KERR_PHASE", "SplitStep", "check_steps"]

Array = NDArray[Any]

#: Largest nonlinear phase per step, in rad. The error of one step is of third order in it.
LARGEST_KERR_PHASE = 0.1
_CHOSEN_KERR_PHASE = 0.05
# Largest linear phase per step, in rad, that of the edge of the grid: beyond it a resonance
# between the step and the nonlinearity makes noise grow (Weideman and Herbst 1986).
_LARGEST_LINEAR_PHASE = math.pi


def check_steps(
    owner: str,
    n_steps: int | None,
    length: float,
    *,
    nonlinear: float,
    linear: float,
) -> int:
    """Return `n_steps`, or the fewest that are good where it is None.

    Parameters
    ----------
    owner : str
        Whom a message is about.
    n_steps : int or None
    length : float
        Of the fibre.
    nonlinear : float
        Kerr phase per length, ``gamma P``: the inverse of the nonlinear length.
    linear : float
        Largest linear phase per length on the grid.

    Raises
    ------
    ValueError
        If a step turns a phase by more than is allowed; with both numbers.
    """
    if n_steps is None:
        phases = nonlinear / _CHOSEN_KERR_PHASE, linear / (0.9 * _LARGEST_LINEAR_PHASE)
        return max(1, math.ceil(length * max(phases)))
    whole(owner, "n_steps", n_steps, 1)
    step = length / n_steps
    limits = {
        f"the nonlinear length of {1 / max(nonlinear, 1e-300):.4g}": (
            nonlinear,
            LARGEST_KERR_PHASE,
        ),
        "the dispersion at the edge of the grid": (linear, _LARGEST_LINEAR_PHASE),
    }
    for what, (rate, limit) in limits.items():
        if step * rate > limit:
            raise ValueError(
                f"{owner}: n_steps={n_steps} are steps of {step:.4g}, over which {what} turns the "
                f"phase by {step * rate:.4g} rad; at most {limit:.4g} are allowed, a step of "
                f"{limit / rate:.4g}: take n_steps of at least {math.ceil(length * rate / limit)}"
            )
    return n_steps


class SplitStep:
    """Integrates the nonlinear Schroedinger equation, many rows and modes at once.

    For the modes k of a chain, each coupled to its neighbours::

        i dA_k/dz - (beta2 / 2) d2A_k/dt2 + coupling (A_{k-1} + A_{k+1})
            + gamma (|A_k|^2 + cross (|A_{k-1}|^2 + |A_{k+1}|^2)) A_k = 0

    (Agrawal, Nonlinear Fiber Optics, ch. 2 and 7). Half a step of the linear terms, which are
    exact in the Fourier domain, a full step of the Kerr phase, half a step of the linear terms
    again: of second order in the step, and energy is conserved to rounding, as each part is
    unitary. Time is periodic.

    Parameters
    ----------
    n_samples : int
        Samples of the time window.
    window : float
        Length of the window.
    length : float
        Length of the fibre.
    n_steps : int
        Steps along it.
    beta2, gamma : float
        Dispersion and nonlinearity, in units that go with those of the above.
    n_modes : int
    coupling, cross : float
        Linear coupling to, and cross-Kerr factor of, each neighbour.

    Attributes
    ----------
    omega : ndarray of shape (n_samples,)
        Angular frequencies, in the order of the FFT.
    step : float
        Length of a step.
    """

    def __init__(
        self,
        *,
        n_samples: int,
        window: float,
        length: float,
        n_steps: int,
        beta2: float = -1.0,
        gamma: float = 1.0,
        n_modes: int = 1,
        coupling: float = 0.0,
        cross: float = 0.0,
    ) -> None:
        self.omega = 2 * np.pi * np.fft.fftfreq(n_samples, window / n_samples)
        self.step, self.n_steps, self.gamma = length / n_steps, n_steps, gamma
        chain = np.eye(n_modes, k=1) + np.eye(n_modes, k=-1)
        self._kerr = np.eye(n_modes) + cross * chain
        rates, supermodes = np.linalg.eigh(coupling * chain)
        self._disperse, self._mix = [], []
        for share in (0.5, 1.0):
            h = share * self.step
            self._disperse.append(np.exp(0.5j * beta2 * self.omega**2 * h))
            self._mix.append((supermodes * np.exp(1j * rates * h)) @ supermodes.T)
        self._coupled = n_modes > 1

    def run(self, spectra: Any, every: int = 0) -> tuple[Any, Any, list[Any]]:
        """Propagate along the whole fibre.

        Parameters
        ----------
        spectra : ndarray or torch tensor of shape (rows, n_modes, n_samples)
            FFT of the fields at the start.
        every : int
            Keep the spectra after each so many steps as well; 0 keeps none.

        Returns
        -------
        spectra : of the same shape
            At the end.
        phase : of shape (rows,)
            Largest nonlinear phase in any step, in rad.
        kept : list of spectra
        """
        xp = namespace(spectra)
        kerr = constant(self.gamma * self.step * self._kerr, spectra)
        kept = [spectra] if every else []
        largest = 0.0 * xp.abs(spectra[:, 0, 0])
        spectra = self._linear(spectra, 0)
        for step in range(1, self.n_steps + 1):
            field = xp.fft.ifft(spectra)
            phase = field.real**2 + field.imag**2
            phase = kerr @ phase if self._coupled else self.gamma * self.step * phase
            largest = xp.maximum(largest, xp.amax(xp.abs(phase), (1, 2)))
            spectra = xp.fft.fft(field * xp.exp(1j * phase))
            if every and step % every == 0:
                kept.append(self._linear(spectra, 0))
            spectra = self._linear(spectra, int(step < self.n_steps))
        return spectra, largest, kept

    def _linear(self, spectra: Any, full: int) -> Any:
        spectra = spectra * constant(self._disperse[full], spectra)
        return constant(self._mix[full], spectra) @ spectra if self._coupled else spectra
