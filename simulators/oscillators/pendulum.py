"""Coupled pendula: start angles or torques in, angles or velocities out."""

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

__all__ = ["PendulumNetwork"]

Array = NDArray[Any]

#: What a named setting gives to the arguments left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {
        "reach": {"angle": 1.0, "torque": 0.3},
        "duration": 5.0,
        "coupling": 0.6,
        "noise": 0.02,
    },
    "rich": {
        "reach": {"angle": 1.5, "torque": 0.8},
        "duration": 14.0,
        "coupling": 0.6,
        "noise": 0.01,
    },
}
_MOST_TURN = 1.5  # rad in a time step; a pendulum that goes round feels its force at that pace
_SECONDS_PER_PRODUCT = 3e-10  # of a force; measured within a factor of two


class PendulumNetwork(OscillatorNetwork):
    """Pendula that are coupled by the sines of their angles.

    As in the simulations of physics-aware training (Wright et al., Nature 601, 549, 2022)::

        q_i'' = -sin q_i + sum_j J_ij (sin q_j - sin q_i) + e_i - damping q_i'

    with symmetric J. Time is in units of 1 / w0, w0 the angular frequency of a single pendulum's
    small oscillation. With ``A = stiffness = 1 + diag(sum_j J_ij) - J`` the force is ``-A sin q +
    e``, and without damping ``v A^-1 v / 2 + sum_i (1 - cos q_i) - e A^-1 q`` is conserved. A must
    be positive.

    A drive is the angle from which each pendulum starts at rest (`drive` "angle", for a layer), or
    a torque that adds to e during a step (`drive` "torque", for sequences). See `SequenceDevice`
    for what a row is, and `OscillatorNetwork` for which pendulum gets what.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of a row and of an answer, all steps together.
    setting : {"measured-like", "rich"}
        Where the arguments left at None get their values from: small angles and a short time, or
        large ones.
    drive : {"angle", "torque"} or None
        None: "angle" for one step without memory, else "torque".
    reach : float or None
        Drives are from -reach to reach, in rad or as torques. A torque of 1 holds a pendulum
        horizontal.
    duration : float or None
        Time of a step.
    coupling : float or None
        By how much the drawn couplings change the stiffness of a mode at most, of 1.
    couplings : array_like of shape (n, n) or None
        J itself.
    damping : float or None
        None: 0 with start angles, 0.2 with torques, where a reservoir must forget.
    bias_range : float
        The parameters, constant torques e_i, are from -bias_range to bias_range; 0 at first.
    observe : {"angle", "velocity"}
        What is read at the end of a step.
    n_steps, read, memory
        See `SequenceDevice`.
    step : float or None
        Longest time step. At most 0.5 over the highest angular frequency. None: 0.4 over it, or
        less where torques can make a pendulum go round fast.
    noise : float or None
        Standard deviation of the answers' noise.
    seed : int
        Of J and the weights and, apart, of the noise.
    ideal : bool
        True switches the noise off.

    Raises
    ------
    ValueError
        If an argument is out of its range, the step is too long, or A is not positive.

    Notes
    -----
    Integrated by `integrators.Leap`. A pendulum that turns by more than 1.5 rad in a
    time step is a `DeviceError`. ``spec.seconds_per_query`` estimates the time that one core
    computes for a row. The network is `devices.Differentiable`, in drives and parameters.

    Examples
    --------
    >>> import numpy as np
    >>> with PendulumNetwork(n_inputs=4, n_outputs=4) as pendula:
    ...     pendula.measure(np.zeros((2, 4))).shape
    (2, 4)
    """

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 64,
        setting: Literal["measured-like", "rich"] = "measured-like",
        drive: Literal["angle", "torque"] | None = None,
        reach: float | None = None,
        duration: float | None = None,
        coupling: float | None = None,
        couplings: ArrayLike | None = None,
        damping: float | None = None,
        bias_range: float = 0.2,
        observe: Literal["angle", "velocity"] = "angle",
        n_steps: int = 1,
        read: Literal["each", "last"] = "each",
        memory: bool = False,
        step: float | None = None,
        noise: float | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = self._me = type(self).__name__
        chosen = settle(
            me, setting, SETTINGS, reach=None, duration=duration, coupling=coupling, noise=noise
        )
        self._start_sequence(n_inputs, n_outputs, n_steps, read, memory)
        one_step = n_steps == 1 and not memory
        if drive is None:
            drive = "angle" if one_step else "torque"
        self._angles = one_of(me, "drive", drive, ("angle", "torque")) == "angle"
        if self._angles and not one_step:
            raise ValueError(
                f"{me}: drive='angle' sets the start of a row, which has n_steps={n_steps} and "
                f"memory={memory}; take drive='torque'"
            )
        if reach is None:
            reach = chosen["reach"][drive]
        high = number(me, "reach", reach, 0.0, above=True)
        self._duration = number(me, "duration", chosen["duration"], 0.0, above=True)
        number(me, "coupling", chosen["coupling"], 0.0, 1.0, below=True)
        if damping is None:
            damping = 0.0 if self._angles else 0.2
        self.damping = number(me, "damping", damping, 0.0)
        number(me, "bias_range", bias_range, 0.0, above=True)
        self._velocity = one_of(me, "observe", observe, ("angle", "velocity")) == "velocity"
        self._noise = number(me, "noise", chosen["noise"], 0.0) * (not flag(me, "ideal", ideal))
        whole(me, "seed", seed, 0)
        drawn, noisy = np.random.SeedSequence(seed).spawn(2)
        self._random = np.random.default_rng(noisy)
        self._start_network(couplings, chosen["coupling"], 1.0, np.random.default_rng(drawn))
        self._check_stable()
        # The force's derivative is -A diag(cos q): nothing is faster than small oscillations.
        fastest = math.sqrt(self.stiffness_range[1])
        if step is None:
            push = bias_range + high * (not self._angles)
            carried = min(self._duration, 1 / max(damping, 1e-9)) * push
            step = min(0.8 * LARGEST_PHASE / fastest, 0.9 * _MOST_TURN / (carried + 2.2 * fastest))
        number(me, "step", step, 0.0, above=True)
        check_step(me, "step", step, fastest, "of a small oscillation")
        self._parts = math.ceil(self._duration / step)
        self.step = self._duration / self._parts
        self._most = _MOST_TURN / self.step
        n = self.n_oscillators
        self.spec = DeviceSpec(
            name="pendulum-network",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            low=-high,
            high=high,
            input_unit="rad" if self._angles else "1",
            output_unit="1" if self._velocity else "rad",
            seconds_per_query=4 * n_steps * self._parts * n * (n + 30) * _SECONDS_PER_PRODUCT,
            memory=self._memory,
        )
        self._start_parameters(-bias_range, bias_range, np.zeros(n))

    def energy(self, angles: ArrayLike, velocities: ArrayLike) -> Array:
        """Return the conserved energy of states of shape (..., n), of shape (...)."""
        q, v = np.asarray(angles, float), np.asarray(velocities, float)
        inverse = np.linalg.inv(self.stiffness)
        kinetic = 0.5 * np.einsum("...i,ij,...j->...", v, inverse, v)
        total: Array = kinetic + (1 - np.cos(q)).sum(axis=-1) - q @ (inverse @ self.parameters)
        return total

    # -- hooks ---------------------------------------------------------------------------------

    def _force(self, q: Any, push: Any) -> Any:
        return push - namespace(q).sin(q) @ constant(self.stiffness, q)

    def _rest(self, rows: int, parameters: Any) -> State:
        return tuple(np.zeros((3, rows, self.n_oscillators)))

    def _advance(self, state: State, values: Any, parameters: Any) -> State:
        xp = namespace(values)
        q, v, peak = state
        push = parameters
        if self._angles:
            q = self._dealt(values)
        else:
            push = push + self._dealt(values)
        leap = Leap(lambda q, _: self._force(q, push), self.step, self.damping)
        for _ in range(self._parts):
            q, v = leap(q, v)
            peak = xp.maximum(peak, xp.abs(self._watched(q, v)))
        return q, v, peak

    def _observe(self, state: State) -> Any:
        return state[1 if self._velocity else 0][:, : self.n_nodes]

    def _watched(self, q: Any, v: Any) -> Any:
        return v

    def _told(self, worst: float) -> str:
        return (
            f"a pendulum turned by {worst * self.step:.3g} rad in a time step of {self.step:.3g}; "
            f"at most {_MOST_TURN:g} is allowed. Lower the torques, raise the damping, or give a "
            "smaller step"
        )
