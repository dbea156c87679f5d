"""Simultaneous perturbation stochastic approximation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pnn.rules.search import Judge, SearchRule

__all__ = ["SPSA"]


class SPSA(SearchRule):
    """Two losses along random signs make a step (Spall, IEEE Trans. Autom. Control 37, 332 (1992)).

    With signs e and step k = 0, 1, ...,

        slope = (L(x + c_k e) - L(x - c_k e)) / 2 c_k,    x <- x - a_k slope / size  e,
        c_k = c / (k + 1)^0.101,    a_k = a / (k + 1 + K)^0.602,

    Spall's exponents. `size` is the root mean square of the slopes so far, so that a_k needs no
    tuning to the loss: the first step has the size a / K^0.602 = c / 10 in each number. Two
    evaluations for every batch of an epoch. The vector is described in `SearchRule`.

    Parameters
    ----------
    spread : float
        c.
    """

    name: ClassVar[str] = "spsa"
    reported: ClassVar[str] = "six vowels 92.5 % (on chip, three layers of six, arXiv:2208.01623)"
    works_on: ClassVar[str] = "devices with few inputs or parameters, in any domain; noisy steps"
    every_batch: ClassVar[bool] = True
    longest: ClassVar[int] = 5000
    why_longest: ClassVar[str] = "the variance of a step grows with their number"

    def evaluations(self, length: int) -> int:
        """Return two."""
        return 2

    def begin(self, length: int, rng: np.random.Generator) -> None:
        """Begin at zero."""
        self.x, self.rng, self.k, self.power = np.zeros(length), rng, 0, 0.0

    def step(self, judge: Judge) -> None:
        """Step against the slope along random signs."""
        signs = self.rng.choice([-1.0, 1.0], len(self.x))
        c = self.spread / (self.k + 1) ** 0.101
        up, down = judge([self.x + c * signs, self.x - c * signs])
        slope = (up - down) / (2 * c)
        self.power += slope**2
        self.k += 1
        size = np.sqrt(self.power / self.k) or 1.0
        a = 0.1 * self.spread * (_STABLE / (self.k + _STABLE)) ** 0.602
        self.x = self.x - a * slope / size * signs

    @property
    def best(self) -> NDArray[Any]:
        """Return x."""
        return self.x


#: K: steps after which the steps begin to shrink.
_STABLE = 50
