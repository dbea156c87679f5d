"""Layers of damped nodes with programmable couplings: what energy-based networks share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from devices import DeviceSpec, Nudgeable
from devices.checks import flag, number, whole
from simulators._arrays import namespace
from simulators._settings import settle
from simulators._tensors import constant, differentiable
from simulators.picture import Picture

__all__ = ["LayeredNodes", "Links"]

Array = NDArray[Any]
#: For each layer the couplings from the layer below, (nodes below, nodes), and the biases.
Links = list[tuple[Any, Any]]

#: What a named setting gives to the arguments left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {"cubic": 0.5, "gain": 0.7, "coupling": 0.3, "noise": 0.005},
    "rich": {"cubic": 10.0, "gain": 6.0, "coupling": 0.8, "noise": 0.005},
}
_ROUNDS = 200
_AT_REST = 1e-8


class LayeredNodes(Nudgeable):
    """Base of networks of damped nodes in layers, read when they have come to rest.

    Each node is held by a hardening spring, s + cubic s^3, and pulled by the nodes that it is
    coupled to, and by a bias. Layer 0 is the drive, clamped; the last layer is the answer. States
    are in units in which the spring's linear part is 1.

    Parameters
    ----------
    n_inputs, n_outputs : int
    hidden : int or sequence of int
        Nodes of the layers between inputs and outputs; an empty sequence for none.
    setting : {"measured-like", "rich"}
        Where the arguments left at None get their values from: weak couplings and springs that
        hardly harden, or strong ones.
    cubic : float or None
        Hardening of the springs; 0 makes the network linear.
    gain, coupling : float or None
        Standard deviation of the pull on a node of the first layer by all drives, and on one of a
        later layer by all nodes below, at the couplings at first, for states of size 1.
    coupling_range, bias_range : float
        The parameters are couplings from -coupling_range to coupling_range and biases from
        -bias_range to bias_range; for each layer its couplings, row by row of the layer below,
        then its biases, which are 0 at first.
    noise : float or None
        Standard deviation of the noise of every state that is read.
    seed : int
        Of the couplings and, apart, of the noise.
    ideal : bool
        True switches the noise off.

    Attributes
    ----------
    sizes : tuple of int
        Nodes of each layer, the inputs first.
    """

    reproducible = True
    _name: ClassVar[str]
    #: Of a row, on one core, for each parameter; measured within a factor of two.
    _seconds: ClassVar[float]

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 64,
        hidden: int | Sequence[int] = 64,
        setting: Literal["measured-like", "rich"] = "measured-like",
        cubic: float | None = None,
        gain: float | None = None,
        coupling: float | None = None,
        coupling_range: float = 2.0,
        bias_range: float = 2.0,
        noise: float | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = self._me = type(self).__name__
        chosen = settle(
            me, setting, SETTINGS, cubic=cubic, gain=gain, coupling=coupling, noise=noise
        )
        self.cubic = number(me, "cubic", chosen["cubic"], 0.0)
        first = number(me, "gain", chosen["gain"], 0.0)
        later = number(me, "coupling", chosen["coupling"], 0.0)
        reach = number(me, "coupling_range", coupling_range, 0.0, above=True)
        number(me, "bias_range", bias_range, 0.0, above=True)
        self._noise = number(me, "noise", chosen["noise"], 0.0) * (not flag(me, "ideal", ideal))
        between = [whole(me, "hidden", n, 1) for n in np.atleast_1d(hidden)]
        ends = whole(me, "n_inputs", n_inputs, 1), whole(me, "n_outputs", n_outputs, 1)
        self.sizes = (ends[0], *between, ends[1])
        self.n_nodes = sum(self.sizes[1:])
        self.force_limit = 10.0
        whole(me, "seed", seed, 0)
        drawn, noisy = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
        self._random = noisy
        values, limits = [], []
        for k, (below, n) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            strength = (later if k else first) / math.sqrt(below)
            couplings = strength * drawn.standard_normal(below * n)
            values += [np.clip(couplings, -reach, reach), np.zeros(n)]
            limits += [np.full(below * n, reach), np.full(n, bias_range)]
        high = np.concatenate(limits)
        self.spec = DeviceSpec(
            name=self._name,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            low=-1.0,
            high=1.0,
            seconds_per_query=len(high) * self._seconds,
        )
        self._start_parameters(-high, high, np.concatenate(values))
        self._program(self._parameters)

    # -- hooks of a subclass -------------------------------------------------------------------

    @abstractmethod
    def _pull(self, k: int, states: list[Any], links: Links) -> Any:
        """Return the pull on the nodes of layer `k` by others; `states` has the drive first."""

    @abstractmethod
    def _settle(self, drives: Any, links: Links, forces: Any) -> Any:
        """Return the states of rest as `relax` has them, before noise."""

    # -- public --------------------------------------------------------------------------------

    def forward(self, drives: Any, parameters: Any = None) -> Any:
        """Return the noiseless answers, differentiable by torch.

        Parameters
        ----------
        drives : torch tensor of shape (batch, n_inputs)
        parameters : torch tensor of shape (n_parameters,) or None
            None takes the values that are programmed.

        Raises
        ------
        ValueError
            If an argument is not a tensor of that shape. Limits are not checked.
        """
        drives = differentiable(self._me, "drives", drives, self.spec.n_inputs, 2)
        if parameters is None:
            parameters = constant(self._parameters, drives)
        else:
            parameters = differentiable(
                self._me, "parameters", parameters, len(self._parameters), 1
            )
        return self._free(drives, self._split(parameters))[-1]

    def contrast(
        self, first: Array, second: Array, drives: Array, weights: Array
    ) -> tuple[Array, Array]:
        """See `devices.Nudgeable.contrast`; dE/dW is -s s' of the nodes at a coupling's ends."""
        links, weigh = self._split(self._parameters), np.asarray(weights)[:, None]
        means = [np.asarray(drives, float), *self._layers((first + second) / 2)]
        moved = [np.zeros_like(means[0]), *self._layers(weigh * (first - second))]
        parts = []
        for k in range(1, len(self.sizes)):
            parts += [self._by_couplings(means, moved, k).ravel(), moved[k].sum(axis=0)]
        return -np.concatenate(parts), -moved[1] @ links[0][0].T

    @abstractmethod
    def _by_couplings(self, means: list[Array], moved: list[Array], k: int) -> Array:
        """Return the change of s s' at the couplings below layer `k`, from means and changes."""

    def trajectory(
        self, drive: ArrayLike, *, duration: float = 30.0, damping: float = 1.0, n_points: int = 150
    ) -> tuple[Array, Array, Array]:
        """Return the damped motion ``s'' = pull - s - cubic s^3 - damping s'`` from zero.

        It ends where `measure` reads. Time is in units of a free node's 1 / w0. Not counted as a
        query.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,)
            Legal, held all the time.
        duration, damping : float
        n_points : int
            Times after the first.

        Returns
        -------
        times : ndarray of shape (n_points + 1,)
        states, velocities : ndarray of shape (n_points + 1, n_nodes)

        Raises
        ------
        ValueError, LimitError
            If an argument is out of its range.
        """
        me = f"{self._me}.trajectory"
        number(me, "duration", duration, 0.0, above=True)
        number(me, "damping", damping, 0.0)
        u, links = self.spec.check_drives(np.asarray(drive)[None]), self._split(self._parameters)
        n = self.n_nodes

        def motion(_: float, both: Array) -> Array:
            s, v = both[:n], both[n:]
            states = [u, *self._layers(s[None])]
            pulls = [self._pull(k, states, links)[0] for k in range(1, len(states))]
            return np.concatenate([v, np.concatenate(pulls) - s - self.cubic * s**3 - damping * v])

        times = np.linspace(0.0, duration, 1 + whole(me, "n_points", n_points, 1))
        found = solve_ivp(motion, (0.0, duration), np.zeros(2 * n), "DOP853", times, rtol=1e-8)
        return times, found.y[:n].T, found.y[n:].T

    def picture(self, drive: ArrayLike | None = None, *, duration: float = 30.0) -> Picture:
        """Return how the nodes come to rest under a drive; None: the first half at 1, others -1."""
        if drive is None:
            drive = np.where(np.arange(self.spec.n_inputs) < self.spec.n_inputs / 2, 1.0, -1.0)
        times, states, _ = self.trajectory(drive, duration=duration)
        return Picture(
            title=f"Nodes of the {self.spec.name} come to rest",
            values=states.T,
            x=times,
            label="state",
            x_label="time",
        )

    # -- inside --------------------------------------------------------------------------------

    def _measure(self, drives: Array) -> Array:
        answers: Array = self._free(drives, self._split(self._parameters))[-1]
        return self._read(answers)

    def _relax(self, drives: Array, forces: Array) -> Array:
        return self._read(self._settle(drives, self._split(self._parameters), forces))

    def _read(self, states: Array) -> Array:
        if not self._noise:
            return states
        return states + self._noise * self._random.standard_normal(states.shape)

    def _program(self, values: Array) -> None:
        pass  # read from the parameters when rows are driven

    def _free(self, drives: Any, links: Links) -> list[Any]:
        """Return the states at rest without forces, layer by layer, the drive first."""
        states = [drives]
        for W, b in links:
            states.append(self._held(states[-1] @ W + b))
        return states

    def _held(self, pull: Any) -> Any:
        """Return where a spring holds a node against a pull: s + cubic s^3 = pull."""
        if not self.cubic:
            return pull
        xp, scale = namespace(pull), 2 / math.sqrt(3 * self.cubic)
        return scale * xp.sinh(xp.arcsinh(3 / scale * pull) / 3)

    def _split(self, parameters: Any) -> Links:
        links, at = [], 0
        for below, n in zip(self.sizes, self.sizes[1:], strict=False):
            W = parameters[at : at + below * n].reshape(below, n)
            links.append((W, parameters[at + below * n : at + (below + 1) * n]))
            at += (below + 1) * n
        return links

    def _layers(self, states: Array) -> list[Array]:
        """Return states, (..., n_nodes), layer by layer."""
        return np.split(states, np.cumsum(self.sizes[1:-1]), axis=-1)


def at_rest(before: list[Any], after: list[Any]) -> bool:
    """Whether no state moved in a round."""
    moved = (abs(a - b).max() for a, b in zip(after, before, strict=True) if a.shape[0])
    return all(bool(most < _AT_REST) for most in moved)
