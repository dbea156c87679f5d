"""Antennas, walls and tunable elements as one system of dipoles."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.microwave.dipole_reduction import Reduced
from simulators.microwave.dipoles import coupling, interaction_matrix, self_interaction
from simulators.microwave.metasurface_layout import Layout

__all__ = ["DipoleNetwork"]

Array = NDArray[Any]

_ANTENNA = (1.0, 0.5, 0.0)  # f_i, chi, gamma


class DipoleNetwork:
    """The dipoles of a cavity; only the resonances of its elements change.

    Parameters
    ----------
    layout : Layout
    frequencies : ndarray of shape (n_frequencies,)
    wall : (float, float, float)
        f_i, chi and gamma of the fence.
    chi, loss : float
        Coupling and gamma of the elements.
    """

    def __init__(
        self,
        layout: Layout,
        frequencies: Array,
        *,
        wall: tuple[float, float, float],
        chi: float,
        loss: float,
    ) -> None:
        self.layout, self.frequencies = layout, frequencies
        self.positions = np.concatenate(layout)
        self._wall, self._chi, self._loss = wall, chi, loss
        counts = [len(part) for part in layout]
        self._transmitters = np.arange(counts[0])
        self._receivers = counts[0] + np.arange(counts[1])
        self._n_elements = counts[3]

    def at(self, frequencies: Array) -> DipoleNetwork:
        """Return the same dipoles at other frequencies."""
        return DipoleNetwork(
            self.layout, frequencies, wall=self._wall, chi=self._chi, loss=self._loss
        )

    # -- one frequency -------------------------------------------------------------------------

    def matrix(self, frequency: float, resonances: Array | float) -> Array:
        """Return W, (n, n), for resonances of the elements, (n_elements,) or one for all."""
        antenna = self_interaction(frequency, *_ANTENNA)
        fence = self_interaction(frequency, *self._wall)
        own = self_interaction(frequency, resonances, self._chi, self._loss)
        n_antennas = len(self._transmitters) + len(self._receivers)
        diagonal = np.concatenate(
            [
                np.full(n_antennas, antenna),
                np.full(len(self.layout.walls), fence),
                np.broadcast_to(own, (self._n_elements,)),
            ]
        )
        return interaction_matrix(self.positions, frequency, diagonal)

    def reduce(self, frequency: float) -> Reduced:
        """Return the system at one frequency without walls and antennas."""
        matrix = self.matrix(frequency, 1.0)
        return Reduced.eliminate(matrix, self._receivers, self._transmitters, self._n_elements)

    def field(self, points: Array, frequency: float, resonances: Array) -> Array:
        """Return E, complex, at points, (n, 2), of a unit drive at the first transmitter.

        ``E = -i (k^2 / 4) sum_j H0^(2)(k |r - r_j|) p_j`` with the moments ``p = W^-1 e``; the
        field of a dipole grows without bound towards it.
        """
        drive = np.eye(len(self.positions))[0]
        moments = np.linalg.solve(self.matrix(frequency, resonances), drive)
        field: Array = -coupling(points, self.positions, frequency) @ moments
        return field

    # -- all frequencies -----------------------------------------------------------------------

    @functools.cached_property
    def reduced(self) -> Reduced:
        """The systems without walls and antennas, at all frequencies."""
        return Reduced.stack([self.reduce(f) for f in self.frequencies])

    @functools.cached_property
    def antenna_terms(self) -> Array:
        """The antennas' own terms, which turn W^-1 into H: (n_frequencies, 1, 1, 1)."""
        return self_interaction(self.frequencies, *_ANTENNA)[:, None, None, None]

    def own(self, resonances: Array) -> Array:
        """Return the elements' own terms, (n_frequencies, batch, n), of (batch, n) resonances."""
        f = self.frequencies[:, None, None]
        return self_interaction(f, resonances, self._chi, self._loss)

    def forward(self, resonances: Any) -> Any:
        """Return H, (n_frequencies, batch, n_receivers, n_transmitters), of a torch tensor."""
        import torch

        def tensor(part: Array) -> Any:
            return torch.as_tensor(part, device=resonances.device)

        # Only the resonance depends on the drive: (2 pi f_i)^2 / chi^2.
        at_zero = tensor(self.own(np.zeros((1, 1))))
        own = at_zero + (2 * np.pi / self._chi * resonances) ** 2
        system = tensor(self.reduced.core)[:, None] + torch.diag_embed(own)
        right, left = tensor(self.reduced.right)[:, None], tensor(self.reduced.left)[:, None]
        inverse = tensor(self.reduced.direct)[:, None] + left @ torch.linalg.solve(system, right)
        return tensor(self.antenna_terms) * inverse
