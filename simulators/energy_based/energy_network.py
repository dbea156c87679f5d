"""Damped nodes with springs and mutual couplings, which come to rest at an energy's minimum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import LimitError
from simulators.energy_based.layers import _ROUNDS, LayeredNodes, Links, at_rest

__all__ = ["EnergyNetwork"]

Array = NDArray[Any]


class EnergyNetwork(LayeredNodes):
    """A layered network of damped, mutually coupled oscillators, read at rest.

    With the drive u = s_0, layers s_1 ... s_L, couplings W_k and biases b_k, all programmable, the
    nodes fall to a minimum of

        E = sum_k [ |s_k|^2 / 2 + cubic sum(s_k^4) / 4 - b_k . s_k - s_{k-1} W_k s_k ],

    by the damped motion ``s'' + damping s' = -dE/ds + force``: the continuous Hopfield energy
    (Hopfield, PNAS 81, 3088, 1984; Scellier and Bengio, arXiv:1602.05179) with hardening springs as
    the nonlinearity. A force on the outputs shifts the state of rest, which is what
    equilibrium propagation needs (`devices.Nudgeable`). The answer is s_L at rest. Couplings act
    both ways, so that hidden nodes feel the outputs.

    Parameters
    ----------
    n_inputs, n_outputs, hidden, setting, cubic, gain, coupling, coupling_range, bias_range
        See `LayeredNodes`.
    noise, seed
        See `LayeredNodes`.
    ideal : bool
        True switches the noise off.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    LimitError
        If springs that do not harden are programmed with couplings that they cannot hold.

    Notes
    -----
    States of rest are found by descending E exactly in one layer after the other, in which E falls
    with every step, until no state moves by more than 1e-8, or for 200 rounds: what has not come to
    rest by then is read as it is. Strong couplings may make several minima; a row comes to rest
    freely, beginning from the pull of the drive alone, before forces act. `trajectory` integrates
    the motion itself. ``spec.seconds_per_query`` estimates the time that one core computes for a
    row. The network is `devices.Differentiable`, in its drives and its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> with EnergyNetwork(n_inputs=3, n_outputs=2, hidden=4, ideal=True) as network:
    ...     free = network.relax(np.ones((1, 3)))
    ...     pushed = network.relax(np.ones((1, 3)), [[0.1, 0.0]])
    >>> bool(pushed[0, -2] > free[0, -2])
    True
    """

    _name = "energy-network"
    _seconds = 4e-9

    def energy(self, states: ArrayLike, drives: ArrayLike, forces: ArrayLike = 0.0) -> Array:
        """Return E - forces . s_L of states, (batch, n_nodes), under drives; of shape (batch,)."""
        s, u = np.asarray(states, float), np.asarray(drives, float)
        layers = [u, *self._layers(s)]
        total = (s**2 / 2 + self.cubic * s**4 / 4).sum(axis=1)
        for k, (W, b) in enumerate(self._split(self._parameters)):
            total -= ((layers[k] @ W + b) * layers[k + 1]).sum(axis=1)
        energy: Array = total - (np.asarray(forces) * layers[-1]).sum(axis=1)
        return energy

    def _program(self, values: Array) -> None:
        if self.cubic:
            return
        coupled, at = np.eye(self.n_nodes), 0
        for k, (W, _) in enumerate(self._split(values)[1:]):
            to = at + self.sizes[k + 1]
            coupled[at:to, to : to + W.shape[1]] = -W
            coupled[to : to + W.shape[1], at:to] = -W.T
            at = to
        least = float(np.linalg.eigvalsh(coupled)[0])
        if not least > 0:
            raise LimitError(
                f"{self._name}: the couplings make the smallest stiffness of a mode {least:.4g}; "
                "without hardening (cubic=0) it must be above 0: take weaker couplings"
            )

    def _pull(self, k: int, states: list[Any], links: Links) -> Any:
        pull = states[k - 1] @ links[k - 1][0] + links[k - 1][1]
        return pull + states[k + 1] @ links[k][0].T if k < len(links) else pull

    def _free(self, drives: Any, links: Links) -> list[Any]:
        return self._descend(super()._free(drives, links), links, 0.0)

    def _settle(self, drives: Any, links: Links, forces: Any) -> Any:
        states = self._free(drives, links)
        if forces.any():
            states = self._descend(states, links, forces)
        return np.concatenate(states[1:], axis=1)

    def _descend(self, states: list[Any], links: Links, forces: Any) -> list[Any]:
        """Bring the energy down in one layer after the other until nothing moves."""
        clamped = states[0] @ links[0][0] + links[0][1]
        for _ in range(_ROUNDS):
            before, states = states, list(states)
            for k in range(1, len(states)):
                pull = clamped if k == 1 else states[k - 1] @ links[k - 1][0] + links[k - 1][1]
                above = states[k + 1] @ links[k][0].T if k < len(links) else forces
                states[k] = self._held(pull + above)
            if at_rest(before[1:], states[1:]):
                break
        return states

    def _by_couplings(self, means: list[Array], moved: list[Array], k: int) -> Array:
        by: Array = means[k - 1].T @ moved[k] + moved[k - 1].T @ means[k]
        return by
