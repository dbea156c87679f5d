"""Particle swarm."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from devices.checks import whole
from pnn.rules.search import Judge, SearchRule

__all__ = ["ParticleSwarm"]

#: Constriction and attraction: Clerc and Kennedy, IEEE Trans. Evol. Comput. 6, 58 (2002).
_KEEP, _PULL = 0.7298, 1.4962


class ParticleSwarm(SearchRule):
    """Particles fly towards what they, and all, have found best (Kennedy & Eberhart, 1995).

    Proc. IEEE Int. Conf. Neural Networks, 1942. With r, r' uniform on [0, 1] in each number, p the
    best place of a particle so far and g that of all,

        v <- 0.7298 v + 1.4962 (r (p - x) + r' (g - x)),    x <- x + v,

    Clerc and Kennedy's constants. A loss depends on its batch: places and best places are judged on
    the same one, which takes two evaluations for each particle in the step of an epoch. The vector
    is described in `SearchRule`; in the end it is g.

    Parameters
    ----------
    spread : float
        Standard deviation of the places at the start, around zero; one particle is at zero.
    particles : int
    """

    name: ClassVar[str] = "particle-swarm"
    reported: ClassVar[str] = "behind PEPG on a laser network, MNIST (arXiv:2503.16943)"
    works_on: ClassVar[str] = (
        "any device; up to a few hundred numbers; needs nothing smooth, bits included"
    )
    longest: ClassVar[int] = 500
    why_longest: ClassVar[str] = "a swarm is thin in so many dimensions"

    def __init__(self, spread: float = 0.1, particles: int = 10) -> None:
        super().__init__(spread)
        self.particles = whole(self.name, "particles", particles, 2)

    def evaluations(self, length: int) -> int:
        """Return two for each particle."""
        return 2 * self.particles

    def begin(self, length: int, rng: np.random.Generator) -> None:
        """Scatter the particles around zero, at rest."""
        self.rng, shape = rng, (self.particles, length)
        self.x = self.spread * rng.standard_normal(shape)
        self.x[0] = 0.0
        self.v, self.p, self.g = np.zeros(shape), self.x.copy(), self.x[0].copy()

    def step(self, judge: Judge) -> None:
        """Judge the places beside the best ones, and fly on."""
        here, kept = np.split(judge([*self.x, *self.p]), 2)
        better = here < kept
        self.p[better] = self.x[better]
        self.g = self.p[np.argmin(np.minimum(here, kept))].copy()
        own, common = self.rng.random((2, *self.x.shape))
        self.v = _KEEP * self.v + _PULL * (own * (self.p - self.x) + common * (self.g - self.x))
        self.x = self.x + self.v

    @property
    def best(self) -> NDArray[Any]:
        """Return g."""
        return self.g
