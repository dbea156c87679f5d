"""Pairs of nodes: means go up, differences come down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.energy_based.layers import _ROUNDS, LayeredNodes, Links, at_rest

__all__ = ["DyadicNetwork"]

Array = NDArray[Any]


class DyadicNetwork(LayeredNodes):
    """A layered network in which every node is a pair of damped nodes, read at rest.

    The halves s+ and s- of a pair are pulled by the mean of the layer below, and, in opposite
    directions, by the difference of the layer above (Hoier, Staudt and Zach, arXiv:2302.01228):

        s_k(+-) + cubic s_k(+-)^3 = (s_{k-1}(+) + s_{k-1}(-)) / 2 W_k + b_k
                                    +- (s_{k+1}(+) - s_{k+1}(-)) / 2 W_k+1^T,

    where an output's halves feel the force and its opposite instead of a layer above. Without a
    force the halves are alike and nothing comes down: the answer is that of a feed-forward
    network. With one, activity (the mean) and error (the difference) settle at the same time,
    which is what dual propagation needs.

    Parameters
    ----------
    n_inputs, n_outputs, hidden, setting, cubic, gain, coupling, coupling_range, bias_range
        See `LayeredNodes`; a row is read as (2, n_nodes), + and -.
    noise, seed
        See `LayeredNodes`.
    ideal : bool
        True switches the noise off.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    At rest means that no state moves by more than 1e-8 in a round; there are 200 rounds at the
    most. ``spec.seconds_per_query`` estimates the time that one core computes for a row. The
    network is `devices.Differentiable`, in its drives and its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> with DyadicNetwork(n_inputs=3, n_outputs=2, hidden=4, ideal=True) as network:
    ...     pair = network.relax(np.ones((1, 3)), [[0.1, 0.0]])
    >>> pair.shape, bool(pair[0, 0, -2] > pair[0, 1, -2])
    ((1, 2, 6), True)
    """

    _name = "dyadic-network"
    _seconds = 5e-10
    dyadic = True

    def _pull(self, k: int, states: list[Any], links: Links) -> Any:
        return states[k - 1] @ links[k - 1][0] + links[k - 1][1]

    def _settle(self, drives: Any, links: Links, forces: Any) -> Any:
        first = self._free(drives, links)[1:]
        pairs = [np.stack([s, s], axis=1) for s in first]
        for _ in range(_ROUNDS):
            before, pairs = pairs, list(pairs)
            for k in reversed(range(len(pairs))):
                W, b = links[k]
                up = (pairs[k - 1].mean(axis=1) if k else drives) @ W + b
                down = forces
                if k + 1 < len(pairs):
                    down = (pairs[k + 1][:, 0] - pairs[k + 1][:, 1]) / 2 @ links[k + 1][0].T
                pairs[k] = self._held(np.stack([up + down, up - down], axis=1))
            if at_rest(before, pairs):
                break
        return np.concatenate(pairs, axis=2)

    def _by_couplings(self, means: list[Array], moved: list[Array], k: int) -> Array:
        # Only means go up through a coupling, so the layer below contributes no change.
        by: Array = means[k - 1].T @ moved[k]
        return by
