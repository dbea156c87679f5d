"""Covariance matrix adaptation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from devices.extras import require
from pnn.layer import PhysicalNetwork
from pnn.rules.cost import Cost
from pnn.rules.search import Judge, SearchRule
from pnn.training import Training

__all__ = ["CMAES"]


class CMAES(SearchRule):
    """Draw from a normal distribution that adapts to what was good (Hansen, arXiv:1604.00772).

    A generation of 4 + 3 ln(n) vectors is drawn from N(m, s^2 C); m moves to the weighted mean of
    the better half, and C and s learn from the steps that led there. The package `cma` does it.
    One generation, judged on one batch, an epoch. The vector is described in `SearchRule`; in the
    end it is m.

    Parameters
    ----------
    spread : float
        s at the start.

    Raises
    ------
    MissingExtraError
        If `cma` is not installed.
    """

    name: ClassVar[str] = "cma-es"
    reported: ClassVar[str] = "behind PEPG on a laser network, MNIST (arXiv:2503.16943)"
    works_on: ClassVar[str] = (
        "devices with up to some 100 inputs or parameters, in any domain; bears noise"
    )
    longest: ClassVar[int] = 500
    why_longest: ClassVar[str] = (
        "it learns their covariance, n (n + 1) / 2 numbers, which takes some 10 n^2 evaluations"
    )

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise, too, if the package is missing."""
        super().check(network, settings, n_classes)
        require("cma", "cma")

    def cost(self, n_classes: int) -> Cost:
        """Return, too, how a generation grows."""
        return replace(super().cost(n_classes), growth="3 ln n")

    def evaluations(self, length: int) -> int:
        """Return the size of a generation."""
        return 4 + int(3 * np.log(length))

    def begin(self, length: int, rng: np.random.Generator) -> None:
        """Begin at zero."""
        options = {
            "popsize": self.evaluations(length),
            "seed": int(rng.integers(1, 2**31)),
            "verbose": -9,
        }
        self.strategy = require("cma", "cma").CMAEvolutionStrategy(
            np.zeros(length), self.spread, options
        )

    def step(self, judge: Judge) -> None:
        """Judge a generation and learn from it."""
        drawn = self.strategy.ask()
        self.strategy.tell(drawn, list(judge(drawn)))

    @property
    def best(self) -> NDArray[Any]:
        """Return m."""
        return np.asarray(self.strategy.result.xfavorite, float)
