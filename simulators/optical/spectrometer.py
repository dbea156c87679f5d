"""What share of each frequency of a grid falls into which bin of a spectrometer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["spectral_bins"]

Array = NDArray[Any]


def spectral_bins(owner: str, omega: Array, band: float, n: int) -> tuple[Array, Array]:
    """Return equal bins around the carrier, as the shares of a grid's frequencies in them.

    Parameters
    ----------
    owner : str
        Whom a message is about.
    omega : ndarray of shape (n_samples,)
        Angular frequencies of an FFT, each standing for the interval halfway to the next.
    band : float
        Width of all bins together, in the unit of `omega`.
    n : int
        Number of bins.

    Returns
    -------
    edges : ndarray of shape (n + 1,)
    shares : ndarray of shape (n_samples, n)

    Raises
    ------
    ValueError
        If a bin is narrower than the grid's spacing.
    """
    edges = np.linspace(-band / 2, band / 2, n + 1)
    spacing, width = abs(float(omega[1] - omega[0])), band / n
    if width < spacing:
        raise ValueError(
            f"{owner}: {n} output bins of a mode in output_band={band:.4g} are {width:.4g} wide; "
            f"the time window resolves {spacing:.4g}. Take fewer outputs or a wider band"
        )
    low, high = omega[:, None] - spacing / 2, omega[:, None] + spacing / 2
    overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    return edges, np.maximum(overlap, 0.0) / spacing
