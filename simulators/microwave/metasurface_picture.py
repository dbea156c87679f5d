"""What a person would look at in a metasurface cavity: channel and field."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of, whole
from simulators.microwave.dipole_network import DipoleNetwork
from simulators.picture import Picture

__all__ = ["draw"]

Array = NDArray[Any]

_MARGIN = 1.0  # wavelengths around the cavity
_BRIGHT = 99.0  # the percentile at which a field is cut: it has no bound at the dipoles


def draw(
    network: DipoleNetwork, resonances: Array, kind: str, frequency: float | None, points: int
) -> Picture:
    """Return the picture of `MetasurfaceCavity.picture`.

    Parameters
    ----------
    network : DipoleNetwork
    resonances : ndarray of shape (batch, n_elements)
    kind, frequency, points
        See there.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    me = "MetasurfaceCavity.picture"
    one_of(me, "kind", kind, ("channel", "field"))
    whole(me, "points", points, 2)
    grid = network.frequencies
    if kind == "channel":
        low, high = float(grid.min()), float(grid.max())
        # One frequency alone spans no axis: a tenth to either side is what the defaults cover.
        ends = (low, high) if low < high else (0.9 * low, 1.1 * low)
        return _channel(network, resonances, np.linspace(*ends, points))
    at = grid[len(grid) // 2] if frequency is None else frequency
    return _field(network, resonances[0], number(me, "frequency", at, 0.0, above=True), points)


def _channel(network: DipoleNetwork, resonances: Array, frequencies: Array) -> Picture:
    """Return |H| of the first antenna pair against frequency, one curve for each row."""
    fine = network.at(frequencies)
    inverse = fine.reduced.solve(fine.own(resonances))
    channels = np.abs(fine.antenna_terms * inverse)[:, :, 0, 0].T
    return Picture(
        title="Channel of the metasurface cavity",
        values=channels,
        x=frequencies,
        label="|H| (1)",
        x_label="frequency (reference frequency)",
    )


def _field(network: DipoleNetwork, resonances: Array, frequency: float, points: int) -> Picture:
    """Return |E| over the cavity with the first transmitter on."""
    low, high = network.positions.min(axis=0) - _MARGIN, network.positions.max(axis=0) + _MARGIN
    step = (high - low).max() / (points - 1)
    x, y = (np.arange(a, b + step / 2, step) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    # A pixel on a dipole would be infinite; a tenth of a pixel beside it is not.
    field = np.abs(network.field(grid + 0.1 * step, frequency, resonances))
    field = np.minimum(field, np.percentile(field, _BRIGHT)).reshape(len(y), len(x))
    layout = network.layout
    return Picture(
        title=f"Field in the metasurface cavity at f = {frequency:g}",
        values=field,
        x=x,
        y=y,
        label=f"|E| (1), cut at the {_BRIGHT:g}th percentile",
        x_label="x (wavelengths)",
        y_label="y (wavelengths)",
        marks={
            "walls": layout.walls,
            "elements": layout.elements,
            "transmitters": layout.transmitters,
            "receivers": layout.receivers,
        },
    )
