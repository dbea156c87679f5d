"""Learning curves of a comparison: accuracy on the test rows against queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.hdf5 import valid_rows
from pnn.compare.config import CompareConfig
from pnn.compare.run import opened
from pnn.config import validated

__all__ = ["Curve", "draw_curve", "read_curves"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One rule on one device under one budget, over the seeds that are done.

    Attributes
    ----------
    rule, device : str
    budget : int
    queries : ndarray of shape (looks,)
        For training and validation so far, mean over seeds.
    accuracy, spread : ndarray of shape (looks,)
        On the test rows: mean, and standard deviation over seeds (0 for one seed).
    """

    rule: str
    device: str
    budget: int
    queries: Array
    accuracy: Array
    spread: Array

    def as_dict(self) -> dict[str, list[float]]:
        """Return the numbers as lists."""
        return {name: getattr(self, name).tolist() for name in ("queries", "accuracy", "spread")}


def read_curves(path: str | Path) -> list[Curve]:
    """Read the learning curves of a comparison with ``curves = true``; none of another."""
    with opened(path) as (file, attributes):
        config = validated(CompareConfig, attributes["config"], str(path))
        results = file["results"]
        if "curve" not in results:
            return []
        n = valid_rows(results, "result") or 0
        cells = file["cells"][()][results["cell"][:n]]
        looks = results["curve"][:n]
    found = []
    for r, d, b in np.unique(cells[:, :3], axis=0):
        # A training that stops early, or fails, has fewer looks: the mean is over those there are.
        of = looks[(cells[:, :3] == (r, d, b)).all(axis=1)]
        of = of[:, ~np.isnan(of[:, :, 0]).all(axis=0)]
        if not of.size:
            continue
        found.append(
            Curve(
                rule=config.rules[r].label,
                device=config.devices[d].label,
                budget=config.budgets[b],
                queries=np.nanmean(of[:, :, 0], axis=0),
                accuracy=np.nanmean(of[:, :, 1], axis=0),
                spread=np.nanstd(of[:, :, 1], axis=0, ddof=1 if len(of) > 1 else 0),
            )
        )
    return found


def draw_curve(ax: Any, curve: Curve, **style: Any) -> None:
    """Draw a curve in percent, with a band of one standard deviation."""
    (line,) = ax.plot(curve.queries, 100 * curve.accuracy, lw=1.3, ms=3, **style)
    low, high = curve.accuracy - curve.spread, curve.accuracy + curve.spread
    ax.fill_between(curve.queries, 100 * low, 100 * high, color=line.get_color(), alpha=0.12, lw=0)
