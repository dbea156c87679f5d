"""The planned points: every combination of the axes, and the order in which they are visited."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn.config import ConfigError
from pnn.sweeps.axes import Axis, axis_of
from pnn.sweeps.config import AxisTable, SamplingTable, SweepConfig

__all__ = ["Design", "Dimension", "design_of"]

Array = NDArray[Any]

#: What every sweep has in its file beside the axes.
RESERVED = (
    *("repeat", "probe", "input", "output", "row"),  # dimensions
    *("answers", "point", "drive", "time", "done", "order"),
)


@dataclass(frozen=True)
class Dimension:
    """One dimension of the grid: an axis, or several that advance together."""

    name: str
    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        return len(self.axes[0].values)


@dataclass(frozen=True)
class Design:
    """The grid of points; a point is one cell of it, repeats included, numbered in C order.

    Attributes
    ----------
    dimensions : tuple of Dimension
    repeats : int
        Length of the last dimension, ``repeat``.
    """

    dimensions: tuple[Dimension, ...]
    repeats: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions, ``repeat`` last."""
        return (*(len(one) for one in self.dimensions), self.repeats)

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions, ``repeat`` last."""
        return (*(one.name for one in self.dimensions), "repeat")

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """All axes."""
        return tuple(axis for one in self.dimensions for axis in one.axes)

    def __len__(self) -> int:
        return math.prod(self.shape)

    def places(self, point: int) -> list[tuple[Axis, int]]:
        """Return each axis with the number of its value at a point."""
        indices = np.unravel_index(point, self.shape)
        return [
            (axis, int(k))
            for one, k in zip(self.dimensions, indices, strict=False)
            for axis in one.axes
        ]

    def combinations(self, wanted: Sequence[Axis]) -> tuple[Array, Array]:
        """Group the points by the values of some axes.

        Returns
        -------
        group : ndarray of shape (points,)
            Number of the group of each point.
        example : ndarray of shape (groups,)
            One point of each group.
        """
        key = np.zeros(self.shape, np.int64)
        for d, one in enumerate(self.dimensions):
            if any(axis in wanted for axis in one.axes):
                along = np.arange(len(one)).reshape(-1, *[1] * (len(self.shape) - 1 - d))
                key = key * len(one) + along
        _, example, group = np.unique(key, return_index=True, return_inverse=True)
        return group.ravel(), example

    def order(self, *, random: bool, seed: int) -> Array:
        """Return the points in the order of visiting.

        Points with the same device stand together, since a device is slow to change: the devices
        are shuffled, and the points of each (a split-plot design).
        """
        block, example = self.combinations([axis for axis in self.axes if axis.rebuilds])
        if not random:
            return np.argsort(block, kind="stable")
        generator = np.random.default_rng([seed, 1])
        rank = generator.permutation(len(example))
        shuffled = generator.permutation(len(self))
        return shuffled[np.argsort(rank[block[shuffled]], kind="stable")]


def design_of(config: SweepConfig) -> Design:
    """Lay out the grid of a configuration.

    Raises
    ------
    ConfigError
        If axes do not go together.
    """
    if not config.axis:
        raise ConfigError("a sweep needs an axis: there is nothing to vary")
    sampled = [table for table in config.axis if table.sampled]
    if sampled and config.sampling is None:
        raise ConfigError(
            f"axis {sampled[0].label}: it has neither points nor a table [sampling] that says how "
            "many samples are drawn"
        )
    if config.sampling is not None and not sampled:
        raise ConfigError("[sampling]: no axis is sampled; leave out points of those to be drawn")
    shares = _draw(config.sampling, len(sampled), config.seed) if config.sampling else np.empty(0)
    together: dict[str, list[Axis]] = {}
    for table in config.axis:
        column = shares[:, sampled.index(table)] if table.sampled else None
        name = "sample" if table.sampled else table.zip or table.label
        if table.sampled and table.zip:
            raise ConfigError(f"axis {table.label}: a sampled axis cannot be zipped")
        together.setdefault(name, []).append(axis_of(table, column))
    design = Design(tuple(Dimension(n, tuple(a)) for n, a in together.items()), config.repeats)
    _check(design, config.axis)
    return design


def _draw(sampling: SamplingTable, n_axes: int, seed: int) -> Array:
    """Return shares from 0 to 1, (points, n_axes)."""
    from scipy.stats import qmc

    generator = np.random.default_rng([seed, 2])
    if sampling.method == "uniform":
        return generator.random((sampling.points, n_axes))
    kind = qmc.Sobol if sampling.method == "sobol" else qmc.LatinHypercube
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a number of points that is no power of two
        return kind(n_axes, seed=generator).random(sampling.points)


def _check(design: Design, tables: Sequence[AxisTable]) -> None:
    for one in design.dimensions:
        for axis in one.axes:
            if len(axis.values) != len(one):
                raise ConfigError(
                    f"axis {axis.name}: {len(axis.values)} values, but {one.axes[0].name}, with "
                    f"which it advances, has {len(one)}"
                )
    names = [axis.name for axis in design.axes]
    # A dimension may be called like one of its own axes, and then has its values.
    names += [d.name for d in design.dimensions if d.name not in [a.name for a in d.axes]]
    for name in names:
        if name in RESERVED:
            raise ConfigError(f"axis {name}: this name has a meaning in the file; give another")
        if names.count(name) > 1:
            raise ConfigError(f"axis {name}: two have this name; give them others by name")
    targets = [table.what for table in tables]
    for what in targets:
        if targets.count(what) > 1:
            raise ConfigError(f"{what}: two axes vary it")
