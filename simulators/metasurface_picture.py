"""What a person would look at in a metasurface cavity: channel and field."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.dipole_network import DipoleNetwork
from simulators.picture import Picture

__all__ = ["channel_picture", "field_picture"]

Array = NDArray[Any]

_MARGIN = 1.0  # wavelengths around the cavity
_BRIGHT = 99.0  # the percentile at which a field is cut: it has no bound at the dipoles


def channel_picture(network: DipoleNetwork, resonances: Array, frequencies: Array) -> Picture:
    """Return |H| of the first antenna pair against frequency, one curve for each row.

    Parameters
    ----------
    network : DipoleNetwork
    resonances : ndarray of shape (curves, n_elements)
    frequencies : ndarray of shape (n,)
    """
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


def field_picture(
    network: DipoleNetwork, resonances: Array, frequency: float, points: int
) -> Picture:
    """Return |E| over the cavity with the first transmitter on.

    Parameters
    ----------
    network : DipoleNetwork
    resonances : ndarray of shape (n_elements,)
    frequency : float
    points : int
        Pixels along the longer side.
    """
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
