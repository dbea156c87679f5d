"""Parameter-exploring policy gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from pnn.rules.search import Judge, SearchRule

__all__ = ["PEPG"]


class PEPG(SearchRule):
    """Symmetric samples of a normal distribution, one deviation per number (Sehnke et al., 2010).

    Neural Networks 23, 551. With e_i = s n_i, n_i ~ N(0, 1), and the losses l+ and l- at m +- e_i,
    both over the deviation of all losses of the step,

        m <- m - rate mean_i (l+ - l-) / 2  e_i,
        s <- s exp(-rate_s mean_i ((l+ + l-) / 2 - mean l) (n_i^2 - 1)),

    a multiplicative step of s, which cannot change its sign. `pairs` pairs, judged on one batch,
    make the step of an epoch. The vector is described in `SearchRule`; in the end it is m.

    Parameters
    ----------
    spread : float
        s at the start.
    pairs : int
        Pairs of opposite samples.
    rate : float
        Of m; that of s is a tenth of it.
    """

    name: ClassVar[str] = "pepg"
    reported: ClassVar[str] = "best of five on a laser network, MNIST (arXiv:2503.16943)"
    works_on: ClassVar[str] = (
        "devices with up to a few thousand inputs or parameters, in any domain; bears noise"
    )
    longest: ClassVar[int] = 5000
    why_longest: ClassVar[str] = "the variance of a step grows with their number"

    def __init__(self, spread: float = 0.1, pairs: int = 8, rate: float = 1.0) -> None:
        super().__init__(spread)
        self.pairs = whole(self.name, "pairs", pairs, 1)
        self.rate = number(self.name, "rate", rate, 0.0, above=True)

    def evaluations(self, length: int) -> int:
        """Return two for each pair."""
        return 2 * self.pairs

    def begin(self, length: int, rng: np.random.Generator) -> None:
        """Begin at zero."""
        self.m, self.s, self.rng = np.zeros(length), np.full(length, self.spread), rng

    def step(self, judge: Judge) -> None:
        """Move m and s by the losses of the pairs."""
        n = self.rng.standard_normal((self.pairs, len(self.m)))
        e = self.s * n
        losses = judge([*(self.m + e), *(self.m - e)])
        up, down = np.split((losses - losses.mean()) / max(losses.std(), 1e-12), 2)
        self.m = self.m - self.rate * (up - down) / 2 @ e / self.pairs
        spread = (up + down) / 2 @ (n**2 - 1) / self.pairs
        self.s = self.s * np.exp(np.clip(-0.1 * self.rate * spread, -0.5, 0.5))

    @property
    def best(self) -> NDArray[Any]:
        """Return m."""
        return self.m
