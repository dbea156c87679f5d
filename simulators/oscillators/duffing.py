"""Coupled Duffing oscillators: drive amplitudes in, amplitudes of the answer out."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import DeviceSpec
from devices.checks import flag, number, one_of, whole
from simulators._arrays import namespace
from simulators._settings import settle
from simulators._tensors import constant
from simulators.oscillators.integrators import LARGEST_PHASE, Leap, check_step
from simulators.oscillators.oscillator_network import OscillatorNetwork
from simulators.oscillators.sequence import State

__all__ = ["DuffingNetwork"]

Array = NDArray[Any]

#: What a named setting gives to the arguments left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {"force": 0.1, "cubic": 0.5, "damping": 0.2, "coupling": 0.5, "noise": 0.005},
    "rich": {"force": 0.4, "cubic": 1.0, "damping": 0.1, "coupling": 0.5, "noise": 0.005},
}
_SECONDS_PER_PRODUCT = 3e-10  # of a force; measured within a factor of two


class DuffingNetwork(OscillatorNetwork):
    """Oscillators with a cubic spring, all driven at one frequency, each with its own amplitude.

    ``x_i'' + damping x_i' + a_i x_i + cubic x_i^3 = F_i cos(w t) + sum_j J_ij (x_j - x_i) + e_i``

    (Duffing; e.g. Nayfeh and Mook, Nonlinear Oscillations, ch. 4), with symmetric J, in units of
    the typical linear frequency: a_i has the mean 1. A drive is the amplitude F_i, held for a
    step of ``n_settle + n_read`` periods. The answer is what a lock-in amplifier at w reads of
    x_i in the last n_read of them, ``2 <x exp(-i w t)>``, or its modulus. See `SequenceDevice`
    for what a row is, and `OscillatorNetwork` for which oscillator gets what.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of a row and of an answer, all steps together.
    setting : {"measured-like", "rich"}
        Where the arguments left at None get their values from: a weak drive, or one strong enough
        to bend the resonances.
    force : float or None
        Drives are from 0 to `force`.
    cubic : float or None
        Negative is a softening spring, which breaks out beyond ``x = sqrt(a / |cubic|)``.
    damping : float or None
    frequency : float
        w.
    spread : float
        Relative standard deviation of the stiffness a_i; below 0.3.
    coupling : float or None
        By how much the drawn couplings change the stiffness of a mode at most, of 1.
    couplings : array_like of shape (n, n) or None
        J itself.
    bias_range : float
        The parameters, constant forces e_i, are from -bias_range to bias_range; 0 at first.
    observe : {"amplitude", "complex"}
    n_settle, n_read : int
        Periods before and during the reading.
    n_per_period : int or None
        Time steps in a period of the drive. None: the fewest that are good for the largest
        amplitude that harmonic balance gives at full drive.
    n_steps, read, memory
        See `SequenceDevice`.
    noise : float or None
        Standard deviation of the lock-in's answers; for "complex" that of their modulus.
    seed : int
        Of a, J and the weights and, apart, of the noise.
    ideal : bool
        True switches the noise off.

    Attributes
    ----------
    amplitude_bound : float
        The largest amplitude of harmonic balance, over the modes' stiffnesses.

    Raises
    ------
    ValueError
        If an argument is out of its range, the step is too long, or the linear network is
        unstable.

    Notes
    -----
    Integrated by `integrators.Leap`. An oscillator that goes so far that its frequency
    is too high for the time step, or that breaks out of a softening spring, is a `DeviceError`.
    ``spec.seconds_per_query`` estimates the time that one core computes for a row. The network is
    `devices.Differentiable`, in drives and parameters.

    Examples
    --------
    >>> import numpy as np
    >>> with DuffingNetwork(n_inputs=4, n_outputs=4, n_settle=2) as network:
    ...     network.measure(np.zeros((2, 4))).shape
    (2, 4)
    """

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 64,
        setting: Literal["measured-like", "rich"] = "measured-like",
        force: float | None = None,
        cubic: float | None = None,
        damping: float | None = None,
        frequency: float = 1.0,
        spread: float = 0.1,
        coupling: float | None = None,
        couplings: ArrayLike | None = None,
        bias_range: float = 0.2,
        observe: Literal["amplitude", "complex"] = "amplitude",
        n_settle: int = 10,
        n_read: int = 2,
        n_per_period: int | None = None,
        n_steps: int = 1,
        read: Literal["each", "last"] = "each",
        memory: bool = False,
        noise: float | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = self._me = type(self).__name__
        chosen = settle(
            me,
            setting,
            SETTINGS,
            force=force,
            cubic=cubic,
            damping=damping,
            coupling=coupling,
            noise=noise,
        )
        self._start_sequence(n_inputs, n_outputs, n_steps, read, memory)
        high = number(me, "force", chosen["force"], 0.0, above=True)
        self.cubic = number(me, "cubic", chosen["cubic"], -math.inf)
        self.damping = number(me, "damping", chosen["damping"], 0.0)
        self.frequency = number(me, "frequency", frequency, 0.0, above=True)
        number(me, "spread", spread, 0.0, 0.3, below=True)
        number(me, "coupling", chosen["coupling"], 0.0, 1.0, below=True)
        number(me, "bias_range", bias_range, 0.0, above=True)
        self._complex = one_of(me, "observe", observe, ("amplitude", "complex")) == "complex"
        self._settle = whole(me, "n_settle", n_settle, 0)
        self._read = whole(me, "n_read", n_read, 1)
        self._noise = number(me, "noise", chosen["noise"], 0.0) * (not flag(me, "ideal", ideal))
        whole(me, "seed", seed, 0)
        drawn, noisy = np.random.SeedSequence(seed).spawn(2)
        self._random = np.random.default_rng(noisy)
        rng = np.random.default_rng(drawn)
        n = max(self._n_channels, self.n_nodes)
        own = 1 + spread * np.clip(rng.standard_normal(n), -3, 3)
        self._start_network(couplings, chosen["coupling"], own, rng)
        self._check_stable()
        self._set_step(n_per_period, high)
        self.spec = DeviceSpec(
            name="duffing-network",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            high=high,
            output_dtype="complex128" if self._complex else "float64",
            seconds_per_query=4
            * n_steps
            * (self._settle + self._read)
            * self._n_per_period
            * n
            * (n + 30)
            * _SECONDS_PER_PRODUCT,
            memory=self._memory,
        )
        self._start_parameters(-bias_range, bias_range, np.zeros(n))

    # -- hooks ---------------------------------------------------------------------------------

    def _force(self, q: Any, push: Any) -> Any:
        return push - q @ constant(self.stiffness, q) - self.cubic * (q * q * q)

    def _rest(self, rows: int, parameters: Any) -> State:
        return tuple(np.zeros((5, rows, self.n_oscillators)))

    def _advance(self, state: State, values: Any, parameters: Any) -> State:
        xp = namespace(values)
        x, v, *_, peak = state
        drive = self._dealt(values)
        w, n = self.frequency, self._n_per_period
        leap = Leap(
            lambda x, t: self._force(x, parameters + drive * math.cos(w * t)),
            self.step,
            self.damping,
        )
        real, imag = 0.0 * x, 0.0 * x
        for k in range((self._settle + self._read) * n):
            t = k % n * self.step  # a step is whole periods: the drive's phase goes on
            if k >= self._settle * n:
                real = real + math.cos(w * t) * x
                imag = imag - math.sin(w * t) * x
            x, v = leap(x, v, t)
            peak = xp.maximum(peak, xp.abs(self._watched(x, v)))
        share = 2 / (self._read * n)
        return x, v, share * real, share * imag, peak

    def _observe(self, state: State) -> Any:
        real, imag = (part[:, : self.n_nodes] for part in state[2:4])
        if self._complex:
            return real + 1j * imag
        # At rest the root has no slope; a tiny floor keeps derivatives finite.
        return (real**2 + imag**2 + 1e-30) ** 0.5

    def _watched(self, q: Any, v: Any) -> Any:
        return q

    def _told(self, worst: float) -> str:
        return (
            f"an oscillator went out to {worst:.3g}; the time step of {self.step:.3g} is good up "
            f"to {self._most:.3g}. Lower the force, raise n_per_period={self._n_per_period}"
            + (", or soften less" if self.cubic < 0 else "")
        )

    # -- set-up --------------------------------------------------------------------------------

    def _set_step(self, n_per_period: int | None, force: float) -> None:
        """Choose or check the time step for the largest amplitude to be expected."""
        least, most = self.stiffness_range
        self.amplitude_bound = max(
            _harmonic_balance(a, self.cubic, self.damping, self.frequency, force)
            for a in np.linspace(least, most, 33)
        )
        # The tangent stiffness at that amplitude; a softening spring is fastest at rest.
        stiffest = most + 3 * max(self.cubic, 0.0) * self.amplitude_bound**2
        fastest = max(math.sqrt(stiffest), self.frequency)
        period = 2 * math.pi / self.frequency
        if n_per_period is None:
            n_per_period = math.ceil(period * fastest / LARGEST_PHASE)
        self._n_per_period = whole(self._me, "n_per_period", n_per_period, 4)
        self.step = period / n_per_period
        check_step(
            self._me,
            f"the time step with n_per_period={n_per_period}",
            self.step,
            fastest,
            f"at the amplitude {self.amplitude_bound:.3g} of full drive",
        )
        # Twice the frequency is still stable; a softening spring has lost its hold at the top.
        room = (2 * LARGEST_PHASE / self.step) ** 2 - most
        self._most = 1e6
        if self.cubic > 0:
            self._most = math.sqrt(max(room, stiffest - most) / (3 * self.cubic))
        elif self.cubic < 0:
            self._most = math.sqrt(most / -self.cubic)


def _harmonic_balance(a: float, b: float, damping: float, w: float, force: float) -> float:
    """Return the largest x with ``((a - w^2 + 3/4 b x^2)^2 + (damping w)^2) x^2 = force^2``."""
    detuning = a - w**2
    if b == 0:
        return force / max(math.hypot(detuning, damping * w), 1e-9)
    cubic = [9 / 16 * b**2, 1.5 * b * detuning, detuning**2 + (damping * w) ** 2, -(force**2)]
    roots = np.roots(cubic)
    return float(np.sqrt(roots[np.abs(roots.imag) < 1e-9 * np.abs(roots) + 1e-15].real.max()))
