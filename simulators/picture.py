"""What a person would look at: a field map, a speckle pattern, a channel against frequency."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Picture"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A map or a set of curves, with its axes and units; `plot` draws it.

    Parameters
    ----------
    title : str
    values : ndarray of shape (ny, nx), or (nx,) or (curves, nx) for curves
        Real numbers.
    x : ndarray of shape (nx,)
    y : ndarray of shape (ny,) or None
        None: `values` are curves over x.
    label, x_label, y_label : str
        Names with units, such as "pressure (Pa)".
    marks : dict of str to ndarray of shape (n, 2)
        Points of interest in x and y: loudspeakers, microphones, antennas.
    """

    title: str
    values: Array
    x: Array
    y: Array | None = None
    label: str = ""
    x_label: str = ""
    y_label: str = ""
    marks: dict[str, Array] = field(default_factory=dict)

    def plot(self, axes: Any = None) -> Any:
        """Draw into matplotlib axes (new ones if None), and return them.

        Raises
        ------
        ImportError
            If matplotlib is not installed; the message names the extra.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "drawing needs matplotlib: pip install 'pnn-toolkit[plot]'"
            ) from error
        if axes is None:
            axes = plt.subplots(layout="constrained")[1]
        if self.y is None:
            axes.plot(self.x, np.atleast_2d(self.values).T)
            axes.set_ylabel(self.label)
        else:
            signed = self.values.min() < 0
            reach = float(np.abs(self.values).max())
            image = axes.pcolormesh(
                self.x,
                self.y,
                self.values,
                shading="nearest",
                cmap="RdBu_r" if signed else "magma",
                vmin=-reach if signed else 0.0,
                vmax=reach,
                rasterized=True,
            )
            axes.figure.colorbar(image, ax=axes, label=self.label)
            axes.set_ylabel(self.y_label)
            axes.set_aspect("equal")
        for name, points in self.marks.items():
            axes.plot(points[:, 0], points[:, 1], "o", ms=5, mec="k", label=name)
        if self.marks:
            axes.legend(fontsize="small")
        axes.set_xlabel(self.x_label)
        axes.set_title(self.title)
        return axes
